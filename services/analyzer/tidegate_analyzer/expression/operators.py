"""Binary and unary operators on two values, with Go's arithmetic and Go's complaints.

`/` always yields a float and never fails (1/0 is +Inf); `%` needs two integers and fails on 0; `**` always yields a float.
"""

import functools
import operator
from collections.abc import Callable
from datetime import datetime
from math import copysign, inf, isnan, nan
from typing import Any

import re2

from tidegate_analyzer.expression import moments
from tidegate_analyzer.expression.budget import Meter
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.values import (
    AnyMap,
    Duration,
    equal,
    integer,
    is_number,
    map_key,
    text,
    type_name,
    wrapped,
)

Operator = Callable[[Any, Any, Meter], Any]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def mismatch(sign: str, left: Any, right: Any) -> ExpressionError:
    return ExpressionError(f"invalid operation: {type_name(left)} {sign} {type_name(right)}")


def compared(sign: str, left: Any, right: Any) -> bool:
    if is_number(left) and is_number(right):
        if type(left) is not type(right):
            left, right = float(left), float(right)
        return _COMPARE[sign](left, right)
    if type(left) is type(right) and isinstance(left, str | Duration | datetime):
        return _COMPARE[sign](left, right)
    raise mismatch(sign, left, right)


def _comparing(sign: str) -> Operator:
    return lambda left, right, _meter: compared(sign, left, right)


def added(left: Any, right: Any, meter: Meter) -> Any:
    if is_number(left) and is_number(right):
        return _arithmetic(operator.add, left, right)
    match left, right:
        case str(), str():
            meter.text(len(left) + len(right))
            return left + right
        case Duration(), Duration():
            return Duration(wrapped(left.nanoseconds + right.nanoseconds))
        case datetime(), Duration():
            return moments.plus(left, right)
        case Duration(), datetime():
            return moments.plus(right, left)
    raise mismatch("+", left, right)


def subtracted(left: Any, right: Any, _meter: Meter) -> Any:
    if is_number(left) and is_number(right):
        return _arithmetic(operator.sub, left, right)
    match left, right:
        case Duration(), Duration():
            return Duration(wrapped(left.nanoseconds - right.nanoseconds))
        case datetime(), Duration():
            return moments.plus(left, Duration(-right.nanoseconds))
        case datetime(), datetime():
            return moments.between(right, left)
    raise mismatch("-", left, right)


def multiplied(left: Any, right: Any, _meter: Meter) -> Any:
    if is_number(left) and is_number(right):
        return _arithmetic(operator.mul, left, right)
    if all(is_number(side) or isinstance(side, Duration) for side in (left, right)):
        a, b = (side.nanoseconds if isinstance(side, Duration) else side for side in (left, right))
        # Go multiplies as floats as soon as one side is a float, and the outcome is then no duration.
        return a * b if isinstance(a, float) or isinstance(b, float) else Duration(wrapped(a * b))
    raise mismatch("*", left, right)


def _arithmetic(operation: Callable[[Any, Any], Any], left: float, right: float) -> int | float:
    if type(left) is int and type(right) is int:
        return wrapped(operation(left, right))
    return float(operation(float(left), float(right)))


def divided(left: Any, right: Any, _meter: Meter) -> float:
    if not (is_number(left) and is_number(right)):
        raise mismatch("/", left, right)
    dividend, divisor = float(left), float(right)
    if divisor != 0:
        return dividend / divisor
    if dividend == 0 or isnan(dividend):
        return nan
    return copysign(inf, dividend) * copysign(1, divisor)


def remainder(left: Any, right: Any, _meter: Meter) -> int:
    if type(left) is not int or type(right) is not int:
        raise mismatch("%", left, right)
    if right == 0:
        raise ExpressionError("runtime error: integer divide by zero")
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def power(left: Any, right: Any, _meter: Meter) -> float:
    for side in (left, right):
        if not is_number(side):
            raise ExpressionError(f"invalid operation: float({type_name(side)})")
    base, exponent = float(left), float(right)
    try:
        result = base**exponent
    except OverflowError:
        return -inf if base < 0 and exponent % 2 == 1 else inf
    except ZeroDivisionError:
        return copysign(inf, base) if exponent % 2 == 1 else inf
    return nan if isinstance(result, complex) else result


def contained(needle: Any, haystack: Any, meter: Meter) -> bool:
    match haystack:
        case None:
            return False
        case list():
            return any(equal(item, needle, meter) for item in haystack)
        case dict():
            return entry_key(haystack, needle) in haystack
    raise ExpressionError(f'operator "in" not defined on {type_name(haystack)}')


