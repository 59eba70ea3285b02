"""A template's metrics, run on the spot: the verdict a rollout would get, and each measurement on the way."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tidegate.arguments import ArgumentError
from tidegate_analyzer.analyze import NotAnalyzable, analyze, measured, run_spec
from tidegate_analyzer.provider import NotMeasured
from tidegate_analyzer.providers.memory import Memory


class Clock:
    """Real time, from a fixed day on."""

    def __init__(self) -> None:
        self.start = asyncio.get_running_loop().time()

    def __call__(self) -> datetime:
        elapsed = asyncio.get_running_loop().time() - self.start
        return datetime(2026, 11, 20, 12, tzinfo=UTC) + timedelta(seconds=elapsed)


def template(*metrics, kind="AnalysisTemplate", **spec):
    return {"kind": kind, "metadata": {"name": "t"}, "spec": {"metrics": list(metrics), **spec}}


def metric(**fields):
    return {"name": "m", "provider": {"memory": {"script": "m"}}, **fields}


async def run(spec, *answers, limit=None):
    reported = []
    status = await measured(spec, reported.append, providers={"memory": Memory({"m": answers})}, clock=Clock(), limit=limit)
    return status, reported


async def test_the_verdict_comes_with_every_measurement_on_the_way():
    status, reported = await run({"metrics": [metric(interval="1s", count=2, successCondition="result > 0.5")]}, 0.9, 0.8)
    assert (status["phase"], status["runSummary"]) == ("Successful", {"count": 1, "successful": 1})
    assert [(each.metric, each.phase, each.value) for each in reported] == [("m", "Successful", "0.9"), ("m", "Successful", "0.8")]


async def test_a_failure_says_why():
    status, reported = await run({"metrics": [metric(successCondition="result > 0.5")]}, 0.1)
    assert status["message"] == 'Metric "m" assessed Failed due to failed (1) > failureLimit (0)'
    assert reported[0].phase == "Failed"


async def test_an_error_is_reported_with_its_reason():
    status, reported = await run({"metrics": [metric(consecutiveErrorLimit=0)]}, NotMeasured("nobody answers"))
    assert (status["phase"], reported[0].message) == ("Error", "nobody answers")


async def test_an_endless_analysis_ends_at_its_limit_with_what_it_knows():
    status, reported = await run({"metrics": [metric(interval="1h")]}, 1, limit=2.0)
    assert (status["phase"], status["message"], len(reported)) == ("Successful", "Run Terminated", 1)


async def test_an_invalid_spec_ends_at_once_with_what_is_wrong():
    status, reported = await run({"metrics": []})
    assert (status["phase"], status["message"], reported) == ("Error", "Analysis spec invalid: no metrics specified", [])


async def test_a_metric_that_needs_a_cluster_says_what_works_without():
    whole = template({"name": "m", "consecutiveErrorLimit": 0, "provider": {"job": {"spec": {}}}})
    with pytest.raises(NotAnalyzable, match=r"'job' needs a cluster; known: cloudWatch, datadog, "):
        await analyze(whole, {}, lambda _measured: None, clock=Clock())


# -- from a template to a run


def test_arguments_take_the_place_of_the_templates_own():
    spec = run_spec(template(metric(), args=[{"name": "host", "value": "a"}, {"name": "port", "value": "80"}]), {"host": "b"})
    assert spec["args"] == [{"name": "host", "value": "b"}, {"name": "port", "value": "80"}]


@pytest.mark.parametrize("kind", ["AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun"])
def test_templates_and_runs_can_be_analyzed(kind):
    assert run_spec(template(metric(), kind=kind), {})["metrics"] == [metric()]


def test_the_value_of_a_secret_is_given_by_hand():
    secret = {"name": "token", "valueFrom": {"secretKeyRef": {"name": "api", "key": "token"}}}
    assert run_spec(template(metric(), args=[secret]), {"token": "x"})["args"] == [{"name": "token", "value": "x"}]
    with pytest.raises(NotAnalyzable, match="argument 'token' comes from Secret 'api', which is in a cluster; give its value"):
        run_spec(template(metric(), args=[secret]), {})


@pytest.mark.parametrize(
    ("manifest", "args", "message"),
    [
        ({"kind": "Rollout"}, {}, "kind is 'Rollout', it must be one of AnalysisTemplate, ClusterAnalysisTemplate, AnalysisRun"),
        (template(), {"hots": "x"}, "argument 'hots' is not one of the template's: it has none"),
        (template(templates=[{"templateName": "other"}]), {}, "spec.templates names other templates, which are in a cluster"),
    ],
)
def test_what_cannot_be_analyzed_is_refused_by_name(manifest, args, message):
    with pytest.raises(NotAnalyzable, match=message):
        run_spec(manifest, args)


def test_an_argument_without_a_value_is_refused():
    with pytest.raises(ArgumentError, match=r"args\.host was not resolved"):
        run_spec(template(metric(), args=[{"name": "host"}]), {})
