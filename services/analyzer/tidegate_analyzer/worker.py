"""The shared worker (`tidegate.worker`) on the runs of this process.

What wakes: a watch event, a finished measurement, the moment a look named, and a slow resync.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from zlib import crc32

from tidegate.kube.errors import Conflict, NotFound
from tidegate.worker import Key, Worker
from tidegate_analyzer.run import Runs

MOST_SPREAD: Final = 0.5


def spread(seconds: float, key: Key) -> float:
    """A little later, by an amount that is each run's own. Times in objects are whole seconds, and after a restart everything is
    due at once: all runs would be measured at the stroke of the second for ever. Pure."""
    return seconds + min(MOST_SPREAD, max(0.0, seconds) / 20) * crc32("/".join(key).encode()) / 2**32


def worker_on(runs: Runs, *, clock: Callable[[], datetime]) -> Worker:
    async def look(key: Key) -> float | None:
        at = await runs.look(key)
        return None if at is None else spread((at - clock()).total_seconds(), key)

    worker = Worker(look, is_gone=runs.is_gone, refusals=(Conflict, NotFound))
    runs.wake = worker.wake
    return worker
