"""Tells the world what `narrative` finds, in order and at least once, without holding a rollout up.

What was told is kept in the very message that tells it (`EventsRecorded.told`): either both are on the bus or neither is. With
NATS away the news wait here; a process that dies meanwhile finds them again as one difference.
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

import structlog

from tidegate import keys
from tidegate.errors import GiveUp, Retry
from tidegate.messages import EventsRecorded, Message, Record
from tidegate_planner.narrative import Chapter, Outcome, narrate
from tidegate_planner.told import told_from_json
from tidegate_planner.world import Key

LINGER = 0.05  # seconds in which the news of one rollout are gathered into one message: a third of the messages of a fast one
RETRY_AFTER = 1.0

log = structlog.get_logger(__name__)


class Told(Protocol):
    """The state up to which something was told."""

    def as_json(self) -> dict[str, Any]: ...


class Named(Protocol):
    """What is told of any object."""

    @property
    def uid(self) -> str: ...
    @property
    def annotations(self) -> Mapping[str, Any]: ...


ToldT = TypeVar("ToldT", bound=Told)
SeenT = TypeVar("SeenT", bound=Named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Story(Generic[ToldT, SeenT]):
    """How one kind of object is told, and how what was told is read back."""

    kind: Literal["Rollout", "Experiment"]
    narrate: Callable[[ToldT | None, SeenT], Chapter[ToldT]]
    read: Callable[[Mapping[str, Any]], ToldT]


OF_ROLLOUTS = Story(kind="Rollout", narrate=narrate, read=told_from_json)


class Sends(Protocol):
    async def publish(
        self,
        message: Message,
        *,
        id: str | None = None,  # noqa: A002 - the CloudEvents name
        correlation: str = "",
        requested_by: str = "",
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is being sent. It keeps its id and its content over every attempt: a publish that timed out may have been stored."""

    id: str
    outcomes: tuple[Outcome, ...]
    message: EventsRecorded
    correlation: str
    requested_by: str


@dataclass(slots=True)
class _News(Generic[ToldT]):
    """What one object has to tell that is not on the bus yet."""

    told: ToldT | None = None
    uid: str = ""
    correlation: str = ""
    requested_by: str = ""
    records: list[Record] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    sending: bool = False
    batch: _Batch | None = None


class Teller(Generic[ToldT, SeenT]):
    """One for each kind of object. A Rollout and an Experiment of one name share a subject, of which the bus replays the last
    message only: after a restart one of them may tell outcomes again, under their fixed ids."""

    def __init__(self, bus: Sends, story: Story[ToldT, SeenT], *, clock: Callable[[], float]) -> None:
        self._bus = bus
        self._story = story
        self._clock = clock
        self._news: dict[Key, _News[ToldT]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard: dict[Key, tuple[str, ToldT]] = {}
        self._may_tell: Callable[[], bool] = lambda: True

    def wait_for(self, heard: asyncio.Event) -> None:
        """Tell nothing before `heard`: that all was heard that had been told. Who told then how things stand would pass over, for
        ever, what nobody had told yet of the way there. Afterwards it is one difference, as after a death."""
        self._may_tell = heard.is_set

    def hear(self, message: EventsRecorded, *, ours: bool) -> None:
        """What a planner has told about an object: this one, also before its restart, or the one whose share it is."""
        if message.kind != self._story.kind:
            return
        key = (message.namespace, message.name)
        if message.told is not None:
            self._heard[key] = (message.uid, self._story.read(message.told))
        news = self._news.get(key)
        if not ours and news is not None and not news.sending:
            del self._news[key]  # when the rollout falls to us again, what the other one told counts

    def tell(self, key: Key, seen: SeenT) -> None:
        if not self._may_tell():
            return
        news = self._news.get(key)
        if news is None or news.uid != seen.uid:
            uid, told = self._heard.get(key, ("", None))
            news = self._news[key] = _News(told=told if uid == seen.uid else None, uid=seen.uid)
        chapter = self._story.narrate(news.told, seen)
        news.told = chapter.told
        news.records.extend(chapter.records)
        news.outcomes.extend(chapter.outcomes)
        news.correlation = seen.annotations.get(keys.CORRELATION_ID, "")
        news.requested_by = seen.annotations.get(keys.REQUESTED_BY, "")
        if (news.records or news.outcomes) and not news.sending:
            news.sending = True
            task = asyncio.get_running_loop().create_task(self._send(key, news))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def forget(self, key: Key) -> None:
        """The rollout is gone; what is under way is still sent."""
        self._news.pop(key, None)
        self._heard.pop(key, None)

    async def close(self) -> None:
        """Send what is left, as far as the bus takes it."""
        await asyncio.wait(self._tasks, timeout=2.0) if self._tasks else None
        for task in self._tasks:
            task.cancel()

    async def _send(self, key: Key, news: _News[ToldT]) -> None:
        try:
            while news.batch or news.records or news.outcomes:
                if news.batch is None:
                    await asyncio.sleep(LINGER)
                    news.batch = self._gathered(key, news)
                await self._send_batch(news, news.batch)
        finally:
            news.sending = False

    def _gathered(self, key: Key, news: _News[ToldT]) -> _Batch:
        message = EventsRecorded(
            namespace=key[0],
            name=key[1],
            service="planner",
            kind=self._story.kind,
            uid=news.uid,
            at=datetime.fromtimestamp(self._clock(), UTC),
            records=tuple(news.records),
            told=news.told.as_json() if news.told else None,
        )
        batch = _Batch(uuid.uuid4().hex, tuple(news.outcomes), message, news.correlation, news.requested_by)
        news.records, news.outcomes = [], []
        return batch

    async def _send_batch(self, news: _News[ToldT], batch: _Batch) -> None:
        """Outcomes first, then the record with the snapshot: a death in between repeats outcomes, whose ids are fixed."""
        attributes = {"correlation": batch.correlation, "requested_by": batch.requested_by}
        try:
            for outcome in batch.outcomes:
                await self._bus.publish(outcome.message, id=outcome.id, **attributes)
            await self._bus.publish(batch.message, id=batch.id, **attributes)
        except Retry:
            await asyncio.sleep(RETRY_AFTER)
            return
        except GiveUp as error:
            log.error("news cannot be told", about=batch.message.name, error=error.reason)  # noqa: TRY400
        news.batch = None
