"""The skywalking provider against SkyWalking itself: a hundred requests, seven of them errors, a quarter of a second each."""

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tidegate.kube.memory import MemoryKube
from tidegate.testing import PatientOutbound, eventually
from tidegate.testing.skywalking import SkyWalking, skywalking
from tidegate_analyzer.expression import condition
from tidegate_analyzer.provider import Context, Measured, NotMeasured, Tools
from tidegate_analyzer.providers import PROVIDERS

FOLDER = Path(__file__).parents[2] / "data" / "skywalking"
MINUTE = 60
HEAD = "query measured($duration: Duration!) "
OF_WEB = 'entity: {scope: Service, serviceName: "web", normal: true}'

Ask = Callable[[str], Awaitable[Measured]]


@pytest.fixture(scope="module")
def server() -> Iterator[SkyWalking]:
    with skywalking(FOLDER) as running:
        yield running


@pytest.fixture(scope="module")
def began(server: SkyWalking) -> float:
    """The whole minute in which the requests came."""
    minute = (time.time() // MINUTE - 2) * MINUTE
    server.serve("web", at=minute, requests=100, errors=7, milliseconds=250)
    return float(minute)


@pytest.fixture
def ask(server: SkyWalking, began: float) -> Ask:
    now = datetime.fromtimestamp(began + 3 * MINUTE, UTC)

    async def ask(query: str) -> Measured:
        async with PatientOutbound() as outbound:
            tools = Tools(outbound=outbound, kube=MemoryKube(clock=lambda: now), clock=lambda: now)
            context = Context(namespace="shop", run="canary", uid="u", metric="m", number=1, now=now)
            config = {"address": server.url, "query": HEAD + query, "interval": "5m"}
            outcome = await PROVIDERS["skywalking"](tools).measure(config, context)
        assert isinstance(outcome, Measured)
        return outcome

    return ask


def by_minute(metric: str) -> str:
    condition = f'{{name: "{metric}", {OF_WEB}}}'
    return f"{{ found: readMetricsValues(condition: {condition}, duration: $duration) {{ values {{ values {{ value }} }} }} }}"


def expression(text: str) -> str:
    asked = f'execExpression(expression: "{text}", {OF_WEB}, duration: $duration)'
    return f"{{ found: {asked} {{ results {{ values {{ value }} }} error }} }}"


async def until(ask: Ask, query: str, holds: str) -> Measured:
    """It takes a second or two to make metrics of what it was told, and may do so by halves."""
    return await eventually(lambda: ask(query), lambda seen: condition(holds, seen.result), what=holds)


async def test_each_minute_has_a_value_and_the_duration_is_the_interval(ask):
    values = "map(result.found.values.values, .value)"
    await until(ask, by_minute("service_cpm"), f"{values} == [0, 0, 100, 0, 0, 0]")
    measured = await until(ask, by_minute("service_sla"), f"{values} == [0, 0, 9300, 0, 0, 0]")
    assert json.loads(measured.value) == measured.result


async def test_query_expressions_are_skywalkings(ask):
    await until(ask, expression("avg(service_sla/100)"), 'result.found.results[0].values[0].value == "93"')
    measured = await until(ask, expression("max(service_resp_time)"), 'result.found.results[0].values[0].value == "250"')
    assert measured.result["found"]["error"] is None


async def test_a_metric_that_it_does_not_know_is_told_inside_its_answer_or_zero(ask):
    measured = await ask(expression("nobody"))
    assert measured.result["found"] == {"results": [], "error": "Metric: [nobody] does not exist."}
    assert condition("all(result.found.values.values, .value == 0)", (await ask(by_minute("nobody"))).result)


async def test_a_query_that_its_schema_has_not_is_told_in_its_words(ask):
    words = r"graphql: Validation error \(FieldUndefined@\[nobody\]\) : Field 'nobody' in type 'Query' is undefined"
    with pytest.raises(NotMeasured, match=words):
        await ask("{ nobody(duration: $duration) }")
