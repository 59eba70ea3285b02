"""From measurements to verdicts: what one value means, what a metric's values mean, what a run's metrics mean.

Source of every rule and text: `argo-behaviour.md` 7.4 to 7.6. A verdict latches: a terminal phase is never reconsidered.
Input is the JSON of an AnalysisRun; output is new JSON, never the same objects changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidegate_analyzer import metrics
from tidegate_analyzer.expression import ExpressionError, condition
from tidegate_analyzer.metrics import DISABLED, TERMINAL, Metric, effective_count, whole_number

Json = dict[str, Any]

# Worse to the right.
_SEVERITY = ("Successful", "Running", "Pending", "Inconclusive", "Error", "Failed")
_COUNTER = {"Successful": "successful", "Failed": "failed", "Inconclusive": "inconclusive", "Error": "error"}
_NO_DATA = "metric result is nil or empty: no data returned from the metric provider"


@dataclass(frozen=True, slots=True)
class Verdict:
    phase: str
    message: str = ""


# -- one measurement


def measurement_verdict(metric: Metric, result: Any) -> Verdict:
    """What the conditions say about a value. Without conditions a value is good, because it was obtained at all."""
    success, failure = metric.get("successCondition"), metric.get("failureCondition")
    try:
        succeeded = _holds("successCondition", success, result) if success else False
        failed = _holds("failureCondition", failure, result) if failure else False
    except ExpressionError as error:
        return Verdict("Error", error.reason)
    match bool(success), bool(failure):
        case False, False:
            return Verdict("Successful")
        case True, False:
            return Verdict("Successful" if succeeded else "Failed")
        case False, True:
            return Verdict("Failed" if failed else "Successful")
    if failed:
        return Verdict("Failed")
    return Verdict("Successful" if succeeded else "Inconclusive")


def _holds(field: str, text: str, result: Any) -> bool:
    try:
        return condition(text, result)
    except ExpressionError as error:
        why = _NO_DATA if result is None or result == [] else error.summary
        raise ExpressionError(f'could not evaluate {field} "{text}": {why}') from error


# -- one metric


def counted(result: Mapping[str, Any], phase: str) -> Json:
    """The metric's result after one more finished measurement. An Error is a lost measurement: it does not count as one."""
    after = dict(result)
    counter = _COUNTER[phase]
    after[counter] = after.get(counter, 0) + 1
    if phase != "Error":
        after["count"] = after.get("count", 0) + 1
    after["consecutiveError"] = after.get("consecutiveError", 0) + 1 if phase == "Error" else 0
    after["consecutiveSuccess"] = after.get("consecutiveSuccess", 0) + 1 if phase == "Successful" else 0
    return {field: value for field, value in after.items() if value != 0}  # the peer leaves counters of zero out


def with_measurement(result: Mapping[str, Any], measurement: Mapping[str, Any], *, kept: int) -> Json:
    """The metric's result with this measurement recorded: an unfinished one is replaced, old ones beyond `kept` are dropped."""
    earlier = list(result.get("measurements") or [])
    if earlier and earlier[-1].get("phase") not in TERMINAL:
        earlier.pop()
    after = counted(result, measurement["phase"]) if measurement["phase"] in TERMINAL else dict(result)
    after["measurements"] = [*earlier, dict(measurement)][-kept:]
    return after


def metric_verdict(metric: Metric, result: Mapping[str, Any], *, terminating: bool) -> Verdict:
    if result.get("phase") in TERMINAL:
        return Verdict(result["phase"], _broken_limit(metric, result).message)
    measurements = result.get("measurements") or []
    if not measurements:
        return Verdict("Successful" if terminating else "Pending")
    if measurements[-1].get("phase") not in TERMINAL:
        return Verdict("Running")
    broken = _broken_limit(metric, result)
    if broken.phase:
        return broken
    return _by_count(metric, result) or Verdict("Successful" if terminating else "Running")


def _broken_limit(metric: Metric, result: Mapping[str, Any]) -> Verdict:
    """The last limit in this order that is broken; an empty phase if none is."""
    failed, inconclusive = result.get("failed", 0), result.get("inconclusive", 0)
    errors = result.get("consecutiveError", 0)
    failure_limit = whole_number(metric, "failureLimit")
    inconclusive_limit = whole_number(metric, "inconclusiveLimit")
    error_limit = whole_number(metric, "consecutiveErrorLimit", metrics.DEFAULT_CONSECUTIVE_ERROR_LIMIT)
    verdict = Verdict("")
    if failure_limit >= 0 and failed > failure_limit:
        verdict = Verdict("Failed", f"failed ({failed}) > failureLimit ({failure_limit})")
    if inconclusive > inconclusive_limit:
        verdict = Verdict("Inconclusive", f"inconclusive ({inconclusive}) > inconclusiveLimit ({inconclusive_limit})")
    if errors > error_limit:
        verdict = Verdict("Error", f"consecutiveErrors ({errors}) > consecutiveErrorLimit ({error_limit})")
    return verdict


