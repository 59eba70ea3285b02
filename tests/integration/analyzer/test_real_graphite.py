"""The graphite provider against Graphite itself."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidegate.kube.memory import MemoryKube
from tidegate.testing import PatientOutbound
from tidegate.testing.graphite import graphite
from tidegate_analyzer.expression import condition
from tidegate_analyzer.provider import Context, Measured, NotMeasured, Tools
from tidegate_analyzer.providers import PROVIDERS

FOLDER = Path(__file__).parents[2] / "data" / "graphite"
NOW = datetime(2026, 11, 26, 8, 30, tzinfo=UTC)
SERIES = {"app.errors": [1, 2, None, 4], "app.requests": [100, 200, None, 400], "app.silent": [None, None, None, None]}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with graphite(FOLDER, SERIES) as url:
        yield url


@pytest.fixture
def ask(server):
    async def ask(query: str) -> Measured:
        async with PatientOutbound() as outbound:
            tools = Tools(outbound=outbound, kube=MemoryKube(clock=lambda: NOW), clock=lambda: NOW)
            context = Context(namespace="shop", run="canary", uid="u", metric="m", number=1, now=NOW)
            outcome = await PROVIDERS["graphite"](tools).measure({"address": server, "query": query}, context)
        assert isinstance(outcome, Measured)
        return outcome

    return ask


async def test_points_are_values_without_those_that_are_missing(ask):
    answer = await ask("target=app.errors&from=-30min")
    assert (answer.result, answer.value) == ([1.0, 2.0, 4.0], "[1.000000,2.000000,4.000000]")


async def test_functions_are_graphites(ask):
    answer = await ask("target=divideSeries(app.errors, app.requests)\n  &from=-30min")
    assert answer.result == [0.01, 0.01, 0.01]
    assert condition("all(result, # <= 0.01)", answer.result)
    hours = (await ask("target=summarize(app.errors,'1h','sum')&from=-30min")).result
    assert sum(hours) == 7.0  # in two of them, when the half-hour is


async def test_of_several_targets_the_first_one_counts(ask):
    assert (await ask("target=app.requests&target=app.errors&from=-30min")).result == [100.0, 200.0, 400.0]


async def test_a_metric_that_nobody_wrote_is_no_value(ask):
    with pytest.raises(NotMeasured, match="no values found"):
        await ask("target=app.nobody&from=-30min")


async def test_a_metric_without_points_is_an_empty_list(ask):
    answer = await ask("target=app.silent&from=-30min")
    assert (answer.result, answer.value) == ([], "[]")


async def test_a_function_that_it_does_not_know_is_told_in_its_words(ask):
    with pytest.raises(NotMeasured, match=r"error response: .*unknown function: nofunc"):
        await ask("target=nofunc(app.errors)&from=-30min")
