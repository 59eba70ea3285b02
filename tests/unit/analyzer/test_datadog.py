"""What the Datadog provider asks and what it makes of answers (`argo-behaviour.md` 8.3)."""

import json
from datetime import UTC, datetime

import pytest

from tidegate.config import DatadogLogin
from tidegate.outbound import Answer
from tidegate_analyzer.provider import NotMeasured
from tidegate_analyzer.providers.datadog import call_of, measured

NOW = datetime(2026, 11, 20, 12, 0, 0, 500_000, UTC)
SECONDS = 1795176000
LOGIN = DatadogLogin(address="https://api.datadoghq.com", api_key="4pi", app_key="4pp")
HEADERS = (("Content-Type", "application/json"), ("DD-API-KEY", "4pi"), ("DD-APPLICATION-KEY", "4pp"))


def test_v1_is_asked_by_get():
    call = call_of({"query": "avg:cpu{*} by {host}"}, LOGIN, NOW)
    assert (call.method, call.headers, call.body, call.timeout) == ("GET", HEADERS, b"", 10.0)
    assert call.url == (
        f"https://api.datadoghq.com/api/v1/query?from={SECONDS - 300}&query=avg%3Acpu%7B%2A%7D+by+%7Bhost%7D&to={SECONDS}"
    )


def v2(config: dict) -> dict:
    call = call_of({"apiVersion": "v2", **config}, LOGIN, NOW)
    assert (call.method, call.url, call.headers) == ("POST", "https://api.datadoghq.com/api/v2/query/scalar", HEADERS)
    return json.loads(call.body)


def test_v2_is_asked_for_a_scalar():
    assert v2({"query": "avg:cpu{*}", "interval": "30s", "aggregator": "max"}) == {
        "data": {
            "type": "scalar_request",
            "attributes": {
                "from": (SECONDS - 30) * 1000,
                "to": SECONDS * 1000,
                "queries": [{"aggregator": "max", "data_source": "metrics", "name": "query", "query": "avg:cpu{*}"}],
                "formulas": [],
            },
        }
    }


def test_v2_takes_several_queries_and_a_formula():
    sent = v2({"queries": {"a": "qa", "b": "qb"}, "formula": "a / b"})["data"]["attributes"]
    assert [(each["name"], each["query"], each["aggregator"]) for each in sent["queries"]] == [
        ("a", "qa", "last"),
        ("b", "qb", "last"),
    ]
    assert sent["formulas"] == [{"formula": "a / b"}]


def test_a_request_may_take_as_long_as_the_metric_says():
    assert call_of({"query": "q", "requestTimeout": "1m30s"}, LOGIN, NOW).timeout == 90.0


REVIEW = "Please review the Analysis Template."


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, f"Must have either a query or queries. {REVIEW}"),
        ({"query": "q", "queries": {"a": "q"}}, f"Cannot have both a query and queries. {REVIEW}"),
        (
            {"queries": {"a": "q"}},
            "Query is empty. API Version v1 only supports using the query parameter in your Analysis Template.",
        ),
        ({"query": "q", "formula": "a"}, f"Formula are only valid when queries are set. {REVIEW}"),
        (
            {"apiVersion": "v2", "queries": {"a": "q", "b": "q"}},
            "When multiple queries are provided you must include a formula.",
        ),
        ({"query": "q", "aggregator": "max"}, f"Aggregator is not supported in v1. {REVIEW}"),
        ({"query": "q", "requestTimeout": "0s"}, f"Request timeout must be a positive duration (e.g. 30s). {REVIEW}"),
        ({"query": "q", "requestTimeout": "-5s"}, f"Request timeout must be a positive duration (e.g. 30s). {REVIEW}"),
        (
            {"query": "q", "requestTimeout": "soon"},
            f'Could not parse the request timeout: time: invalid duration "soon". {REVIEW}',
        ),
        ({"query": "q", "interval": "5"}, 'time: missing unit in duration "5"'),
        ({"query": "q", "apiVersion": "v3"}, "Invalid API version: v3"),
    ],
)
def test_what_is_wrong_with_a_metric_is_said_in_the_peers_words(config, message):
    with pytest.raises(NotMeasured) as told:
        call_of(config, LOGIN, NOW)
    assert str(told.value) == message


def series(*pointlists: list) -> bytes:
    return json.dumps({"series": [{"pointlist": each} for each in pointlists]}).encode()


