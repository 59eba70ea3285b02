"""Durations and ages as kubectl prints them: short, two units at most, never a fraction.

Pure. `now` is an argument.
"""

from datetime import datetime, timedelta

from tidegate.durations import instant

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86400, 365 * 86400


def age(created: str | None, *, now: datetime) -> str:
    """How long ago; "" where the object has no such time, "0s" where the clocks disagree about the order."""
    return short(max(now - instant(created), timedelta(0))) if created else ""


def short(duration: timedelta) -> str:
    """119 s is "119s", 9:59 is "9m59s", 179 min is "179m", 7 h 59 is "7h59m", then "47h", "7d23h", "729d", "7y364d", "8y"."""
    seconds = int(duration.total_seconds())
    if seconds < 2 * MINUTE:
        return f"{seconds}s"
    if seconds < 10 * MINUTE:
        return _pair(seconds, MINUTE, "m", 1, "s")
    if seconds < 3 * HOUR:
        return f"{seconds // MINUTE}m"
    if seconds < 8 * HOUR:
        return _pair(seconds, HOUR, "h", MINUTE, "m")
    if seconds < 2 * DAY:
        return f"{seconds // HOUR}h"
    if seconds < 8 * DAY:
        return _pair(seconds, DAY, "d", HOUR, "h")
    if seconds < 2 * YEAR:
        return f"{seconds // DAY}d"
    if seconds < 8 * YEAR:
        return _pair(seconds, YEAR, "y", DAY, "d")
    return f"{seconds // YEAR}y"


def _pair(seconds: int, large: int, large_unit: str, small: int, small_unit: str) -> str:
    whole, rest = divmod(seconds, large)
    return f"{whole}{large_unit}{rest // small}{small_unit}" if rest // small else f"{whole}{large_unit}"
