"""The tables of docs/performance.md, from the results of the benchmarks of speed."""

import json
from typing import Any

from frontier_tables import RESULTS, head


def load(name: str) -> dict[str, Any]:
    """Read a result: where and when it ran, and its rows."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def search_table() -> str:
    """Show scans at the same bytes: time, times faster than floats, and what they find."""
    result = load("bench-search")
    lines = head(
        f"{result['vectors']:,} vectors", "library", "bytes", "one query, ms", "x Flat",
        f"{result['batch']} queries, ms", "x Flat", "recall@10",
    )  # fmt: skip
    for r in sorted(result["rows"], key=lambda r: (r["bytes"], r["one_ms"])):
        name = f"**{r['name']}**" if r["library"] == "vecpress" else r["name"]
        lines.append(
            f"| {name} | {r['library']} | {r['bytes']:,} | {r['one_ms']:.2f} | "
            f"{r['one_x_flat']:.1f} | {r['batch_ms']:,.0f} | {r['batch_x_flat']:.1f} | "
            f"{r['recall@10']:.3f} |"
        )
    return "\n".join(lines)


def scale_table() -> str:
    """Show how each cost grows, with the exponent fitted from 100 thousand vectors on."""
    result = load("bench-scale")
    columns = {
        "fit_seconds": "fit, s", "fit_peak_mb": "peak MB", "index_seconds": "index, s",
        "index_peak_mb": "peak MB", "index_mb": "index, MB", "load_ms": "load, ms",
        "one_ms": "one query, ms", "batch_ms": f"{result['batch']} queries, ms",
        "shell_search_seconds": "search from the shell, s",
    }  # fmt: skip
    lines = head("vectors", *columns.values())
    for r in result["rows"]:
        lines.append(f"| {r['vectors']:,} | " + " | ".join(f"{r[c]:,}" for c in columns) + " |")
    found = result["exponents"]
    lines.append("| exponent | " + " | ".join(str(found.get(c, "")) for c in columns) + " |")
    return "\n".join(lines)


def lists_table() -> str:
    """Show what a promised recall reads, reaches and takes, beside lists of FAISS."""
    lines = head(
        "", "library", "promised", "lists read", "of the rows", "reached", "one query, ms",
        "in a batch, ms each",
    )  # fmt: skip
    for r in load("bench-ivf")["rows"]:
        reached = ", ".join(f"{name} {share:.3f}" for name, share in r["reached"].items())
        promised = "" if r["promised"] is None else f"{r['promised']:g}"
        read = f"{100 * r['rows_read']:.1f} %" if "rows_read" in r else ""
        lines.append(
            f"| {r['corpus']}, {r['vectors']:,} | {r['library']} | {promised} | {r['nprobe']:,} of "
            f"{r['lists']:,} | {read} | {reached} | {r['one_ms']:.2f} | "
            f"{r['batch_ms_per_query']:.3f} |"
        )
    return "\n".join(lines)


def memory_table() -> str:
    """Show peaks within a limit, and without."""
    rows = load("bench-memory")["rows"]
    lines = head(
        "corpus", "MB", "limit, MB", *(f"{v}, peak MB" for v in ("fit", "encode", "index"))
    )
    for corpus, limit in dict.fromkeys((r["corpus"], r["limit_bytes"]) for r in rows):
        mine = [r for r in rows if (r["corpus"], r["limit_bytes"]) == (corpus, limit)]
        peaks = {r["verb"]: r["peak_bytes"] / 1e6 for r in mine}
        shown = f"{limit / 1e6:,.0f}" if limit else "none"
        name, size = f"{corpus}, {mine[0]['documents']:,} documents", mine[0]["corpus_bytes"] / 1e6
        cells = " | ".join(f"{peaks[verb]:,.0f}" for verb in ("fit", "encode", "index"))
        lines.append(f"| {name} | {size:,.0f} | {shown} | {cells} |")
    return "\n".join(lines)


def encode_table() -> str:
    """Show how fast texts are encoded; ratios are against the peers in the same run."""
    rows = load("bench-encode")["rows"]
    kinds = list(dict.fromkeys(r["texts"] for r in rows))
    counts = {r["texts"]: (r["count"], r["tokens"]) for r in rows}
    titles = [f"{counts[k][0]} {k} ({counts[k][1]:,} tokens), s" for k in kinds]
    lines = head("", *(part for title in titles for part in (title, "times as fast")), "as what")
    for name in dict.fromkeys(r["candidate"] for r in rows):
        mine = {r["texts"]: r for r in rows if r["candidate"] == name}
        cells = [f"{mine[k]['best_s']:.2f} | {mine[k]['speed_of_best']:.2f}" for k in kinds]
        shown = f"**{name}**" if name.startswith("vecpress") else name
        lines.append(f"| {shown} | {' | '.join(cells)} | {mine[kinds[0]]['against']} |")
    return "\n".join(lines)


def encode_quality_table() -> str:
    """Show what int8 costs on SciFact."""
    lines = head("SciFact, test", "nDCG@10", "cosine to full precision: mean", "least")
    for r in load("bench-encode")["quality"]:
        lines.append(
            f"| {r['models']} | {r['ndcg@10']:.4f} | {r['cosine_mean']:.4f} | "
            f"{r['cosine_min']:.4f} |"
        )
    return "\n".join(lines)


def _of_fit(part: str) -> list[dict[str, Any]]:
    return [r for r in load("bench-fit")["rows"] if r["part"] == part]


def training_table() -> str:
    """Show samples per second of a training step, eight widths."""
    lines = head("training step, 1536 -> 512, eight widths", "batch", "samples/s", "x the loop",
                 "x the loop without its waste")  # fmt: skip
    for r in _of_fit("training"):
        lines.append(
            f"| {r['way']} | {r['batch']} | {r['samples_per_s']:,.0f} | {r['ratio']:.1f} | "
            f"{r['ratio_to_hoisted']:.1f} |"
        )
    return "\n".join(lines)


def held_out_table() -> str:
    """Show the held-out loss, epoch by epoch, and the seconds that the epochs take either way."""
    rows = _of_fit("quality")
    rates = {r["way"]: r["samples_per_s"] for r in _of_fit("training")}
    lines = head(f"held-out loss, {rows[0]['rows']:,} rows", "batch", "seeds", "after each epoch",
                 "seconds of an epoch at the rates above")  # fmt: skip
    for batch in dict.fromkeys(r["batch"] for r in rows):
        mine = [r["held_out_loss_by_epoch"] for r in rows if r["batch"] == batch]
        way = "straightforward" if batch == 128 else f"vecpress, batch {batch}"
        means = ", ".join(f"{sum(epoch) / len(epoch):.4f}" for epoch in zip(*mine, strict=True))
        seconds = rows[0]["rows"] / rates[way]
        lines.append(f"| {way} | {batch} | {len(mine)} | {means} | {seconds:,.1f} |")
    return "\n".join(lines)


def pca_table() -> str:
    """Show how long PCA takes."""
    rows = _of_fit("pca")
    sizes = list(dict.fromkeys((r["n"], r["dim"]) for r in rows))
    titles = [part for n, d in sizes for part in (f"{n:,} x {d}, s", "x numpy")]
    lines = head("PCA to 256", *titles)
    for way in dict.fromkeys(r["way"] for r in rows):
        found = {(r["n"], r["dim"]): r for r in rows if r["way"] == way}
        cells = [f"{found[s]['seconds']:.2f} | {found[s]['ratio']:.2f}" for s in sizes]
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def codes_table() -> str:
    """Show how fast codes are made, and how much they keep."""
    lines = head("to codes, 512 dims", "bytes", "vectors/s", "mean cosine kept")
    for r in _of_fit("codes"):
        lines.append(
            f"| {r['way']} | {r['code_bytes']} | {r['vectors_per_s']:,} | {r['cosine_kept']:.4f} |"
        )
    return "\n".join(lines)


def speed_table() -> str:
    """Show the figures that sum the others up, for the README."""
    encode = {(r["candidate"], r["texts"]): r for r in load("bench-encode")["rows"]}
    scores = {r["models"]: r["ndcg@10"] for r in load("bench-encode")["quality"]}
    fit = {r["way"]: r for r in load("bench-fit")["rows"] if r["part"] == "training"}
    search = load("bench-search")
    rows, scale = search["rows"], {r["vectors"]: r for r in load("bench-scale")["rows"]}
    mine = next(r for r in rows if r["name"] == "256 x 2 bit")
    peers = [r for r in rows if r["library"] == "faiss" and r["bytes"] == mine["bytes"]]
    one, many = (min(r[name] for r in peers) for name in ("one_ms", "batch_ms"))
    full, small = (
        encode[f"vecpress {m},wordllama", "abstracts"] for m in ("minilm", "minilm:int8")
    )
    lost = 100 * (scores["minilm,wordllama"] - scores["minilm:int8,wordllama"])
    million = scale[1_000_000]
    lines = head("", "vecpress", "against")
    gain = fit["vecpress, batch 1024"]["ratio"]
    opened, shell = million["load_ms"], million["shell_search_seconds"]
    said = [
        ("encode with minilm,wordllama", f"{full['speed_of_best']:.2f} times as fast",
         "sentence-transformers, then WordLlama"),
        ("the same with minilm:int8", f"{small['speed_of_best']:.2f} times as fast",
         f"the same; {lost:.1f} points of nDCG@10 are lost on SciFact"),
        ("one query, a million codes of 64 bytes", f"{mine['one_ms']:.1f} ms",
         f"{one:.1f} ms, the fastest of FAISS; floats take {mine['one_x_flat']:.0f} times as long"),
        (f"{search['batch']} queries", f"{mine['batch_ms']:,.0f} ms",
         f"{many:,.0f} ms; floats take {mine['batch_x_flat']:.0f} times as long"),
        ("the paper's training step", f"{gain:.0f} times the samples per second",
         "the loop as its authors wrote it"),
        ("an index of a million",
         f"opens in {opened:.1f} ms; a search from the shell: {shell:.2f} s", ""),
    ]  # fmt: skip
    lines += [f"| {' | '.join(row)} |" for row in said]
    return "\n".join(lines)


UNITS = {
    "read_gb_s": ("GB/s read from memory", "gb", "GB"),
    "product_gflop_s": ("GFLOP/s, product of float32 matrices", "gflop", "GFLOP"),
    "lookups_g_s": ("G look-ups/s from cache", "g_lookups", "G look-ups"),
}


def ceiling_table() -> str:
    """Show what the machine gives at most."""
    result = load("bench-roofline")
    lines = head("ceiling", "measured")
    for name, value in result["ceilings"].items():
        lines.append(f"| {UNITS[name][0]} | {value:.1f} |")
    return "\n".join(lines)


def roofline_table() -> str:
    """Show what each kernel must do at least, how fast it did it, and the share of its ceiling."""
    lines = head("what", "must do at least", "took", "rate", "of the ceiling")
    for r in load("bench-roofline")["rows"]:
        unit, amount, short = UNITS[r["ceiling"]]
        took = 1e3 * r["seconds"]
        time = f"{took:,.0f}" if took >= 100 else f"{took:.3g}"
        lines.append(
            f"| {r['what']} | {r[amount]:.3g} {short} | {time} ms | "
            f"{r['rate']:.3g} {unit.split(',')[0].split(' from')[0].split(' read')[0]} | "
            f"{100 * r['fraction']:.0f} % |"
        )
    return "\n".join(lines)


TABLES = {
    "bench-search": search_table,
    "bench-scale": scale_table,
    "speed": speed_table,
    "bench-ivf": lists_table,
    "bench-memory": memory_table,
    "bench-encode": encode_table,
    "encode-quality": encode_quality_table,
    "fit-training": training_table,
    "fit-held-out": held_out_table,
    "fit-pca": pca_table,
    "fit-codes": codes_table,
    "ceilings": ceiling_table,
    "roofline": roofline_table,
}
