"""What messages become before they are sent: notes with ids and times that a redelivery repeats."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tidegate.bus import Envelope
from tidegate.messages import EventsRecorded, Record, RolloutOutcome
from tidegate_notifier.channel import About
from tidegate_notifier.notes import outcome_note, record_notes

AT = datetime(2026, 11, 23, 4, 5, 6, 999_999, UTC)
NOW = datetime(2026, 11, 23, 4, 6, tzinfo=UTC)


def recorded(*reasons, at=AT, kind="Rollout"):
    records = tuple(Record(reason=reason, message=f"{reason} happened") for reason in reasons)
    return EventsRecorded(namespace="shop", name="web", service="planner", kind=kind, uid="u-1", at=at, records=records)


def outcome(verb="paused", **changes):
    return RolloutOutcome(
        **({"namespace": "shop", "name": "web", "verb": verb, "uid": "u-1", "revision": 2, "hash": "abc"} | changes)
    )


def test_each_record_is_a_note_under_the_messages_id_and_its_place():
    notes = record_notes(recorded("A", "B"), Envelope(id="m-1"))
    assert [(note.id, note.reason, note.text) for note in notes] == [("m-1.0", "A", "A happened"), ("m-1.1", "B", "B happened")]


def test_records_of_one_message_keep_their_order_in_time():
    first, second = record_notes(recorded("A", "B"), Envelope(id="m-1"))
    assert first.at == AT
    assert second.at - first.at == timedelta(microseconds=1)


def test_a_redelivered_message_gives_the_same_notes():
    message = recorded("A", "B")
    again = EventsRecorded.model_validate_json(message.model_dump_json())
    assert record_notes(again, Envelope(id="m-1")) == record_notes(message, Envelope(id="m-1"))


@pytest.mark.parametrize("kind", ["Rollout", "AnalysisRun", "Experiment"])
def test_a_record_is_about_the_object_of_its_message(kind):
    (note,) = record_notes(recorded("A", kind=kind), Envelope(id="m-1"))
    assert note.about == About(kind=kind, namespace="shop", name="web", uid="u-1")


@pytest.mark.parametrize("at", [AT.replace(tzinfo=None), AT.astimezone(timezone(timedelta(hours=-7)))], ids=["no zone", "west"])
def test_times_are_told_in_utc(at):
    (note,) = record_notes(recorded("A", at=at), Envelope(id="m-1"))
    assert note.at.isoformat() == "2026-11-23T04:05:06.999999+00:00"


def test_a_message_without_records_is_nothing_to_tell():
    assert record_notes(recorded(), Envelope(id="m-1")) == ()


def test_an_outcome_keeps_its_id_its_time_and_who_asked():
    envelope = Envelope(id="o-1", source="/tidegate/planner", type="t", subject="s", time=AT.isoformat(), authid="ann")
    note = outcome_note(outcome(), envelope, now=NOW)
    assert (note.id, note.at, note.envelope) == ("o-1", AT, envelope)


def test_what_cloudevents_requires_is_filled_in_for_senders_that_leave_it_out():
    note = outcome_note(outcome(), Envelope(id="o-1"), now=NOW)
    assert (note.envelope.source, note.envelope.type) == ("/tidegate", "dev.tidegate.rollout.paused")
    assert note.envelope.subject == "shop/web"
    assert note.at == NOW


@pytest.mark.parametrize(("verb", "expected"), [("aborted", "Warning"), ("degraded", "Warning"), ("completed", "Normal")])
def test_bad_news_are_warnings(verb, expected):
    assert outcome_note(outcome(verb), Envelope(id="o"), now=NOW).type == expected


def test_an_outcome_is_told_in_the_senders_words_or_else_in_ours():
    assert outcome_note(outcome(message="more replicas need to be updated"), Envelope(id="o"), now=NOW).text == (
        "more replicas need to be updated"
    )
    assert outcome_note(outcome("weight-changed", step=1, steps=4, weight=40), Envelope(id="o"), now=NOW).text == (
        "rollout shop/web revision 2: weight-changed (step 2 of 4) at 40 %"
    )
