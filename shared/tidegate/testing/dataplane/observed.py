"""What users were given, as a table of docs/traffic.md: written by the tests that measure it, when they are told to."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

BEGIN, END = "<!-- observed: begin -->", "<!-- observed: end -->"


@dataclass(frozen=True, slots=True, order=True)
class Observed:
    router: str
    through: str
    asked: int
    requests: int
    canary: int
    took: float
    """Seconds from the rollout's pause, which begins when the objects say the new share, to users being given it."""


def table(rows: Iterable[Observed]) -> str:
    """One line for each router; its cells are per share, in the order they were asked for."""
    lines = [
        "| router | data plane | asked for | requests each | answered by the canary | seen after at most |",
        "|---|---|---|---|---|---|",
    ]
    found = sorted(rows)
    for router, through in sorted({(each.router, each.through) for each in found}):
        own = [each for each in found if (each.router, each.through) == (router, through)]
        asked = ", ".join(f"{each.asked} %" for each in own)
        seen = ", ".join(f"{100 * each.canary / each.requests:.1f} %" for each in own)
        requests, took = own[0].requests, max(each.took for each in own)
        lines.append(f"| {router} | {through} | {asked} | {requests:,} | {seen} | {took:.1f} s |")
    return "\n".join(lines)


def rewrite(page: Path, rows: Iterable[Observed]) -> None:
    """The page with this table between its two marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table(rows)}\n{END}{after}")
