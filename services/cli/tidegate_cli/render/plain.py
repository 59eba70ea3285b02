"""For pipes and files: ASCII words in columns, indentation for the tree, no colours, no icons, so that grep, awk and diff work.

The kind's word is in its own column; a name is always the first word of its line.
"""

from collections.abc import Sequence
from datetime import datetime

from tidegate_cli import health
from tidegate_cli.info import Tree
from tidegate_cli.render.rows import Row, facts, rows

COUNT_WORDS = {
    f"{health.OK} ": "successful:",
    f"{health.BAD} ": "failed:",
    f"{health.UNKNOWN} ": "inconclusive:",
    f"{health.WARNING} ": "error:",
}


def tree_text(info: Tree, *, now: datetime, wide: bool = False) -> str:
    header = "\n".join(
        f"{'  ' * fact.depth + fact.label + (':' if fact.label else ''):<17}{fact.value}".rstrip() for fact in facts(info, now=now)
    )
    columns = ["NAME", "KIND", "STATUS", "AGE", "INFO", *(["DETAIL"] if wide else [])]
    return f"{header}\n\n{table(columns, [_cells(row, wide=wide) for row in rows(info, now=now)])}"


def table(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their longest cell, three spaces apart, as kubectl does it."""
    everything = [columns, *lines]
    widths = [max(len(line[at]) for line in everything) for at in range(len(columns))]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in everything
    )


def _cells(row: Row, *, wide: bool) -> list[str]:
    kind = "" if row.kind == "Revision" else row.kind
    info = ",".join(row.info)
    for icon, word in COUNT_WORDS.items():
        info = info.replace(icon, word)
    return ["  " * row.depth + row.name, kind, row.status, row.age, info, *([row.detail] if wide else [])]
