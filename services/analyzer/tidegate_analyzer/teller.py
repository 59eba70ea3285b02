"""Publishes a run's news, in order and at least once, without holding the run up.

Told is what this process has published. A process that sees a run for the first time tells only what is so recent that the
stream drops a repeat, and a run's end of the last hour if the stream does not hold it: so an end is told even if its process
died right after writing it, and a restart does not tell old stories.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from tidegate.bus.topology import DUPLICATE_WINDOW
from tidegate.errors import GiveUp, Retry
from tidegate.messages import AnalysisMeasured, Message
from tidegate_analyzer.telling import News, concluded_id, news

RETRY_AFTER: Final = 1.0
RECENT: Final = timedelta(seconds=DUPLICATE_WINDOW - 20)
ENDED_LATELY: Final = timedelta(hours=1)  # as long as Kubernetes keeps Events

Key = tuple[str, str]
Hide = Callable[[str], str]

log = structlog.get_logger(__name__)


class Sends(Protocol):
    async def publish(self, message: Message, *, id: str | None = None) -> object: ...  # noqa: A002 - the CloudEvents name


@dataclass(slots=True)
class _Story:
    """What one run has told, and what waits to be sent."""

    uid: str
    told: set[str]
    waiting: list[News] = field(default_factory=list)
    sending: bool = False


class Teller:
    def __init__(self, bus: Sends, *, clock: Callable[[], datetime]) -> None:
        self._bus = bus
        self._clock = clock
        self._stories: dict[Key, _Story] = {}
        self._concluded: dict[Key, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def hear_concluded(self, key: Key, id: str) -> None:  # noqa: A002 - the CloudEvents name
        """A conclusion that is on the bus, told by this process or another."""
        self._concluded[key] = id

    def tell(self, run: dict[str, Any], *, hide: Hide) -> None:
        """Publish what the run's status says and was not told yet. `hide` takes the values of Secrets out of a text."""
        key, uid = (run["metadata"]["namespace"], run["metadata"]["name"]), run["metadata"]["uid"]
        now = self._clock()
        items = news(run)
        story = self._stories.get(key)
        if story is None or story.uid != uid:
            story = self._stories[key] = _Story(uid, self._told_before(key, uid, items, now))
        fresh = [item for item in items if item.id not in story.told]
        story.told = {item.id for item in items}
        story.waiting += [_without_secrets(item, hide) for item in fresh]
        if story.waiting and not story.sending:
            story.sending = True
            task = asyncio.get_running_loop().create_task(self._send(key, story))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def forget(self, key: Key) -> None:
        """The run is gone; what is under way is still sent."""
        self._stories.pop(key, None)
        self._concluded.pop(key, None)

    async def close(self) -> None:
        """Send what is left, as far as the bus takes it."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)
        for task in self._tasks:
            task.cancel()

    def _told_before(self, key: Key, uid: str, items: list[News], now: datetime) -> set[str]:
        if self._concluded.get(key) == concluded_id(uid):
            return {item.id for item in items}
        horizon = {False: now - RECENT, True: now - ENDED_LATELY}
        return {item.id for item in items if item.at < horizon[item.is_end]}

    async def _send(self, key: Key, story: _Story) -> None:
        try:
            while story.waiting:
                item = story.waiting[0]
                try:
                    await self._bus.publish(item.message, id=item.id)
                except Retry:
                    await asyncio.sleep(RETRY_AFTER)
                    continue
                except GiveUp as error:
                    log.error("tell.impossible", run="/".join(key), id=item.id, reason=error.reason)  # noqa: TRY400
                del story.waiting[0]
        finally:
            story.sending = False


def _without_secrets(item: News, hide: Hide) -> News:
    """Made now: the run, and with it what has to be hidden, may be another by the time it is sent."""
    message = item.message
    if isinstance(message, AnalysisMeasured):  # all other texts come from the status, where they are hidden already
        message = message.model_copy(update={"value": hide(message.value), "message": hide(message.message)})
    return replace(item, make=lambda: message)
