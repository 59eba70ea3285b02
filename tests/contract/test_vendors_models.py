"""Providers of services that no test can run, held to what their vendors say of them: schemas, recorded answers, their own client.

Where each piece comes from stands in its file in tests/data/vendors. The questions are those the providers make, the answers go
through their own reading.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import graphql
import jsonschema_rs
import pytest
import wavefront_api_client

from tidegate.config import DatadogLogin
from tidegate.outbound import Answer, Call
from tidegate_analyzer.provider import NotMeasured
from tidegate_analyzer.providers import datadog, new_relic, skywalking, wavefront
from tidegate_analyzer.testing import Endpoint, Reply

VENDORS = Path(__file__).parents[1] / "data" / "vendors"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LOGIN = DatadogLogin(address="https://api.datadoghq.com", api_key="4pi", app_key="4pp")


def body_of(call: Call) -> Any:
    return json.loads(call.body)


# --- Datadog ------------------------------------------------------------------------------------------------------------

SCALAR = json.loads((VENDORS / "datadog-scalar.json").read_text())
RECORDED = json.loads((VENDORS / "datadog-recorded.json").read_text())


def model(of: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for({**SCALAR[of], "definitions": SCALAR["definitions"]}, validate_formats=False)


@pytest.mark.parametrize(
    "config",
    [
        {"query": "avg:system.cpu.user{*}"},
        {"query": "avg:system.cpu.user{*} by {host}", "aggregator": "max"},
        {"queries": {"a": "sum:errors{*}", "b": "sum:requests{*}"}, "formula": "a / b", "aggregator": "sum", "interval": "10m"},
    ],
    ids=["query", "by group", "formula"],
)
def test_datadog_would_take_the_question(config: dict[str, Any]) -> None:
    call = datadog.call_of({"apiVersion": "v2", **config}, LOGIN, NOW)
    assert (call.method, urlsplit(call.url).path) == ("POST", "/api/v2/query/scalar")
    assert [str(error) for error in model("request").iter_errors(body_of(call))] == []


def test_datadogs_model_knows_a_wrong_question() -> None:
    wrong = body_of(datadog.call_of({"apiVersion": "v2", "query": "q", "aggregator": "biggest"}, LOGIN, NOW))
    assert list(model("request").iter_errors(wrong))


@pytest.mark.parametrize("exchange", RECORDED, ids=lambda exchange: exchange["name"])
def test_answers_that_datadog_gave_are_read(exchange: dict[str, Any]) -> None:
    answer = Answer(exchange["status"], exchange["body"].encode())
    version = "v2" if "/v2/" in exchange["uri"] else "v1"
    if version == "v2" and answer.is_success:
        assert model("response").is_valid(json.loads(answer.body))
    if "value" in exchange:
        assert datadog.measured(answer, version, LOGIN).value == exchange["value"]
    else:
        with pytest.raises(NotMeasured) as told:
            datadog.measured(answer, version, LOGIN)
        assert str(told.value) == exchange["says"]


# --- New Relic and SkyWalking: GraphQL ----------------------------------------------------------------------------------


def asked_of(vendor: str, call: Call, root: dict[str, Any]) -> Answer:
    """What a server with the vendor's schema answers to a call, with `root` as its data."""
    schema = graphql.build_schema((VENDORS / f"{vendor}.graphql").read_text())
    question = body_of(call)
    found = graphql.graphql_sync(schema, question["query"], root_value=root, variable_values=question["variables"])
    return Answer(200, json.dumps(found.formatted).encode())


NEW_RELIC = {"personal-api-key": "k3y", "account-id": "42"}


def test_new_relic_would_take_the_question_and_its_rows_are_read() -> None:
    def nrql(_info: Any, query: str, timeout: int, **_: Any) -> dict[str, Any]:
        assert (query, timeout) == ("SELECT 1", 7)
        return {"results": [{"rate": 0.5}]}

    def account(_info: Any, id: int) -> dict[str, Any]:  # noqa: A002 - NerdGraph's name
        assert id == 42
        return {"nrql": nrql}

    call = new_relic.call_of({"query": "SELECT 1", "timeout": 7}, NEW_RELIC)
    answer = asked_of("newrelic", call, {"actor": {"account": account}})
    assert new_relic.measured(answer, about={}).result == {"rate": 0.5}


