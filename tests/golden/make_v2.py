"""How the golden index of format 2 was made, once: never run this again over it."""

from pathlib import Path

import numpy as np

from vecpress import Index, Pipeline, Recipe, upkeep
from vecpress.compressors.linear import PowerPCA
from vecpress.quantizers.scalar import Int8, Percentile

HERE = Path(__file__).parent


def part(pipeline: Pipeline, vectors: np.ndarray, rows: range) -> Index:
    """Index some vectors, with what stands for their texts."""
    short = pipeline.compress(vectors[rows.start : rows.stop])
    return Index.build(
        pipeline.codec,
        pipeline.quantize(short),
        [f"dök {i}" for i in rows],
        snippets=[f"text {i}" for i in rows],
        fingerprint=pipeline.fingerprint,
        fine=(pipeline.fine, pipeline.fine.quantize(short)),
    )


def main() -> None:
    vectors = np.random.default_rng(2).normal(size=(300, 12)).astype(np.float32)
    recipe = Recipe(head=PowerPCA(dim=9, gamma=0.25), quantizer=Percentile(bits=3), fine=Int8())
    pipeline = Pipeline.fit(recipe, vectors)
    folder = HERE / "index_v2"
    pipeline.save_index(part(pipeline, vectors, range(250)), folder)
    upkeep.add(folder, part(pipeline, vectors, range(250, 300)))
    upkeep.delete(folder, ["dök 3", "dök 249", "dök 250", "dök 277"])
    (folder / ".lock").unlink()
    index = Index.load(folder, verify=True)
    first = pipeline.search(index, vectors[:7], 5, rescore=None)
    finer = pipeline.search(index, vectors[:7], 5)
    np.savez(
        HERE / "expected_v2.npz", vectors=vectors, codes=index.codes, rows=first.rows,
        scores=first.scores, finer_rows=finer.rows, finer_scores=finer.scores,
    )  # fmt: skip


if __name__ == "__main__":
    main()
