"""Tables of docs/edge.md, from benchmarks/results/bench-edge.json and bench-serve.json."""

from performance_tables import head, load


def edge_table() -> str:
    """Show one press in every form: bytes, loading, a query, agreement with Python."""
    lines = head("press", "form", "MB", "loads in, ms", "a query, ms", "99 % within, ms",
                 "the same ten", "of ten shared")  # fmt: skip
    for r in load("bench-edge")["rows"]:
        engine = f" ({r['engine']})" if r["engine"] else ""
        lines.append(
            f"| {r['press']} | {r['form']}{engine} | {r['bytes'] / 1e6:,.1f} | {r['load_ms']:,.0f} "
            f"| {r['ms']:.1f} | {r['p99_ms']:.1f} | {100 * r['same_ten']:.1f} % | "
            f"{10 * r['overlap']:.2f} |"
        )
    return "\n".join(lines)


TABLES = {"bench-edge": edge_table}
