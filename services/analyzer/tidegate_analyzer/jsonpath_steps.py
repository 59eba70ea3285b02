"""The steps of a JSONPath: each takes the values matched so far to the next ones, with client-go's complaints."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidegate.errors import TidegateError
from tidegate_analyzer.expression import text_of


class JsonPathError(TidegateError):
    """A path that cannot be read, or a document it does not fit."""


class Step:
    __slots__ = ()

    def taken(self, values: list[Any]) -> list[Any]:
        raise NotImplementedError


Steps = tuple[Step, ...]


def walked(values: list[Any], steps: Steps) -> list[Any]:
    for step in steps:
        values = step.taken(values)
    return values


@dataclass(frozen=True, slots=True)
class Constant(Step):
    value: Any

    def taken(self, values: list[Any]) -> list[Any]:
        return [self.value] * max(len(values), 1)


@dataclass(frozen=True, slots=True)
class Field(Step):
    name: str

    def taken(self, values: list[Any]) -> list[Any]:
        if not values:
            return []
        found = [value[self.name] for value in values if isinstance(value, dict) and self.name in value]
        if not found:
            raise JsonPathError(f"{self.name} is not found")
        return found


@dataclass(frozen=True, slots=True)
class Wildcard(Step):
    def taken(self, values: list[Any]) -> list[Any]:
        return [child for value in values for child in _children(value)]


@dataclass(frozen=True, slots=True)
class Recursive(Step):
    """Every value that holds others, outer ones first."""

    def taken(self, values: list[Any]) -> list[Any]:
        found: list[Any] = []
        waiting = list(reversed(values))
        while waiting:
            value = waiting.pop()
            children = _children(value)
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

    def taken(self, values: list[Any]) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if value is None:
                continue
            if not isinstance(value, list):
                raise JsonPathError(f"{_type_name(value)} is not array or slice")
            found += self._cut(value)
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

    def taken(self, values: list[Any]) -> list[Any]:
        return [value for path in self.paths for value in walked(values, path)]


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

    def taken(self, values: list[Any]) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if not isinstance(value, list):
                raise JsonPathError(f"{text_of(value)} is not array or slice and cannot be filtered")
            found += [item for item in value if self._passes(item)]
        return found

    def _passes(self, item: Any) -> bool:
        if not self.sign:
            try:
                return bool(walked([item], self.left))
            except JsonPathError:
                return False
        sides = [walked([item], self.left), walked([item], self.right)]
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


def _type_name(value: Any) -> str:
    names = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", bool: "bool", type(None): "<nil>"}
    return names.get(type(value), "float64")
