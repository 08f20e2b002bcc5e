"""Encoding `minilm,wordllama`: vecpress against the libraries called one after the other.

    python benchmarks/encode.py          or: make bench-encode

Takes 384 abstracts of SciFact at 256 tokens, and its 300 test queries, from the folder
VECPRESS_DATA (default ../shared/data); VECPRESS_TEXTS and VECPRESS_TURNS make it shorter, and a
shorter run keeps no results. Every candidate encodes the same texts in turn, on the same threads
(VECPRESS_THREADS). Quality is nDCG@10 over the whole of SciFact. Writes
benchmarks/results/bench-encode.json.
"""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import timing  # first: it pins threads

# isort: split
import numpy as np
import torch
import wordllama
from model2vec import StaticModel
from safetensors.numpy import load_file
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from wordllama.inference import WordLlamaInference

from vecpress.arrays import Array
from vecpress.corpus import Benchmark, read_benchmark
from vecpress.encoders.catalogue import combine, find
from vecpress.encoders.files import locate
from vecpress.evaluate import score_floats
from vecpress.stages import Encoder

DATA = Path(os.environ.get("VECPRESS_DATA", "../shared/data"))
TEXTS = int(os.environ.get("VECPRESS_TEXTS", "384"))
TURNS = int(os.environ.get("VECPRESS_TURNS", "5"))
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
BASELINE = "sentence-transformers, then wordllama"

Texts = Sequence[str]
Encode = Callable[[Texts], Array]


def plain_wordllama() -> WordLlamaInference:
    """Make the package's own model from the files inside it; its loader would ask the network."""
    root = Path(wordllama.__file__).parent
    table = load_file(root / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
    tokenizer = root / "tokenizers" / "l2_supercat_tokenizer_config.json"
    return WordLlamaInference(table, Tokenizer.from_file(str(tokenizer)))


def wordllama_in_model2vec() -> StaticModel:
    """Put WordLlama's table into model2vec: the same work, done by another library."""
    words = plain_wordllama()
    return StaticModel(words.embedding, words.tokenizer, normalize=True, max_length=None)


def encoder(*names: str) -> Encoder:
    """Make encoders by name, side by side."""
    found = [find(name) for name in names]
    return combine([one for one in found if isinstance(one, Encoder)], None)


def onnx_backend() -> tuple[Encode | None, str]:
    """Make the library's own onnx backend, or say why it does not run."""
    try:
        model = SentenceTransformer(str(locate(MINILM)), backend="onnx", local_files_only=True)
    except Exception as error:  # noqa: BLE001 - whatever it raises is the answer
        return None, f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return lambda texts: model.encode(list(texts), show_progress_bar=False), ""


def candidates() -> tuple[dict[str, Encode], dict[str, str]]:
    """Give everything that is timed, and why something is not."""
    torch.set_num_threads(timing.THREADS)
    library = SentenceTransformer(str(locate(MINILM)), device="cpu")
    words, other = plain_wordllama(), wordllama_in_model2vec()
    full, int8 = encoder("minilm"), encoder("minilm:int8")
    table = encoder("wordllama")
    pool = ThreadPoolExecutor(2)

    def one_after_the_other(texts: Texts) -> Array:
        rows = library.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return np.concatenate([rows, words.embed(list(texts), norm=True)], axis=1)

    def side_by_side(texts: Texts) -> Array:
        return np.concatenate(list(pool.map(lambda e: e.encode(texts), [full, table])), axis=1)

    def library_alone(texts: Texts) -> Array:
        return library.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)

    made: dict[str, Encode] = {
        BASELINE: one_after_the_other,
        "vecpress minilm,wordllama": encoder("minilm", "wordllama").encode,
        "vecpress minilm:int8,wordllama": encoder("minilm:int8", "wordllama").encode,
        "vecpress minilm,wordllama, models side by side": side_by_side,
        "sentence-transformers alone": library_alone,
        "vecpress minilm": full.encode,
        "vecpress minilm:int8": int8.encode,
        "wordllama alone": lambda texts: words.embed(list(texts), norm=True),
        "model2vec, wordllama's table": lambda texts: other.encode(list(texts)),
        "vecpress wordllama": table.encode,
    }
    onnx, why = onnx_backend()
    if onnx is not None:
        made["sentence-transformers, onnx backend"] = onnx
    return made, {} if onnx else {"sentence-transformers, onnx backend": why}