@pytest.mark.parametrize(
    ("body", "result", "value"),
    [
        pytest.param(series([[1, 0.5], [2, 0.0003]]), 0.0003, "0.0003", id="the last point"),
        pytest.param(series([[1, 1e21]]), 1e21, "1000000000000000000000", id="no exponent"),
        pytest.param(series([[1, 7]], [[1, 8]]), 7.0, "7", id="of the first series"),
        pytest.param(series(), None, "[]", id="no series"),
        pytest.param(series([]), None, "[]", id="no points"),
        pytest.param(b"{}", None, "[]", id="nothing"),
        pytest.param(series([[1, 7], [2, None]]), None, "[]", id="null is no data, and not 0"),
    ],
)
def test_v1_gives_the_last_point_of_the_first_series(body, result, value):
    outcome = measured(Answer(200, body), "v1", LOGIN)
    assert (outcome.result, outcome.value) == (result, value)


def columns(*each: dict) -> Answer:
    return Answer(200, json.dumps({"data": {"attributes": {"columns": each}}}).encode())


def number(*values: object, **more: str) -> dict:
    return {"name": "query", "type": "number", "values": values, **more}


def group(name: str, *values: object) -> dict:
    return {"name": name, "type": "group", "values": values}


@pytest.mark.parametrize(
    ("answer", "result", "value", "metadata"),
    [
        pytest.param(columns(number(0.5)), 0.5, "0.5", {}, id="a scalar"),
        pytest.param(columns(number(1), number(2)), 1.0, "1", {}, id="the first of two columns"),
        pytest.param(columns({"values": [3]}), 3.0, "3", {}, id="a column without a type"),
        pytest.param(columns(), None, "[]", {}, id="no columns"),
        pytest.param(columns(number(None)), None, "[]", {}, id="only nulls"),
        pytest.param(Answer(200, b'{"data":{}}'), None, "[]", {}, id="nothing"),
        pytest.param(
            columns(group("host", ["a"]), number(1)), [1.0], "[1]", {"groups": '[{"name":"a","value":1}]'},
            id="one group is a list too",
        ),
        pytest.param(
            columns(group("region", ["eu"], ["us"], ["ap"]), group("host", ["a", "b"], ["c"], ["d"]), number(1, None, 2.5)),
            [1.0, 2.5], "[1,2.5]", {"groups": '[{"name":"eu,a,b","value":1},{"name":"ap,d","value":2.5}]'},
            id="groups of two tags; null means no data",
        ),
    ],
)  # fmt: skip
def test_v2_gives_the_first_column_of_numbers(answer, result, value, metadata):
    outcome = measured(answer, "v2", LOGIN)
    assert (outcome.result, outcome.value, outcome.metadata) == (result, value, metadata)


def test_of_very_many_groups_the_lowest_and_the_highest_are_shown_and_all_are_judged():
    values = list(range(150))[::-1]
    outcome = measured(columns(group("host", *([str(each)] for each in values)), number(*values)), "v2", LOGIN)
    shown = [each["value"] for each in json.loads(outcome.metadata["groups"])]
    assert (len(outcome.result), outcome.metadata["groups_truncated"]) == (150, "true")
    assert shown == [*range(50), *range(100, 150)]


@pytest.mark.parametrize(
    ("version", "answer", "message"),
    [
        ("v1", Answer(401, b"bad 4pi"), "received authentication error response code: 401 bad *****"),
        ("v2", Answer(403, b"no"), "received authentication error response code: 403 no"),
        ("v1", Answer(429, b"slow down"), "received non 2xx response code: 429 slow down"),
        ("v2", Answer(202, b""), "received non 2xx response code: 202 "),
        ("v1", Answer(200, series([[1]])), "Datapoint does not have 2 values"),
        ("v2", Answer(200, b'{"data":{"errors":"bad query"}}'), "There were errors in your query: bad query"),
        ("v2", columns(group("host", None), number(1)), "could not parse group label at index 0"),
        ("v2", columns(group("host"), number(1)), "could not parse group label at index 0"),
        ("v2", columns(number("x")), 'could not parse numeric value "\\"x\\"" in column "query": it is not a number'),
    ],
)
def test_what_cannot_be_measured_is_said(version, answer, message):
    with pytest.raises(NotMeasured) as told:
        measured(answer, version, LOGIN)
    assert str(told.value) == message


def test_an_answer_that_is_not_json_is_said():
    with pytest.raises(NotMeasured, match=r"^Could not parse JSON body: "):
        measured(Answer(200, b"<html>"), "v1", LOGIN)
