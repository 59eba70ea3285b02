"""What makes an analysis spec unusable, in the peer's words (`argo-behaviour.md` 7.1, 7.4.5)."""

from datetime import timedelta
from typing import Any

import pytest

from tidegate_analyzer.metrics import (
    SpecInvalid,
    dry_run_names,
    effective_count,
    initial_delay,
    interval,
    kept_measurements,
    validate,
)

PROVIDER = {"provider": {"job": {}}}


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        ({"consecutiveSuccessLimit": -1}, "consecutiveSuccessLimit must be >= 0"),
        ({"failureLimit": -2}, "failureLimit must be >= 0, or -1 to be disabled"),
        ({"failureLimit": -1}, "failureLimit and consecutiveSuccessLimit cannot both be disabled"),
        ({"inconclusiveLimit": -1}, "inconclusiveLimit must be >= 0"),
        ({"consecutiveErrorLimit": -1}, "consecutiveErrorLimit must be >= 0"),
        (
            {"count": 1, "failureLimit": 2},
            "count (1) must be >= failureLimit + consecutiveSuccessLimit (2 + 0) if both >= 0",
        ),
        (
            {"count": "3", "failureLimit": "2", "consecutiveSuccessLimit": 2, "interval": "1m"},
            "count (3) must be >= failureLimit + consecutiveSuccessLimit (2 + 2) if both >= 0",
        ),
        ({"count": 2, "failureLimit": -1, "consecutiveSuccessLimit": 3}, "count must be >= consecutiveSuccessLimit"),
        ({"count": 1, "inconclusiveLimit": 2}, "count must be >= inconclusiveLimit"),
        ({"count": 2}, "interval must be specified when count > 1"),
        ({"interval": "10"}, 'invalid interval string: time: missing unit in duration "10"'),
        ({"interval": "soon"}, 'invalid interval string: time: invalid duration "soon"'),
        ({"initialDelay": "1x"}, 'invalid startDelay string: time: unknown unit "x" in duration "1x"'),
        ({"count": "many"}, "count must be a whole number, got 'many'"),
        ({"provider": None}, "no provider specified"),
        ({"provider": {"web": None}}, "no provider specified"),
        ({"provider": {"web": {}, "job": {}}}, "multiple providers specified"),
    ],
)
def test_an_unusable_metric_is_refused_with_the_reason(metric: dict[str, Any], why: str) -> None:
    with pytest.raises(SpecInvalid) as error:
        validate({"metrics": [{"name": "good", **PROVIDER}, {"name": "bad", **PROVIDER, **metric}]})
    assert str(error.value) == f"metrics[1]: {why}"


def test_metrics_are_needed_and_their_names_are_unique() -> None:
    with pytest.raises(SpecInvalid, match=r"^no metrics specified$"):
        validate({"metrics": []})
    with pytest.raises(SpecInvalid, match=r"^metrics\[1\]: duplicate name 'a'$"):
        validate({"metrics": [{"name": "a", **PROVIDER}, {"name": "a", **PROVIDER}]})


def test_a_usable_spec_is_accepted() -> None:
    validate(
        {"metrics": [{"name": "a", "count": 5, "interval": "1m", "failureLimit": 2, "consecutiveSuccessLimit": 3, **PROVIDER}]}
    )


@pytest.mark.parametrize(
    ("metric", "count"),
    [({}, 1), ({"count": 0}, 1), ({"interval": "1m"}, None), ({"count": 0, "interval": "1m"}, None), ({"count": "3"}, 3)],
)
def test_a_metric_without_count_is_measured_once_or_for_ever(metric: dict[str, Any], count: int | None) -> None:
    assert effective_count(metric) == count


def test_durations_are_go_durations() -> None:
    assert interval({"interval": "1h2m3.5s"}) == timedelta(hours=1, minutes=2, seconds=3.5)
    assert interval({}) is None
    assert initial_delay({}) == timedelta()


# -- rules that name metrics

METRICS = {"metrics": [{"name": "latency-p50"}, {"name": "latency-p99"}, {"name": "errors"}]}


def test_a_rule_is_a_regular_expression_that_may_match_anywhere() -> None:
    assert dry_run_names({**METRICS, "dryRun": [{"metricName": "p9"}, {"metricName": "^err"}]}) == {"latency-p99", "errors"}
    rules = [{"metricName": ".*", "limit": 20}, {"metricName": "p99", "limit": 3}]
    assert kept_measurements({**METRICS, "measurementRetention": rules}) == {"latency-p50": 20, "latency-p99": 3, "errors": 20}


@pytest.mark.parametrize("field", ["dryRun", "measurementRetention"])
@pytest.mark.parametrize("name", ["nothing", "("])
def test_a_rule_that_matches_nothing_is_refused(field: str, name: str) -> None:
    spec = {"metrics": [{**metric, **PROVIDER} for metric in METRICS["metrics"]]}
    with pytest.raises(SpecInvalid) as error:
        validate({**spec, field: [{"metricName": "errors"}, {"metricName": name}]})
    assert str(error.value) == f"{field}[1]: Rule didn't match any metric name(s)"
