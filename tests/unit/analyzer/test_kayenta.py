"""What the Kayenta provider asks and what it makes of answers (`argo-behaviour.md` 8.10)."""

import json
from datetime import UTC, datetime

import pytest

from tidegate.outbound import Answer
from tidegate_analyzer.provider import Context, Decided, NotMeasured
from tidegate_analyzer.providers.kayenta import config_id, decision, execution_id, lookup_of, scopes_of, start_of

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
CONFIG = {
    "address": "http://kayenta:8090",
    "application": "shop",
    "canaryConfigName": "latency",
    "metricsAccountName": "prom",
    "configurationAccountName": "conf",
    "storageAccountName": "store",
    "threshold": {"pass": 90, "marginal": 75},
}
RANGE = {"scope": "app:stable", "region": "eu", "step": 60}


def context(interval: str = "5m", started: datetime | None = None) -> Context:
    return Context(namespace="n", run="r", uid="u", metric="m", number=1, now=NOW, interval=interval, run_started=started)


def scoped(control: dict, experiment: dict, **more) -> dict:
    return {**CONFIG, **more, "scopes": [{"name": "default", "controlScope": control, "experimentScope": experiment}]}


def test_the_configuration_is_looked_up_in_the_storage_account():
    call = lookup_of(CONFIG)
    assert (call.method, call.timeout) == ("GET", 15.0)
    assert call.url == "http://kayenta:8090/canaryConfig?application=shop&configurationAccountName=store"


def test_an_execution_is_started_with_scopes_and_thresholds():
    call = start_of(CONFIG, "id-1", {"default": {}})
    assert (call.method, call.timeout, dict(call.headers)) == ("POST", 15.0, {"Content-Type": "application/json"})
    assert call.url == (
        "http://kayenta:8090/canary/id-1?application=shop&metricsAccountName=prom&configurationAccountName=conf&storageAccountName=store"
    )
    assert json.loads(call.body) == {"scopes": {"default": {}}, "thresholds": {"pass": 90, "marginal": 75}}


@pytest.mark.parametrize(("name", "sent"), [("my shop", "my%20shop"), ("my%20shop", "my%20shop"), ("a&b=c", "a%26b%3Dc")])
def test_a_name_cannot_break_out_of_its_parameter_and_may_be_escaped_already(name, sent):
    assert f"application={sent}&" in lookup_of({**CONFIG, "application": name}).url


def test_a_scope_without_times_is_of_the_last_interval():
    whole = {**RANGE, "scope": "app:stable"}
    scopes = scopes_of(scoped(whole, {**RANGE, "scope": "app:canary"}), context())
    times = {"location": "eu", "step": 60, "start": "2026-11-20T11:55:00Z", "end": "2026-11-20T12:00:00Z"}
    assert scopes == {
        "default": {"controlScope": {"scope": "app:stable", **times}, "experimentScope": {"scope": "app:canary", **times}}
    }


def test_a_scope_that_looks_back_begins_with_the_run():
    config = scoped(RANGE, RANGE, lookback=True)
    started = datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert scopes_of(config, context(started=started))["default"]["controlScope"]["start"] == "2026-11-20T10:00:00Z"
    assert scopes_of(config, context())["default"]["controlScope"]["start"] == "2026-11-20T12:00:00Z"


def test_times_that_are_given_stay():
    given = {**RANGE, "start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}
    sent = scopes_of(scoped(given, given), context(interval=""))["default"]["experimentScope"]
    assert (sent["start"], sent["end"]) == ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")


@pytest.mark.parametrize(
    ("control", "interval", "message"),
    [
        ({"start": "x"}, "5m", "controlScope.start and experimentScope.start must both be set or be empty"),
        ({"end": "x"}, "5m", "controlScope.end and experimentScope.end must both be set or be empty"),
        ({}, "", 'Invalid duration "": time: invalid duration ""'),
    ],
)
def test_what_is_wrong_with_a_scope_is_said(control, interval, message):
    with pytest.raises(NotMeasured) as told:
        scopes_of(scoped({**RANGE, **control}, RANGE), context(interval=interval))
    assert str(told.value) == message


def test_a_configuration_is_found_by_its_name():
    assert config_id(Answer(200, b'[{"id":"a","name":"other"},{"id":"b","name":"latency"}]'), "latency") == "b"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(404, b""), "Invalid Response: HTTP 404"),
        (Answer(200, b"[]"), "Canary config not found"),
        (Answer(200, b'{"error":1}'), "Canary config not found"),
    ],
)
def test_a_configuration_that_is_not_there_is_said(answer, message):
    with pytest.raises(NotMeasured) as told:
        config_id(answer, "latency")
    assert str(told.value) == message


def score(number: float) -> Answer:
    return Answer(200, json.dumps({"complete": True, "result": {"judgeResult": {"score": {"score": number}}}}).encode())


@pytest.mark.parametrize(
    ("number", "phase", "value"),
    [(100, "Successful", "100"), (90, "Successful", "90"), (89.9, "Inconclusive", "89"), (75, "Inconclusive", "75"),
     (74.99, "Failed", "74"), (0, "Failed", "0")],
)  # fmt: skip
def test_the_score_cut_to_a_whole_number_decides(number, phase, value):
    metadata = {"canaryExecutionId": "e"}
    assert decision(score(number), CONFIG["threshold"], metadata) == Decided(phase=phase, value=value, metadata=metadata)


def test_an_execution_that_goes_on_decides_nothing():
    assert decision(Answer(200, b'{"complete":false}'), {}, {}) is None


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(500, b""), "Invalid Response"),
        (Answer(200, b"{}"), "Missing Complete Status"),
        (Answer(200, b'{"complete":"yes"}'), "Missing Complete Status"),
        (Answer(200, b'{"complete":true}'), "Missing Score"),
        (Answer(200, b'{"complete":true,"result":{"judgeResult":{"score":{"score":"9"}}}}'), "Missing Score"),
    ],
)
def test_an_answer_without_a_score_is_said(answer, message):
    with pytest.raises(NotMeasured) as told:
        decision(answer, {}, {})
    assert str(told.value) == message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(400, b"bad"), "Invalid Response"),
        (Answer(200, b"{}"), "Invalid canaryExecutionId"),
        (Answer(200, b'{"canaryExecutionId":""}'), "Invalid canaryExecutionId"),
    ],
)
def test_an_execution_that_was_not_started_is_said(answer, message):
    with pytest.raises(NotMeasured) as told:
        execution_id(answer)
    assert str(told.value) == message
