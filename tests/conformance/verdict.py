"""Ours against the golden points, and what is known to differ. Pure but for reading the list of differences.

A point of end, route or said that differs and is not listed is a promise broken. `path` is shown, not promised: going a shorter or
safer way to the same end is allowed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from points import Points, differing

FAMILIES = ("end", "route", "said", "path")
DIFFERENCES = Path(__file__).with_name("differences.yaml")
NOT_YET = "not yet"


@dataclass(frozen=True, slots=True)
class Difference:
    """A row of differences.yaml; scenario and point may be patterns."""

    scenario: str
    point: str
    reason: str

    def covers(self, scenario: str, point: str) -> bool:
        return fnmatchcase(scenario, self.scenario) and fnmatchcase(point, self.point)


def known_differences() -> list[Difference]:
    rows = yaml.safe_load(DIFFERENCES.read_text())
    return [Difference(row["scenario"], row["point"], row["reason"]) for row in rows]


def not_yet(scenario: str, differences: list[Difference]) -> str | None:
    """Why a scenario is not played: it needs a part that is not built yet."""
    whole = (each.reason for each in differences if each.reason.startswith(NOT_YET) and each.covers(scenario, "*"))
    return next(whole, None)


@dataclass(frozen=True, slots=True)
class Verdict:
    scenario: str
    agreeing: Mapping[str, tuple[int, int]]
    broken: list[str]
    known: list[str]
    other_ways: list[str]
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.broken

    def lines(self, golden: Points, ours: Points, *, verbose: bool) -> list[str]:
        counts = "  ".join(f"{family} {agree}/{total}" for family, (agree, total) in self.agreeing.items())
        shown = [f"{'ok  ' if self.holds else 'LOST'} {self.scenario:30} {counts}"]
        shown += [f"        note: {each}" for each in self.notes]
        named = [("lost", each) for each in self.broken]
        if verbose:
            named += [("known", each) for each in self.known] + [("other way", each) for each in self.other_ways]
        for label, name in named:
            shown.append(f"        {label}: {name}")
            if not name.startswith("said/"):
                shown += [f"          peer {golden[name]}", f"          ours {ours.get(name)}"]
        return shown


def judged(scenario: str, golden: Points, ours: Points, differences: list[Difference], notes: list[str]) -> Verdict:
    different = differing(golden, ours)
    totals = {family: [name for name in golden if name.startswith(f"{family}/")] for family in FAMILIES}
    agreeing = {family: (len([each for each in names if each not in different]), len(names)) for family, names in totals.items()}
    known = [name for name in different if any(each.covers(scenario, name) for each in differences)]
    rest = [name for name in different if name not in known]
    ways = [name for name in rest if name.startswith("path/")]
    return Verdict(scenario, agreeing, [name for name in rest if name not in ways], known, ways, notes)
