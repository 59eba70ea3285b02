"""What the SkyWalking provider asks and what it makes of answers (`argo-behaviour.md` 8.9)."""

import json
from datetime import UTC, datetime

import pytest

from tidegate.outbound import Answer
from tidegate_analyzer.provider import NotMeasured
from tidegate_analyzer.providers.skywalking import call_of, measured

NOW = datetime(2026, 11, 20, 0, 3, 59, tzinfo=UTC)


def test_a_query_is_posted_with_its_duration_in_minutes():
    call = call_of({"address": "http://sky:12800/", "query": "query q($duration: Duration!) { x }", "interval": "5m"}, NOW)
    assert (call.method, call.url, call.timeout) == ("POST", "http://sky:12800/graphql", 30.0)
    assert dict(call.headers) == dict.fromkeys(("Content-Type", "Accept"), "application/json; charset=utf-8")
    assert json.loads(call.body) == {
        "query": "query q($duration: Duration!) { x }",
        "variables": {"duration": {"start": "2026-11-19 2358", "end": "2026-11-20 0003", "step": "MINUTE"}},
    }


def test_an_interval_is_needed():
    with pytest.raises(NotMeasured, match=r'^time: invalid duration ""$'):
        call_of({"address": "http://sky", "query": "q"}, NOW)


def test_the_data_is_the_value():
    outcome = measured(Answer(200, b'{"data":{"service_sla":{"values":[{"value":9300}]},"a":"<"}}'))
    assert outcome.result == {"service_sla": {"values": [{"value": 9300.0}]}, "a": "<"}
    assert outcome.value == '{"a":"\\u003c","service_sla":{"values":[{"value":9300}]}}'


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b'{"data":null}', "no results returned from SkyWalking query"),
        (200, b'{"data":{"a":1},"errors":[{"message":"first"},{"message":"second"}]}', "graphql: first"),
        (400, b'{"errors":[{"message":"Validation error"}]}', "graphql: Validation error"),
        (401, b"no", "graphql: server returned a non-200 status code: 401"),
        (503, b"{}", "graphql: server returned a non-200 status code: 503"),
    ],
)
def test_what_cannot_be_measured_is_said(status, body, message):
    with pytest.raises(NotMeasured) as told:
        measured(Answer(status, body))
    assert str(told.value) == message
