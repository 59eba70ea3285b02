"""When to measure: which metrics are due now, and when to look again (`argo-behaviour.md` 7.4).

Timers live nowhere: they are computed from the run's own status, so a restarted analyzer goes on where the last one stopped.
What it remembers besides (`Begun`) only sharpens the whole seconds of the object: nothing is lost with it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from tidegate_analyzer import metrics
from tidegate_analyzer.judge import is_terminating
from tidegate_analyzer.metrics import ERROR_RETRY, TERMINAL, Metric, instant

MOST_SHIFT: Final = timedelta(seconds=1)
"""By how much, and by which part of its pause, a measurement may come earlier than the object's times say, to keep its pace."""
OF_A_PAUSE: Final = 0.1
TRUNCATED: Final = timedelta(seconds=1)
"""What the object's times may lack; what was meant for a later moment was so by a clock that has been set."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A measurement that this process has started: its number, and the moment that was meant, which a busy process is late for."""

    number: int
    meant: datetime


Pace = Mapping[str, Begun]
"""The last measurement of each metric, as far as this process has started it."""
NO_PACE: Final[Pace] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Schedule:
    """Names of metrics to act on now, and the next moment at which something will be due (None: nothing will)."""

    start: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    terminate: tuple[str, ...] = ()
    wake_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Turn:
    """One metric's next action, and when."""

    name: str
    action: str
    at: datetime


def schedule(run: Mapping[str, Any], *, now: datetime, pace: Pace = NO_PACE) -> Schedule:
    """Expects a valid spec (`metrics.validate`). A finished run has an empty schedule; see `expires_at` for its end."""
    if ((run.get("status") or {}).get("phase")) in TERMINAL:
        return Schedule()
    turns = list(_turns(run, now, pace))
    due = [turn for turn in turns if turn.at <= now]
    later = [turn.at for turn in turns if turn.at > now]
    return Schedule(
        start=tuple(turn.name for turn in due if turn.action == "start"),
        resume=tuple(turn.name for turn in due if turn.action == "resume"),
        terminate=tuple(turn.name for turn in due if turn.action == "terminate"),
        wake_at=min(later, default=None),
    )


def _turns(run: Mapping[str, Any], now: datetime, pace: Pace) -> Iterator[_Turn]:
    status = run.get("status") or {}
    results = {result["name"]: result for result in status.get("metricResults") or []}
    terminating = is_terminating(run)
    started = instant(status.get("startedAt")) or now
    for metric in run["spec"]["metrics"]:
        result = results.get(metric["name"]) or {}
        if result.get("phase") in TERMINAL:
            continue
        last = (result.get("measurements") or [None])[-1]
        if last is not None and last.get("phase") not in TERMINAL:
            if terminating:
                yield _Turn(metric["name"], "terminate", now)
            else:
                yield _Turn(metric["name"], "resume", instant(last.get("resumeAt")) or now)
        elif not terminating and (at := _next_start(metric, result, started, pace.get(metric["name"]))) is not None:
            yield _Turn(metric["name"], "start", at)


def _next_start(metric: Metric, result: Mapping[str, Any], started: datetime, begun: Begun | None) -> datetime | None:
    measurements = result.get("measurements") or []
    if not measurements:
        return started + metrics.initial_delay(metric)
    count = metrics.effective_count(metric)
    if count is not None and result.get("count", 0) >= count:
        return None
    last = measurements[-1]
    finished = instant(last.get("finishedAt")) or started
    return kept_pace(metric, result, begun) or finished + _pause(metric, last)


def kept_pace(metric: Metric, result: Mapping[str, Any], begun: Begun | None) -> datetime | None:
    """When the next measurement is due by the moment that was meant for the last one; None if the object's times must tell.

    They are whole seconds: a measurement that ends in the next second would put off all that follow by one. One that takes longer
    than that has its whole pause after it (`argo-behaviour.md` 7.4).
    """
    measurements = result.get("measurements") or []
    if begun is None or not measurements or begun.number != result.get("count", 0) + result.get("error", 0):
        return None
    last = measurements[-1]
    finished, pause = instant(last.get("finishedAt")), _pause(metric, last)
    if finished is None:
        return None
    shift = begun.meant - finished
    return begun.meant + pause if -min(MOST_SHIFT, pause * OF_A_PAUSE) <= shift < TRUNCATED else None


def _pause(metric: Metric, last: Mapping[str, Any]) -> timedelta:
    return ERROR_RETRY if last["phase"] == "Error" else metrics.interval(metric) or ERROR_RETRY


def expires_at(run: Mapping[str, Any]) -> datetime | None:
    """When a finished run may be deleted; None if never. Only Successful and Failed runs have a time of their own."""
    status = run.get("status") or {}
    completed = instant(status.get("completedAt"))
    if completed is None or status.get("phase") not in TERMINAL:
        return None
    ttl = (run.get("spec") or {}).get("ttlStrategy") or {}
    own = {"Successful": "secondsAfterSuccess", "Failed": "secondsAfterFailure"}.get(status["phase"])
    seconds = ttl.get(own) if own and ttl.get(own) is not None else ttl.get("secondsAfterCompletion")
    return None if seconds is None else completed + timedelta(seconds=int(seconds))
