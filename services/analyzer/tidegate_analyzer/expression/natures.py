"""What is known about a value before the expression runs: Go's static types, as far as expr-lang's checker looks at them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidegate_analyzer.expression.values import type_name


@dataclass(frozen=True, slots=True)
class Nature:
    """`name` is what Go prints; `element` is what a list or map holds."""

    kind: str
    name: str
    element: "Nature | None" = None

    @property
    def is_unknown(self) -> bool:
        return self.kind == "unknown"

    @property
    def is_number(self) -> bool:
        return self.kind in {"int", "float"}

    @property
    def plain(self) -> "Nature":
        """What Go's reflection knows of it: functions see a `[]interface {}` where operators see what a literal holds."""
        return LIST if self.name == LIST.name else self

    @property
    def inner(self) -> "Nature":
        return self.element or UNKNOWN

    def fits(self, other: "Nature") -> bool:
        """Assignable to `other`."""
        if self.kind == "nil":
            return other.kind in {"unknown", "list", "map"}
        return not self.is_unknown and (self.name == other.name or other is ANYTHING)

    def is_comparable_to(self, other: "Nature") -> bool:
        loose = {"unknown", "nil"}
        if self.kind in loose or other.kind in loose or (self.is_number and other.is_number):
            return True
        return (self.kind == other.kind == "list") or self.fits(other)


UNKNOWN = Nature("unknown", "unknown")
ANYTHING = Nature("unknown", "interface {}")
NIL = Nature("nil", "unknown")
BOOL = Nature("bool", "bool")
INT = Nature("int", "int")
INT64 = Nature("int", "int64")
FLOAT = Nature("float", "float64")
STRING = Nature("string", "string")
BYTES = Nature("bytes", "[]uint8")
TIME = Nature("time", "time.Time")
DURATION = Nature("duration", "time.Duration")
LOCATION = Nature("location", "*time.Location")
INTS = Nature("list", "[]int", INT)
STRINGS = Nature("list", "[]string", STRING)
MAP = Nature("map", "map[string]interface {}", ANYTHING)
ANY_MAP = Nature("map", "map[interface {}]interface {}", ANYTHING)


def list_of(element: Nature) -> Nature:
    return Nature("list", "[]interface {}", element)


LIST = list_of(ANYTHING)
_SCALARS = {nature.name: nature for nature in (BOOL, INT, FLOAT, STRING, BYTES)}


def nature_of(value: Any) -> Nature:
    """Of a metric's result. What its lists and maps hold is not looked at: Go sees `interface {}` there, too."""
    if value is None:
        return NIL
    if isinstance(value, list):
        return LIST
    return MAP if isinstance(value, dict) else _SCALARS[type_name(value)]


Test = Callable[[Nature], bool]


def _is(kind: str) -> Test:
    return lambda nature: nature.kind == kind


IS_NUMBER: Test = lambda nature: nature.is_number  # noqa: E731 - one of a family
IS_BOOL, IS_INTEGER, IS_STRING, IS_TIME, IS_DURATION = map(_is, ("bool", "int", "string", "time", "duration"))


def may_fit(left: Nature, right: Nature, *tests: Test) -> bool:
    """At least one side is unknown, and the other, if known, passes one of the tests."""
    if left.is_unknown:
        return right.is_unknown or any(test(right) for test in tests)
    return right.is_unknown and any(test(left) for test in tests)
