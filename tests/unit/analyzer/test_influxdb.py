"""What the InfluxDB provider asks and what it makes of annotated CSV (`argo-behaviour.md` 8.7)."""

import json

import pytest

from tidegate.outbound import Answer
from tidegate_analyzer.provider import NotMeasured
from tidegate_analyzer.providers.influxdb import call_of, measured

LOGIN = {"address": "https://influx.test:8086/", "authToken": "t0ken", "org": "my org"}


def test_a_query_is_posted_with_the_dialect_that_is_understood():
    call = call_of({"query": 'from(bucket: "b")'}, LOGIN)
    assert (call.method, call.url, call.timeout) == ("POST", "https://influx.test:8086/api/v2/query?org=my+org", 30.0)
    assert call.headers == (("Authorization", "Token t0ken"), ("Content-Type", "application/json"))
    assert json.loads(call.body) == {
        "dialect": {"annotations": ["datatype", "group", "default"], "delimiter": ",", "header": True},
        "query": 'from(bucket: "b")',
        "type": "flux",
    }


@pytest.mark.parametrize("missing", sorted(LOGIN))
def test_a_login_has_three_parts(missing):
    with pytest.raises(NotMeasured, match=r"^authToken, org, or address not found$"):
        call_of({}, {key: value for key, value in LOGIN.items() if key != missing})


def table(kind: str, *values: str, default: str = "") -> str:
    annotations = f"#datatype,string,long,{kind}\r\n#group,false,false,false\r\n#default,_result,,{default}\r\n"
    return annotations + ",result,table,_value\r\n" + "".join(f",,0,{value}\r\n" for value in values)


@pytest.mark.parametrize(
    ("text", "result", "value"),
    [
        pytest.param(table("double", "1", "2.5", "1e6"), [1.0, 2.5, 1e6], "[1 2.5 1e+06]", id="doubles"),
        pytest.param(table("long", "-1", "1000000"), [-1, 1000000], "[-1 1000000]", id="longs"),
        pytest.param(table("unsignedLong", "18446744073709551615"), [2**64 - 1], "[18446744073709551615]", id="unsigned"),
        pytest.param(table("boolean", "true", "false"), [True, False], "[true false]", id="booleans"),
        pytest.param(table("string", '"a,""b"""', "c"), ['a,"b"', "c"], '[a,"b" c]', id="texts, quoted as CSV"),
        pytest.param(table("string", '"two\r\nlines"'), ["two\r\nlines"], "[two\r\nlines]", id="a text with a line break"),
        pytest.param(
            table("dateTime:RFC3339", "2026-11-20T12:00:00Z"), ["2026-11-20T12:00:00Z"], "[2026-11-20T12:00:00Z]", id="times"
        ),
        pytest.param(table("double", ""), [None], "[<nil>]", id="nothing"),
        pytest.param(table("double", "", default="7"), [7.0], "[7]", id="the default"),
        pytest.param(table("double", "1") + "\r\n" + table("long", "2"), [1.0, 2], "[1 2]", id="two tables"),
        pytest.param(table("double", "1").replace("_value", "other"), [None], "[<nil>]", id="no _value"),
    ],
)
def test_the_values_of_all_records_are_the_value(text, result, value):
    outcome = measured(Answer(200, text.encode()))
    assert (outcome.result, outcome.value) == (result, value)


ERROR = "#datatype,string,string\r\n#group,true,true\r\n#default,,\r\n,error,reference\r\n,{}\r\n"


@pytest.mark.parametrize(
    ("status", "text", "message"),
    [
        (200, "", "no results returned from flux query"),
        (200, table("double"), "no results returned from flux query"),
        (200, ERROR.format("failed to parse,897"), "failed to parse,897"),
        (200, ERROR.format("failed to parse,"), "failed to parse"),
        (200, table("double", "1") + ERROR.format("interrupted,"), "interrupted"),
        (200, "error,reference\r\nbroken,1\r\n", "broken,1"),
        (200, "<html>", "parsing error, annotations not found"),
        (200, '#datatype,"x', "the answer of InfluxDB is not CSV: unexpected end of data"),
        (200, "#datatype,string\r\n", "the answer of InfluxDB ends before its header"),
        (200, table("double", "many"), "_value holds 'many', which is no double"),
        (200, table("colour", "red"), "_value has unknown data type colour"),
        (401, '{"code":"unauthorized","message":"unauthorized access"}', "unauthorized: unauthorized access"),
        (429, "", "too many requests: exceeded rate limit"),
        (503, "", "unavailable: service temporarily unavailable"),
        (502, "bad gateway", "502 Bad Gateway: bad gateway"),
        (400, "you sent Token t0ken", "400 Bad Request: you sent Token *****"),
    ],
)
def test_what_cannot_be_measured_is_said(status, text, message):
    with pytest.raises(NotMeasured) as told:
        measured(Answer(status, text.encode()), token="t0ken")
    assert str(told.value) == message
