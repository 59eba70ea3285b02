"""Durations and instants as Kubernetes objects spell them.

Rule of this file: text in, numbers out, and back; no clock. Unreadable text is a `ValueError` that names it and the right forms.
Two grammars exist side by side and must not be mixed (`argo-behaviour.md` 4 and 7.1): a pause takes bare numbers as seconds,
an analysis `interval` or `initialDelay` takes Go durations only.
"""

import math
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_NANOSECONDS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # U+00B5, the micro sign
    "μs": 10**3,  # U+03BC, the Greek letter: Go takes both
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_TERM = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_WHOLE = re.compile(r"[+-]?[0-9]{1,10}")
_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_INT32 = range(-(2**31), 2**31)
_INT64_MAX = 2**63 - 1  # a Go duration counts nanoseconds in 64 bits: about 292 years


def go_duration(text: str) -> float:
    """Seconds of a Go duration such as `1h30m`, `1.5s`, `-250ms`. A number without a unit is refused, except `0`."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if digits == "0":
        return 0.0
    total, position = 0, 0
    while position < len(digits):
        term = _TERM.match(digits, position)
        if term is None or not (term[1] or term[2]):
            break
        unit, fraction = _NANOSECONDS[term[3]], (term[2] or "")[:18]  # beyond 10^-18 h nothing is left of a nanosecond
        total += int((term[1] or "0")[:30]) * unit + int(fraction or "0") * unit // 10 ** len(fraction)
        position = term.end()
    if not digits or position < len(digits) or total > _INT64_MAX:
        raise ValueError(f"{text!r} is not a duration; write numbers with units, such as 500ms, 10s, 5m or 1h30m")
    return sign * total / 10**9


def duration_text(seconds: float) -> str:
    """As Go prints it: 45s, 1m30s, 1h0m0s, 1.5s."""
    hours, rest = divmod(round(seconds, 3), 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{hours:.0f}h{minutes:.0f}m{text}" if hours else f"{minutes:.0f}m{text}" if minutes else text


def pause_duration(value: object) -> float:
    """Seconds of `pause.duration`: an integer, its text ("10"), or a Go duration."""
    if isinstance(value, int) and not isinstance(value, bool) and value in _INT32:
        return float(value)
    if isinstance(value, str):
        if _WHOLE.fullmatch(value) and int(value) in _INT32:
            return float(value)
        if not _WHOLE.fullmatch(value):
            return go_duration(value)
    raise ValueError(f"{value!r} is not a pause duration; write seconds (10) or a Go duration (10s, 5m, 1h30m)")


def rfc3339(moment: datetime | float) -> str:
    """The instant as the API server writes it: UTC, whole seconds, cut off rather than rounded so that it never lies ahead."""
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise ValueError(f"{moment!r} has no time zone; give it one, such as datetime.UTC")
        moment = moment.replace(microsecond=0).timestamp()  # as a float, far from 1970, .999999 would be the next second
    return _second_text(math.floor(moment))


@lru_cache(maxsize=1024)
def _second_text(second: int) -> str:
    """A decision asks for the same "now" several times; formatting it was a fifth of the planner's time."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}Z".rjust(20, "0")  # %Y does not pad the years before 1000


def instant(text: str) -> datetime:
    """The UTC instant that an RFC 3339 text names; fractions are kept down to the microsecond."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time; write it like 2026-01-02T03:04:05Z")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    microsecond = int((match[7] or "")[:6].ljust(6, "0"))
    try:
        local = datetime(year, month, day, hour, minute, second, microsecond, tzinfo=UTC)
        return local - _offset(match[8])
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not an RFC 3339 time: {error}") from error


@lru_cache(maxsize=4096)
def epoch(text: str) -> float:
    """The same as seconds since 1970."""
    return instant(text).timestamp()


def _offset(zone: str) -> timedelta:
    if zone in "Zz":
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 23 or minutes > 59:
        raise ValueError(f"the offset {zone} is out of range")
    return timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
