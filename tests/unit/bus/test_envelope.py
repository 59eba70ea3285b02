"""CloudEvents in NATS headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.bus.envelope import Envelope, decoded, encoded, inbox_or_none, structured, unwrapped
from tidegate.errors import GiveUp

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ENVELOPES = st.builds(
    Envelope, id=TEXT.filter(bool), source=TEXT, type=TEXT, subject=TEXT, time=TEXT, correlation=TEXT, causation=TEXT,
    authid=TEXT, traceparent=TEXT, reply=st.sampled_from(["", "_INBOX.abc.1", "_INBOX_cli.x"]),
)  # fmt: skip


@given(ENVELOPES)
def test_what_is_encoded_is_decoded_unchanged(envelope):
    assert decoded(encoded(envelope)) == envelope


@given(ENVELOPES)
def test_headers_hold_printable_ascii_only(envelope):
    for value in encoded(envelope).values():
        assert value.isascii()
        assert value.isprintable()


def test_attributes_are_named_and_escaped_as_the_nats_binding_says():
    headers = encoded(Envelope(id="a b", source="/ci", type="t", authid='J"ö%'))
    assert headers == {
        "ce-specversion": "1.0", "ce-datacontenttype": "application/json", "Nats-Msg-Id": "a%20b", "ce-id": "a%20b",
        "ce-source": "/ci", "ce-type": "t", "ce-authid": "J%22%C3%B6%25",
    }  # fmt: skip


def test_header_names_are_read_in_any_letter_case():
    assert decoded({"CE-ID": "1", "Ce-AuthId": "mara"}) == Envelope(id="1", authid="mara")


def test_without_any_header_the_place_of_arrival_is_the_id():
    assert decoded(None, fallback_id="REQUESTS.7").id == "REQUESTS.7"


def test_the_message_id_stands_in_for_a_missing_event_id():
    assert decoded({"Nats-Msg-Id": "m"}, fallback_id="x").id == "m"


def test_the_trace_is_found_where_opentelemetry_puts_it():
    assert decoded({"traceparent": "00-aa-bb-01"}).traceparent == "00-aa-bb-01"
    assert encoded(Envelope(id="1", traceparent="00-aa-bb-01"))["traceparent"] == "00-aa-bb-01"


@pytest.mark.parametrize("subject", ["_INBOX.a", "_INBOX.a.b-c.d_e", "_INBOX_planner.x1"])
def test_an_inbox_is_a_reply_subject(subject):
    assert inbox_or_none(subject) == subject


@pytest.mark.parametrize(
    "subject",
    ["", None, "$JS.API.STREAM.DELETE.X", "tidegate.traffic.requested.a.b", "_INBOX", "_INBOX.", "_INBOX.*", "_INBOX.>",
     "_INBOX.a b", "x_INBOX.a", "_INBOX.a\r\nPUB x"],
)  # fmt: skip
def test_anything_else_is_not_a_reply_subject(subject):
    assert inbox_or_none(subject) is None


def test_structured_mode_is_unwrapped_into_the_same_envelope():
    body = b'{"specversion":"1.0","id":"1","source":"/s","type":"t","authid":"m x","data":{"a":1}}'
    headers, data = unwrapped({"content-type": "application/cloudevents+json"}, body)
    assert decoded(headers) == Envelope(id="1", source="/s", type="t", authid="m x")
    assert data == b'{"a":1}'


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"id": "1"}', b'{"data": [1]}'])
def test_structured_mode_without_an_object_of_data_is_given_up(body):
    with pytest.raises(GiveUp, match="application/cloudevents"):
        unwrapped({"Content-Type": "application/cloudevents+json"}, body)


def test_a_structured_event_leaves_out_what_is_absent():
    assert structured(Envelope(id="1", type="t"), {"a": 1}) == {
        "specversion": "1.0", "datacontenttype": "application/json", "id": "1", "type": "t", "data": {"a": 1},
    }  # fmt: skip
