"""From a message to `channel.send`: the two handlers of this service."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime

from tidegate.bus import Envelope
from tidegate.errors import GiveUp, Retry
from tidegate.messages import EventsRecorded, RolloutOutcome
from tidegate_notifier.channel import Channel
from tidegate_notifier.notes import outcome_note, record_notes


class Recording:
    """Sends the records of a message all at once: a rollout's message holds up to a dozen, and each is a round trip.

    Their order is in their times and names, not in the order of writing. If some could not be sent, the message is handled again,
    here for those alone: with every fourth call lost, a dozen seldom get through together. Another process sends them all again,
    and none is there twice, that is the channel's promise.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._sent: dict[str, set[str]] = {}  # of messages that are in hand: the notes that are done

    async def __call__(self, message: EventsRecorded, envelope: Envelope) -> None:
        sent = self._sent.pop(envelope.id, set())
        notes = [note for note in record_notes(message, envelope) if note.id not in sent]
        ends = await asyncio.gather(*(self._channel.send(note) for note in notes), return_exceptions=True)
        errors = [end for end in ends if end is not None]
        if not errors:
            return
        worst = _worst(errors)
        if isinstance(worst, Retry):
            self._sent[envelope.id] = sent | {note.id for note, end in zip(notes, ends, strict=True) if end is None}
        raise worst


class Telling:
    """Sends an outcome to one channel."""

    def __init__(self, channel: Channel, *, clock: Callable[[], datetime]) -> None:
        self._channel = channel
        self._clock = clock

    async def __call__(self, outcome: RolloutOutcome, envelope: Envelope) -> None:
        await self._channel.send(outcome_note(outcome, envelope, now=self._clock()))


def _worst(errors: Iterable[BaseException]) -> BaseException:
    """What the message's fate depends on: as long as one record may still be sent, none is given up."""
    return min(errors, key=lambda error: (not isinstance(error, Retry), isinstance(error, GiveUp)))
