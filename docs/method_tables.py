"""The tables of docs/methods.md, one per method, from committed results: part of docs/generate.py.

A method's table has up to three parts, each made by a function below of the names under which its
results are kept.
"""

from collections.abc import Iterable
from functools import cache, partial
from statistics import fmean
from typing import Any

import frontier_tables
from frontier_tables import CHOICE, Rows, head

REFERENCE = "power-PCA .25"
"""The head that every other one is shown beside."""

SPENT = (16, 32, 64, 128)
"""Bytes per vector shown."""


@cache
def read(name: str) -> Rows:
    """Read a committed results file, once."""
    return frontier_tables.read(name)


def where(rows: Rows, **wanted: Any) -> Rows:
    """Keep the rows that have these values."""
    return [r for r in rows if all(r[key] == value for key, value in wanted.items())]


def names(rows: Rows) -> list[str]:
    """List the collections of rows."""
    return list(dict.fromkeys(r["benchmark"] for r in rows))


def mean(rows: Iterable[dict[str, Any]], what: str, over: Iterable[str]) -> float | None:
    """Average over seeds, then over collections; None unless all of them are there."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["benchmark"], []).append(row[what])
    return fmean(map(fmean, found.values())) if found.keys() == set(over) else None


def line(label: str, *cells: str) -> str:
    """Write a row of a table."""
    return f"| {label} | " + " | ".join(cells) + " |"


def percent(share: float | None) -> str:
    """Write a share in percent, or that there is none."""
    return "-" if share is None else f"{100 * share:.1f}"


def seconds(spent: float | None) -> str:
    """Write a time, as exactly as two runs of it agree."""
    if spent is None:
        return "-"
    if spent < 0.1:
        return "below .1"
    return f"{spent:.0f}" if spent >= 9.5 else f"{spent:.1f}"


def by_dims(*methods: str) -> str:
    """Show what float outputs keep by width, fitted on each collection and on Wikipedia."""
    rows = read("spine-heads.jsonl")
    dims, over = sorted({r["dim"] for r in rows}), names(rows)
    lines = head(f"nDCG@10 kept, %, mean of {len(over)} collections",
                 *(f"{d} dims" for d in dims), "fit, s")  # fmt: skip
    for corpus in (None, "wikipedia-29k"):
        for method in dict.fromkeys((*methods, REFERENCE)):
            mine = [r for r in where(rows, method=method)
                    if r["trained_on"] == (corpus or r["benchmark"])]  # fmt: skip
            cells = [percent(mean(where(mine, dim=d), "recovery", over)) for d in dims]
            label = f"{method}, fitted on {'Wikipedia' if corpus else 'the collection'}"
            lines.append(line(label, *cells, seconds(mean(mine, "fit_seconds", over))))
    return "\n".join(lines)


def by_labels(*keys: tuple[str, str]) -> str:
    """Show nDCG@10 by width on the collections that have judgements to learn from."""
    rows = read("adaptors-scores.jsonl")
    raw = {r["benchmark"]: r["ndcg@10"] for r in where(rows, group="raw")}
    dims = sorted({r["dim"] for r in rows if r["group"] != "raw"})
    lines = head("nDCG@10 x 100", *(f"{d} dims" for d in dims), "raw floats", "fit, s")
    for name in raw:
        for group, method in (*keys, ("untrained", REFERENCE)):
            mine = where(rows, benchmark=name, group=group, method=method)
            cells = [percent(mean(where(mine, dim=d), "ndcg@10", [name])) for d in dims]
            took = seconds(mean(mine, "fit_seconds", [name]))
            lines.append(line(f"{name}: {method}, {group}", *cells, percent(raw[name]), took))
    return "\n".join(lines)


def few_labels(method: str) -> str:
    """Show what few judgements gain, with the guard and without."""
    rows = where(read("few-labels.jsonl"), method=method)
    labels = sorted({r["labels"] for r in rows})
    lines = head("gain in nDCG@10 x 100, 128 dims", *(f"{n} queries" for n in labels))
    for name, guard in dict.fromkeys((r["benchmark"], r["guard"]) for r in rows):
        mine = where(rows, benchmark=name, guard=guard)
        gains = [mean(where(mine, labels=n), "gain", [name]) for n in labels]
        # Adding 0 makes a 0 of -0.
        cells = ["-" if gain is None else f"{round(100 * gain, 1) + 0.0:+.1f}" for gain in gains]
        lines.append(line(f"{name}, {'guarded' if guard else 'best epoch'}", *cells))
    return "\n".join(lines)


def by_bytes(*methods: str) -> str:
    """Show whole recipes by budget, beside what is chosen: two models, fitted on the collection."""
    rows = [r for r in _frontier(2) if r["budget"]]
    lines = _bytes_head("recipe", rows)
    for method in dict.fromkeys((*methods, CHOICE)):
        lines.append(_bytes_line(method, where(rows, method=method), names(rows)))
    return "\n".join(lines)


def by_code(*quantizers: str) -> str:
    """Show quantizers at equal bytes behind the same head, and the best there."""
    rows = read("codes.jsonl")
    over, lines = names(rows), _bytes_head(f"code behind {REFERENCE}", rows)
    for quantizer in quantizers:
        lines.append(_bytes_line(quantizer, where(rows, quantizer=quantizer), over))
    best = []
    for budget in SPENT:
        at = where(rows, budget=budget)
        kept = {r["quantizer"]: mean(where(at, quantizer=r["quantizer"]), "recovery", over) or 0.0
                for r in at}  # fmt: skip
        top = max(kept, key=kept.__getitem__)
        best.append(f"{percent(kept[top])} ({top})")
    return "\n".join([*lines, line("the best of all", *best, "", "")])


def _frontier(models: int) -> Rows:
    """Read what was fitted on the collection itself, with so many models."""
    rows = read("frontier.jsonl")
    return [r for r in rows if r["fitted_on"] == r["benchmark"] and len(r["models"]) == models]


def _bytes_head(what: str, rows: Rows) -> list[str]:
    title = f"{what}; nDCG@10 kept, %, mean of {len(names(rows))} collections"
    return head(title, *(f"{b} B" for b in SPENT), "tables at 64 B, kB", "fit at 64 B, s")


def _bytes_line(label: str, mine: Rows, over: list[str]) -> str:
    cells = [percent(mean(where(mine, budget=b), "recovery", over)) for b in SPENT]
    at_64 = where(mine, budget=64)
    tables = mean(at_64, "table_bytes", over)
    cells.append("-" if tables is None else f"{tables / 1000:,.0f}")
    return line(label, *cells, seconds(mean(at_64, "fit_seconds", over)))


def at_full_width(*methods: str) -> str:
    """Show codes of the whole concatenation of two models, no head."""
    rows = where(_frontier(2), budget=None)
    over = names(rows)
    lines = head(f"whole concatenation, mean of {len(over)} collections", "bytes per vector",
                 "nDCG@10 kept, %", "tables, kB")  # fmt: skip
    for method in methods:
        mine = where(rows, method=method)
        tables = f"{fmean(r['table_bytes'] for r in mine) / 1000:,.0f}"
        kept = percent(mean(mine, "recovery", over))
        lines.append(line(method, f"{mine[0]['bytes_per_vector']:,}", kept, tables))
    return "\n".join(lines)


def floats(*methods: str) -> str:
    """Show models and concatenations in float32."""
    rows = where(_frontier(3), budget=None)
    rows += where(_frontier(2), budget=None, group="concatenation")
    over = names(rows)
    lines = head("nDCG@10 x 100, float32", *over, "bytes per vector", "ms per query")
    for method in methods:
        found = {r["benchmark"]: r for r in where(rows, method=method)}
        cells = [percent(found[name]["ndcg@10"]) for name in over]
        times = [r["encode_ms"] for r in found.values()]
        took = " to ".join(f"{t:.2g}" if t < 1 else f"{t:.0f}" for t in (min(times), max(times)))
        lines.append(line(method, *cells, f"{found[over[0]]['bytes_per_vector']:,}", took))
    return "\n".join(lines)


def shares() -> str:
    """Show what weights are worth: the mean over collections and draws."""
    rows = read("weights.jsonl")
    over = names(rows)
    lines = head(f"nDCG@10 x 100, float32, mean of {len(over)} collections", "best single",
                 "equal", "chosen without labels", "best of all")  # fmt: skip
    for count in sorted({len(r["models"]) for r in rows}):
        mine = [r for r in rows if len(r["models"]) == count]
        tried = [r for r in mine if "weights" in r]
        equal = [r for r in tried if list(r["weights"].values()) == [1.0] * count]
        chosen = [r for r in mine if "chosen" in r]
        told = (_best(tried, 1), mean(equal, "ndcg@10", over), mean(chosen, "ndcg@10", over),
                _best(tried, count))  # fmt: skip
        lines.append(line(f"{count} models", *map(percent, told)))
    return "\n".join(lines)


def _best(tried: Rows, most: int) -> float:
    """Average over collections what the best of at most so many models scores."""
    scores: dict[str, float] = {}
    for row in tried:
        if len(row["weights"]) <= most:
            name = row["benchmark"]
            scores[name] = max(scores.get(name, 0.0), row["ndcg@10"])
    return fmean(scores.values())


def listwise() -> str:
    """Show what training a head for its code would gain: tried, and not shipped."""
    rows = read("listwise.jsonl")
    codes = list(dict.fromkeys(r["code"] for r in rows))
    lines = head(f"nDCG@10 kept, %, mean of {len(names(rows))} collections", *codes)
    for way in ("power-PCA .25, untrained", "listwise, codes in the loop, sentences ask"):
        kept = (mean(where(rows, code=code, way=way), "recovery", names(rows)) for code in codes)
        lines.append(line(way, *map(percent, kept)))
    return "\n".join(lines)


def scan() -> str:
    """Show how long exact search takes, by table and by decoding."""
    lines = head("50,000 codes of 64 bytes, one thread", "one query by table, ms",
                 "one query decoded, ms", "200 by table, ms", "200 decoded, ms")  # fmt: skip
    for r in read("scan.jsonl"):
        times = (r["faiss_one_ms"], r["numpy_one_ms"], r["faiss_batch_ms"], r["numpy_batch_ms"])
        shown = (f"{t:.1f}" if t < 9.95 else f"{t:.0f}" for t in times)
        lines.append(line(f"{r['dim']} dims x {r['bits']} bit", *shown))
    return "\n".join(lines)


METHODS: dict[str, tuple[Any, ...]] = {
    "sentence-transformer": ((floats, "minilm"),),
    "static": ((floats, "wordllama"),),
    "lexical": ((floats, "lexical"),),
    "concatenation": (
        (floats, "minilm", "wordllama", "lexical", "minilm + wordllama",
         "minilm + wordllama + lexical"),
        (shares,),
    ),
    "truncation": (
        (by_dims, "truncation"), (by_bytes, "minilm cut, float32", "minilm cut, int8"),
    ),
    "pca": (
        (by_dims, "PCA", "PCA, centred"), (by_bytes, "PCA, 1 bit", "PCA, 2 bit", "PCA, 4 bit"),
    ),
    "power-pca": (
        (by_dims, REFERENCE, "power-PCA .5"),
        (by_labels, ("untrained", "power-PCA .5")),
        (by_bytes, "power-PCA, 1 bit", "power-PCA, 2 bit", "power-PCA, 4 bit"),
    ),
    "concat-decoder": (
        (by_dims, "concat-decoder (paper)", "concat-decoder, linear, PCA start"),
        (by_labels, ("unsupervised", "concat-decoder")),
        (by_bytes, "concat-decoder, 4 bit"),
    ),
    "search-adaptor": (
        (by_labels, *((group, "search-adaptor") for group in ("supervised", "as published"))),
        (few_labels, "search-adaptor"),
    ),
    "matryoshka-adaptor": (
        (by_labels, *((group, "matryoshka-adaptor")
         for group in ("supervised", "unsupervised", "as published"))),
    ),
    "smec": (
        (by_labels, *((group, "SMEC") for group in ("supervised", "unsupervised", "as published"))),
        (few_labels, "SMEC"),
    ),
    "scan": ((scan,),),
    "percentile": ((by_code, *(f"percentile, {bits} bit" for bits in (1, 2, 3, 4))),),
    "int8": ((at_full_width, "int8"), (by_bytes, "minilm cut, int8")),
    "binary": (
        (by_code, "binary, rotated"),
        (at_full_width, "sign bits", "sign bits, 100 rescored in float32"),
    ),
    "lloyd-max": ((by_code, "lloyd-max, 2 bit", "percentile, 2 bit"),),
    "gaussian": ((by_code, "gaussian (TurboQuant), 2 bit", "percentile, 2 bit"),),
    "itq": ((by_code, "ITQ, 1 bit", "binary, rotated"),),
    "variable-bits": ((by_code, "variable bits"),),
    "lsh": ((by_code, "LSH"),),
    "learned-hash": ((by_code, "learned hash"),),
    "rabitq": (
        (by_code, "RaBitQ, 1 bit", "RaBitQ, 2 bit"),
        (by_bytes, "PCA, RaBitQ 1 bit", "PCA, RaBitQ 2 bit", "PCA, RaBitQ 4 bit"),
    ),
    "pq": ((by_code, "PQ, 4-bit groups", "PQ, 8-bit groups"),),
    "opq": ((by_bytes, "OPQ, PQ"),),
    "budget": ((by_bytes, CHOICE), (listwise,)),
}  # fmt: skip
"""What is shown of each method, part by part, in the order of docs/methods.md."""


def table(name: str) -> str:
    """Write a method's table."""
    return "\n\n".join(part(*keys) for part, *keys in METHODS[name])


TABLES = {f"method-{name}": partial(table, name) for name in METHODS}
