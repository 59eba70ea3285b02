"""The prometheus provider against Prometheus itself, which scrapes an endpoint of ours."""

import math
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from tidegate.kube.memory import MemoryKube
from tidegate.testing import PatientOutbound, eventually
from tidegate_analyzer.analyze import analyze
from tidegate_analyzer.provider import Context, Measured, NotMeasured, Provider, Tools
from tidegate_analyzer.providers import PROVIDERS
from tidegate_analyzer.testing import Endpoint, Reply
from tidegate_embedded.prometheus import LocalPrometheus

METRICS = """\
# TYPE requests counter
requests_total{{version="canary",code="200"}} 95 {at}
requests_total{{version="canary",code="500"}} 5 {at}
requests_total{{version="stable",code="200"}} 400 {at}
# TYPE nothing gauge
nothing 0 {at}
# TYPE strange gauge
strange NaN {at}
"""
"""With the moment in milliseconds: what has one stays when a scrape fails, as each does that this process keeps waiting."""
# "s3cret" as bcrypt keeps it
WEB = {"basic_auth_users": {"tidegate": "$2b$04$Qny1IJM3yb2H5qt0vSOV7uH9.bZpj/l.rAJI6HILrWKbtKZLF2fmC"}}


@pytest.fixture(scope="module")
def scraped() -> Iterator[str]:
    with Endpoint() as endpoint:
        metrics = METRICS.format(at=int(now().timestamp() * 1000) - 60_000).encode()
        endpoint.answer("/metrics", Reply(body=metrics, headers={"Content-Type": "text/plain; version=0.0.4"}))
        yield endpoint.url("").removeprefix("http://")


@pytest.fixture(scope="module")
def server(scraped: str) -> Iterator[LocalPrometheus]:
    with LocalPrometheus(scrape=[scraped]) as server:
        yield server


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - Prometheus has a clock of its own


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with PatientOutbound() as outbound:
        yield PROVIDERS["prometheus"](Tools(outbound=outbound, kube=MemoryKube(clock=now), clock=now))


@pytest.fixture
async def ask(provider: Provider, server: LocalPrometheus):
    """Asks until the first scrape is in."""

    async def ask(query: str, **config: Any) -> Measured:
        await eventually(lambda: measured(provider, server, "requests_total"), lambda seen: seen.result, what="the first scrape")
        return await measured(provider, server, query, **config)

    return ask


async def measured(provider: Provider, server: LocalPrometheus, query: str, **config: Any) -> Measured:
    context = Context(namespace="shop", run="canary", uid="u", metric="m", number=1, now=now())
    outcome = await provider.measure({"address": server.url, "query": query, **config}, context)
    assert isinstance(outcome, Measured)
    return outcome


async def test_a_vector_is_the_list_of_its_values(ask):
    query = 'sum(requests_total{version="canary",code!~"5.."}) / sum(requests_total{version="canary"})'
    answer = await ask(query)
    assert (answer.result, answer.value) == ([0.95], "[0.95]")
    assert answer.about == {"ResolvedPrometheusQuery": query}


async def test_a_scalar_is_a_number(ask):
    answer = await ask("scalar(sum(requests_total))")
    assert (answer.result, answer.value) == (500.0, "500")


async def test_several_series_are_all_there(ask):
    assert sorted((await ask('requests_total{version="canary"}')).result) == [5.0, 95.0]


async def test_no_series_is_an_empty_list(ask):
    answer = await ask('requests_total{version="nobody"}')
    assert (answer.result, answer.value) == ([], "[]")


async def test_what_is_not_a_number_stays_none(ask):
    for query in ("nothing / nothing", "strange"):
        answer = await ask(query)
        assert math.isnan(answer.result[0])
        assert answer.value == "[NaN]"
    assert (await ask("sum(requests_total) / nothing")).value == "[]"  # on(...) finds no partner
    assert (await ask("scalar(sum(requests_total)) / 0")).value == "+Inf"


async def test_a_rate_and_its_count_come_in_the_order_of_the_query(ask):
    """The recipe for low traffic in docs/providers.md rests on it."""
    rate, count = 'sum(requests_total{version="canary",code="200"}) / sum(requests_total{version="canary"})', "sum(requests_total)"
    for _ in range(5):
        answer = await ask(f'label_replace({rate}, "what", "rate", "", "") or label_replace({count}, "what", "count", "", "")')
        assert answer.result == [0.95, 500.0]


async def test_a_range_is_all_values_of_its_steps(ask):
    ranged = {"start": "now() - duration('2s')", "end": "now()", "step": "1s"}
    answer = await ask("scalar(sum(requests_total)) * 0 + 1", rangeQuery=ranged)
    assert answer.result == [1.0, 1.0, 1.0]


async def test_a_query_it_cannot_read_is_told_in_its_own_words(ask):
    with pytest.raises(NotMeasured, match=r"^bad_data: .*parse error: unclosed left parenthesis"):
        await ask("sum(requests_total")


async def test_a_query_that_fails_while_it_runs_is_told(ask):
    with pytest.raises(NotMeasured, match=r"^execution: .*many-to-many matching not allowed"):
        await ask("requests_total * ignoring(code) requests_total")


async def test_warnings_reach_the_measurement(ask):
    answer = await ask('quantile(2, requests_total{version="canary"})')
    assert "quantile value should be between 0 and 1" in answer.metadata["warnings"]


async def test_name_and_password_open_what_asks_for_them(provider):
    with LocalPrometheus(web=WEB) as guarded:
        login = {"username": "tidegate", "password": "s3cret"}
        answer = await measured(provider, guarded, "vector(1)", authentication={"basicAuth": login})
        assert answer.result == [1.0]
        for authentication in ({}, {"basicAuth": {**login, "password": "wrong"}}):
            with pytest.raises(NotMeasured, match="client_error: client error: 401"):
                await measured(provider, guarded, "vector(1)", authentication=authentication)


async def test_a_template_is_measured_and_judged_from_here(ask, server):
    await ask("up")
    template = yaml.safe_load(f"""
        kind: AnalysisTemplate
        metadata: {{name: success-rate}}
        spec:
          args: [{{name: version}}]
          metrics:
            - name: success-rate
              interval: 1s
              count: 2
              successCondition: result[0] >= 0.95
              provider:
                prometheus:
                  address: {server.url}
                  query: |
                    sum(requests_total{{version="{{{{args.version}}}}",code="200"}})
                    / sum(requests_total{{version="{{{{args.version}}}}"}})
            - name: no-data
              consecutiveErrorLimit: 0
              successCondition: result[0] > 0
              provider:
                prometheus: {{address: {server.url}, query: 'requests_total{{version="nobody"}}'}}
    """)
    told = []

    async def judged(metric: dict[str, Any]) -> dict[str, Any]:
        """Each in a run of its own: the verdict on one ends what is under way for another."""
        alone = {**template, "spec": {**template["spec"], "metrics": [metric]}}
        return await analyze(alone, {"version": "canary"}, told.append, clock=now)

    success_rate, no_data = template["spec"]["metrics"]
    assert (await judged(success_rate))["phase"] == "Successful"
    assert [(each.metric, each.phase, each.value) for each in told] == [("success-rate", "Successful", "[0.95]")] * 2
    status = await judged(no_data)
    assert status["phase"] == "Error"
    assert status["message"].startswith('Metric "no-data" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0)')
    assert "no data returned from the metric provider" in status["message"]
