"""The shared worker (`tidegate.worker`) on the runs of this process. What wakes: a watch event, a finished measurement, the moment
a look named, and a slow resync."""

from collections.abc import Callable
from datetime import datetime

from tidegate.kube.errors import Conflict, NotFound
from tidegate.worker import Key, Worker
from tidegate_analyzer.run import Runs


def worker_on(runs: Runs, *, clock: Callable[[], datetime]) -> Worker:
    async def look(key: Key) -> float | None:
        at = await runs.look(key)
        return None if at is None else (at - clock()).total_seconds()

    worker = Worker(look, is_gone=runs.is_gone, refusals=(Conflict, NotFound))
    runs.wake = worker.wake
    return worker
