"""Times and durations: Go's text forms, and the methods an expression may call on them.

A condition or a Prometheus `rangeQuery.start` such as `now() - duration("10m")` reaches them through now(), date() and duration().
The clock is never read here: `now` is an argument of the evaluation. Times are exact to the microsecond.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidegate_analyzer.expression import layouts
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.natures import BOOL, DURATION, FLOAT, INT, STRING, TIME, Nature
from tidegate_analyzer.expression.quoting import quoted
from tidegate_analyzer.expression.values import Duration, Enumerated, wrapped

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([a-zµμ]+)")
_SECOND = 10**9
_LONGEST = 2**63
_WHOLE = len(str(_LONGEST))
_FRACTION = 18  # digits; of those beyond nothing is left of a nanosecond

# What date() tries, in this order, when it is given no layout.
_DEFAULT_LAYOUTS = (
    "2006-01-02",
    "15:04:05",
    "2006-01-02 15:04:05",
    "2006-01-02T15:04:05Z07:00",
    "02 Jan 06 15:04 MST",
    "Monday, 02-Jan-06 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 MST",
)


def duration(text: str) -> Duration:
    """time.ParseDuration: `1h30m`, `-1.5s`, `300ms`; a plain number has no unit and is refused (only `0` needs none)."""
    unsigned = text[1:] if text[:1] in {"-", "+"} else text
    if unsigned == "0":
        return Duration(0)
    total, at = 0, 0
    while at < len(unsigned):
        part = _PART.match(unsigned, at)
        if part is None or not (part[1] or part[2]):
            missing = re.fullmatch(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", unsigned[at:])
            raise ExpressionError(f"time: {'missing unit in' if missing else 'invalid'} duration {quoted(text)}")
        if part[3] not in _UNITS:
            raise ExpressionError(f"time: unknown unit {quoted(part[3])} in duration {quoted(text)}")
        whole, fraction = part[1].lstrip("0"), (part[2] or "")[:_FRACTION]
        if len(whole) > _WHOLE:
            raise ExpressionError(f"time: invalid duration {quoted(text)}")
        total += int((whole or "0") + fraction) * _UNITS[part[3]] // 10 ** len(fraction)
        at = part.end()
    if not unsigned or total >= _LONGEST:
        raise ExpressionError(f"time: invalid duration {quoted(text)}")
    return Duration(-total if text.startswith("-") else total)


def duration_text(value: Duration) -> str:
    """`1h0m0s`, `1.5s`, `100ms`, `0s`."""
    count = abs(value.nanoseconds)
    sign = "-" if value.nanoseconds < 0 else ""
    if count == 0:
        return "0s"
    if count < _SECOND:
        unit, size = next((unit, _UNITS[unit]) for unit in ("ms", "µs", "ns") if count >= _UNITS[unit])
        return f"{sign}{_decimal(count, size)}{unit}"
    minutes, rest = divmod(count, 60 * _SECOND)
    hours, minutes = divmod(minutes, 60)
    lead = f"{hours}h{minutes}m" if hours else (f"{minutes}m" if minutes else "")
    return f"{sign}{lead}{_decimal(rest, _SECOND)}s"


def _decimal(count: int, size: int) -> str:
    whole, rest = divmod(count, size)
    fraction = str(rest).rjust(len(str(size)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{fraction}" if fraction else str(whole)


def moment(text: str, layout: str | None = None, zone: tzinfo | None = None) -> datetime:
    if layout is not None:
        return layouts.parsed(text, layout, zone or UTC)
    for candidate in _DEFAULT_LAYOUTS:
        try:
            return layouts.parsed(text, candidate, zone or UTC)
        except ExpressionError:
            continue
    raise ExpressionError(f"invalid date {text}")


def location(name: str) -> tzinfo:
    if name in {"", "UTC"}:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ExpressionError(f"unknown time zone {name}") from error


def plus(time: datetime, step: Duration) -> datetime:
    try:
        return time + timedelta(microseconds=step.nanoseconds // 1000)
    except OverflowError as error:
        raise ExpressionError("time out of the range of years 1 to 9999") from error


def between(start: datetime, end: datetime) -> Duration:
    return Duration((end - start) // timedelta(microseconds=1) * 1000)


def time_text(value: datetime) -> str:
    return layouts.formatted(value, "2006-01-02 15:04:05.999999999 -0700 MST")


def rfc3339_text(value: datetime) -> str:
    return layouts.formatted(value, "2006-01-02T15:04:05.999999999Z07:00")


def _rounded(value: Duration, to: Duration) -> Duration:
    """To the nearest multiple, halves away from zero; a multiple of zero or less leaves the duration as it is."""
    if to.nanoseconds <= 0:
        return value
    count, step = abs(value.nanoseconds), to.nanoseconds
    nearest = (count + step // 2) // step * step
    return Duration(-nearest if value.nanoseconds < 0 else nearest)


def _cut(value: Duration, to: Duration) -> Duration:
    if to.nanoseconds <= 0:
        return value
    kept = abs(value.nanoseconds) // to.nanoseconds * to.nanoseconds
    return Duration(-kept if value.nanoseconds < 0 else kept)


def _since_epoch(time: datetime, unit: timedelta) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // unit


def _later_date(time: datetime, years: int, months: int, days: int) -> datetime:
    """February 30 is March 1 or 2, as in Go."""
    month = time.month - 1 + months
    try:
        first = time.replace(year=time.year + years + month // 12, month=month % 12 + 1, day=1)
        return first + timedelta(days=time.day - 1 + days)
    except (OverflowError, ValueError) as error:
        raise ExpressionError("time out of the range of years 1 to 9999") from error


# name -> (types of the arguments, what it does)
Method = tuple[tuple[type, ...], Callable[..., Any]]
_DURATION_METHODS: dict[str, Method] = {
    "Hours": ((), lambda d: d.nanoseconds / (3600 * _SECOND)),
    "Minutes": ((), lambda d: d.nanoseconds / (60 * _SECOND)),
    "Seconds": ((), lambda d: d.nanoseconds / _SECOND),
    "Milliseconds": ((), lambda d: int(d.nanoseconds / 10**6)),
    "Microseconds": ((), lambda d: int(d.nanoseconds / 10**3)),
    "Nanoseconds": ((), lambda d: d.nanoseconds),
    "String": ((), duration_text),
    "Abs": ((), lambda d: Duration(abs(d.nanoseconds))),
    "Round": ((Duration,), _rounded),
    "Truncate": ((Duration,), _cut),
}
_TIME_METHODS: dict[str, Method] = {
    "Year": ((), lambda t: t.year),
    "Month": ((), lambda t: Enumerated(t.month, "time.Month", layouts.MONTHS[t.month - 1])),
    "Day": ((), lambda t: t.day),
    "Hour": ((), lambda t: t.hour),
    "Minute": ((), lambda t: t.minute),
    "Second": ((), lambda t: t.second),
    "Nanosecond": ((), lambda t: t.microsecond * 1000),
    "Weekday": ((), lambda t: Enumerated(t.isoweekday() % 7, "time.Weekday", layouts.DAYS[t.isoweekday() % 7])),
    "YearDay": ((), lambda t: t.timetuple().tm_yday),
    "Unix": ((), lambda t: _since_epoch(t, timedelta(seconds=1))),
    "UnixMilli": ((), lambda t: _since_epoch(t, timedelta(milliseconds=1))),
    "UnixMicro": ((), lambda t: _since_epoch(t, timedelta(microseconds=1))),
    "UnixNano": ((), lambda t: wrapped(_since_epoch(t, timedelta(microseconds=1)) * 1000)),
    "String": ((), time_text),
    "IsZero": ((), lambda t: t == datetime(1, 1, 1, tzinfo=UTC)),
    "UTC": ((), lambda t: t.astimezone(UTC)),
    "In": ((tzinfo,), lambda t, zone: t.astimezone(zone)),
    "Format": ((str,), layouts.formatted),
    "Add": ((Duration,), plus),
    "AddDate": ((int, int, int), _later_date),
    "Sub": ((datetime,), lambda t, other: between(other, t)),
    "Before": ((datetime,), lambda t, other: t < other),
    "After": ((datetime,), lambda t, other: t > other),
    "Equal": ((datetime,), lambda t, other: t == other),
}


_ENUM_METHODS: dict[str, Method] = {"String": ((), lambda value: value.text)}
_METHODS = {"time": _TIME_METHODS, "duration": _DURATION_METHODS, "enum": _ENUM_METHODS}


def method(value: Any, name: str) -> Method | None:
    if isinstance(value, Duration):
        return _DURATION_METHODS.get(name)
    if isinstance(value, Enumerated):
        return _ENUM_METHODS.get(name)
    return _TIME_METHODS.get(name) if isinstance(value, datetime) else None


def has_method(kind: str, name: Any) -> bool:
    return name in _METHODS.get(kind, {})


def method_answers(name: str) -> Nature:
    """The type of what a method answers; one that is not listed counts something."""
    return _ANSWERS.get(name, INT)


_ANSWERS: dict[str, Nature] = {
    **dict.fromkeys(("Hours", "Minutes", "Seconds"), FLOAT),
    **dict.fromkeys(("String", "Format"), STRING),
    **dict.fromkeys(("Abs", "Round", "Truncate", "Sub"), DURATION),
    **dict.fromkeys(("UTC", "In", "Add", "AddDate"), TIME),
    **dict.fromkeys(("IsZero", "Before", "After", "Equal"), BOOL),
    "Month": Nature("enum", "time.Month"),
    "Weekday": Nature("enum", "time.Weekday"),
}
