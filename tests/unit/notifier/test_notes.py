"""Messages into notes, notes to channels; the handlers run under FastStream's in-memory broker."""

from datetime import UTC, datetime

import pytest
from faststream.nats import TestNatsBroker

from tidegate.bus.application import application
from tidegate.bus.envelope import Envelope, encoded
from tidegate.errors import UnknownName
from tidegate.messages import EventsRecorded, Record, RolloutOutcome
from tidegate_notifier.app import Notifier
from tidegate_notifier.channels.memory import MemoryChannel
from tidegate_notifier.render import note_of_outcome, notes_of_records, sentence
from tidegate_notifier.subscriptions import Subscription, channels_for

AT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)


def recorded(*reasons):
    return EventsRecorded(
        namespace="shop", name="web", service="planner", uid="u-1", at=AT,
        records=tuple(Record(reason=reason, message=f"{reason} happened") for reason in reasons),
    )  # fmt: skip


def outcome(verb="paused", **changes):
    about = {"namespace": "shop", "name": "web", "uid": "u-1", "revision": 2, "hash": "abc"}
    return RolloutOutcome(**(about | {"verb": verb} | changes))


def test_each_record_becomes_a_note_with_an_id_of_its_own_in_order():
    notes = notes_of_records(recorded("A", "B"), Envelope(id="m-1"))
    assert [(note.id, note.reason, note.text) for note in notes] == [("m-1.0", "A", "A happened"), ("m-1.1", "B", "B happened")]


def test_a_redelivered_message_gives_exactly_the_same_notes():
    assert notes_of_records(recorded("A"), Envelope(id="m-1")) == notes_of_records(recorded("A"), Envelope(id="m-1"))


def test_an_outcomes_note_carries_the_whole_event():
    note = note_of_outcome(outcome(), Envelope(id="o-1", source="/tidegate/planner", time=AT.isoformat()), now=AT)
    assert note.id == "o-1"
    assert note.event["specversion"] == "1.0"
    assert note.event["source"] == "/tidegate/planner"
    assert note.event["data"]["verb"] == "paused"


@pytest.mark.parametrize(("verb", "expected"), [("aborted", "Warning"), ("degraded", "Warning"), ("completed", "Normal")])
def test_bad_news_are_warnings(verb, expected):
    assert note_of_outcome(outcome(verb), Envelope(id="o"), now=AT).type == expected


def test_an_outcome_without_words_gets_some():
    assert sentence(outcome("weight-changed", step=1, steps=4, weight=40)) == (
        "rollout shop/web revision 2: weight-changed (step 2 of 4) at 40 %"
    )


def test_a_subscription_hears_what_it_asks_for_and_each_channel_once():
    subscriptions = (
        Subscription(channel="pager", verbs=frozenset({"aborted"})),
        Subscription(channel="chat", namespaces=frozenset({"shop"})),
        Subscription(channel="chat"),
        Subscription(channel="other", namespaces=frozenset({"bank"})),
    )
    assert channels_for(outcome("paused"), subscriptions) == ("chat",)
    assert channels_for(outcome("aborted"), subscriptions) == ("pager", "chat")


def a_notifier(events, outcomes):
    subscriptions = tuple(Subscription(channel=name) for name in outcomes)
    return Notifier(events=events, outcomes=outcomes, subscriptions=subscriptions, clock=lambda: AT)


async def test_records_and_outcomes_each_go_through_their_own_consumer_to_their_channel():
    events, webhook = MemoryChannel(), MemoryChannel()
    app = application("notifier", None, a_notifier(events, {"webhook": webhook}).reactions)
    async with TestNatsBroker(app.broker) as broker:
        message = recorded("RolloutPaused")
        await broker.publish(message, message.subject_of(), headers=encoded(Envelope(id="m-1")))
        await broker.publish(outcome(), outcome().subject_of(), headers=encoded(Envelope(id="o-1")))
    assert [note.id for note in events.notes] == ["m-1.0"]
    assert [note.id for note in webhook.notes] == ["o-1"]


def test_without_anyone_to_tell_outcomes_are_not_consumed():
    reactions = a_notifier(MemoryChannel(), {}).reactions
    assert [consumer.name for consumer in reactions] == ["notifier-events"]


def test_a_subscription_to_an_unknown_channel_names_the_known_ones():
    with pytest.raises(UnknownName, match="unknown channel 'pigeon'; known: webhook"):
        Notifier(
            events=MemoryChannel(), outcomes={"webhook": MemoryChannel()},
            subscriptions=(Subscription(channel="pigeon"),), clock=lambda: AT,
        )  # fmt: skip
