"""The functions only analysis conditions have (`argo-behaviour.md` 7.6)."""

import re
from math import isinf, isnan
from typing import Any

from tidegate_analyzer.expression.budget import Budget, Meter
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.printing import printed
from tidegate_analyzer.expression.quoting import quoted
from tidegate_analyzer.expression.values import Duration, truncated, type_name

_INTEGER = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?((\d+(_\d+)*(\.\d*)?|\.\d+)(e[+-]?\d+)?|inf(inity)?|nan)", re.IGNORECASE | re.ASCII)
_INT64 = range(-(2**63), 2**63)


def called(name: str, arguments: list[Any], result: Any) -> Any:
    match name:
        case "asInt":
            return as_int(arguments[0])
        case "asFloat":
            return as_float(arguments[0])
        case "isNaN":
            return isnan(_float64(arguments[0]))
        case "isInf":
            return isinf(_float64(arguments[0]))
        case "isNil":  # the argument is ignored: the question is about the whole result
            return result is None
        case "default":  # likewise
            return arguments[1] if result is None else result
    raise ExpressionError(f"unknown name {name}")


def _float64(value: Any) -> float:
    """Whole numbers are refused, as Go refuses `isNaN(len(result))`; those that are written down are floats by now (`folding`)."""
    if isinstance(value, float):
        return value
    raise ExpressionError(f"interface conversion: interface {{}} is {'nil' if value is None else type_name(value)}, not float64")


def as_int(value: Any) -> int:
    if isinstance(value, str):
        return parsed_int(value, "ParseInt")
    if isinstance(value, Duration):
        return value.nanoseconds
    if isinstance(value, float):
        return truncated(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    raise ExpressionError(f"asInt() not supported on {type_name(value)} {_shown(value)}")


def as_float(value: Any) -> float:
    if isinstance(value, str):
        return parsed_float(value)
    if isinstance(value, Duration):
        return float(value.nanoseconds)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise ExpressionError(f"asFloat() not supported on {type_name(value)} {_shown(value)}")


def _shown(value: Any) -> str:
    return printed(value, Meter(Budget(steps=1000)))


def parsed_int(text: str, function: str) -> int:
    number = int(text) if _INTEGER.fullmatch(text) and len(text) < 25 else None
    if number is None:
        raise ExpressionError(f"strconv.{function}: parsing {quoted(text)}: invalid syntax")
    if number not in _INT64:
        raise ExpressionError(f"strconv.{function}: parsing {quoted(text)}: value out of range")
    return number


def parsed_float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ExpressionError(f"strconv.ParseFloat: parsing {quoted(text)}: invalid syntax")
    number = float(text)
    if isinf(number) and "inf" not in text.lower():
        raise ExpressionError(f"strconv.ParseFloat: parsing {quoted(text)}: value out of range")
    return number
