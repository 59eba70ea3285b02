"""What a round of measuring does to an AnalysisRun's JSON. Pure: runs and measurements in, status out.

A measurement carries its number, so that one which comes late (another analyzer was faster, or a write was refused and decided
again) is recognised and dropped: whoever writes first counts, and nothing is counted twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate_analyzer import arguments, judge, metrics
from tidegate_analyzer.metrics import TERMINAL

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """A measurement that is not in the object yet. `number` counts from 1; `about` goes into the metric's metadata."""

    metric: str
    number: int
    measurement: Mapping[str, Any]
    about: Mapping[str, str] = field(default_factory=dict)


def next_number(result: Mapping[str, Any]) -> int:
    """The number of the measurement that is to be taken, or in flight: one more than are finished."""
    return int(result.get("count", 0)) + int(result.get("error", 0)) + 1


def result_of(run: Mapping[str, Any], metric: str) -> Json:
    results = (run.get("status") or {}).get("metricResults") or []
    return next((result for result in results if result["name"] == metric), {})


def is_finished(run: Mapping[str, Any]) -> bool:
    return (run.get("status") or {}).get("phase") in TERMINAL


def resolved(run: Mapping[str, Any]) -> Json:
    """The run with its arguments put in, all but those from Secrets: enough to schedule and to judge by.

    Raises ArgumentError, or SpecInvalid for what can't be measured; checked with the arguments in, so `count: "{{args.n}}"` works.
    """
    spec = run["spec"]
    args = spec.get("args") or []
    hidden = dict.fromkeys(arguments.needed_secrets(args), arguments.HIDDEN)
    values = arguments.values(args, hidden)
    whole = {**spec, "metrics": [arguments.substituted(metric, values) for metric in spec.get("metrics") or []]}
    metrics.validate(whole)
    return {**run, "spec": whole}


def with_taken(run: Mapping[str, Any], taken: Iterable[Taken]) -> Json:
    """The run's status after these measurements, as far as they are still news. Verdicts are not touched here."""
    spec, status = run["spec"], run.get("status") or {}
    kept = metrics.kept_measurements(spec)
    results = {result["name"]: result for result in status.get("metricResults") or []}
    for each in taken:
        result = results.get(each.metric) or {"name": each.metric}
        if is_news(result, each):
            limit = kept.get(each.metric, metrics.DEFAULT_MEASUREMENTS_KEPT)
            after = judge.with_measurement(result, each.measurement, kept=limit)
            results[each.metric] = {**after, **({"metadata": {**after.get("metadata", {}), **each.about}} if each.about else {})}
    return {**status, "metricResults": list(results.values())}


def is_news(result: Mapping[str, Any], taken: Taken) -> bool:
    return result.get("phase") not in TERMINAL and next_number(result) == taken.number
