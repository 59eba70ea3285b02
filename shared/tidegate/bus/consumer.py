"""Consumption of one durable consumer by one process: what happens between a delivered message and its acknowledgement.

The promises, each with a test in tests/integration/bus:
- Acknowledged after the effect, never before.
- Messages of one key (`namespace/name`) are handled one after the other, in order; other keys go on meanwhile.
- `Retry` keeps the message and its key here and tries again with a growing delay, beating "in progress" to the server. It is
  kept and not given back, because a message given back would be overtaken by the next one of its key.
- `GiveUp`, a body that cannot be read, a subject nobody handles: a dead letter with the reason, an answer to whoever waits for
  one, then `term`. Also after MAX_FAILURES unexpected errors, and for a message that was handed out MAX_DELIVERIES times and
  never finished, since it may be what kills the process.
- Where only the last value counts (`coalesce`), a newer message of a key ends the waiting or the retrying of an older one.
- `stop` lets running handlers finish and gives everything else back at once.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import nats.errors
import structlog
from nats.aio.msg import Msg

from tidegate.bus import subjects
from tidegate.bus.deadletter import Place, letter, place_of
from tidegate.bus.envelope import Envelope, decoded, unwrapped
from tidegate.bus.pull import Pull
from tidegate.bus.topology import MAX_ACK_PENDING, Consumer, ensure_consumer
from tidegate.errors import GiveUp, Retry
from tidegate.messages import Message, RequestAnswered

if TYPE_CHECKING:
    from tidegate.bus.client import Bus

MAX_FAILURES = 10
MAX_DELIVERIES = 20
FIRST_DELAY, LONGEST_DELAY = 0.2, 30.0
AHEAD = 2  # times as many messages are in hand as are handled at a time

Handler = Callable[[Any, Envelope], Awaitable[None]]
Handlers = Mapping[type[Message], Handler]


def delay_of(attempt: int) -> float:
    """Seconds to wait after the attempt of this number (from 1): 0.2, 0.4, 0.8, ... 30."""
    return min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(attempt - 1, 10))


@dataclass(slots=True, eq=False)
class _Work:
    """One message in this process. `msg` is its latest delivery: only that one's acknowledgement counts. `deliveries` are those up
    to the one that brought it here: what comes again while it waits here killed nobody."""

    msg: Msg
    place: Place
    key: str
    deliveries: int
    attempts: int = 0
    failures: int = 0
    superseded: asyncio.Event = field(default_factory=asyncio.Event)


class Consumption:
    """Made by `Bus.consume`."""

    def __init__(self, bus: "Bus", declaration: Consumer, handlers: Handlers) -> None:
        self._bus = bus
        self._declaration = declaration
        self._handlers = handlers
        self._log = structlog.get_logger(__name__).bind(consumer=declaration.name)
        self._works: dict[Place, _Work] = {}
        self._queues: dict[str, deque[_Work]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(declaration.concurrency)
        self._stopping = asyncio.Event()
        self._pull = Pull(bus.client, stream=declaration.stream, ensure=self._ensure, deliver=self._accept, room=self._room)

    async def run(self) -> None:
        """Consume until `stop`; what this raises is a defect and ends the service."""
        async with asyncio.TaskGroup() as group:
            beating = group.create_task(self._beat())
            await self._pull.run()
            beating.cancel()

    async def stop(self, *, grace: float) -> None:
        """Stop pulling, wait up to `grace` seconds for running handlers, give back the rest."""
        self._stopping.set()
        await self._pull.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for work in list(self._works.values()):
            await self._settle(work, work.msg.nak)

    def reconnected(self) -> None:
        self._pull.reconnected()

    @property
    def waiting(self) -> int:
        """Messages taken from the server and not settled yet."""
        return len(self._works)

    async def _ensure(self) -> str:
        await self._bus.ensure()
        await ensure_consumer(self._bus.js, self._declaration)
        return self._declaration.name

    def _room(self) -> int:
        """What can be begun soon: the rest is another replica's to take, and costs nothing while the server keeps it. A key that
        waits for a retry takes no room from the others, however much stands behind it."""
        beginning = sum(not queue[0].attempts for queue in self._queues.values() if queue)
        return min(MAX_ACK_PENDING - len(self._works), AHEAD * self._declaration.concurrency - beginning)

    # --- arrival --------------------------------------------------------------------------------------------------------

    def _accept(self, msg: Msg) -> None:
        place = place_of(msg.metadata)
        if known := self._works.get(place):
            known.msg = msg  # delivered again while we work on it (a long disconnect): one effect, the newer acknowledgement
            return
        work = _Work(msg, place, subjects.key_of(msg.subject), msg.metadata.num_delivered)
        self._works[place] = work
        queue = self._queues.get(work.key)
        if queue is None:
            self._queues[work.key] = deque([work])
            self._spawn(self._work_off(work.key))
            return
        if self._declaration.coalesce:
            for older in queue:
                older.superseded.set()
        queue.append(work)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- one key after the other ----------------------------------------------------------------------------------------

    async def _work_off(self, key: str) -> None:
        queue = self._queues[key]
        structlog.contextvars.bind_contextvars(rollout=key)  # this task's own: every line of a handler says whom it is about
        try:
            while queue and not self._stopping.is_set():
                await self._finish(queue[0])
                queue.popleft()
        except Exception as error:  # noqa: BLE001 - a defect of this file must end the process, not one key
            self._bus.fail(error)
        finally:
            del self._queues[key]

    async def _finish(self, work: _Work) -> None:
        """Handle a message until it is settled, here or by giving it back at `stop`."""
        while not self._stopping.is_set():
            if work.superseded.is_set():
                await self._settle(work, work.msg.ack)
                return
            try:
                async with self._slots:
                    if not self._stopping.is_set():
                        await self._handle(work)
            except Retry as error:
                work.attempts += 1
                self._pull.room_made()
                await self._pause(work, delay_of(work.attempts) if error.after is None else error.after)
            else:
                return

    async def _handle(self, work: _Work) -> None:
        """One attempt. Returns when the message is settled, raises `Retry` when it is not."""
        reason = ""
        try:
            await self._dispatch(work)
        except Retry as error:
            self._log.info("bus.retry", key=work.key, subject=work.msg.subject, reason=error.reason, attempt=work.attempts + 1)
            raise
        except GiveUp as error:
            reason = error.reason
        except Exception as error:
            work.failures += 1
            self._log.exception("bus.handler_failed", key=work.key, subject=work.msg.subject, failures=work.failures)
            if work.failures < MAX_FAILURES:
                raise Retry(f"unexpected {type(error).__name__}: {error}") from error
            reason = f"failed {work.failures} times, last with {type(error).__name__}: {error}"
        if reason:
            await self._bury(work, reason)
            await self._settle(work, work.msg.term)
        else:
            await self._settle(work, work.msg.ack)

    async def _dispatch(self, work: _Work) -> None:
        if work.deliveries > MAX_DELIVERIES:
            raise GiveUp(f"handed out {work.deliveries} times and never finished")
        headers, body = unwrapped(work.msg.headers, work.msg.data)
        message = subjects.decoded(work.msg.subject, body)
        handler = self._handlers.get(type(message))
        if handler is None:
            raise GiveUp(f"{self._declaration.name} does not handle {type(message).__name__}")
        await handler(message, decoded(headers, fallback_id=f"{work.place.stream}.{work.place.sequence}.{work.place.timestamp}"))

    async def _pause(self, work: _Work, seconds: float) -> None:
        """Wait, unless a newer value or the end of the process makes the waiting pointless."""
        ends = [asyncio.ensure_future(event.wait()) for event in (work.superseded, self._stopping)]
        try:
            await asyncio.wait(ends, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in ends:
                each.cancel()

    # --- settling -------------------------------------------------------------------------------------------------------

    async def _bury(self, work: _Work, reason: str) -> None:
        self._log.warning("bus.dead_letter", key=work.key, subject=work.msg.subject, reason=reason)
        await self._bus.send_letter(
            letter(
                consumer=self._declaration.name,
                subject=work.msg.subject,
                headers=work.msg.headers,
                body=work.msg.data,
                reason=reason,
                deliveries=work.msg.metadata.num_delivered,
                place=work.place,
            )
        )
        envelope = decoded(work.msg.headers)
        if envelope.reply:
            await self._bus.answer(envelope, refusal(work.key, reason))

    async def _settle(self, work: _Work, tell: Callable[[], Awaitable[None]]) -> None:
        """Tell the server and forget. If it cannot be told the message comes again; handlers are idempotent."""
        with contextlib.suppress(nats.errors.Error):
            await tell()
        self._works.pop(work.place, None)
        self._pull.room_made()

    async def _beat(self) -> None:
        """Tell the server that what is here is being worked on, well inside `ack_wait`."""
        while True:
            await asyncio.sleep(self._declaration.ack_wait / 3)
            for work in list(self._works.values()):
                with contextlib.suppress(nats.errors.Error):
                    await work.msg.in_progress()


def refusal(key: str, reason: str) -> RequestAnswered:
    """The answer to a message that could not even be read. Not validated: the names in its subject may be what is wrong with it."""
    namespace, _, name = key.partition("/")
    return RequestAnswered.model_construct(namespace=namespace, name=name, accepted=False, reason=reason)
