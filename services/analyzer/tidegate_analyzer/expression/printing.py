"""Values as Go prints them: `%v` for text, and indented JSON with sorted keys for toJSON."""

import base64
import json
from datetime import datetime
from decimal import Decimal
from math import copysign, isfinite, isinf, isnan
from operator import itemgetter
from typing import Any

from tidegate_analyzer.expression import moments
from tidegate_analyzer.expression.budget import Meter
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.quoting import quoted
from tidegate_analyzer.expression.values import AnyMap, Duration, Enumerated, plain_key, type_name

_LARGEST_INT = 2**63


def printed(value: Any, meter: Meter) -> str:  # noqa: C901 - one line per type
    """`%v`: `1e+06`, `[1 2]`, `map[a:1 b:<nil>]`."""
    meter.step()
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case Enumerated():
            return value.text
        case float():
            return float_text(value)
        case bytes():
            return f"[{' '.join(str(byte) for byte in value)}]"
        case list():
            return _metered("[" + " ".join(printed(item, meter) for item in value) + "]", meter)
        case dict():
            ordered = sorted(value.items(), key=lambda pair: _key_order(plain_key(pair[0])))
            inner = " ".join(f"{printed(plain_key(key), meter)}:{printed(item, meter)}" for key, item in ordered)
            return _metered(f"map[{inner}]", meter)
        case Duration():
            return moments.duration_text(value)
        case datetime():
            return moments.time_text(value)
    return str(value)


def _metered(text: str, meter: Meter) -> str:
    meter.text(len(text))
    return text


def _key_order(key: Any) -> tuple[int, Any]:
    """Go prints keys in order within one type; between types the order is fixed here so that output is stable."""
    if isinstance(key, bool | int | float):
        return (0, key)
    return (1, key if isinstance(key, str) else str(key))


def float_text(value: float) -> str:
    """%v of a float64: the shortest digits that read back, with an exponent below 1e-4 and from 1e+06 on."""
    if isnan(value) or isinf(value):
        return "NaN" if isnan(value) else ("+Inf" if value > 0 else "-Inf")
    return _shortest(value, smallest=-4, largest=6, two_digits=True)


def json_float(value: float) -> str:
    if isnan(value) or isinf(value):
        raise ExpressionError(f"json: unsupported value: {float_text(value)}")
    return _shortest(value, smallest=-6, largest=21, two_digits=False)


def _shortest(value: float, *, smallest: int, largest: int, two_digits: bool) -> str:
    if value == 0:
        return "-0" if copysign(1, value) < 0 else "0"
    sign, digits, _ = Decimal(repr(value)).normalize().as_tuple()
    exponent = Decimal(repr(value)).adjusted()
    if smallest <= exponent < largest:
        return f"{Decimal(repr(value)).normalize():f}"
    mantissa = str(digits[0]) + ("." + "".join(map(str, digits[1:])) if len(digits) > 1 else "")
    power = f"{abs(exponent):02d}" if two_digits else str(abs(exponent))
    return f"{'-' if sign else ''}{mantissa}e{'-' if exponent < 0 else '+'}{power}"


def json_text(value: Any, meter: Meter, indent: str = "\n") -> str:
    """json.MarshalIndent with two spaces: sorted keys, and <, >, & escaped as Go does for HTML's sake."""
    meter.step()
    inner = indent + "  "
    match value:
        case list():
            pieces = [json_text(item, meter, inner) for item in value]
            return _bracketed("[", pieces, "]", indent, meter)
        case dict():
            named = _named(value)
            pieces = [f"{_json_string(key)}: {json_text(item, meter, inner)}" for key, item in named]
            return _bracketed("{", pieces, "}", indent, meter)
    return _json_scalar(value)


def compact_json_text(value: Any, meter: Meter) -> str:
    """json.Marshal: the same without white space."""
    meter.step()
    match value:
        case list():
            return _metered("[" + ",".join(compact_json_text(item, meter) for item in value) + "]", meter)
        case dict():
            named = _named(value)
            pieces = (f"{_json_string(key)}:{compact_json_text(item, meter)}" for key, item in named)
            return _metered("{" + ",".join(pieces) + "}", meter)
    return _json_scalar(value)


def json_value(value: Any, meter: Meter) -> Any:
    """What a JSON reader finds in Go's JSON of the value. NaN and infinities are text (`"NaN"`, `"+Inf"`), as are maps whose keys
    need not be text (`"map[1:a]"`); times are RFC 3339, durations nanoseconds, bytes base64."""
    meter.step()
    match value:
        case float() if isfinite(value):
            return int(value) if value.is_integer() and abs(value) < _LARGEST_INT else value
        case list():
            return [json_value(item, meter) for item in value]
        case AnyMap() | float():
            return printed(value, meter)
        case dict():
            return {key: json_value(item, meter) for key, item in sorted(value.items())}
        case Enumerated():
            return int(value)
        case None | bool() | int() | str():
            return value
    return json.loads(_json_scalar(value)) if isinstance(value, bytes | Duration | datetime) else printed(value, meter)


def _json_scalar(value: Any) -> str:
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case float():
            return json_float(value)
        case str():
            return _json_string(value)
        case bytes():
            return _json_string(base64.b64encode(value).decode())
        case Duration(nanoseconds=count):
            return str(count)
        case datetime():
            return _json_string(moments.rfc3339_text(value))
        case int():
            return str(int(value))
    raise ExpressionError(f"json: unsupported type: {type_name(value)}")


def _bracketed(start: str, pieces: list[str], end: str, indent: str, meter: Meter) -> str:
    if not pieces:
        return start + end
    inner = indent + "  "
    return _metered(start + inner + ("," + inner).join(pieces) + indent + end, meter)


def _named(mapping: dict[Any, Any]) -> list[tuple[str, Any]]:
    if isinstance(mapping, AnyMap):
        raise ExpressionError(f"json: unsupported type: {type_name(mapping)}")
    return sorted(mapping.items(), key=itemgetter(0))


def _json_string(text: str) -> str:
    escaped = quoted(text)
    for character in "<>&\u2028\u2029":
        escaped = escaped.replace(character, f"\\u{ord(character):04x}")
    return escaped
