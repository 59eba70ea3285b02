"""The bytes that go out, compared with golden files, and the rules of names and lengths."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tidegate.bus import Envelope
from tidegate.messages import EventsRecorded, Record, RolloutOutcome
from tidegate_notifier.notes import outcome_note, record_notes
from tidegate_notifier.render import cloud_event, core_event, event_name, shortened, webhook_id

GOLDEN = Path(__file__).parent / "golden"
AT = datetime(2026, 11, 23, 4, 5, 6, 789, UTC)
ENVELOPE = Envelope(
    id="6f1c.2.5b8d.paused.2026-11-23T04:05:00Z",
    source="/tidegate/planner",
    type="dev.tidegate.rollout.paused",
    subject="shop/web",
    time="2026-11-23T04:05:06+00:00",
    correlation="deploy-17",
    authid="ann@example.com",
)


def notes(*records, name="web", at=AT, message_id="0190f2a4"):
    message = EventsRecorded(namespace="shop", name=name, service="planner", uid="6f1c", at=at, records=records)
    return record_notes(message, Envelope(id=message_id))


def a_note(**changes):
    (note,) = notes(Record(reason="RolloutPaused", message="Rollout is paused (CanaryPauseStep)"))
    return replace(note, **changes)


def an_outcome():
    outcome = RolloutOutcome(
        namespace="shop", name="web", verb="paused", uid="6f1c", revision=2, hash="5b8d", phase="Paused", message="CanaryPauseStep",
        step=1, steps=4, weight=20, images=("shop/web:2",), requested_by="ann@example.com",
    )  # fmt: skip
    return outcome_note(outcome, ENVELOPE, now=AT)


def test_a_core_event_is_what_it_was():
    assert (
        orjson.dumps(core_event(a_note()), option=orjson.OPT_INDENT_2).decode() + "\n" == (GOLDEN / "core-event.json").read_text()
    )


def test_a_cloud_event_is_what_it_was():
    told = orjson.loads(cloud_event(an_outcome()))
    assert orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n" == (GOLDEN / "cloud-event.json").read_text()


def test_a_list_by_name_is_a_list_by_time():
    told = notes(*(Record(reason=f"R{place}", message="m") for place in range(15)))
    later = notes(
        Record(reason="later", message="m"), at=AT + timedelta(milliseconds=50), message_id="an id that sorts nowhere near"
    )
    assert [note.reason for note in sorted((*later, *told), key=event_name)] == [*(f"R{place}" for place in range(15)), "later"]


def test_two_messages_of_the_same_microsecond_have_different_names():
    assert event_name(a_note(id="one.0")) != event_name(a_note(id="two.0"))


@given(
    name=st.from_regex(r"[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?){0,5}", fullmatch=True),
    at=st.datetimes(timezones=st.just(UTC)),
)
def test_every_event_name_is_a_name_that_kubernetes_takes(name, at):
    note = a_note(about=replace(a_note().about, name=name[:253].rstrip("-.")), at=at)
    label = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    assert len(event_name(note)) <= 253
    assert re.fullmatch(rf"{label}(\.{label})*\.[0-9a-f]{{16}}", event_name(note))


def test_a_long_name_is_cut_where_a_name_may_end():
    assert event_name(a_note(about=replace(a_note().about, name="a" * 235 + "-" + "b" * 17))).startswith("a" * 235 + ".")


@given(text=st.text(), limit=st.integers(min_value=3, max_value=40))
def test_a_text_is_shortened_to_whole_characters_within_its_limit(text, limit):
    short = shortened(text, limit)
    assert len(short.encode()) <= limit
    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))


def test_an_event_holds_as_much_text_as_the_api_server_takes():
    assert len(core_event(a_note(text="é" * 600))["message"].encode()) in (1023, 1024)


def test_a_webhook_id_is_the_events_id_percent_encoded_and_without_dots():
    assert webhook_id(an_outcome()) == "6f1c%2E2%2E5b8d%2Epaused%2E2026-11-23T04:05:00Z"


@given(st.text(min_size=1, max_size=80))
def test_any_id_fits_into_a_header_and_can_be_had_back(text):
    encoded = webhook_id(a_note(id=text))
    assert encoded.isascii()
    assert encoded.isprintable()
    assert not set(encoded) & set(' ".')
    assert encoded.startswith("sha256:") or unquote(encoded) == text


def test_an_id_too_long_for_headers_is_named_by_its_digest():
    assert webhook_id(a_note(id="x" * 600)).startswith("sha256:")
    assert webhook_id(a_note(id="x" * 600)) != webhook_id(a_note(id="x" * 601))
