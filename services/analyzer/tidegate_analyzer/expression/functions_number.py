"""Numbers, conversions, bits."""

from collections.abc import Callable
from math import ceil, copysign, floor, inf, isinf, isnan, trunc
from statistics import median
from typing import Any

from tidegate_analyzer.expression import environment, operators
from tidegate_analyzer.expression.budget import Meter
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.values import Duration, is_number, truncated, type_name, wrapped

_BITS = 64


def _number(name: str, value: Any) -> int | float:
    if type(value) is int or type(value) is float:
        return value
    raise ExpressionError(f"invalid argument for {name} (type {type_name(value)})")


def _abs(_meter: Meter, value: Any) -> int | float:
    number = _number("abs", value)
    return wrapped(abs(number)) if isinstance(number, int) else abs(number)


def _whole(name: str, rule: Callable[[float], int]) -> Callable[[Meter, Any], float]:
    """Rounded by `rule`, and still a float; NaN, infinities and the sign of zero pass through as in Go."""

    def rounded(_meter: Meter, value: Any) -> float:
        number = float(_number(name, value))
        return number if isnan(number) or isinf(number) else copysign(rule(number), number)

    return rounded


def _half_away_from_zero(number: float) -> int:
    whole = trunc(number)
    return whole + (1 if number > 0 else -1) if abs(number - whole) >= 0.5 else whole


def _int(_meter: Meter, value: Any) -> int:
    match value:
        case str():
            try:
                return environment.parsed_int(value, "Atoi")
            except ExpressionError as error:
                raise ExpressionError(f"invalid operation: int({value})") from error
        case Duration():
            return value.nanoseconds
        case bool():
            raise ExpressionError("invalid operation: int(bool)")
        case float():
            return truncated(value)
        case int():
            return int(value)
    raise ExpressionError(f"invalid operation: int({type_name(value)})")


def _float(_meter: Meter, value: Any) -> float:
    if isinstance(value, str):
        try:
            return environment.parsed_float(value)
        except ExpressionError as error:
            raise ExpressionError(f"invalid operation: float({value})") from error
    if is_number(value):
        return float(value)
    raise ExpressionError(f"invalid operation: float({type_name(value)})")


def _flat_numbers(name: str, meter: Meter, values: Any) -> list[int | float]:
    found: list[int | float] = []
    for value in values:
        meter.step()
        if isinstance(value, list):
            found += _flat_numbers(name, meter, value)
        else:
            found.append(_number(name, value))
    return found


def _extreme(name: str, sign: str) -> Callable[..., Any]:
    def found(meter: Meter, *values: Any) -> Any:
        if len(values) == 1 and not isinstance(values[0], list):
            return values[0]
        best: Any = None
        for number in _flat_numbers(name, meter, values):
            if best is None or operators.compared(sign, best, number):
                best = number
        return best

    return found


def _mean(meter: Meter, *values: Any) -> float:
    numbers = _flat_numbers("mean", meter, values)
    total = 0.0
    for number in numbers:
        total += number
    return total / len(numbers) if numbers else 0.0


def _median(meter: Meter, *values: Any) -> float:
    numbers = [float(number) for number in _flat_numbers("median", meter, values)]
    # NaN sorts first in Go; in Python it would leave the list in no order at all.
    return median(sorted(numbers, key=lambda number: -inf if isnan(number) else number)) if numbers else 0.0


def _bits(name: str, rule: Callable[[int, int], int]) -> Callable[..., int]:
    def combined(_meter: Meter, *values: Any) -> int:
        for value in values:
            if type(value) is not int:
                raise ExpressionError(f"cannot use {type_name(value)} as argument (type int) to call {name}")
        return wrapped(rule(*values))

    return combined


def _shift(count: int) -> int:
    """A count of 64 or more moves every bit out; larger ones must not make a large Python integer first."""
    if count < 0:
        raise ExpressionError(f"invalid operation: negative shift count {count} (type int)")
    return min(count, _BITS)


TABLE: dict[str, Callable[..., Any]] = {
    "abs": _abs,
    "ceil": _whole("ceil", ceil),
    "floor": _whole("floor", floor),
    "round": _whole("round", _half_away_from_zero),
    "int": _int,
    "float": _float,
    "max": _extreme("max", "<"),
    "min": _extreme("min", ">"),
    "mean": _mean,
    "median": _median,
    "bitand": _bits("bitand", lambda x, y: x & y),
    "bitor": _bits("bitor", lambda x, y: x | y),
    "bitxor": _bits("bitxor", lambda x, y: x ^ y),
    "bitnand": _bits("bitnand", lambda x, y: x & ~y),
    "bitshl": _bits("bitshl", lambda x, y: x << _shift(y)),
    "bitshr": _bits("bitshr", lambda x, y: x >> _shift(y)),
    "bitushr": _bits("bitushr", lambda x, y: x % 2**_BITS >> _shift(y)),
    "bitnot": _bits("bitnot", lambda x: ~x),  # type: ignore[arg-type, misc]
}