def _by_count(metric: Metric, result: Mapping[str, Any]) -> Verdict | None:
    successes_wanted = whole_number(metric, "consecutiveSuccessLimit")
    if successes_wanted > 0 and result.get("consecutiveSuccess", 0) >= successes_wanted:
        return Verdict("Successful")
    count = effective_count(metric)
    if count is None or result.get("count", 0) < count:
        return None
    if successes_wanted == 0:
        return Verdict("Successful")
    # Enough was measured, and the successes never came in a row: with a failure limit that held, nothing is proven.
    return Verdict("Failed" if whole_number(metric, "failureLimit") == DISABLED else "Inconclusive")


# -- the run


def is_terminating(run: Mapping[str, Any]) -> bool:
    """Stopped by someone, or by a metric whose verdict already decides the run."""
    if (run.get("spec") or {}).get("terminate"):
        return True
    results = (run.get("status") or {}).get("metricResults") or []
    return any(result.get("phase") in {"Failed", "Error", "Inconclusive"} and not result.get("dryRun") for result in results)


def assessed_status(run: Mapping[str, Any], *, now: datetime) -> Json:
    """The run's whole new status from its measurements. Call it after every round; it changes nothing it need not change."""
    spec, status = run["spec"], run.get("status") or {}
    if status.get("phase") in TERMINAL:
        return dict(status)
    dry = metrics.dry_run_names(spec)
    first = is_terminating(run)
    results = _assessed_results(spec, status, dry, terminating=first)
    # A metric that has just failed stops its siblings in the same round.
    terminating = first or is_terminating({"spec": spec, "status": {"metricResults": results}})
    if terminating and not first:
        results = _assessed_results(spec, {**status, "metricResults": results}, dry, terminating=True)
    verdict = _run_verdict(spec, results, dry, terminating=terminating)
    after: Json = {
        **status,
        "phase": verdict.phase,
        "metricResults": results,
        "startedAt": status.get("startedAt") or metrics.timestamp(now),
        "runSummary": _summary(spec, results, lambda name: name not in dry),
        "dryRunSummary": _summary(spec, results, lambda name: name in dry),
    }
    if verdict.message:
        after["message"] = verdict.message
    if verdict.phase in TERMINAL:
        after["completedAt"] = metrics.timestamp(now)
    return after


def invalid_status(status: Mapping[str, Any], reason: str) -> Json:
    """A run whose spec cannot run. It gets no completedAt, so that no time to live removes the evidence."""
    return {**status, "phase": "Error", "message": f"Analysis spec invalid: {reason}"}


def _assessed_results(spec: Mapping[str, Any], status: Mapping[str, Any], dry: frozenset[str], *, terminating: bool) -> list[Json]:
    known = {result["name"]: result for result in status.get("metricResults") or []}
    assessed = []
    for metric in spec["metrics"]:
        result = known.get(metric["name"])
        if result is not None:
            assessed.append(_assessed_result(metric, result, dry=metric["name"] in dry, terminating=terminating))
    return assessed


def _assessed_result(metric: Metric, result: Mapping[str, Any], *, dry: bool, terminating: bool) -> Json:
    verdict = metric_verdict(metric, result, terminating=terminating)
    after = dict(result)
    if dry:
        after["dryRun"] = True
    if verdict.phase == result.get("phase"):
        return after
    after["phase"] = verdict.phase
    last = (result.get("measurements") or [{}])[-1]
    if last.get("message"):
        after["message"] = last["message"]
    if dry and verdict.phase in TERMINAL and verdict.message:
        after["message"] = f"Metric assessed {verdict.phase} due to {verdict.message}"
    return after


def _run_verdict(spec: Mapping[str, Any], results: list[Json], dry: frozenset[str], *, terminating: bool) -> Verdict:
    by_name = {result["name"]: result for result in results}
    finished = [name for name, result in by_name.items() if result["phase"] in TERMINAL]
    in_flight = any(result["phase"] == "Running" and _is_in_flight(result) for result in results)
    if in_flight or (len(finished) < len(spec["metrics"]) and not terminating):
        return Verdict("Running")
    message = "Run Terminated" if spec.get("terminate") else ""
    worst = Verdict("", message)
    for metric in spec["metrics"]:
        result = by_name.get(metric["name"])
        if result is None or metric["name"] in dry or result["phase"] not in TERMINAL:
            continue
        if not worst.phase or _SEVERITY.index(result["phase"]) > _SEVERITY.index(worst.phase):
            worst = Verdict(result["phase"], _reason(metric, result) or worst.message)
    return worst if worst.phase else Verdict("Successful", message)


def _is_in_flight(result: Mapping[str, Any]) -> bool:
    measurements = result.get("measurements") or []
    return bool(measurements) and measurements[-1].get("phase") not in TERMINAL


def _reason(metric: Metric, result: Mapping[str, Any]) -> str:
    detail = _broken_limit(metric, result).message
    if not detail:
        return ""
    said = f': "Error Message: {result["message"]}"' if result.get("message") else ""
    return f'Metric "{metric["name"]}" assessed {result["phase"]} due to {detail}{said}'


def _summary(spec: Mapping[str, Any], results: list[Json], chosen: Any) -> Json:
    phases = [result["phase"] for result in results if chosen(result["name"])]
    counts = {"count": sum(1 for metric in spec["metrics"] if chosen(metric["name"]))}
    counts |= {counter: phases.count(phase) for phase, counter in _COUNTER.items()}
    return {counter: count for counter, count in counts.items() if count}
