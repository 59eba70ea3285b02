"""What the CloudWatch provider asks and what it makes of answers (`argo-behaviour.md` 8.8)."""

from datetime import UTC, datetime

import pytest

from tidegate.outbound import Answer
from tidegate_analyzer.expression import condition
from tidegate_analyzer.provider import NotMeasured
from tidegate_analyzer.providers.cloud_watch import measured, request_of

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECONDS = 1795176000.0


def test_queries_go_out_under_amazons_names_without_what_is_not_given():
    config = {
        "interval": "30m",
        "metricDataQueries": [
            {"id": "rate", "expression": "errors / requests", "label": "r", "returnData": True},
            {
                "id": "errors",
                "period": "60",
                "returnData": False,
                "metricStat": {
                    "metric": {"namespace": "app", "metricName": "errors", "dimensions": [{"name": "pod", "value": "a"}]},
                    "period": 300,
                    "stat": "p95",
                    "unit": "None",
                },
            },
            {"id": "requests", "metricStat": {"metric": {"namespace": "app", "metricName": "n"}, "stat": "Sum", "unit": ""}},
        ],
    }
    assert request_of(config, NOW) == {
        "StartTime": SECONDS - 1800,
        "EndTime": SECONDS,
        "MetricDataQueries": [
            {"Id": "rate", "Expression": "errors / requests", "Label": "r", "ReturnData": True},
            {
                "Id": "errors",
                "Period": 60,
                "ReturnData": False,
                "MetricStat": {
                    "Metric": {"Namespace": "app", "MetricName": "errors", "Dimensions": [{"Name": "pod", "Value": "a"}]},
                    "Period": 300,
                    "Stat": "p95",
                    "Unit": "None",
                },
            },
            {"Id": "requests", "MetricStat": {"Metric": {"Namespace": "app", "MetricName": "n"}, "Stat": "Sum"}},
        ],
    }


def test_the_last_five_minutes_are_asked_for_unless_told():
    assert request_of({}, NOW)["StartTime"] == SECONDS - 300


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"interval": "5"}, 'time: missing unit in duration "5"'),
        ({"metricDataQueries": [{"id": "a", "period": "often"}]}, "period must be a whole number of seconds, got 'often'"),
    ],
)
def test_what_is_wrong_with_a_metric_is_said(config, message):
    with pytest.raises(NotMeasured) as told:
        request_of(config, NOW)
    assert str(told.value) == message


ANSWER = b"""{"MetricDataResults":[
    {"Id":"rate","Label":"r","StatusCode":"Complete","Timestamps":[1795176000,1795175940],"Values":[1,2.5]},
    {"Id":"none","Label":"n","StatusCode":"PartialData"}],
    "Messages":[{"Code":"Partial","Value":"some are missing"}]}"""


def test_the_results_are_what_conditions_see():
    outcome = measured(Answer(200, ANSWER))
    assert outcome.value == "[[1 2.5] []]"
    assert outcome.metadata == {"messages": '[{"Code":"Partial","Value":"some are missing"}]'}
    assert outcome.result[0]["Timestamps"] == ["2026-11-20T12:00:00Z", "2026-11-20T11:59:00Z"]
    for holds in ("result[0].Values[0] == 1", "all(result[0].Values, {# <= 2.5})", "len(result[1].Values) == 0"):
        assert condition(holds, outcome.result)


def test_no_result_is_an_empty_list():
    outcome = measured(Answer(200, b'{"MetricDataResults":[]}'))
    assert (outcome.result, outcome.value, outcome.metadata) == ([], "[]", {})


FAILED = "operation error CloudWatch: GetMetricData, https response error StatusCode"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            Answer(400, b'{"__type":"com.amazonaws.cloudwatch#ValidationError","message":"bad"}', {"x-amzn-requestid": "r-1"}),
            f"{FAILED}: 400, RequestID: r-1, api error ValidationError: bad",
        ),
        (Answer(403, b'{"__type":"AccessDenied","Message":"no"}'), f"{FAILED}: 403, RequestID: , api error AccessDenied: no"),
        (Answer(500, b"{}"), f"{FAILED}: 500, RequestID: , api error UnknownError: "),
        (Answer(503, b"<html>"), f"{FAILED}: 503, the answer is not JSON"),
        (Answer(200, b"{}"), f"{FAILED}: 200, the answer holds no MetricDataResults"),
    ],
)
def test_what_cannot_be_measured_is_said(answer, message):
    with pytest.raises(NotMeasured) as told:
        measured(answer)
    assert str(told.value) == message
