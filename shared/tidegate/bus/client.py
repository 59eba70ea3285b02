"""The bus as the services see it: publish, consume, ask and answer, feeds, members. nats-py stays behind this file's neighbours.

`publish` returns when the stream has the message, or raises: `Retry` if the server is away or cannot take it now, `GiveUp`
if it never will (too large). Nothing is buffered.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self, TypeVar

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext

from tidegate.bus import subjects, topology
from tidegate.bus.connection import Reporter, address, connect
from tidegate.bus.consumer import Consumption, Handlers
from tidegate.bus.deadletter import Letter
from tidegate.bus.door import AskDoor
from tidegate.bus.envelope import Envelope, decoded, encoded
from tidegate.bus.feed import Beginning, Feed, Heard
from tidegate.bus.ids import new_id
from tidegate.bus.members import Members
from tidegate.bus.sending import say, store
from tidegate.config import Settings
from tidegate.errors import GiveUp, Retry
from tidegate.messages import Message, RequestAnswered

log = structlog.get_logger(__name__)
Part = TypeVar("Part", Consumption, Feed, Members)

ANSWER_SECONDS = 5.0
GRACE_SECONDS = 3.0
CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A stored message with its envelope."""

    message: Message
    envelope: Envelope


class Bus:
    """`async with Bus.connect(settings, service="planner") as bus`."""

    def __init__(
        self,
        *,
        service: str,
        streams: Iterable[topology.Stream] = topology.STREAMS,
        replicas: int = 1,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self.service = service
        self._answer_seconds = answer_seconds
        self._streams = tuple(streams)
        self._replicas = replicas
        self._parts: list[Consumption | Feed | Members] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._ensuring = asyncio.Lock()
        self._ensured_at = float("-inf")
        self._draining = False
        self._door = AskDoor(service, store=self._store, answer=self.answer)
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Never has a result; gets the exception that makes this bus useless. A service waits on it."""

    client: Client
    js: JetStreamContext

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        settings: Settings,
        *,
        service: str,
        streams: Iterable[topology.Stream] = topology.STREAMS,
        patience: float | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> AsyncIterator[Self]:
        """Connect and make sure of `streams`: a service's own (`rights`), none for a tool, which may only use what is there.

        Waits for ever, or raises `Retry` after `patience` seconds (for tools). `answer_seconds`: how long the server may take to
        store a message. A service tries again soon; who does not is better served with a long time, unless the server dies.
        """
        bus = cls(service=service, streams=streams, replicas=settings.stream_replicas, answer_seconds=answer_seconds)
        reporter = Reporter(settings.nats_url)
        try:
            async with asyncio.timeout(patience):
                await bus._open(settings, reporter)
        except TimeoutError as error:
            told = f"no NATS server with JetStream answered at {address(settings.nats_url)} within {patience:g} s"
            raise Retry(f"{told}: {reporter.causes}") from error
        try:
            yield bus
        finally:
            await bus.drain()

    async def _open(self, settings: Settings, reporter: Reporter) -> None:
        self.client = await connect(
            settings,
            service=self.service,
            reporter=reporter,
            reconnected=self._reconnected,
            closing=lambda: self._draining,
            closed=self._closed,
        )
        self.js = self.client.jetstream(timeout=self._answer_seconds)
        try:
            await self._ensured()
        except asyncio.CancelledError:
            await self.drain()
            raise

    async def _ensured(self) -> None:
        while True:
            try:
                await self.ensure()
            except Retry as error:
                log.warning("bus.streams_not_ready", reason=error.reason, next="trying again")
                await asyncio.sleep(1)
            else:
                return

    def _reconnected(self) -> None:
        for part in self._parts:
            part.reconnected()

    @property
    def connected(self) -> bool:
        return self.client.is_connected

    def fail(self, error: BaseException) -> None:
        """Make this bus useless, with the reason. Called for defects only."""
        if not self.failed.done():
            self.failed.set_exception(error)
            self.failed.exception()  # mark as seen: whoever does not wait on it must not get a warning at exit

    async def ensure(self) -> None:
        """Make the streams again if they are gone. Callers in a crowd share one look at the server."""
        asked_at = time.monotonic()
        async with self._ensuring:
            if self._ensured_at >= asked_at:
                return
            try:
                await topology.ensure(self.js, streams=self._streams, replicas=self._replicas)
            except (nats.errors.Error, TimeoutError) as error:
                raise Retry(f"streams could not be made: {error or type(error).__name__}") from error
            self._ensured_at = time.monotonic()

    # --- sending --------------------------------------------------------------------------------------------------------

    async def publish(  # noqa: PLR0913 - the attributes of an event
        self,
        message: Message,
        *,
        id: str | None = None,  # noqa: A002 - the CloudEvents name
        cause: Envelope | None = None,
        correlation: str = "",
        causation: str = "",
        requested_by: str = "",
        reply: str = "",
    ) -> Envelope:
        """Store a message, or only say it where it belongs to no stream.

        `cause` is the one that led to it: correlation, causation, who asked and the trace follow it.
        """
        envelope = Envelope(
            id=id or new_id(),
            source=f"/tidegate/{self.service}",
            type=message.type_of(),
            subject=f"{message.namespace}/{message.name}",
            time=datetime.now(UTC).isoformat(),  # noqa: TID251 - part of the shell
            correlation=correlation or ((cause.correlation or cause.id) if cause else ""),
            causation=causation or (cause.id if cause else ""),
            authid=requested_by or (cause.authid if cause else ""),
            traceparent=cause.traceparent if cause else "",
            reply=reply,
        )
        body, headers = message.model_dump_json().encode(), encoded(envelope)
        if message.stream:
            await self._store(message.subject_of(), body, headers)
        else:
            await say(self.client, message.subject_of(), body, headers, reply=message.reply_of())
        return envelope

    async def send_letter(self, letter: Letter) -> None:
        await self._store(letter.subject, letter.body, letter.headers)

    async def _store(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        await store(self.js, subject, body, headers, most=self.client.max_payload, ensure=self.ensure)

    async def request(
        self,
        message: Message,
        *,
        timeout: float,  # noqa: ASYNC109 - part of what is asked
        requested_by: str = "",
        correlation: str = "",
    ) -> RequestAnswered:
        """Store a request or command and wait for its answer.

        `Retry` after `timeout`: the request is stored and will still be carried out; only the answer was not waited for.
        """
        inbox = self.client.new_inbox()
        answers = await self.client.subscribe(inbox, max_msgs=1)
        try:
            await self.publish(message, reply=inbox, requested_by=requested_by, correlation=correlation)
            answer = await answers.next_msg(timeout=timeout)
        except nats.errors.TimeoutError as error:
            raise Retry(f"no answer within {timeout:g} s; the request is stored and will be carried out") from error
        finally:
            with suppress(nats.errors.Error):
                await answers.unsubscribe()
        return RequestAnswered.model_validate_json(answer.data)

    async def answer(self, envelope: Envelope, answer: RequestAnswered) -> None:
        """Tell whoever waits for it. Without a reply subject, or with NATS away, nobody does: the outcomes tell the rest."""
        if not envelope.reply:
            return
        told = Envelope(
            id=new_id(), source=f"/tidegate/{self.service}", type=answer.type, subject=f"{answer.namespace}/{answer.name}",
            correlation=envelope.correlation or envelope.id, causation=envelope.id,
        )  # fmt: skip
        with suppress(nats.errors.Error):
            await self.client.publish(envelope.reply, answer.model_dump_json().encode(), headers=encoded(told))

    # --- hearing --------------------------------------------------------------------------------------------------------

    def consume(self, declaration: topology.Consumer, handlers: Handlers) -> Consumption:
        """Handle the messages of a durable consumer from now on; the work is shared with the other replicas."""
        return self._start(Consumption(self, declaration, handlers))

    def feed(self, stream: str, subject: str, heard: Heard, *, beginning: Beginning = "last", letters: str = "") -> Feed:
        """Hear every message of a subject filter in this replica; see `Beginning` for the first one.

        `letters`: the box for those that nobody can read, where no durable consumer puts them aside.
        """
        return self._start(Feed(self, stream=stream, subject=subject, heard=heard, beginning=beginning, letters=letters))

    def bury(self, letter: Letter) -> None:
        """Send a dead letter without waiting for it; each is tried once, and the next replica sends the same."""
        task = asyncio.create_task(self._buried(letter))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _buried(self, letter: Letter) -> None:
        try:
            await self.send_letter(letter)
        except (Retry, GiveUp) as error:
            log.warning("bus.letter_lost", subject=letter.subject, reason=error.reason)

    def members(self, group: str, changed: Callable[[frozenset[str]], None] | None = None) -> Members:
        """Join a group of live processes; `.live` holds their ids, `.me` is always among them."""
        return self._start(Members(self, group, changed))

    def _start(self, part: Part) -> Part:
        self._parts.append(part)
        task = asyncio.create_task(part.run())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return part

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    async def last(self, stream: str, subject: str) -> Received | None:
        """The newest stored message of a subject, read from the stream's leader, so one's own writes are seen."""
        try:
            raw = await self.js.get_last_msg(stream, subject)
        except nats.js.errors.NotFoundError:
            return None
        except (nats.errors.Error, TimeoutError) as error:
            raise Retry(f"{subject}: not read, NATS is away ({error or type(error).__name__})") from error
        return Received(message=subjects.decoded(subject, raw.data or b""), envelope=decoded(raw.headers))

    async def open_ask_door(self, messages: Iterable[type[Message]]) -> None:
        """Serve `nats request tidegate.ask.<rest>` for these messages, see `door`."""
        await self._door.open(self.client, messages)

    # --- the end --------------------------------------------------------------------------------------------------------

    async def drain(self, *, grace: float = GRACE_SECONDS) -> None:
        """Stop pulling, let running handlers finish (up to `grace`), give back the rest, flush, close."""
        if self._draining:
            return
        self._draining = True
        with suppress(TimeoutError):  # each step is bounded: nats-py swallows cancellation in places
            async with asyncio.timeout(grace + CLOSE_SECONDS):
                await asyncio.gather(*(part.stop(grace=grace) for part in self._parts), return_exceptions=True)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
        with suppress(nats.errors.Error, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                if self.client.is_connected:
                    await self.client.flush()
        if not self.client.is_closed:
            await self.client.close()

    def _closed(self, reason: str) -> None:
        if not self._draining:
            self.fail(Retry(f"NATS closed the connection for good: {reason or 'no reason given'}"))
