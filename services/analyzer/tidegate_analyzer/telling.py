"""What a run's status says that is to be told: measurements, metrics and runs that finished. Pure.

Ids are made of the run's uid and what happened, so that telling again after a restart is a repeat that the stream or the
consumer drops. Texts of the Events: `argo-behaviour.md` 7.5.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tidegate.messages import AnalysisConcluded, AnalysisMeasured, EventsRecorded, Message, Record
from tidegate_analyzer.metrics import TERMINAL, instant

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class News:
    """A message, its deterministic id, when what it tells happened, and whether it is the run's end.

    `make` makes the message: of the ten measurements that a run keeps, nine have been told whenever it is looked at.
    """

    id: str
    make: Callable[[], Message]
    at: datetime
    is_end: bool = False

    @property
    def message(self) -> Message:
        return self.make()


def concluded_id(uid: str) -> str:
    return f"{uid}.concluded"


def news(run: Json) -> list[News]:
    """Everything the run has to tell, in order; the caller knows what was told already. The conclusion comes last, so that who
    finds it on the bus knows that the rest is there too."""
    return [*_measured(run), *_recorded(run), *_concluded(run)]


def _place(run: Json) -> dict[str, Any]:
    return {"namespace": run["metadata"]["namespace"], "name": run["metadata"]["name"]}


def _results(run: Json) -> list[Json]:
    return list((run.get("status") or {}).get("metricResults") or ())


def _measured(run: Json) -> Iterator[News]:
    uid = run["metadata"]["uid"]
    for result in _results(run):
        finished = [each for each in result.get("measurements") or () if each.get("phase") in TERMINAL]
        first = result.get("count", 0) + result.get("error", 0) - len(finished) + 1
        for number, each in enumerate(finished, first):
            at = instant(each.get("finishedAt"))
            if at is not None:
                yield News(f"{uid}.{result['name']}.{number}", partial(_measurement, run, result["name"], each), at)


def _measurement(run: Json, metric: str, taken: Json) -> AnalysisMeasured:
    return AnalysisMeasured(
        **_place(run), metric=metric, phase=taken["phase"], value=taken.get("value", ""), message=taken.get("message", "")
    )


def _recorded(run: Json) -> Iterator[News]:
    """Metrics that finished, then the run: one message each, for the id of a larger one would depend on when it was made."""
    uid, status = run["metadata"]["uid"], run.get("status") or {}
    for result in _results(run):
        if result.get("phase") in TERMINAL:
            last = (result.get("measurements") or [{}])[-1]
            at = instant(last.get("finishedAt")) or _end(run)
            text = f"Metric '{result['name']}' Completed. Result: {result['phase']}"
            yield News(f"{uid}.metric.{result['name']}", partial(_event, run, "Metric", result["phase"], text, at), at)
    if status.get("phase") in TERMINAL:
        at = _end(run)
        text = f"Analysis Completed. Result: {status['phase']}"
        yield News(f"{uid}.run", partial(_event, run, "AnalysisRun", status["phase"], text, at), at, is_end=True)


def _event(run: Json, of: str, phase: str, text: str, at: datetime) -> EventsRecorded:
    record = Record(type="Warning" if phase in {"Failed", "Error"} else "Normal", reason=f"{of}{phase}", message=text)
    return EventsRecorded(
        **_place(run), service="analyzer", kind="AnalysisRun", uid=run["metadata"]["uid"], at=at, records=(record,)
    )


def _concluded(run: Json) -> Iterator[News]:
    status = run.get("status") or {}
    if status.get("phase") in TERMINAL:
        make = partial(AnalysisConcluded, **_place(run), phase=status["phase"], message=status.get("message", ""))
        yield News(concluded_id(run["metadata"]["uid"]), make, _end(run), is_end=True)


def _end(run: Json) -> datetime:
    """A run with an unusable spec has no end of its own; it never got further than its beginning."""
    status, metadata = run.get("status") or {}, run["metadata"]
    moments = (status.get("completedAt"), status.get("startedAt"), metadata.get("creationTimestamp"))
    return next((found for found in map(instant, moments) if found is not None), datetime.min.replace(tzinfo=UTC))
