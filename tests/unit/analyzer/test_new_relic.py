"""What the New Relic provider asks and what it makes of answers (`argo-behaviour.md` 8.5)."""

import json

import pytest

from tidegate.outbound import Answer
from tidegate_analyzer.provider import NotMeasured
from tidegate_analyzer.providers.new_relic import call_of, measured

LOGIN = {"personal-api-key": "k3y", "account-id": "42"}
ABOUT = {"ResolvedNewRelicQuery": "SELECT 1"}


def test_a_query_is_posted_as_graphql():
    call = call_of({"query": "SELECT 1"}, LOGIN)
    assert (call.method, call.url, call.timeout) == ("POST", "https://api.newrelic.com/graphql", 30.0)
    assert call.headers == (("Api-Key", "k3y"), ("Content-Type", "application/json"))
    body = json.loads(call.body)
    assert body["variables"] == {"accountId": 42, "query": "SELECT 1", "timeout": 5}
    assert "account(id: $accountId) { nrql(query: $query, timeout: $timeout) { results } }" in body["query"]


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ({"region": "eu"}, "https://api.eu.newrelic.com/graphql"),
        ({"region": "EU"}, "https://api.eu.newrelic.com/graphql"),
        ({"region": "staging"}, "https://staging-api.newrelic.com/graphql"),
        ({"region": "eu", "base-url-nerdgraph": "https://proxy.test/graphql"}, "https://proxy.test/graphql"),
    ],
)
def test_the_secret_says_where_to(more, url):
    assert call_of({}, {**LOGIN, **more}).url == url


@pytest.mark.parametrize(
    ("config", "login", "message"),
    [
        ({"timeout": -1}, LOGIN, "timeout value needs to be a positive value"),
        ({}, {"account-id": "42"}, "account ID or personal API key not found"),
        ({}, {"personal-api-key": "k"}, "account ID or personal API key not found"),
        ({}, {**LOGIN, "account-id": "mine"}, 'could not parse account ID: strconv.Atoi: parsing "mine": invalid syntax'),
        ({}, {**LOGIN, "region": "mars"}, "region 'mars' is not one of us, eu, staging"),
    ],
)
def test_what_is_wrong_with_a_metric_or_its_secret_is_said(config, login, message):
    with pytest.raises(NotMeasured) as told:
        call_of(config, login)
    assert str(told.value) == message


def rows(*each: object) -> Answer:
    return Answer(200, json.dumps({"data": {"actor": {"account": {"nrql": {"results": each}}}}}).encode())


@pytest.mark.parametrize(
    ("answer", "result", "value"),
    [
        (rows({"count": 3}), {"count": 3.0}, '{"count":3}'),
        (rows({"b": 1, "a": "x"}, {"b": 2}), [{"b": 1.0, "a": "x"}, {"b": 2.0}], '[{"a":"x","b":1},{"b":2}]'),
    ],
)
def test_one_row_is_a_map_and_several_are_a_list(answer, result, value):
    outcome = measured(answer, about=ABOUT)
    assert (outcome.result, outcome.value, outcome.about) == (result, value, ABOUT)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (rows(), "no results returned from NRQL query"),
        (rows({}), "no results returned from NRQL query"),
        (Answer(200, b'{"data":{"actor":null}}'), "no results returned from NRQL query"),
        (Answer(200, b'{"errors":[{"message":"NRQL Syntax Error"},{"message":"b"}]}'), "NRQL Syntax Error, b"),
        (Answer(401, b'{"errors":[{"message":"bad key k3y"}]}'), "401 response returned: bad key *****"),
        (Answer(403, b"not with k3y"), "403 response returned: not with *****"),
    ],
)
def test_what_cannot_be_measured_is_said(answer, message):
    with pytest.raises(NotMeasured) as told:
        measured(answer, about=ABOUT, key="k3y")
    assert str(told.value) == message
