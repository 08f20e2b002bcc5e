"""What a verb may be told: the arguments and options that several verbs share, or that are long."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from vecpress.errors import ConfigError
from vecpress.registry import COMPRESSORS

# The cache of encoders is only looked for here: nothing in the library reads the environment, but
# for where tables distilled from a transformer are kept.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "vecpress"

_CORPUS_HELP = (
    "BEIR folder; .jsonl(.gz), .csv, .parquet or .txt of texts; - for stdin; an image folder, or "
    "one of these files with paths in a column `image`; or .npy, .npz or .parquet of vectors (then "
    "without --models)."
)
Corpus = Annotated[str, typer.Argument(metavar="CORPUS", help=_CORPUS_HELP)]
Press = Annotated[Path, typer.Argument(metavar="PRESS", help="What `fit` made.")]
Out = Annotated[Path, typer.Option("--out", help="What to write.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


def _seed(seed: int) -> int:
    if not 0 <= seed < 2**32:  # what numpy, torch, FAISS and scikit-learn all take
        raise ConfigError(f"a seed is a whole number from 0 to {2**32 - 1}, got {seed}")
    return seed


Seed = Annotated[int, typer.Option(callback=_seed, help="Of everything random.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]
Cache = Annotated[
    Path, typer.Option(help="Folder in which encoders remember.", show_default="~/.cache/vecpress")
]
Models = Annotated[
    str, typer.Option(help="Models to put side by side, such as minilm,wordllama,lexical:256.")
]
Weights = Annotated[str, typer.Option(help="Each model's share of the cosine: 1,0.5.")]
Head = Annotated[
    str,
    typer.Option(help=f"{', '.join(COMPRESSORS)}, or module:Class; power-pca if it is left out."),
]
Dim = Annotated[int | None, typer.Option(help="Dimensions kept.")]
Bits = Annotated[int | None, typer.Option(help="Bits per dimension, 1 to 8.")]
Budget = Annotated[str, typer.Option(help="Bytes per vector, such as 64B.")]
FitOn = Annotated[
    str,
    typer.Option(
        metavar="CORPUS",
        help="Fit heads and codes on these texts only.",
        show_default="each benchmark's own documents",
    ),
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Show all that was tried for the budget, and why.")
]
By = Annotated[
    str, typer.Option(help="What a model's gain is divided by: quality (nothing), ms or byte.")
]
Recipe = Annotated[Path | None, typer.Option(help="TOML file with all of these.")]
Pairs = Annotated[
    Path | None,
    typer.Option(
        help="Judgements, for heads that learn from them: a BEIR folder, or a .jsonl(.gz), .csv, "
        ".tsv or .parquet with columns query (its text), document (its id or text) and perhaps "
        "score; of vectors, ids or row numbers."
    ),
]
PairsSplit = Annotated[
    str, typer.Option("--split", help="Of the judgements in a folder.", show_default="train")
]
OtherSplit = Annotated[
    str,
    typer.Option(
        help="Of the judgements that heads may learn from.", show_default="train, if there is one"
    ),
]
PairsQueries = Annotated[
    Path | None,
    typer.Option("--queries", help="Vectors of the judged queries, if CORPUS holds vectors."),
]
Continue = Annotated[
    Path | None,
    typer.Option(
        "--continue",
        metavar="PRESS",
        help="Go on below the last width of this press's head, down to --dim; it stays as it is.",
    ),
]
ReportTo = Annotated[
    str, typer.Option(help="tensorboard: draw the training there too, in OUT.tensorboard.")
]
Memory = Annotated[
    str,
    typer.Option(
        metavar="SIZE",
        help="Keep to so much memory, such as 2GB, however large CORPUS is: it is read in parts.",
    ),
]
Format = Annotated[
    Literal["npy", "parquet"] | None,
    typer.Option("--format", help="Of the shards, where --out is a folder.", show_default="npy"),
]
Results = Annotated[
    Path,
    typer.Argument(metavar="RESULTS", help="A results.jsonl; or a press, or a training.jsonl."),
]
Mteb = Annotated[
    str,
    typer.Option(
        metavar="TASKS",
        help="Instead of BEIR_FOLDER: MTEB's tasks by name, BEIR folders by path, such as "
        "SciFact,NFCorpus,./mine.",
    ),
]
Door = Annotated[
    Literal["search", "encoder"],
    typer.Option(
        help="How MTEB meets the press: search ranks by its codes, encoder gives floats and runs "
        "tasks of any kind."
    ),
]
DoorDim = Annotated[int | None, typer.Option("--dim", help="Dimensions kept, with --door encoder.")]
Rescore = Annotated[
    int | None,
    typer.Option(help="Order so many of the best hits anew by their raw floats, with --mteb."),
]
MtebOut = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Folder for MTEB's own result files; what it holds is not run again."
    ),
]