def entry_key(mapping: dict[Any, Any], key: Any) -> Any:
    """How `key` is held in `mapping`; nil stands for the empty key, as in Go."""
    if isinstance(mapping, AnyMap):
        return map_key(key)
    if key is None:
        return ""
    if not isinstance(key, str):
        raise ExpressionError(f"reflect.Value.MapIndex: value of type {type_name(key)} is not assignable to type string")
    return key


def spanned(left: Any, right: Any, meter: Meter) -> list[int]:
    start, stop = integer(left), integer(right)
    size = max(stop - start + 1, 0)
    meter.cells(size)
    return list(range(start, start + size))


def _on_texts(test: Callable[[str, str], bool]) -> Operator:
    """nil contains, starts and ends with nothing: the answer is false, not an error."""

    def tested(left: Any, right: Any, _meter: Meter) -> bool:
        return False if left is None or right is None else test(text(left), text(right))

    return tested


def _matches(left: Any, right: Any, meter: Meter) -> bool:
    if left is None or right is None:
        return False
    subject = left if isinstance(left, bytes) else text(left)
    found = pattern(text(right))
    meter.pattern(text(right), found.programsize, len(subject))
    return found.search(subject) is not None


_QUIET = re2.Options()
_QUIET.log_errors = False


@functools.lru_cache(maxsize=256)
def pattern(regular: str) -> Any:
    """RE2, so that `^(a+)+$` takes linear time as in Go; Python's own engine would hang on it."""
    try:
        return re2.compile(regular, _QUIET)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else str(error)
        raise ExpressionError(f"error parsing regexp: {_as_go_says(reason)}") from error


def _as_go_says(reason: str) -> str:
    """RE2 in C++ and in Go are the same engine with slightly different words: `missing ): (` is ``missing closing ): `(` ``."""
    what, separator, where = reason.rpartition(": ")
    return (
        f"{what}: `{where}`".replace("missing ):", "missing closing ):").replace("missing ]:", "missing closing ]:")
        if separator
        else reason
    )


def element(base: Any, key: Any) -> Any:
    """`base[key]`: a missing entry of a map is nil, a missing element of a list is an error."""
    if base is None:
        raise ExpressionError(f"cannot fetch {_shown(key)} from <nil>")
    if isinstance(key, str) and moments.method(base, key) is not None:
        raise ExpressionError(f"{key} is a method; call it")
    if isinstance(base, dict):
        return base.get(entry_key(base, key))
    if isinstance(base, str | bytes):
        base = base.encode() if isinstance(base, str) else base
    elif not isinstance(base, list):
        raise ExpressionError(f"cannot fetch {_shown(key)} from {type_name(base)}")
    index = integer(key)
    if index < 0:
        index += len(base)
    if not 0 <= index < len(base):
        raise ExpressionError(f"index out of range: {index} (array length is {len(base)})")
    return base[index]


def _shown(key: Any) -> str:
    return "<nil>" if key is None else str(key)


def sliced(base: Any, start: Any, stop: Any, meter: Meter) -> Any:
    """`base[start:stop]`; text is cut by bytes as in Go, negative ends count from the back, nothing is out of range."""
    if not isinstance(base, list | str | bytes):
        raise ExpressionError(f"cannot slice {type_name(base)}")
    whole: Any = base.encode() if isinstance(base, str) else base
    low, high = (_bounded(end, default, len(whole)) for end, default in ((start, 0), (stop, len(whole))))
    meter.cells(max(high - low, 0))
    part = whole[min(low, high) : high]
    return part.decode(errors="replace") if isinstance(base, str) else part


def _bounded(end: Any, default: int, length: int) -> int:
    index = default if end is None else integer(end)
    return min(max(index + length if index < 0 else index, 0), length)


def negated(value: Any) -> Any:
    if isinstance(value, Duration):
        return Duration(wrapped(-value.nanoseconds))
    if not is_number(value):
        raise ExpressionError(f"invalid operation: - {type_name(value)}")
    return wrapped(-value) if type(value) is int else -value


BINARY: dict[str, Operator] = {
    "==": equal,
    "!=": lambda left, right, meter: not equal(left, right, meter),
    **{sign: _comparing(sign) for sign in _COMPARE},
    "+": added,
    "-": subtracted,
    "*": multiplied,
    "/": divided,
    "%": remainder,
    "**": power,
    "^": power,
    "..": spanned,
    "in": contained,
    "matches": _matches,
    "contains": _on_texts(lambda left, right: right in left),
    "startsWith": _on_texts(str.startswith),
    "endsWith": _on_texts(str.endswith),
}
