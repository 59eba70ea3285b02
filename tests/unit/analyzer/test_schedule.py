"""When measurements are due, and when nothing is (`argo-behaviour.md` 7.4)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_analyzer.judge import assessed_status, with_measurement
from tidegate_analyzer.metrics import TERMINAL, instant, timestamp
from tidegate_analyzer.schedule import Begun, Schedule, expires_at, schedule

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def ago(**span: float) -> str:
    return timestamp(NOW - timedelta(**span))


def ahead(**span: float) -> datetime:
    return NOW + timedelta(**span)


def of(metric: dict[str, Any], result: dict[str, Any] | None = None, *, started: str | None = None, **spec: Any) -> Schedule:
    status: dict[str, Any] = {"metricResults": [{"name": "m", **result}] if result else []}
    if started:
        status["startedAt"] = started
    return schedule({"spec": {"metrics": [{"name": "m", **metric}], **spec}, "status": status}, now=NOW)


def ended(phase: str, *, seconds_ago: float, count: int = 1) -> dict[str, Any]:
    return {"count": count, "measurements": [{"phase": phase, "finishedAt": ago(seconds=seconds_ago)}]}


@pytest.mark.parametrize(
    ("metric", "result", "started", "expected"),
    [
        pytest.param({}, None, None, Schedule(start=("m",)), id="first measurement at once"),
        pytest.param({"initialDelay": "1m"}, None, None, Schedule(wake_at=ahead(minutes=1)), id="delay of a run that starts now"),
        pytest.param({"initialDelay": "1m"}, None, ago(seconds=59), Schedule(wake_at=ahead(seconds=1)), id="delay not over"),
        pytest.param({"initialDelay": "1m"}, None, ago(seconds=60), Schedule(start=("m",)), id="delay over"),
        pytest.param({}, ended("Successful", seconds_ago=999), ago(hours=1), Schedule(), id="count 1 without interval is done"),
        pytest.param(
            {"count": 3, "interval": "1m"},
            ended("Successful", seconds_ago=59),
            None,
            Schedule(wake_at=ahead(seconds=1)),
            id="interval not over",
        ),
        pytest.param(
            {"count": 3, "interval": "1m"}, ended("Failed", seconds_ago=60), None, Schedule(start=("m",)), id="interval over"
        ),
        pytest.param(
            {"count": "3", "interval": "1m"}, ended("Successful", seconds_ago=99, count=3), None, Schedule(), id="count reached"
        ),
        pytest.param(
            {"interval": "1m"},
            ended("Successful", seconds_ago=60, count=500),
            None,
            Schedule(start=("m",)),
            id="interval alone never ends",
        ),
        pytest.param(
            {"interval": "1h"},
            ended("Error", seconds_ago=9),
            None,
            Schedule(wake_at=ahead(seconds=1)),
            id="an error is retried after 10 s",
        ),
        pytest.param(
            {"interval": "1h"}, ended("Error", seconds_ago=10), None, Schedule(start=("m",)), id="and not after the interval"
        ),
        pytest.param({}, ended("Error", seconds_ago=10, count=0), None, Schedule(start=("m",)), id="nor only when there is one"),
        pytest.param({}, {"phase": "Failed", "measurements": [{"phase": "Failed"}]}, None, Schedule(), id="decided metrics rest"),
        pytest.param({}, {"measurements": [{"phase": "Running"}]}, None, Schedule(resume=("m",)), id="in flight, no resumeAt"),
        pytest.param(
            {},
            {"measurements": [{"phase": "Running", "resumeAt": ago(seconds=1)}]},
            None,
            Schedule(resume=("m",)),
            id="resumeAt passed",
        ),
        pytest.param(
            {},
            {"measurements": [{"phase": "Running", "resumeAt": timestamp(ahead(seconds=7))}]},
            None,
            Schedule(wake_at=ahead(seconds=7)),
            id="resumeAt ahead",
        ),
    ],
)
def test_a_metric_is_due_when_its_rule_says_so(
    metric: dict[str, Any], result: dict[str, Any] | None, started: str | None, expected: Schedule
) -> None:
    assert of(metric, result, started=started) == expected


def test_a_stopped_run_starts_nothing_and_ends_what_is_in_flight() -> None:
    assert of({}, terminate=True) == Schedule()
    flying = {"measurements": [{"phase": "Running", "resumeAt": timestamp(ahead(hours=1))}]}
    assert of({}, flying, terminate=True) == Schedule(terminate=("m",))


def test_a_failed_metric_stops_its_siblings_but_a_dry_one_does_not() -> None:
    def siblings(*, dry: bool) -> Schedule:
        results = [{"name": "bad", "phase": "Failed", "dryRun": dry}, {"name": "job", "measurements": [{"phase": "Running"}]}]
        spec = {"metrics": [{"name": "bad"}, {"name": "job"}, {"name": "new"}]}
        return schedule({"spec": spec, "status": {"metricResults": results}}, now=NOW)

    assert siblings(dry=False) == Schedule(terminate=("job",))
    assert siblings(dry=True) == Schedule(start=("new",), resume=("job",))


def test_a_finished_run_has_nothing_to_do() -> None:
    assert schedule({"spec": {"metrics": [{"name": "m"}]}, "status": {"phase": "Successful"}}, now=NOW) == Schedule()


def test_the_earliest_moment_wakes() -> None:
    spec = {"metrics": [{"name": "a", "initialDelay": "2m"}, {"name": "b", "initialDelay": "1m"}, {"name": "c"}]}
    assert schedule({"spec": spec}, now=NOW) == Schedule(start=("c",), wake_at=ahead(minutes=1))


# -- keeping the pace


@pytest.mark.parametrize(
    ("interval", "phase", "number", "meant", "due"),
    [
        pytest.param("10s", "Successful", 1, 0.4, 10.4, id="within the second that is written: as it was meant"),
        pytest.param("10s", "Successful", 1, -0.6, 9.4, id="ended in the next second"),
        pytest.param("10s", "Error", 1, -0.6, 9.4, id="an error's pause keeps its pace as well"),
        pytest.param("10s", "Successful", 1, -1.0, 9.0, id="a second is the most that it may come earlier"),
        pytest.param("10s", "Successful", 1, -1.1, 10.0, id="it took long: its whole pause after it"),
        pytest.param("2s", "Successful", 1, -0.2, 1.8, id="a tenth of a short interval"),
        pytest.param("2s", "Successful", 1, -0.3, 2.0, id="more than a tenth of a short interval"),
        pytest.param("10s", "Successful", 1, 1.0, 10.0, id="the clock was set back"),
        pytest.param("10s", "Successful", 2, 0.4, 10.0, id="another process took the last one"),
        pytest.param("10s", "Successful", None, 0.0, 10.0, id="nothing is remembered"),
    ],
)
def test_the_next_measurement_is_due_an_interval_after_the_moment_that_was_meant_for_the_last(
    interval: str, phase: str, number: int | None, meant: float, due: float
) -> None:
    result = {"error": 1} if phase == "Error" else {"count": 1}
    ended_now = {"name": "m", **result, "measurements": [{"phase": phase, "finishedAt": timestamp(NOW)}]}
    run = {"spec": {"metrics": [{"name": "m", "interval": interval}]}, "status": {"metricResults": [ended_now]}}
    pace = {} if number is None else {"m": Begun(number, ahead(seconds=meant))}
    assert schedule(run, now=NOW, pace=pace).wake_at == ahead(seconds=due)


# -- time to live

TTL = {"secondsAfterCompletion": 30, "secondsAfterSuccess": 10, "secondsAfterFailure": 20}


@pytest.mark.parametrize(
    ("phase", "ttl", "seconds"),
    [
        ("Successful", TTL, 10),
        ("Failed", TTL, 20),
        ("Error", TTL, 30),
        ("Inconclusive", TTL, 30),
        ("Successful", {"secondsAfterCompletion": 30}, 30),
        ("Failed", {"secondsAfterSuccess": 10}, None),
        ("Successful", {"secondsAfterSuccess": 0}, 0),
        ("Successful", {}, None),
        ("Running", TTL, None),
    ],
)
def test_a_finished_run_lives_as_long_as_its_outcome_says(phase: str, ttl: dict[str, int], seconds: int | None) -> None:
    run = {"spec": {"ttlStrategy": ttl}, "status": {"phase": phase, "completedAt": timestamp(NOW)}}
    assert expires_at(run) == (None if seconds is None else ahead(seconds=seconds))


def test_a_run_without_an_end_never_expires() -> None:
    assert expires_at({"spec": {"ttlStrategy": TTL}, "status": {"phase": "Error"}}) is None


# -- a whole run, with the clock in the test's hand

PHASES = st.lists(st.sampled_from(sorted(TERMINAL)), min_size=1, max_size=40)


@given(phases=PHASES, count=st.integers(1, 6), failures=st.integers(0, 2), successes=st.integers(0, 2))
def test_every_run_with_a_count_ends_and_never_sleeps_without_a_timer(
    phases: list[str], count: int, failures: int, successes: int
) -> None:
    """Unless a run is over, something is due or a wake-up is set; and it is over after a bounded number of rounds."""
    metric = {"name": "m", "count": count, "interval": "30s", "failureLimit": failures, "consecutiveSuccessLimit": successes}
    run: dict[str, Any] = {"spec": {"metrics": [metric]}, "status": {}}
    now = NOW
    for round_ in range(200):
        due = schedule(run, now=now)
        for name in due.start:
            measured = {"phase": phases[round_ % len(phases)], "startedAt": timestamp(now), "finishedAt": timestamp(now)}
            known = (run["status"].get("metricResults") or [{"name": name}])[0]
            run["status"]["metricResults"] = [with_measurement(known, measured, kept=10)]
        run["status"] = assessed_status(run, now=now)
        if run["status"]["phase"] in TERMINAL:
            assert schedule(run, now=now) == Schedule()
            assert instant(run["status"]["completedAt"]) == now
            return
        wake_at = schedule(run, now=now).wake_at
        assert wake_at is not None
        assert wake_at > now
        now = wake_at
    assert "Error" in phases, "only errors that never come five in a row may go on"
