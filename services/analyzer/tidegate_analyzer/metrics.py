"""One metric of an analysis run: its fields with their defaults, and what makes it unusable (`argo-behaviour.md` 7.1).

Metrics, results and measurements are the JSON of the AnalysisRun object; this file only reads them.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tidegate.errors import TidegateError
from tidegate_analyzer.expression import ExpressionError
from tidegate_analyzer.expression.moments import duration
from tidegate_analyzer.expression.operators import pattern

Metric = Mapping[str, Any]

TERMINAL = frozenset({"Successful", "Failed", "Error", "Inconclusive"})
DISABLED = -1
ERROR_RETRY = timedelta(seconds=10)
DEFAULT_CONSECUTIVE_ERROR_LIMIT = 4
DEFAULT_MEASUREMENTS_KEPT = 10


class SpecInvalid(TidegateError):  # noqa: N818 - reads as the fact it states
    """The run can never start. The text is what the run's message says after `Analysis spec invalid: `."""


def whole_number(metric: Metric, field: str, default: int = 0) -> int:
    """An int-or-string field, as Kubernetes allows for counts and limits."""
    value = metric.get(field)
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError) as error:
        raise SpecInvalid(f"{field} must be a whole number, got '{value}'") from error


def effective_count(metric: Metric) -> int | None:
    """How many measurements complete the metric; None means it never completes by counting. A count of 0 counts as unset."""
    count = whole_number(metric, "count")
    if count > 0:
        return count
    return None if metric.get("interval") else 1


def interval(metric: Metric) -> timedelta | None:
    return span(metric["interval"]) if metric.get("interval") else None


def initial_delay(metric: Metric) -> timedelta:
    return span(metric["initialDelay"]) if metric.get("initialDelay") else timedelta()


def span(text: str) -> timedelta:
    """A Go duration. A bare number has no unit and is refused, as the peer refuses it here."""
    return timedelta(microseconds=duration(str(text)).nanoseconds // 1000)


def instant(text: str | None) -> datetime | None:
    """A time of a Kubernetes object, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# -- validation


def validate(spec: Mapping[str, Any]) -> None:
    """Raises SpecInvalid with the first thing wrong in an AnalysisRun's spec."""
    metrics: Sequence[Metric] = spec.get("metrics") or []
    if not metrics:
        raise SpecInvalid("no metrics specified")
    names: set[str] = set()
    for index, metric in enumerate(metrics):
        try:
            _validate_metric(metric, names)
        except SpecInvalid as error:
            raise SpecInvalid(f"metrics[{index}]: {error}") from error
        names.add(str(metric.get("name", "")))
    dry_run_names(spec)
    kept_measurements(spec)


def _validate_metric(metric: Metric, earlier: set[str]) -> None:
    if found := faults(metric, earlier):
        raise SpecInvalid(found[0])


def faults(metric: Metric, earlier: Collection[str]) -> list[str]:
    """What is wrong with a metric after those of the names in `earlier`, one for each rule."""
    found = [f"duplicate name '{name}'"] if (name := str(metric.get("name", ""))) in earlier else []
    for rule in (_validate_limits, _validate_count, _validate_interval, _validate_delay, _validate_provider):
        try:
            rule(metric)
        except SpecInvalid as error:
            found.append(str(error))
    return list(dict.fromkeys(found))


def _validate_interval(metric: Metric) -> None:
    _validate_span(metric.get("interval"), "interval")


def _validate_delay(metric: Metric) -> None:
    _validate_span(metric.get("initialDelay"), "startDelay")


def _validate_span(text: Any, called: str) -> None:
    try:
        if text:
            span(text)
    except ExpressionError as error:
        raise SpecInvalid(f"invalid {called} string: {error}") from error


def _validate_limits(metric: Metric) -> None:
    successes = whole_number(metric, "consecutiveSuccessLimit")
    failures = whole_number(metric, "failureLimit")
    if successes < 0:
        raise SpecInvalid("consecutiveSuccessLimit must be >= 0")
    if failures < DISABLED:
        raise SpecInvalid("failureLimit must be >= 0, or -1 to be disabled")
    if failures == DISABLED and successes == 0:
        raise SpecInvalid("failureLimit and consecutiveSuccessLimit cannot both be disabled")
    for field in ("inconclusiveLimit", "consecutiveErrorLimit"):
        if whole_number(metric, field) < 0:
            raise SpecInvalid(f"{field} must be >= 0")


def _validate_count(metric: Metric) -> None:
    count = whole_number(metric, "count")
    failures = whole_number(metric, "failureLimit")
    successes = whole_number(metric, "consecutiveSuccessLimit")
    if count > 0:
        if failures >= 0 and count < failures + successes:
            raise SpecInvalid(
                f"count ({count}) must be >= failureLimit + consecutiveSuccessLimit ({failures} + {successes}) if both >= 0"
            )
        if count < successes:
            raise SpecInvalid("count must be >= consecutiveSuccessLimit")
        if count < whole_number(metric, "inconclusiveLimit"):
            raise SpecInvalid("count must be >= inconclusiveLimit")
    if count > 1 and not metric.get("interval"):
        raise SpecInvalid("interval must be specified when count > 1")


def _validate_provider(metric: Metric) -> None:
    named = [name for name, config in (metric.get("provider") or {}).items() if config is not None]
    if not named:
        raise SpecInvalid("no provider specified")
    if len(named) > 1:
        raise SpecInvalid("multiple providers specified")


# -- rules that name metrics by a regular expression


def dry_run_names(spec: Mapping[str, Any]) -> frozenset[str]:
    """Metrics that are measured but decide nothing."""
    names: set[str] = set()
    for index, rule in enumerate(spec.get("dryRun") or []):
        names.update(_matched(rule, spec, f"dryRun[{index}]"))
    return frozenset(names)


def kept_measurements(spec: Mapping[str, Any]) -> dict[str, int]:
    """How many measurements each metric keeps, where a rule says so; later rules win."""
    kept: dict[str, int] = {}
    for index, rule in enumerate(spec.get("measurementRetention") or []):
        matched = _matched(rule, spec, f"measurementRetention[{index}]")
        limit = whole_number(rule, "limit", DEFAULT_MEASUREMENTS_KEPT)
        kept.update(dict.fromkeys(matched, limit if limit > 0 else DEFAULT_MEASUREMENTS_KEPT))
    return kept


def _matched(rule: Mapping[str, Any], spec: Mapping[str, Any], where: str) -> list[str]:
    """An unanchored regular expression; one that cannot be read matches nothing, and says so in the same words."""
    names = [str(metric.get("name", "")) for metric in spec.get("metrics") or []]
    try:
        matched = [name for name in names if pattern(str(rule.get("metricName", ""))).search(name)]
    except ExpressionError:
        matched = []
    if not matched:
        raise SpecInvalid(f"{where}: Rule didn't match any metric name(s)")
    return matched
