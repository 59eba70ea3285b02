"""For terminals: colours, icons, a drawn tree. The KIND column is left out on narrow screens, where its icon says the same."""

from collections.abc import Callable, Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tidegate_cli import health
from tidegate_cli.info import Tree
from tidegate_cli.listing import STATUS_COLUMN
from tidegate_cli.render.rows import KIND_ICONS, Fact, Row, facts, rows

STYLES = {
    health.OK: "green", health.WORKING: "cyan", health.WAITING: "bright_black", health.PAUSED: "yellow", health.BAD: "red",
    health.WARNING: "yellow", health.UNKNOWN: "magenta", health.SCALED_DOWN: "bright_black",
}  # fmt: skip
ROLE_STYLES = {"stable": "green", "canary": "yellow", "active": "green", "preview": "yellow", "ping": "blue", "pong": "blue"}
WIDE_ENOUGH_FOR_KIND = 110


def tree_view(info: Tree, *, now: datetime, width: int, wide: bool = False) -> RenderableType:
    return Group(*(_fact(each) for each in facts(info, now=now)), Text(), tree(info, now=now, width=width, wide=wide))


def tree(info: Tree, *, now: datetime, width: int, wide: bool = False) -> Table:
    with_kind = width >= WIDE_ENOUGH_FOR_KIND
    drawn = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    drawn.add_column("NAME", no_wrap=True)
    if with_kind:
        drawn.add_column("KIND", no_wrap=True, style="bright_black")
    drawn.add_column("STATUS", no_wrap=True, min_width=9)
    drawn.add_column("AGE", no_wrap=True)
    drawn.add_column("INFO", no_wrap=not wide)
    if wide:
        drawn.add_column("DETAIL", overflow="fold")
    for row in rows(info, now=now):
        kind = [Text("" if row.kind == "Revision" else row.kind)] if with_kind else []
        detail = [Text(row.detail)] if wide else []
        drawn.add_row(_name(row), *kind, status(row.status, row.icon), Text(row.age), _info(row), *detail)
    return drawn


def list_view(columns: Sequence[str], lines: Sequence[Sequence[str]], *, icon: Callable[[str], str] = health.icon) -> Text:
    """Columns as wide as their longest cell, the one under STATUS with icon and colour. Print it with `soft_wrap`: a line too long
    for the screen goes on below, as kubectl's do; squeezed columns would hide names."""
    cells = [[Text(column, style="bold") for column in columns]]
    for line in lines:
        named = zip(columns, line, strict=True)
        cells.append([status(cell, icon(cell)) if column == STATUS_COLUMN else Text(cell) for column, cell in named])
    widths = [max(row[at].cell_len for row in cells) for at in range(len(columns))]
    for row in cells:
        for cell, width in zip(row[:-1], widths, strict=False):
            cell.pad_right(width - cell.cell_len)
    return Text("\n").join(Text("  ").join(row) for row in cells)


def status(word: str, icon: str) -> Text:
    return Text(f"{icon} {word}" if word else "", style=STYLES.get(icon, ""))


def _fact(fact: Fact) -> Text:
    label = "  " * fact.depth + fact.label + (":" if fact.label else "")
    value = status(fact.value, fact.icon) if fact.icon else Text(fact.value)
    return Text.assemble((f"{label:<17}", "bold" if fact.depth == 0 else ""), value)


def _name(row: Row) -> Text:
    branches = "".join("   " if last else "│  " for last in row.last[:-1])
    branch = "" if not row.last else ("└──" if row.last[-1] else "├──")
    bold = "bold" if row.kind in ("Rollout", "Revision") or not row.last else ""
    return Text.assemble((branches + branch, "bright_black"), f"{KIND_ICONS[row.kind]} ", (row.name, bold))


def _info(row: Row) -> Text:
    return Text(",").join(Text(each, style=ROLE_STYLES.get(each, "")) for each in row.info)
