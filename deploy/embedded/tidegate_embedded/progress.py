"""How far a build is, and how long it may take yet. Pure: the clock is an argument."""

from dataclasses import dataclass

# Before a tenth is done the rate says little: the small packages of the standard library come first.
ESTIMATE_FROM = 0.1
# Linking comes after the last package: 10 to 50 s beside five to eight minutes of compiling.
LINK_SHARE = 0.05


@dataclass(slots=True, kw_only=True)
class Progress:
    """`total` counts the packages that were not in Go's own cache at the start, so the fraction is of the work really due."""

    total: int
    started: float
    compiled: int = 0


def progress_line(progress: Progress, *, now: float) -> str:
    elapsed = now - progress.started
    compiled = min(progress.compiled, progress.total)
    counted = f"compiled {compiled} of {progress.total} packages in {_duration(elapsed)}"
    if compiled >= progress.total:
        return f"{counted}; linking"
    left = remaining_seconds(progress, now=now)
    return f"{counted}; " + ("too early to estimate" if left is None else f"about {_duration(left)} left")


def remaining_seconds(progress: Progress, *, now: float) -> float | None:
    """At the rate so far, and with the share of linking; None while there is too little to go by."""
    fraction = progress.compiled / progress.total if progress.total else 1.0
    if fraction < ESTIMATE_FROM:
        return None
    compiling = (now - progress.started) / fraction
    return max(0.0, compiling * (1 - fraction)) + compiling * LINK_SHARE


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
