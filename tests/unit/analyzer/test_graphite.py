"""What the Graphite provider asks and what it makes of answers (`argo-behaviour.md` 8.6)."""

import pytest

from tidegate.outbound import Answer, Call
from tidegate_analyzer.provider import NotMeasured
from tidegate_analyzer.providers.graphite import call_of, measured


@pytest.mark.parametrize(
    ("address", "query", "url"),
    [
        ("http://g:8080", "target=a.b&from=-2min", "http://g:8080/render?format=json&from=-2min&target=a.b"),
        ("http://g/graphite/", "target=a", "http://g/graphite/render?format=json&target=a"),
        ("http://g", " target=sum( a.*,\n b )&target=c ", "http://g/render?format=json&target=sum%28a.%2A%2Cb%29&target=c"),
        ("http://g", "format=csv&target=a", "http://g/render?format=json&target=a"),
    ],
)
def test_the_query_is_a_query_string_without_white_space(address, query, url):
    assert call_of({"address": address, "query": query}) == Call(method="GET", url=url, timeout=10.0)


@pytest.mark.parametrize("address", ["", "graphite", "graphite:8080", "http://[", "http://"])
def test_an_address_must_be_a_url(address):
    with pytest.raises(NotMeasured) as told:
        call_of({"address": address, "query": "target=a"})
    assert str(told.value) == f"Graphite address {address} is not a valid URL"


@pytest.mark.parametrize(
    ("body", "result", "value"),
    [
        (b'[{"target":"a","datapoints":[[1,10],[2.5,20]]}]', [1.0, 2.5], "[1.000000,2.500000]"),
        (b'[{"target":"a","datapoints":[[null,10],[3,20],[null,30]]}]', [3.0], "[3.000000]"),
        (b'[{"target":"a","datapoints":[["4.5",10]]}]', [4.5], "[4.500000]"),
        (b'[{"target":"a","datapoints":[[1,10]]},{"target":"b","datapoints":[[2,10]]}]', [1.0], "[1.000000]"),
        (b'[{"target":"a","datapoints":[[null,10]]}]', [], "[]"),
    ],
)
def test_the_points_of_the_first_target_are_the_value(body, result, value):
    outcome = measured(Answer(200, body))
    assert (outcome.result, outcome.value) == (result, value)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b"[]", "no values found"),
        (200, b'[{"target":"a","datapoints":[]}]', "no values found"),
        (400, b"Invalid function", "error response: Invalid function"),
        (401, b"no", "error response: no"),
        (503, b"", "error response: "),
        (200, b'[{"datapoints":[[1]]}]', "error unmarshaling data point: [1]"),
        (200, b'[{"datapoints":[[true,10]]}]', "error unmarshaling value: true"),
        (200, b'[{"datapoints":[["many",10]]}]', "error unmarshaling value: many"),
        (200, b'{"a":1}', "the answer of Graphite is not a list of targets"),
    ],
)
def test_what_cannot_be_measured_is_said(status, body, message):
    with pytest.raises(NotMeasured) as told:
        measured(Answer(status, body))
    assert str(told.value) == message
