"""Hearing everything in every replica: for wake-ups, caches and the console. No acknowledgement, no share, no promise but this:

after the stored messages it begins with come all later ones in order. After a gap (reconnect, consumer deleted) a feed of last
values hears them again, any other goes on after the last message it heard; a stream made anew is heard from its beginning.
So a callback must bear repeats, and nothing is missed for good.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import structlog
from nats.aio.msg import Msg
from nats.js import api

from tidegate.bus import subjects
from tidegate.bus.deadletter import letter, place_of
from tidegate.bus.envelope import Envelope, decoded, unwrapped
from tidegate.bus.pull import Pull
from tidegate.bus.topology import DUPLICATE_WINDOW
from tidegate.errors import GiveUp
from tidegate.messages import Message

if TYPE_CHECKING:
    from tidegate.bus.client import Bus

FORGET_AFTER = 30.0  # seconds after which the server drops the consumer of a replica that is gone
log = structlog.get_logger(__name__)

Heard = Callable[[Message, Envelope], None]
Beginning = Literal["last", "all", "new"]
"""With the last stored message per subject, with all that are stored, or with those to come."""


class Feed:
    """Made by `Bus.feed`. `caught_up` is set once all values that were stored at the start have been heard."""

    def __init__(
        self, bus: "Bus", *, stream: str, subject: str, heard: Heard, beginning: Beginning = "last", letters: str = ""
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._subject = subject
        self._heard = heard
        self._beginning = beginning
        self._letters = letters
        self._made: datetime | None = None  # when the stream was made: another time is another stream
        self._seen = 0  # stream sequence of the last message heard
        self._next = 1  # consumer sequence; a jump means that something was lost on the way
        self.caught_up = asyncio.Event()
        self._pull = Pull(bus.client, stream=stream, ensure=self._ensure, deliver=self._take, anew_on_reconnect=True)

    async def run(self) -> None:
        await self._pull.run()

    async def stop(self, *, grace: float) -> None:  # noqa: ARG002 - the port's signature; callbacks do not wait
        await self._pull.stop()

    def reconnected(self) -> None:
        self._pull.reconnected()

    async def _ensure(self) -> str:
        await self._bus.ensure()
        start = await self._start()
        made = await self._bus.js.add_consumer(
            self._stream,
            api.ConsumerConfig(
                **start,
                ack_policy=api.AckPolicy.NONE,
                filter_subject=self._subject,
                mem_storage=True,
                num_replicas=1,
                inactive_threshold=FORGET_AFTER,
                max_deliver=1,
            ),
        )
        self._next = 1
        if not made.num_pending:
            self.caught_up.set()
        return str(made.name)

    async def _start(self) -> dict[str, Any]:
        if self._beginning == "last":
            return {"deliver_policy": api.DeliverPolicy.LAST_PER_SUBJECT}
        info = await self._bus.js.stream_info(self._stream)
        first_time = self._made is None
        if first_time and self._beginning == "new":
            self._seen = info.state.last_seq
        elif self._made != info.created:
            self._seen = 0
        self._made = info.created
        return {"deliver_policy": api.DeliverPolicy.BY_START_SEQUENCE, "opt_start_seq": self._seen + 1}

    def _take(self, msg: Msg) -> None:
        metadata = msg.metadata
        if metadata.sequence.consumer != self._next:
            self._pull.lost("a message was missed")
            return
        self._next += 1
        self._seen = metadata.sequence.stream
        try:
            headers, body = unwrapped(msg.headers, msg.data)
            message = subjects.decoded(msg.subject, body)
        except GiveUp as error:
            self._put_aside(msg, error.reason)
        else:
            self._heard(message, decoded(headers))
        if metadata.num_pending == 0:
            self.caught_up.set()

    def _put_aside(self, msg: Msg, reason: str) -> None:
        """Every replica writes the same letter. For one that a restart reads again it was written long ago.
        Where a durable consumer puts messages aside they are only noise here."""
        young = msg.metadata.timestamp > datetime.now(UTC) - timedelta(seconds=DUPLICATE_WINDOW / 2)  # noqa: TID251 - part of the shell
        if not self._letters or not young:
            log.debug("bus.feed_skipped", subject=msg.subject, reason=reason)
            return
        log.warning("bus.dead_letter", subject=msg.subject, reason=reason)
        made = letter(
            consumer=self._letters, subject=msg.subject, headers=msg.headers, body=msg.data, reason=reason, deliveries=1,
            place=place_of(msg.metadata),
        )  # fmt: skip
        self._bus.bury(made)
