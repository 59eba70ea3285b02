"""Waiting for what another process will do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds. Only decides how long a failing test takes: machines are shared, and a tight limit would fail on a busy one."""

POLL = 0.1


async def eventually(look: Callable[[], Awaitable[T]], holds: Callable[[T], object], *, what: str, patience: float = PATIENCE) -> T:
    """What `look` sees the first time that `holds`; else an AssertionError that shows what it saw last."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        seen = await look()
        if holds(seen):
            return seen
        if loop.time() > deadline:
            raise AssertionError(f"waited {patience:.0f} s in vain for {what}; at last it was\n{seen}")
        await asyncio.sleep(POLL)
