"""How long does the choice take? 29,494 x 640 stored embeddings, all threads of the machine.

python benchmarks/budget_speed.py --data ../shared/data

Writes benchmarks/results/budget-speed.jsonl: seconds to choose head and code for each budget, and
to fit what was chosen. Encoding is not counted: it depends on the models alone.
"""

import argparse
import time
from pathlib import Path

from splits import MODELS, RESULTS, stamped

from vecpress.budget import choose
from vecpress.corpus import read_corpus
from vecpress.encoders.combine import with_cache
from vecpress.pipeline import Pipeline
from vecpress.pseudo import draw_questions, make_probes
from vecpress.recipe import Recipe
from vecpress.report import write_results
from vecpress.sample import Sample, make_encoder


def main() -> None:
    """Choose, fit, and time both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("~/.cache/vecpress").expanduser())
    asked = parser.parse_args()
    passages = read_corpus(asked.data / "wikipedia" / "passages-29k.jsonl.gz")
    made = make_encoder(Recipe(models=MODELS), passages)
    assert made is not None
    encoder = with_cache(made, asked.cache)
    documents = encoder.encode(passages.texts)
    probes = make_probes(draw_questions(passages.texts), encoder)
    rows = []
    for budget in (16, 32, 64, 128):
        began = time.perf_counter()
        choice = choose(documents, budget, probes=probes)
        chosen = time.perf_counter()
        Pipeline.from_sample(choice.apply(Recipe()), Sample(embeddings=documents))
        fitted = time.perf_counter()
        row = {
            "documents": len(documents),
            "dim": int(documents.shape[1]),
            "budget": budget,
            "tried": len(choice.trials),
            "choose_seconds": round(chosen - began, 1),
            "fit_seconds": round(fitted - chosen, 1),
            "chosen": str(choice.best),
        }
        rows.append(row | stamped())
        print(row, flush=True)
    write_results(RESULTS / "budget-speed.jsonl", rows)


if __name__ == "__main__":
    main()
