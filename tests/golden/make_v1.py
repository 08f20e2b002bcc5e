"""How the golden folders of format 1 were made, once: never run this again over them."""

from pathlib import Path

import numpy as np

from vecpress import Corpus, Pipeline, Recipe
from vecpress.compressors.linear import PowerPCA
from vecpress.quantizers.scalar import Percentile

HERE = Path(__file__).parent


def main() -> None:
    vectors = np.random.default_rng(1).normal(size=(300, 12)).astype(np.float32)
    recipe = Recipe(head=PowerPCA(dim=9, gamma=0.25), quantizer=Percentile(bits=3, rotate=True))
    pipeline = Pipeline.fit(recipe, vectors)
    index = pipeline.index(vectors)
    pipeline.save_index(index, HERE / "index_v1")
    hits = pipeline.search(index, vectors[:7], 5)
    np.savez(HERE / "expected_v1.npz", vectors=vectors, codes=index.codes, rows=hits.rows, scores=hits.scores)  # fmt: skip

    words = ["river", "bank", "loan", "money", "water", "boat", "harbour", "fish", "credit", "sail"]
    texts = [f"{words[i % 10]} {words[(i * 3 + 1) % 10]} {words[i * i % 10]}" for i in range(60)]
    corpus = Corpus(ids=tuple(f"d{i}" for i in range(60)), texts=tuple(texts))
    recipe = Recipe(
        models=("lexical:6", "lexical:4"), weights=(1.0, 0.5), quantizer=Percentile(bits=4)
    )
    Pipeline.fit(recipe, corpus).save(HERE / "press_text_v1")


if __name__ == "__main__":
    main()
