"""Tables of docs/edge.md and of the browser's scan, from benchmarks/results/bench-*.json."""

from performance_tables import head, load


def edge_table() -> str:
    """Show one press in every form: bytes, loading, a query, agreement with Python."""
    lines = head("press", "form", "MB", "loads in, ms", "a query, ms", "99 % within, ms",
                 "the same ten", "of ten shared")  # fmt: skip
    for r in load("bench-edge")["rows"]:
        form = f"{r['form']}, {r['engine']}" if r["engine"] else r["form"]
        lines.append(
            f"| {r['press']} | {form} | {r['bytes'] / 1e6:,.1f} | {r['load_ms']:,.0f} "
            f"| {r['ms']:.1f} | {r['p99_ms']:.1f} | {100 * r['same_ten']:.1f} % | "
            f"{10 * r['overlap']:.2f} |"
        )
    return "\n".join(lines)


def serve_table() -> str:
    """Show what a server answers under load, and what batching across requests is worth."""
    lines = head("texts per request", "clients", "requests/s", "texts/s", "p50, ms", "p99, ms",
                 "x each request by itself")  # fmt: skip
    for r in load("bench-serve")["rows"]:
        if r["batching"] == "together":
            lines.append(
                f"| {r['inputs']} | {r['clients']} | {r['requests_s']:,.1f} | {r['texts_s']:,.1f} "
                f"| {r['p50_ms']:,.1f} | {r['p99_ms']:,.1f} | {r['x_one_by_one']:.2f} |"
            )
    return "\n".join(lines)


def memory_table() -> str:
    """Show a server's memory under load that does not end."""
    memory = load("bench-serve")["memory"]
    seen = memory["rss"]
    lines = head("minutes of load", "answers", "MB at the start", "after half of it", "at the end",
                 "MB a minute in the second half")  # fmt: skip
    cells = [seen[i]["rss_mb"] for i in (0, len(seen) // 2, -1)]
    lines.append(
        f"| {memory['minutes']:g} | {memory['answers']:,} | "
        f"{' | '.join(f'{mb:,.0f}' for mb in cells)} | {memory['mb_per_minute']:.2f} |"
    )
    return "\n".join(lines)


def scan_table() -> str:
    """Show a query's scan in the browser: byte by byte, and many rows at once."""
    lines = head("documents", "bits", "plain, ms", "SIMD, ms", "times faster", "to lay out, ms")
    for r in load("bench-web-scan")["rows"]:
        lines.append(
            f"| {r['rows']:,} | {r['bits']} | {r['plain']:.1f} | {r['simd']:.1f} | "
            f"{r['plain'] / r['simd']:.1f} | {r['load']:.0f} |"
        )
    return "\n".join(lines)


TABLES = {
    "bench-edge": edge_table,
    "bench-web-scan": scan_table,
    "bench-serve": serve_table,
    "bench-serve-memory": memory_table,
}
