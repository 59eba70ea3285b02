"""Text, JSON, base64, dates. Positions in text count bytes, as in Go; `len` counts characters."""

import base64
import binascii
import json
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any, NoReturn

from tidegate_analyzer.expression import moments
from tidegate_analyzer.expression.budget import Meter
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.printing import json_text, printed
from tidegate_analyzer.expression.values import Duration, integer, metric_value, text

_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_MOST_REPEATS = 1_000_000
_TRIALS_PER_STEP = 8192
_LAYOUT_PER_STEP = 16  # a layout becomes a pattern, and a long one a slow pattern


def _trim(meter: Meter, value: Any, characters: Any = _SPACE) -> str:
    """Each character of the text may be tried against each of those to be cut off."""
    whole, off = text(value), "".join(set(text(characters)))
    meter.step(len(whole) * len(off) // _TRIALS_PER_STEP)
    return whole.strip(off) if off else whole


def _one_to_one(change: Callable[[str], str]) -> Callable[[Meter, Any], str]:
    """Go maps each character to one character: the upper case of `ß` stays `ß`, where Python writes `SS`."""

    def changed(_meter: Meter, value: Any) -> str:
        whole = text(value)
        if whole.isascii():
            return change(whole)
        return "".join(new if len(new := change(character)) == 1 else character for character in whole)

    return changed


def _split(meter: Meter, value: Any, separator: Any, limit: Any = -1, *, keep: bool = False) -> list[str]:
    """At most `limit` pieces if it is positive, none if it is 0, all if it is negative; no separator splits characters."""
    whole, between, most = text(value), text(separator), integer(limit)
    if most == 0:
        return []
    if between:
        pieces = whole.split(between, most - 1 if most > 0 else -1)
        pieces = [piece + between for piece in pieces[:-1]] + pieces[-1:] if keep else pieces
    else:
        count = len(whole) if most < 0 else min(most, len(whole))
        pieces = [*whole[: count - 1], whole[count - 1 :]] if whole else []
    meter.cells(len(pieces))
    return pieces


def _replace(meter: Meter, value: Any, old: Any, new: Any, limit: Any = -1) -> str:
    whole, before, after, most = text(value), text(old), text(new), integer(limit)
    count = whole.count(before) if most < 0 else min(most, whole.count(before))
    meter.text(len(whole) + count * max(len(after) - len(before), 0))
    return whole.replace(before, after, count)


def _repeat(meter: Meter, value: Any, count: Any) -> str:
    whole, times = text(value), integer(count)
    if times < 0:
        raise ExpressionError(f"invalid argument for repeat (expected positive integer, got {times})")
    if times > _MOST_REPEATS:
        raise ExpressionError("memory budget exceeded")
    meter.text(len(whole) * times)
    return whole * times


def _join(meter: Meter, values: Any, glue: Any = "") -> str:
    if not isinstance(values, list):
        raise ExpressionError("invalid argument for join")
    meter.step(len(values))
    pieces = [text(piece) for piece in values]
    meter.text(sum(map(len, pieces)) + len(text(glue)) * len(pieces))
    return text(glue).join(pieces)


def _index_of(_meter: Meter, value: Any, part: Any) -> int:
    return text(value).encode().find(text(part).encode())


def _last_index_of(_meter: Meter, value: Any, part: Any) -> int:
    return text(value).encode().rfind(text(part).encode())


def _string(meter: Meter, value: Any) -> str:
    if isinstance(value, str):
        return value
    return printed(value, meter)


def _from_json(meter: Meter, value: Any) -> Any:
    """A list of numbers needs two characters per number, so the text itself is the measure of what will be built."""
    source = text(value)
    meter.cells(len(source))

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"invalid character {name[0]!r}")

    try:
        return metric_value(json.loads(source, parse_int=float, parse_constant=refuse))
    except ValueError as error:
        reason = "unexpected end of JSON input" if not source.strip() else str(error)
        raise ExpressionError(reason) from error


def _from_base64(_meter: Meter, value: Any) -> str:
    try:
        return base64.b64decode(text(value).replace("\n", "").replace("\r", ""), validate=True).decode(errors="replace")
    except (binascii.Error, ValueError) as error:
        raise ExpressionError("illegal base64 data") from error


def _duration(meter: Meter, value: Any) -> Duration:
    meter.step(len(text(value)))
    return moments.duration(text(value))


def _date(meter: Meter, *values: Any) -> datetime:
    """date(text), date(text, layout), date(text, layout, zone name), each also with a timezone(...) before the rest."""
    zone, rest = (values[0], values[1:]) if isinstance(values[0], tzinfo) else (None, values)
    if not rest:
        raise ExpressionError("invalid number of arguments (expected at least 1, got 0)")
    words = [text(value) for value in rest]
    meter.step(len(words[0]) + (len(words[1]) ** 2 // _LAYOUT_PER_STEP if len(words) > 1 else 0))
    if len(words) == 3:
        zone = moments.location(words[2])
    return moments.moment(words[0], words[1] if len(words) > 1 else None, zone)


TABLE: dict[str, Callable[..., Any]] = {
    "string": _string,
    "trim": _trim,
    "trimPrefix": lambda _, value, prefix=" ": text(value).removeprefix(text(prefix)),
    "trimSuffix": lambda _, value, suffix=" ": text(value).removesuffix(text(suffix)),
    "upper": _one_to_one(str.upper),
    "lower": _one_to_one(str.lower),
    "split": _split,
    "splitAfter": lambda meter, *values: _split(meter, *values, keep=True),
    "replace": _replace,
    "repeat": _repeat,
    "join": _join,
    "indexOf": _index_of,
    "lastIndexOf": _last_index_of,
    "hasPrefix": lambda _, value, prefix: text(value).startswith(text(prefix)),
    "hasSuffix": lambda _, value, suffix: text(value).endswith(text(suffix)),
    "toJSON": lambda meter, value: json_text(value, meter),
    "fromJSON": _from_json,
    "toBase64": lambda _, value: base64.b64encode(text(value).encode()).decode(),
    "fromBase64": _from_base64,
    "duration": _duration,
    "date": _date,
    "timezone": lambda _, name: moments.location(text(name)),
}
