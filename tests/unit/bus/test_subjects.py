"""Subjects name a class and an object; body and subject must agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.bus import subjects
from tidegate.bus.consumer import LONGEST_DELAY, delay_of, refusal
from tidegate.bus.deadletter import Place, letter
from tidegate.bus.subjects import MAX_BODY, class_of, decoded, fields_of, key_of, wildcard
from tidegate.errors import GiveUp
from tidegate.messages import (
    EventsRecorded,
    RolloutCommanded,
    RolloutOutcome,
    RolloutRequested,
    TrafficRequested,
    name_from_token,
    subject_token,
)

NAMES = st.from_regex(r"\A[a-z0-9]([-a-z0-9.]{0,20}[a-z0-9])?\Z")


@given(NAMES)
def test_a_name_survives_its_way_through_a_subject_token(name):
    token = subject_token(name)
    assert "." not in token
    assert name_from_token(token) == name


@given(namespace=NAMES, name=NAMES)
def test_a_message_is_found_again_by_its_subject(namespace, name):
    message = RolloutCommanded(namespace=namespace, name=name, verb="promote-full")
    subject = message.subject_of()
    assert class_of(subject) is RolloutCommanded
    assert key_of(subject) == f"{namespace}/{name}"
    assert decoded(subject, message.model_dump_json().encode()) == message


def test_a_wildcard_has_a_star_for_each_field():
    assert wildcard(RolloutCommanded) == "tidegate.rollout.command.*.*.*"
    assert wildcard(EventsRecorded) == "tidegate.recorded.*.*.*"


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("tidegate.rollout.requested.a.b", RolloutRequested),
        ("tidegate.rollout.paused.a.b", RolloutOutcome),
        ("tidegate.rollout.rolled-back.a.b", RolloutOutcome),
        ("tidegate.rollout.exploded.a.b", None),
        ("tidegate.rollout.command.explode.a.b", None),
        ("tidegate.traffic.requested.a.b", TrafficRequested),
        ("tidegate.traffic.requested.a", None),
        ("other.rollout.requested.a.b", None),
    ],
)
def test_a_subject_names_one_class_or_none(subject, expected):
    assert class_of(subject) is expected


def test_what_the_subject_says_may_be_left_out_of_the_body():
    assert decoded("tidegate.rollout.command.abort.shop.web_v2", b"") == RolloutCommanded(
        namespace="shop", name="web.v2", verb="abort"
    )


def test_a_body_about_another_object_is_refused():
    with pytest.raises(GiveUp, match=r"about 'tidegate.rollout.command.abort.bank.web', but it was sent to"):
        decoded("tidegate.rollout.command.abort.shop.web", b'{"namespace": "bank"}')


def test_a_subject_of_nobody_is_refused_by_name():
    with pytest.raises(GiveUp, match=r"no message is defined for subject 'tidegate.coffee'"):
        decoded("tidegate.coffee", b"{}")


def test_a_huge_body_is_refused_with_its_size():
    with pytest.raises(GiveUp, match=f"{MAX_BODY + 1} bytes"):
        decoded("tidegate.rollout.command.abort.shop.web", b" " * (MAX_BODY + 1))


def test_an_error_names_field_and_value_and_only_the_first_few():
    body = b'{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1}'
    with pytest.raises(GiveUp, match=r"a: unknown field; known: name, namespace, revision, verb, got '1'.*; and 2 more") as caught:
        decoded("tidegate.rollout.command.abort.shop.web", body)
    assert len(caught.value.reason) < 600


def test_an_unknown_field_is_answered_with_the_known_ones_of_its_own_part():
    body = b'{"uid": "u", "fence": 1, "digest": "d", "services": [{"service": "web", "hsh": "abc"}]}'
    with pytest.raises(GiveUp, match=r"services\.0\.hsh: unknown field; known: hash, service, got 'abc'"):
        decoded("tidegate.traffic.requested.shop.web", body)


def test_fields_are_unescaped_names_and_plain_words():
    assert fields_of(RolloutCommanded, "tidegate.rollout.command.undo.a_b.c") == {"verb": "undo", "namespace": "a.b", "name": "c"}


def test_the_ask_door_is_outside_of_every_stream():
    assert class_of(subjects.ASK + "rollout.requested.a.b") is None


def test_delays_grow_and_stay_bounded():
    delays = [delay_of(attempt) for attempt in range(1, 2000)]
    assert delays[:4] == [0.2, 0.4, 0.8, 1.6]
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_DELAY


def test_a_refusal_can_be_written_even_for_a_name_that_is_none():
    assert refusal("Shop/WEB", "no such name").reason == "no such name"


def a_letter(**changes):
    values = {
        "consumer": "planner-requests", "subject": "tidegate.rollout.requested.a.b", "headers": {"ce-id": "1", "Nats-Msg-Id": "1"},
        "body": b"{}", "reason": "because", "deliveries": 3, "place": Place(stream="S", sequence=7, timestamp=9),
    }  # fmt: skip
    return letter(**(values | changes))


def test_one_message_leaves_one_letter():
    assert a_letter().headers["Nats-Msg-Id"] == a_letter(reason="another").headers["Nats-Msg-Id"] == "dead.planner-requests.S.7.9"


def test_a_letter_keeps_the_senders_headers_but_not_the_servers():
    headers = a_letter(headers={"ce-id": "1", "Nats-Expected-Stream": "X", "tidegate-reply": "_INBOX.1"}).headers
    assert headers["ce-id"] == "1"
    assert "Nats-Expected-Stream" not in headers
    assert "tidegate-reply" not in headers


def test_a_letter_fits_whatever_was_sent():
    big = a_letter(body=b"x" * (MAX_BODY + 10), reason="r\n" * 9000, headers={"x": "y" * 100_000})
    assert len(big.body) == MAX_BODY
    assert big.headers["tidegate-dead-truncated-from"] == str(MAX_BODY + 10)
    assert sum(len(name) + len(value) for name, value in big.headers.items()) < 4000
    assert "\n" not in big.headers["tidegate-dead-reason"]
