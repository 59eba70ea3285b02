"""One answer for all who ask the same at the same time: a hundred rollouts with one template are one query.

The same means: the same provider with the same configuration, arguments and the credentials among them put in, in the same
namespace. So an answer never crosses credentials: what a configuration does not hold comes from a Secret that it, or its
namespace, names.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tidegate_analyzer.metrics import span
from tidegate_analyzer.provider import Context, Outcome

AT_ONCE: Final = 1.0
"""Seconds. A question that is under way is joined if it was asked that lately: answers are about the moment of the question."""
OLDEST: Final = 5.0
OF_AN_INTERVAL: Final = 0.1
TRUNCATED: Final = 1.0
"""Seconds by which a measurement may come early, since times in the object are whole seconds."""

Ask = Callable[[], Awaitable[Outcome]]


def question(provider: str, config: Mapping[str, Any], context: Context) -> bytes:
    """A digest, for a configuration may hold secrets. Pure."""
    return hashlib.blake2b(orjson.dumps([provider, context.namespace, config], option=orjson.OPT_SORT_KEYS)).digest()


def window(context: Context) -> float:
    """How old, in seconds, an answer to the same question may be: a tenth of the interval, so that no run meets its own. Pure."""
    if not context.interval:
        return AT_ONCE
    return min(OLDEST, max(0.0, span(context.interval).total_seconds() - TRUNCATED) * OF_AN_INTERVAL)


@dataclass(slots=True)
class _Asked:
    task: asyncio.Task[Outcome]
    at: float
    waiting: int = 0


class Questions:
    """Those under way, and for a moment those that were answered. A failure is told to all who wait for it, and is not kept."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._asked: dict[bytes, _Asked] = {}

    async def answered(self, key: bytes, ask: Ask, *, oldest: float) -> Outcome:
        asked = self._asked.get(key)
        if asked is None or not self._is_fresh(asked, oldest):
            asked = self._begin(key, ask)
        asked.waiting += 1
        try:
            return await asyncio.shield(asked.task)
        finally:
            asked.waiting -= 1
            if not asked.waiting and not asked.task.done():
                asked.task.cancel()  # the last one who waited is gone
                self._drop(key, asked)

    def _is_fresh(self, asked: _Asked, oldest: float) -> bool:
        age = self._clock() - asked.at
        return age <= (oldest if asked.task.done() else max(oldest, AT_ONCE))

    def _begin(self, key: bytes, ask: Ask) -> _Asked:
        loop = asyncio.get_running_loop()
        asked = self._asked[key] = _Asked(loop.create_task(_outcome(ask)), self._clock())

        def ended(task: asyncio.Task[Outcome]) -> None:
            if task.cancelled() or task.exception() is not None:
                self._drop(key, asked)
            else:
                loop.call_later(OLDEST, self._drop, key, asked)

        asked.task.add_done_callback(ended)
        return asked

    def _drop(self, key: bytes, asked: _Asked) -> None:
        if self._asked.get(key) is asked:
            del self._asked[key]


async def _outcome(ask: Ask) -> Outcome:
    return await ask()