def timed(kind: str, texts: Texts, made: dict[str, Encode]) -> list[dict[str, Any]]:
    """Let all encode the texts in turn; ratios are against the baseline of the same kind."""
    tokenizer = Tokenizer.from_file(str(locate(MINILM) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    tokens = sum(len(text.ids) for text in tokenizer.encode_batch(list(texts)))
    taken = timing.take_turns({n: lambda e=e: e(texts) for n, e in made.items()}, turns=TURNS)
    rows = []
    for name, took in taken.items():
        is_static = "wordllama" in name and "," not in name.replace("model2vec, ", "")
        alone = "wordllama alone" if is_static else "sentence-transformers alone"
        peer = BASELINE if "," in name and not is_static else alone
        row = {"texts": kind, "count": len(texts), "tokens": tokens, "candidate": name}
        row |= {"best_s": round(took.best, 4), "median_s": round(took.median, 4)}
        row |= {"tokens_per_s": round(tokens / took.median), "against": peer}
        row |= {"speed": round(taken[peer].median / took.median, 2)}
        row |= {"speed_of_best": round(taken[peer].best / took.best, 2)}
        rows.append(row)
        print(row, flush=True)
    return rows


def quality(benchmark: Benchmark) -> list[dict[str, Any]]:
    """Score each way over all of SciFact, and hold it against the full precision."""
    documents, queries = benchmark.corpus.texts, benchmark.queries.texts
    names = (("minilm",), ("minilm:int8",), ("wordllama",), ("minilm", "wordllama"))
    names += (("minilm:int8", "wordllama"),)
    embedded = {}
    for name in {part for parts in names for part in parts}:
        one = encoder(name)
        embedded[name] = one.encode(documents), one.encode(queries, role="query")
    rows = []
    for parts in names:
        d, q = (np.concatenate([embedded[p][i] for p in parts], 1) for i in (0, 1))
        full = [embedded[p.removesuffix(":int8")][0] for p in parts]
        cosines = (d * np.concatenate(full, 1)).sum(axis=1) / len(parts)
        scores = score_floats(d, q, benchmark)
        row = {"models": ",".join(parts), "ndcg@10": round(float(scores.ndcg.mean()), 4)}
        row |= {"cosine_mean": round(float(cosines.mean()), 4)}
        row |= {"cosine_min": round(float(cosines.min()), 4)}
        rows.append(row)
        print(row, flush=True)
    return rows


def contract(texts: Texts) -> dict[str, float]:
    """Measure the largest difference that torch, order and company make to a number of a vector."""
    library = SentenceTransformer(str(locate(MINILM)), device="cpu")
    theirs = library.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
    found = {"fp32_to_torch": float(np.abs(encoder("minilm").encode(texts) - theirs).max())}
    for name in ("minilm", "minilm:int8"):
        one = encoder(name)
        together = one.encode(texts)
        alone = np.concatenate([one.encode([text]) for text in texts[::-1]])[::-1]
        found[f"{name}_alone_or_together"] = float(np.abs(together - alone).max())
    return found


def main() -> None:
    """Run everything and write the results."""
    if not (DATA / "scifact").is_dir():
        sys.exit(
            f"no SciFact in {DATA}: set VECPRESS_DATA to a folder with scifact/ in BEIR layout"
        )
    benchmark = read_benchmark(DATA / "scifact")
    abstracts = [str(text) for text in benchmark.corpus.texts[:TEXTS]]
    queries = [str(text) for text in benchmark.queries.texts[:300]]
    made, absent = candidates()
    rows = timed("abstracts", abstracts, made) + timed("queries", queries, made)
    differences = contract(abstracts[:64])
    print(absent, differences, flush=True)
    if TEXTS < 384:
        return
    notes = {"absent": absent, "largest_difference": differences, "quality": quality(benchmark)}
    print(timing.write("bench-encode", rows, command="python benchmarks/encode.py", **notes))


if __name__ == "__main__":
    main()
