"""Which object is looked at when: one look at an object at a time, many objects at once.

A wake-up only says that something may have changed. One that comes during a look leads to one more; a look names the seconds until
the next; one that failed is repeated with growing distance while the others go on. Members share the keys by rendezvous hashing,
which is for speed only: what a look does must be safe if two do it.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from tidegate.errors import KubeError, Retry
from tidegate.shares import owner

Key = tuple[str, str]
"""Namespace and name."""
Look = Callable[[Key], Awaitable[float | None]]
"""Answers with the seconds until the next look, None if only a wake-up is waited for."""

RETRY_AFTER: Final = 1.0
LONGEST_RETRY: Final = 30.0
LONGEST_TIMER: Final = 3600.0
"""A timer is set for an hour at most and then looked at again, since clocks of machines are set now and then."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Entry:
    running: bool = False
    again: bool = False
    timer: asyncio.TimerHandle | None = None
    failures: int = 0


class Worker:
    """Looks from `start` until it is closed, at the keys that fall to this member of the live ones.

    `is_gone` keys are looked at once more, by everyone, and forgotten. Exceptions in `refusals` say that a write was decided from
    what has changed meanwhile: no failure, and the watch usually brings the news before the second is over.
    """

    def __init__(
        self, look: Look, *, is_gone: Callable[[Key], bool], refusals: tuple[type[Exception], ...], at_once: int | None = None
    ) -> None:
        self._look = look
        self._is_gone = is_gone
        self._refusals = refusals
        self._slots = asyncio.Semaphore(at_once) if at_once else contextlib.nullcontext()
        self._me = ""
        self._members: frozenset[str] = frozenset()
        self._entries: dict[Key, _Entry] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = False

    def start(self) -> None:
        """From now on wakes lead to looks; before, the caches were not whole."""
        self._started = True
        self.wake_all()

    def share_with(self, members: frozenset[str], me: str) -> None:
        """A changed set of live members: look at everything, for some of it may be ours now."""
        self._members, self._me = members, me
        self.wake_all()

    def owns(self, key: Key) -> bool:
        return len(self._members) < 2 or owner("/".join(key), self._members) == self._me

    def wake(self, key: Key) -> None:
        entry = self._entries.setdefault(key, _Entry())
        if not self._started or not (self.owns(key) or self._is_gone(key)):
            return
        entry.again = True
        if entry.running:
            return
        entry.running = True
        task = asyncio.get_running_loop().create_task(self._run(key, entry))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def wake_all(self) -> None:
        for key in list(self._entries):
            self.wake(key)

    async def close(self) -> None:
        """What is under way is finished."""
        self._started = False
        for entry in self._entries.values():
            _set_timer(entry, None)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, key: Key, entry: _Entry) -> None:
        """Look until nothing woke it meanwhile."""
        try:
            async with self._slots:
                while entry.again and self._started:
                    entry.again = False
                    _set_timer(entry, None)
                    self._wake_in(key, entry, await self._looked(key, entry))
        finally:
            entry.running = False
            if self._is_gone(key):
                _set_timer(entry, None)
                self._entries.pop(key, None)

    async def _looked(self, key: Key, entry: _Entry) -> float | None:
        """Seconds until the next look. One object's defect is logged and tried again; the others go on."""
        try:
            seconds = await self._look(key)
        except self._refusals as refusal:
            log.debug("a write was refused, waiting for the watch", namespace=key[0], name=key[1], reason=str(refusal))
            return RETRY_AFTER
        except Exception as error:  # noqa: BLE001 - logged with its trace
            entry.failures += 1
            report = log.warning if isinstance(error, KubeError | Retry) else log.exception
            report("look failed", namespace=key[0], name=key[1], error=str(error), failures=entry.failures)
            return _back_off(entry.failures)
        entry.failures = 0
        return seconds

    def _wake_in(self, key: Key, entry: _Entry, seconds: float | None) -> None:
        if seconds is not None and self._started:
            _set_timer(entry, asyncio.get_running_loop().call_later(min(max(0.0, seconds), LONGEST_TIMER), self.wake, key))


def _back_off(failures: int) -> float:
    """Seconds. The exponent is bounded: a night of failures would make the power too large for a float."""
    return min(math.ldexp(RETRY_AFTER, min(failures - 1, 10)), LONGEST_RETRY)


def _set_timer(entry: _Entry, timer: asyncio.TimerHandle | None) -> None:
    if entry.timer is not None:
        entry.timer.cancel()
    entry.timer = timer
