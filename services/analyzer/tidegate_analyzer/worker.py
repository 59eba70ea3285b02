"""Which run is looked at when: one look at a run at a time, many runs at once.

What wakes: a watch event, a finished measurement, the moment a look named, and a slow resync. Replicas share the runs by
rendezvous hashing; that is for speed only, `run.py` keeps it safe.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from tidegate.errors import KubeError
from tidegate.kube.errors import Conflict, NotFound
from tidegate.shares import owner
from tidegate_analyzer.run import Runs
from tidegate_analyzer.teller import Key

AFTER_CONFLICT: Final = 1.0  # seconds; the watch usually brings what refused the write much earlier
FIRST_RETRY, LONGEST_RETRY = 1.0, 30.0
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
    """Looks until it is closed. `me` is this process among the members."""

    def __init__(self, *, runs: Runs, clock: Callable[[], datetime], me: str = "") -> None:
        self._runs = runs
        self._clock = clock
        self._me = me
        self._members: frozenset[str] = frozenset({me})
        self._entries: dict[Key, _Entry] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = False
        runs.wake = self.wake

    def start(self) -> None:
        """From now on wakes lead to looks; before, the cache was not whole."""
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
        if not self._started or not (self.owns(key) or self._runs.is_gone(key)):
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
        self._started = False
        for entry in self._entries.values():
            _set_timer(entry, None)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runs.close()

    async def _run(self, key: Key, entry: _Entry) -> None:
        """Look until nothing woke it meanwhile. One run's defect is logged and tried again; the others go on."""
        try:
            while entry.again and self._started:
                entry.again = False
                self._wake_in(key, entry, await self._looked(key, entry))
        finally:
            entry.running = False
            if self._runs.is_gone(key):
                _set_timer(entry, None)
                self._entries.pop(key, None)

    async def _looked(self, key: Key, entry: _Entry) -> float | None:
        """Seconds until the next look."""
        try:
            next_look = await self._runs.look(key)
        except (Conflict, NotFound):
            return AFTER_CONFLICT
        except Exception as error:  # noqa: BLE001 - logged with its trace, and this run is tried again
            entry.failures += 1
            report = log.warning if isinstance(error, KubeError) else log.exception
            report("run.look_failed", run="/".join(key), error=str(error), failures=entry.failures)
            return float(min(FIRST_RETRY * 2 ** min(entry.failures - 1, 10), LONGEST_RETRY))
        entry.failures = 0
        return None if next_look is None else max(0.0, (next_look - self._clock()).total_seconds())

    def _wake_in(self, key: Key, entry: _Entry, seconds: float | None) -> None:
        _set_timer(entry, None)
        if seconds is not None and self._started:
            timer = asyncio.get_running_loop().call_later(min(seconds, LONGEST_TIMER), self.wake, key)
            _set_timer(entry, timer)


def _set_timer(entry: _Entry, timer: asyncio.TimerHandle | None) -> None:
    if entry.timer is not None:
        entry.timer.cancel()
    entry.timer = timer
