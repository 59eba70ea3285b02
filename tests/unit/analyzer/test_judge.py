"""Verdicts: of a value, of a metric, of a run. The tables are those of `argo-behaviour.md` 7.4 to 7.6."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_analyzer.judge import (
    Verdict,
    assessed_status,
    counted,
    invalid_status,
    is_terminating,
    measurement_verdict,
    metric_verdict,
    with_measurement,
)
from tidegate_analyzer.metrics import TERMINAL

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NO_DATA = "metric result is nil or empty: no data returned from the metric provider"


@pytest.mark.parametrize(
    ("success", "failure", "value", "phase"),
    [
        (None, None, 0.1, "Successful"),
        (None, None, None, "Successful"),
        ("result > 0.9", None, 0.95, "Successful"),
        ("result > 0.9", None, 0.5, "Failed"),
        (None, "result < 0.5", 0.1, "Failed"),
        (None, "result < 0.5", 0.9, "Successful"),
        ("result > 0.9", "result < 0.5", 0.95, "Successful"),
        ("result > 0.9", "result < 0.5", 0.7, "Inconclusive"),
        ("result > 0.9", "result < 0.5", 0.1, "Failed"),
        ("result > 0.1", "result > 0.2", 0.5, "Failed"),
    ],
)
def test_conditions_decide_what_a_value_means(success: str | None, failure: str | None, value: Any, phase: str) -> None:
    metric = {"successCondition": success, "failureCondition": failure}
    assert measurement_verdict(metric, value) == Verdict(phase)


@pytest.mark.parametrize(
    ("field", "text", "value", "why"),
    [
        ("successCondition", "result[0] > 1", [], NO_DATA),
        ("failureCondition", "result > 1", None, NO_DATA),
        ("successCondition", "result", 1.0, "expected bool, but got float64"),
        ("successCondition", "result >", 1.0, "unexpected token EOF (1:8)"),
        ("failureCondition", "result[3] > 1", [1.0], "index out of range: 3 (array length is 1) (1:7)"),
    ],
)
def test_a_condition_that_cannot_be_evaluated_is_an_error_and_says_why(field: str, text: str, value: Any, why: str) -> None:
    verdict = measurement_verdict({field: text}, value)
    assert verdict == Verdict("Error", f'could not evaluate {field} "{text}": {why}')


def test_a_condition_guarded_against_no_data_is_no_error() -> None:
    assert measurement_verdict({"successCondition": "len(result) == 0 || result[0] > 1"}, []) == Verdict("Successful")


# -- counters


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("Successful", {"successful": 1, "count": 1, "consecutiveSuccess": 5}),
        ("Failed", {"failed": 1, "count": 1}),
        ("Inconclusive", {"inconclusive": 1, "count": 1}),
        ("Error", {"error": 1, "consecutiveError": 3}),
    ],
)
def test_an_error_is_a_lost_measurement_and_does_not_count(phase: str, expected: dict[str, int]) -> None:
    assert counted({"consecutiveError": 2, "consecutiveSuccess": 4}, phase) == expected


@given(phases=st.lists(st.sampled_from(sorted(TERMINAL)), max_size=30))
def test_counters_add_up(phases: list[str]) -> None:
    result: dict[str, Any] = {}
    for phase in phases:
        result = counted(result, phase)
    total = sum(result.get(name, 0) for name in ("successful", "failed", "inconclusive"))
    assert result.get("count", 0) == total == len(phases) - phases.count("Error")


def test_a_finished_measurement_replaces_the_unfinished_one() -> None:
    started = with_measurement({"name": "m"}, {"phase": "Running", "startedAt": "t"}, kept=10)
    assert started == {"name": "m", "measurements": [{"phase": "Running", "startedAt": "t"}]}
    finished = with_measurement(started, {"phase": "Successful", "value": "1"}, kept=10)
    assert finished["measurements"] == [{"phase": "Successful", "value": "1"}]
    assert finished["count"] == 1


def test_old_measurements_are_dropped_and_still_counted() -> None:
    result: dict[str, Any] = {}
    for number in range(5):
        result = with_measurement(result, {"phase": "Successful", "value": str(number)}, kept=2)
    assert [measurement["value"] for measurement in result["measurements"]] == ["3", "4"]
    assert result["count"] == 5


# -- one metric

ENDED = [{"phase": "Failed", "message": "last words"}]


@pytest.mark.parametrize(
    ("metric", "result", "terminating", "verdict"),
    [
        ({}, {"phase": "Failed"}, False, Verdict("Failed")),
        ({}, {}, False, Verdict("Pending")),
        ({}, {}, True, Verdict("Successful")),
        ({}, {"measurements": [{"phase": "Running"}]}, False, Verdict("Running")),
        ({}, {"failed": 1, "measurements": ENDED}, False, Verdict("Failed", "failed (1) > failureLimit (0)")),
        ({"failureLimit": 1, "interval": "1m"}, {"failed": 1, "count": 1, "measurements": ENDED}, False, Verdict("Running")),
        ({"failureLimit": "1"}, {"failed": 2, "measurements": ENDED}, False, Verdict("Failed", "failed (2) > failureLimit (1)")),
        (
            {"failureLimit": -1, "consecutiveSuccessLimit": 2, "interval": "1m"},
            {"failed": 99, "measurements": ENDED},
            False,
            Verdict("Running"),
        ),
        (
            {},
            {"failed": 1, "inconclusive": 1, "measurements": ENDED},
            False,
            Verdict("Inconclusive", "inconclusive (1) > inconclusiveLimit (0)"),
        ),
        (
            {},
            {"failed": 1, "inconclusive": 1, "consecutiveError": 5, "measurements": ENDED},
            False,
            Verdict("Error", "consecutiveErrors (5) > consecutiveErrorLimit (4)"),
        ),
        ({}, {"consecutiveError": 4, "measurements": ENDED}, False, Verdict("Running")),
        (
            {"consecutiveErrorLimit": 0},
            {"consecutiveError": 1, "measurements": ENDED},
            False,
            Verdict("Error", "consecutiveErrors (1) > consecutiveErrorLimit (0)"),
        ),
        (
            {"consecutiveSuccessLimit": 3, "interval": "1m"},
            {"consecutiveSuccess": 3, "count": 3, "measurements": ENDED},
            False,
            Verdict("Successful"),
        ),
        (
            {"consecutiveSuccessLimit": 3, "count": 5},
            {"consecutiveSuccess": 2, "count": 5, "measurements": ENDED},
            False,
            Verdict("Inconclusive"),
        ),
        (
            {"consecutiveSuccessLimit": 3, "count": 5, "failureLimit": -1},
            {"consecutiveSuccess": 2, "count": 5, "failed": 2, "measurements": ENDED},
            False,
            Verdict("Failed"),
        ),
        ({"count": 2}, {"count": 2, "measurements": ENDED}, False, Verdict("Successful")),
        ({"count": 2, "interval": "1m"}, {"count": 1, "measurements": ENDED}, False, Verdict("Running")),
        ({"count": 2, "interval": "1m"}, {"count": 1, "measurements": ENDED}, True, Verdict("Successful")),
        ({}, {"count": 1, "measurements": ENDED}, False, Verdict("Successful")),
        ({"count": 0, "interval": "1m"}, {"count": 99, "measurements": ENDED}, False, Verdict("Running")),
    ],
)
def test_a_metric_is_judged_by_the_first_rule_that_fits(
    metric: dict[str, Any], result: dict[str, Any], terminating: bool, verdict: Verdict
) -> None:
    assert metric_verdict(metric, result, terminating=terminating) == verdict


# -- the run


def run(*metrics: dict[str, Any], results: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    return {"spec": {"metrics": list(metrics), **spec}, "status": {"metricResults": results}}


def result(name: str, phase: str, **more: Any) -> dict[str, Any]:
    counter = {"Successful": "successful", "Failed": "failed", "Inconclusive": "inconclusive", "Error": "error"}[phase]
    return {"name": name, "measurements": [{"phase": phase}], counter: 1, "count": 1, **more}


def test_a_run_is_running_until_every_metric_is_decided() -> None:
    status = assessed_status(run({"name": "a"}, {"name": "b"}, results=[result("a", "Successful")]), now=NOW)
    assert status["phase"] == "Running"
    assert status["startedAt"] == "2026-11-20T12:00:00Z"
    assert "completedAt" not in status
    assert status["runSummary"] == {"count": 2, "successful": 1}


def test_a_good_run_is_completed() -> None:
    status = assessed_status(run({"name": "a"}, results=[result("a", "Successful")]), now=NOW)
    assert (status["phase"], status["completedAt"]) == ("Successful", "2026-11-20T12:00:00Z")
    assert "message" not in status


def test_a_failed_metric_ends_the_run_with_its_reason_and_last_words() -> None:
    failed = result("b", "Failed")
    failed["measurements"][-1]["message"] = "cold"
    waiting = {"name": "a", "interval": "1m"}
    status = assessed_status(run(waiting, {"name": "b"}, results=[result("a", "Successful"), failed]), now=NOW)
    assert status["phase"] == "Failed"
    assert status["message"] == 'Metric "b" assessed Failed due to failed (1) > failureLimit (0): "Error Message: cold"'
    assert [item["phase"] for item in status["metricResults"]] == ["Successful", "Failed"]


@pytest.mark.parametrize(
    ("phases", "worst"),
    [
        (["Successful", "Inconclusive"], "Inconclusive"),
        (["Inconclusive", "Failed"], "Failed"),
        (["Failed", "Inconclusive"], "Failed"),
    ],
)
def test_the_worst_metric_decides(phases: list[str], worst: str) -> None:
    names = ["a", "b"]
    results = [result(name, phase) for name, phase in zip(names, phases, strict=True)]
    status = assessed_status(run(*({"name": name} for name in names), results=results), now=NOW)
    assert status["phase"] == worst


def test_an_error_is_worse_than_inconclusive_and_better_than_failed() -> None:
    errors = result("e", "Error", consecutiveError=5)
    status = assessed_status(run({"name": "e"}, {"name": "i"}, results=[errors, result("i", "Inconclusive")]), now=NOW)
    assert status["phase"] == "Error"
    assert status["message"] == 'Metric "e" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4)'


def test_a_measurement_in_flight_keeps_a_doomed_run_open_until_it_is_ended() -> None:
    flying = {"name": "job", "measurements": [{"phase": "Running"}]}
    status = assessed_status(run({"name": "job"}, {"name": "b"}, results=[flying, result("b", "Failed")]), now=NOW)
    assert status["phase"] == "Running"
    assert is_terminating({"spec": {}, "status": status})


def test_a_stopped_run_is_good_if_nothing_was_decided() -> None:
    status = assessed_status(run({"name": "a", "interval": "1m"}, results=[], terminate=True), now=NOW)
    assert (status["phase"], status["message"]) == ("Successful", "Run Terminated")


def test_a_stopped_run_keeps_the_worst_phase_so_far() -> None:
    ended = result("a", "Inconclusive")
    status = assessed_status(run({"name": "a"}, {"name": "b"}, results=[ended], terminate=True), now=NOW)
    assert status["phase"] == "Inconclusive"
    assert status["message"] == 'Metric "a" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0)'


def test_dry_metrics_are_counted_apart_and_decide_nothing() -> None:
    results = [result("dry-a", "Failed"), result("b", "Successful")]
    status = assessed_status(run({"name": "dry-a"}, {"name": "b"}, results=results, dryRun=[{"metricName": "^dry"}]), now=NOW)
    assert status["phase"] == "Successful"
    assert status["runSummary"] == {"count": 1, "successful": 1}
    assert status["dryRunSummary"] == {"count": 1, "failed": 1}
    dry = status["metricResults"][0]
    assert (dry["phase"], dry["dryRun"]) == ("Failed", True)
    assert dry["message"] == "Metric assessed Failed due to failed (1) > failureLimit (0)"


def test_a_run_of_dry_metrics_only_is_good() -> None:
    status = assessed_status(run({"name": "a"}, results=[result("a", "Failed")], dryRun=[{"metricName": "a"}]), now=NOW)
    assert status["phase"] == "Successful"


def test_a_verdict_latches() -> None:
    finished = {"spec": {"metrics": [{"name": "a"}]}, "status": {"phase": "Failed", "metricResults": [result("a", "Successful")]}}
    assert assessed_status(finished, now=NOW) == finished["status"]


def test_assessing_twice_changes_nothing_and_never_the_input() -> None:
    given_run = run({"name": "a"}, {"name": "b"}, results=[result("a", "Failed"), result("b", "Successful")])
    before = repr(given_run)
    once = assessed_status(given_run, now=NOW)
    assert repr(given_run) == before
    assert assessed_status({**given_run, "status": once}, now=NOW) == once


def test_an_invalid_spec_is_an_error_without_an_end_so_that_it_is_kept() -> None:
    assert invalid_status({}, "no metrics specified") == {
        "phase": "Error",
        "message": "Analysis spec invalid: no metrics specified",
    }
