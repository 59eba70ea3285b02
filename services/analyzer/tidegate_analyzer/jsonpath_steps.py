"""The steps of a JSONPath: each takes the values matched so far to the next ones, with client-go's complaints."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tidegate.errors import TidegateError
from tidegate_analyzer.expression import ExpressionError, text_of

MOST_LOOKS: Final = 2_000_000
"""Values; an answer holds half a million at most."""


class JsonPathError(TidegateError):
    """A path that cannot be read, or a document it does not fit."""


class TooMuch(JsonPathError):  # noqa: N818 - reads as the fact it states
    """A path that would look at more than a measurement may."""


class Walk:
    """Counts what is looked at. `{..[*]..[*]..[*]}` looks at the same values again and again, and must not stop the analyzer."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MOST_LOOKS

    def look(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooMuch(f"the path looks at more than {MOST_LOOKS} values")


class Step:
    __slots__ = ()

    def taken(self, values: list[Any], walk: Walk) -> list[Any]:
        raise NotImplementedError


Steps = tuple[Step, ...]


def walked(values: list[Any], steps: Steps, walk: Walk) -> list[Any]:
    for step in steps:
        walk.look(1 + len(values))
        values = step.taken(values, walk)
    return values


@dataclass(frozen=True, slots=True)
class Constant(Step):
    value: Any

    def taken(self, values: list[Any], walk: Walk) -> list[Any]:  # noqa: ARG002 - every step's
        return [self.value] * max(len(values), 1)


@dataclass(frozen=True, slots=True)
class Field(Step):
    name: str

    def taken(self, values: list[Any], walk: Walk) -> list[Any]:  # noqa: ARG002 - every step's
        if not values:
            return []
        found = [value[self.name] for value in values if isinstance(value, dict) and self.name in value]
        if not found:
            raise JsonPathError(f"{self.name} is not found")
        return found


@dataclass(frozen=True, slots=True)
class Wildcard(Step):
    def taken(self, values: list[Any], walk: Walk) -> list[Any]:
        found: list[Any] = []
        for value in values:
            children = _children(value)
            walk.look(len(children))
            found += children
        return found


@dataclass(frozen=True, slots=True)
class Recursive(Step):
    """Every value that holds others, outer ones first."""

    def taken(self, values: list[Any], walk: Walk) -> list[Any]:
        found: list[Any] = []
        waiting = list(reversed(values))
        while waiting:
            value = waiting.pop()
            children = _children(value)
            walk.look(1 + len(children))
            if children:
                found.append(value)
                waiting.extend(reversed(children))
        return found


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class Slice(Step):
    """`[start:stop:step]`; a single index is the slice from it to the next, and out of range is an error."""

    start: int
    stop: int | None
    step: int | None
    is_index: bool

    def taken(self, values: list[Any], walk: Walk) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if value is None:
                continue
            if not isinstance(value, list):
                raise JsonPathError(f"{_type_name(value)} is not array or slice")
            part = self._cut(value)
            walk.look(len(part))
            found += part
        return found

    def _cut(self, items: list[Any]) -> list[Any]:
        length = len(items)
        start = self.start + length if self.start < 0 else self.start
        stop = length if self.stop is None else self.stop
        if stop < 0 or (stop == 0 and self.is_index):
            stop += length
        if start == stop:
            return []
        for index, inside in ((start, 0 <= start < length), (stop - 1, 0 <= stop <= length)):
            if not inside:
                raise JsonPathError(f"array index out of bounds: index {index}, length {length}")
        if start > stop:
            raise JsonPathError(f"starting index {start} is greater than ending index {stop}")
        if self.step is not None and self.step <= 0:
            raise JsonPathError("step must be > 0")
        return items[start : stop : self.step or 1]


@dataclass(frozen=True, slots=True)
class Union(Step):
    paths: tuple[Steps, ...]

    def taken(self, values: list[Any], walk: Walk) -> list[Any]:
        return [value for path in self.paths for value in walked(values, path, walk)]


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Filter(Step):
    left: Steps
    sign: str
    right: Steps

    def taken(self, values: list[Any], walk: Walk) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if not isinstance(value, list):
                raise JsonPathError(f"{_shown(value)} is not array or slice and cannot be filtered")
            found += [item for item in value if self._passes(item, walk)]
        return found

    def _passes(self, item: Any, walk: Walk) -> bool:
        if not self.sign:
            try:
                return bool(walked([item], self.left, walk))
            except TooMuch:
                raise
            except JsonPathError:
                return False
        sides = [walked([item], self.left, walk), walked([item], self.right, walk)]
        if not all(sides):
            return False
        if any(len(side) > 1 for side in sides):
            raise JsonPathError("can only compare one element at a time")
        return _compared(self.sign, sides[0][0], sides[1][0])


def _compared(sign: str, left: Any, right: Any) -> bool:
    if sign not in _COMPARE:
        raise JsonPathError(f"unrecognized filter operator {sign}")
    kinds = [_comparison_kind(side) for side in (left, right)]
    if kinds[0] != kinds[1]:
        raise JsonPathError("incompatible types for comparison")
    if kinds[0] == "bool" and sign not in {"==", "!="}:
        raise JsonPathError("invalid type for comparison")
    return _COMPARE[sign](left, right)


def _comparison_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    raise JsonPathError("invalid type for comparison")


def _shown(value: Any) -> str:
    """Its text; of one that is too large or too deep its kind."""
    try:
        return text_of(value)
    except ExpressionError:
        return _type_name(value)


def _type_name(value: Any) -> str:
    names = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", bool: "bool", type(None): "<nil>"}
    return names.get(type(value), "float64")
