"""Waiting for what another process will do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tidegate.errors import Retry
from tidegate.kube.errors import Transient

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds. Only decides how long a failing test takes: machines are shared, and a tight limit would fail on a busy one."""

POLL = 0.1


async def eventually(look: Callable[[], Awaitable[T]], holds: Callable[[T], object], *, what: str, patience: float = PATIENCE) -> T:
    """What `look` sees the first time that `holds`; else an AssertionError that shows what it saw last.

    A server that is away for a moment is asked again: on a shared machine NATS was silent for five seconds once.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        last: object
        try:
            last = seen = await look()
            if holds(seen):
                return seen
        except (Retry, Transient) as away:
            last = away
        if loop.time() > deadline:
            raise AssertionError(f"waited {patience:.0f} s in vain for {what}; at last it was\n{last}")
        await asyncio.sleep(POLL)
