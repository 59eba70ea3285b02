"""Go's values on Python's: nil, bool, int64, float64, string, []byte, list, map, time and duration.

| Go | here |
|---|---|
| int, int64 | int, wrapped to 64 bits after every operation |
| map[string]interface {} | dict |
| map[interface {}]interface {} | AnyMap, so that 1, 1.0 and true stay three different keys |
| time.Time, time.Duration | datetime with a zone (microseconds), Duration (nanoseconds) |

Numbers of a metric result are float64, as they are when Go reads JSON. Nothing else ever enters an evaluation.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo
from math import isnan
from typing import Any, Self

from tidegate_analyzer.expression.budget import Meter
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.quoting import without_lone_surrogates

_WRAP = 2**64
_HALF = 2**63


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    nanoseconds: int


class Enumerated(int):
    """A month or a weekday: a number of a type of its own, which is printed by name."""

    type: str
    text: str

    def __new__(cls, number: int, kind: str, text: str) -> Self:
        made = super().__new__(cls, number)
        made.type, made.text = kind, text
        return made


class AnyMap(dict[Any, Any]):
    """A map whose keys may be of any type; each is held by `map_key`."""


@dataclass(frozen=True, slots=True)
class _TypedKey:
    type: str
    value: Any


def map_key(value: Any) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise ExpressionError(f"hash of unhashable type: {type_name(value)}")
    return _TypedKey(type_name(value), value)


def plain_key(key: Any) -> Any:
    return key.value if isinstance(key, _TypedKey) else key


def type_name(value: Any) -> str:  # noqa: C901, PLR0912 - one line per type
    """What Go prints for %T."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case Enumerated():
            return value.type
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case bytes():
            return "[]uint8"
        case list():
            return "[]interface {}"
        case AnyMap():
            return "map[interface {}]interface {}"
        case dict():
            return "map[string]interface {}"
        case Duration():
            return "time.Duration"
        case datetime():
            return "time.Time"
        case tzinfo():
            return "*time.Location"
    return "func"


def is_number(value: Any) -> bool:
    return type(value) is float or type(value) is int


def wrapped(number: int) -> int:
    """Two's complement: 9223372036854775807 + 1 is -9223372036854775808."""
    return (number + _HALF) % _WRAP - _HALF


def truncated(number: float) -> int:
    """int64(f). Go leaves NaN and values out of range to the processor; amd64 and so we answer with the smallest int64."""
    if isnan(number) or not -_HALF <= number < _HALF:
        return -_HALF
    return int(number)


def integer(value: Any) -> int:
    if type(value) is int:
        return value
    if type(value) is float:
        return truncated(value)
    if isinstance(value, Duration):
        raise ExpressionError("invalid operation: int(time.Duration)")
    raise ExpressionError(f"invalid operation: int({type_name(value)})")


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise _not_a("bool", value)


def text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _not_a("string", value)


def _not_a(wanted: str, value: Any) -> ExpressionError:
    got = "nil" if value is None else type_name(value)
    return ExpressionError(f"interface conversion: interface {{}} is {got}, not {wanted}")


def metric_value(value: Any) -> Any:
    """A provider's result as an expression sees it: JSON values only, every number a float64."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError as error:
            raise ExpressionError("result holds a number out of the range of float64") from error
    if isinstance(value, str):
        return without_lone_surrogates(value)
    if isinstance(value, list | tuple):
        return [metric_value(item) for item in value]
    if isinstance(value, dict):
        return {without_lone_surrogates(str(key)): metric_value(item) for key, item in value.items()}
    raise ExpressionError(f"result holds a {type(value).__name__}; only JSON values can be judged")


def equal(left: Any, right: Any, meter: Meter) -> bool:
    """`==`: numbers by value, lists element by element, maps only if their values have the same types too."""
    meter.step()
    if is_number(left) and is_number(right):
        return _equal_numbers(left, right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(equal(a, b, meter) for a, b in zip(left, right, strict=True))
    return _identical(left, right, meter)


def _equal_numbers(left: float, right: float) -> bool:
    if type(left) is type(right):
        return left == right
    return float(left) == float(right)


def _identical(left: Any, right: Any, meter: Meter) -> bool:
    meter.step()
    if type(left) is not type(right) or type_name(left) != type_name(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(_identical(a, b, meter) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict):
        meter.step(len(left))
        return left.keys() == right.keys() and all(_identical(left[key], right[key], meter) for key in left)
    meter.read(left)
    return bool(left == right)