def test_new_relics_model_knows_a_wrong_question() -> None:
    call = new_relic.call_of({"query": "SELECT 1"}, NEW_RELIC)
    wrong = Call(method="POST", url=call.url, body=call.body.replace(b"results", b"rows"), timeout=1)
    with pytest.raises(NotMeasured, match="Cannot query field 'rows' on type 'NrdbResultContainer'"):
        new_relic.measured(asked_of("newrelic", wrong, {}), about={})


VALUES = """query queryData($duration: Duration!) {
  service_apdex: readMetricsValues(condition: {name: "service_apdex", entity: {scope: Service, serviceName: "web", normal: true}},
                                   duration: $duration) { label values { values { id value } } }
}"""
EXPRESSION = """query queryData($duration: Duration!) {
  sla: execExpression(expression: "avg(service_sla/100)", entity: {serviceName: "web", normal: true}, duration: $duration) {
    type results { values { id value } } error }
}"""
INSTANT = {"address": "http://oap:12800", "interval": "5m"}


def test_skywalking_would_take_the_duration_and_its_values_are_read() -> None:
    def read(_info: Any, duration: dict[str, str], **_: Any) -> dict[str, Any]:
        assert duration == {"start": "2026-11-20 1155", "end": "2026-11-20 1200", "step": "MINUTE"}
        return {"label": None, "values": {"values": [{"id": "202611201155", "value": 9300}]}}

    call = skywalking.call_of({**INSTANT, "query": VALUES}, NOW)
    measured = skywalking.measured(asked_of("skywalking", call, {"readMetricsValues": read}))
    assert measured.result["service_apdex"]["values"]["values"] == [{"id": "202611201155", "value": 9300}]


def test_skywalkings_query_expressions_are_read_too() -> None:
    found = {"type": "SINGLE_VALUE", "results": [{"values": [{"id": None, "value": "93"}]}], "error": None}
    call = skywalking.call_of({**INSTANT, "query": EXPRESSION}, NOW)
    measured = skywalking.measured(asked_of("skywalking", call, {"execExpression": lambda *_, **__: found}))
    assert measured.result["sla"]["results"][0]["values"][0]["value"] == "93"


def test_what_skywalking_refuses_is_told_in_its_words() -> None:
    call = skywalking.call_of({**INSTANT, "query": VALUES.replace("label", "labels")}, NOW)
    with pytest.raises(NotMeasured, match="graphql: Cannot query field 'labels' on type 'MetricsValues'"):
        skywalking.measured(asked_of("skywalking", call, {}))


# --- Wavefront: its official client at the same address -----------------------------------------------------------------

CHART = {
    "query": "ts(rate)",
    "name": "rate",
    "timeseries": [{"label": "rate", "host": "web", "data": [[1795176000, 0.25], [1795176060, 0.5]]}],
    "warnings": "a warning",
}


def test_wavefronts_own_client_asks_and_reads_as_we_do() -> None:
    with Endpoint() as endpoint:
        endpoint.answer("/api/v2/chart/api", Reply(body=json.dumps(CHART).encode(), headers={"Content-Type": "application/json"}))
        settings = wavefront_api_client.Configuration()
        settings.host, settings.api_key = endpoint.url(""), {"X-AUTH-TOKEN": "t0ken"}
        client = wavefront_api_client.ApiClient(settings, header_name="Authorization", header_value="Bearer t0ken")
        theirs = wavefront_api_client.QueryApi(client).query_api("ts(rate)", "1795176000000", "s", e="1795176000000", p="1", i=True)
        asked = endpoint.asked[-1]

    ours = wavefront.call_of({"address": "example.wavefront.com", "query": "ts(rate)"}, {"example.wavefront.com": "t0ken"}, NOW)
    sent = parse_qs(urlsplit(ours.url).query)
    wanted = parse_qs(urlsplit(asked.path).query)
    assert urlsplit(ours.url).path == urlsplit(asked.path).path
    assert {key: [value.lower() for value in values] for key, values in wanted.items()}.items() <= sent.items()
    assert dict(ours.headers)["Authorization"] == asked.headers["Authorization"]

    measured = wavefront.measured(Answer(200, json.dumps(CHART).encode()), NOW)
    assert theirs.timeseries[0].data[0] == [1795176000, 0.25]
    assert measured.result == theirs.timeseries[0].data[0][1], "the point nearest to now"
    assert measured.metadata["warnings"] == theirs.warnings
