"""What the answers of metric servers have in common: JSON as Go reads it, numbers as Go prints them. Pure."""

import json
from collections.abc import Mapping
from decimal import Decimal
from math import isfinite, isinf, isnan
from typing import Any, NoReturn

from tidegate.errors import TidegateError
from tidegate_analyzer.expression import ExpressionError, json_of
from tidegate_analyzer.provider import NotMeasured


class NotJson(TidegateError):  # noqa: N818 - reads as the fact it states
    """The body cannot be read. The text says why."""


def document(body: bytes) -> Any:
    """The body's JSON. Every number is a float64; one that does not fit makes the body no JSON, as in Go."""
    try:
        return json.loads(body.decode(errors="replace"), parse_int=_number, parse_float=_number, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def _number(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise ValueError(f"{text} is out of range")
    return number


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")  # Python would read NaN and Infinity


def stored(value: Any) -> str:
    """A value as the measurement holds it: JSON, as long as that is no work of seconds."""
    try:
        return json_of(value)
    except ExpressionError as error:
        raise NotMeasured(f"the value cannot be stored: {error}") from error


def inside(value: Any, *keys: str) -> Any:
    """What lies under these keys, or None where there is no such place."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain_number(value: float) -> str:
    """The shortest digits that read back, never an exponent: how Prometheus prints a sample."""
    return f"{Decimal(repr(value)):f}".removesuffix(".0") if isfinite(value) else _not_finite(value)


def fixed_number(value: float, digits: int) -> str:
    """Go's `%.2f`."""
    return f"{value:.{digits}f}" if isfinite(value) else _not_finite(value)


def _not_finite(value: float) -> str:
    return "NaN" if isnan(value) else ("+Inf" if value > 0 else "-Inf")
