"""Handlers and wiring, run under FastStream's in-memory broker and by hand."""

import asyncio
from datetime import UTC, datetime

import pytest
from faststream.nats import TestNatsBroker

from tidegate.bus import NOTIFIER_EVENTS, Envelope
from tidegate.bus.application import application
from tidegate.bus.envelope import encoded
from tidegate.config import Settings
from tidegate.errors import GiveUp, Retry, SettingError
from tidegate.messages import EventsRecorded, Record, RolloutOutcome
from tidegate_notifier.channels import CHANNELS
from tidegate_notifier.channels.memory import Memory
from tidegate_notifier.composition import outcomes_of, reactions
from tidegate_notifier.handling import Recording

AT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)


def recorded(*reasons):
    records = tuple(Record(reason=reason, message="m") for reason in reasons)
    return EventsRecorded(namespace="shop", name="web", service="planner", uid="u-1", at=AT, records=records)


OUTCOME = RolloutOutcome(namespace="shop", name="web", verb="paused", uid="u-1", revision=2, hash="abc")


class Failing(Memory):
    """Fails for the reasons that it has an error for."""

    def __init__(self, errors):
        super().__init__()

        def fail(note):
            if note.reason in errors:
                raise errors[note.reason]

        self.before = fail


async def test_records_and_outcomes_go_to_their_channels():
    events, hook = Memory(), Memory()
    app = application("notifier", None, reactions(events=events, outcomes={"webhook": hook}, clock=lambda: AT))
    async with TestNatsBroker(app.broker) as broker:
        await broker.publish(recorded("A"), recorded().subject_of(), headers=encoded(Envelope(id="m-1")))
        await broker.publish(OUTCOME, OUTCOME.subject_of(), headers=encoded(Envelope(id="o-1")))
    assert [note.id for note in events.notes] == ["m-1.0"]
    assert [note.id for note in hook.notes] == ["o-1"]


def test_each_channel_has_a_consumer_of_its_own():
    table = reactions(events=Memory(), outcomes={"webhook": Memory(), "chat": Memory()}, clock=lambda: AT)
    assert [consumer.name for consumer in table] == ["notifier-events", "notifier-outcomes-webhook", "notifier-outcomes-chat"]
    assert outcomes_of("chat").service == "notifier"


def test_without_a_channel_to_tell_outcomes_are_not_consumed():
    assert set(reactions(events=Memory(), outcomes={}, clock=lambda: AT)) == {NOTIFIER_EVENTS}


def test_without_settings_no_channel_is_made():
    assert {name: configure(Settings()) for name, configure in CHANNELS.items()} == {"webhook": None}


def test_an_unusable_secret_is_named_by_its_variable_and_not_shown():
    settings = Settings(webhook_url="https://hooks.example.com", webhook_secret="whsec_*secret*")
    with pytest.raises(SettingError, match=r"TIDEGATE_WEBHOOK_SECRET is 'whsec_\.\.\.'; it must be whsec_ and base64") as caught:
        CHANNELS["webhook"](settings)
    assert caught.value.__cause__ is None
    assert "*secret*" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://a.example/token,https://b.example/token", "https://a example/token", "https://[::1/token"]
)
def test_an_unusable_url_is_named_by_its_variable_and_not_shown(url):
    with pytest.raises(SettingError, match=r"TIDEGATE_WEBHOOK_URL is 'https://\.\.\.'; it must be one URL") as caught:
        CHANNELS["webhook"](Settings(webhook_url=url, webhook_secret="s"))
    assert "token" not in str(caught.value)


async def test_the_records_of_a_message_are_sent_at_the_same_time():
    together = asyncio.Barrier(3)

    class Meeting:
        async def send(self, _note):
            await together.wait()

    async with asyncio.timeout(300):
        await Recording(Meeting())(recorded("A", "B", "C"), Envelope(id="m-1"))


async def test_one_record_that_cannot_be_sent_does_not_keep_the_others_back():
    channel = Failing({"B": GiveUp("never")})
    with pytest.raises(GiveUp, match="never"):
        await Recording(channel)(recorded("A", "B", "C"), Envelope(id="m-1"))
    assert [note.reason for note in channel.notes] == ["A", "C"]


async def test_a_message_is_not_given_up_while_one_of_its_records_may_still_be_sent():
    channel = Failing({"A": GiveUp("never"), "B": ValueError("a defect"), "C": Retry("later", after=7)})
    with pytest.raises(Retry) as caught:
        await Recording(channel)(recorded("A", "B", "C"), Envelope(id="m-1"))
    assert caught.value.after == 7


async def test_what_was_sent_is_not_sent_again_with_what_was_not():
    tried, errors = [], {"B": Retry("the answer was lost")}
    channel = Failing(errors)
    fail = channel.before

    def note_and_fail(note):
        tried.append(note.reason)
        fail(note)

    channel.before = note_and_fail
    record = Recording(channel)
    with pytest.raises(Retry):
        await record(recorded("A", "B", "C"), Envelope(id="m-1"))
    errors.clear()
    await record(recorded("A", "B", "C"), Envelope(id="m-1"))
    assert tried == ["A", "B", "C", "B"]
    assert [note.reason for note in channel.notes] == ["A", "C", "B"]


async def test_a_defect_counts_more_than_a_refusal():
    channel = Failing({"A": GiveUp("never"), "B": ValueError("a defect")})
    with pytest.raises(ValueError, match="a defect"):
        await Recording(channel)(recorded("A", "B"), Envelope(id="m-1"))
