"""How Datadog's answers are built: series of points (v1), tables of columns (v2). Pure.

A value or label that cannot be read makes the whole answer unusable: part of the groups must not decide a rollout.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tidegate.errors import TidegateError
from tidegate_analyzer.answers import inside, is_number
from tidegate_analyzer.expression import json_of

MOST_GROUPS: Final = 100
"""A query by host can have thousands, each of the last measurements repeats them, and the object has to fit into etcd."""


class BadTable(TidegateError):  # noqa: N818 - reads as the fact it states
    """The answer has another shape, or tells an error."""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Table:
    is_grouped: bool
    rows: tuple[Group, ...]


def last_point(body: Any) -> float | None:
    """v1: the newest value of the first series. None if there is none, or if it is null: no data is not 0."""
    series = inside(body, "series")
    points = inside(series[0], "pointlist") if isinstance(series, list) and series else None
    if not isinstance(points, list) or not points:
        return None
    if not isinstance(points[-1], list) or len(points[-1]) != 2:
        raise BadTable("Datapoint does not have 2 values")
    value = points[-1][1]
    if value is not None and not is_number(value):
        raise BadTable(f"Could not parse JSON body: {json_of(value)} is not a number")
    return None if value is None else float(value)


def table_of(body: Any) -> Table:
    """v2: the first column of numbers, each with its groups; nulls, which mean no data, left out."""
    if errors := inside(body, "data", "errors") or inside(body, "errors"):
        raise BadTable(f"There were errors in your query: {errors if isinstance(errors, str) else json_of(errors)}")
    columns = inside(body, "data", "attributes", "columns")
    known = [each for each in columns if isinstance(each, Mapping)] if isinstance(columns, list) else []
    groups = [each for each in known if each.get("type") == "group"]
    numbers = next((each for each in known if each.get("type") in {None, "", "number"}), {})
    rows = [
        Group(_label(groups, at), _number(value, numbers))
        for at, value in enumerate(numbers.get("values") or ())
        if value is not None
    ]
    return Table(bool(groups), tuple(rows))


def _number(value: Any, column: Mapping[str, Any]) -> float:
    if not is_number(value):
        name = column.get("name") or ""
        raise BadTable(f'could not parse numeric value {json_of(json_of(value))} in column "{name}": it is not a number')
    return float(value)


def _label(columns: Sequence[Mapping[str, Any]], at: int) -> str:
    """One column per tag of the query; an entry is a list, since a tag may have several values."""
    parts: list[str] = []
    for column in columns:
        values = column.get("values") or ()
        tags = values[at] if at < len(values) else None
        if not isinstance(tags, list) or not tags or not all(isinstance(tag, str) for tag in tags):
            raise BadTable(f"could not parse group label at index {at}")
        parts += tags
    return ",".join(parts)


def groups_text(groups: Sequence[Group]) -> tuple[str, bool]:
    """JSON, and whether groups were left out: those in the middle, since the bad ones are at one of the ends."""
    kept = groups
    if len(groups) > MOST_GROUPS:
        ordered = sorted(groups, key=lambda group: group.value)
        half = MOST_GROUPS // 2
        kept = [*ordered[:half], *ordered[-half:]]
    return json_of([{"name": group.name, "value": group.value} for group in kept]), len(groups) > MOST_GROUPS
