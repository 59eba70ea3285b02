"""Asking a plugin and waiting for its answer, for services that cannot go on without it (docs/plugins.md).

A question is repeated until it is answered, so a plugin that starts late, or loses it, still hears it; an answer that comes when
nobody waits for it any more is dropped. The planner does not use this: what it waits for stands in the Rollout's status.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress
from typing import Final

from tidegate.bus.client import Bus
from tidegate.bus.envelope import Envelope
from tidegate.bus.subjects import wildcard
from tidegate.errors import Retry, TidegateError
from tidegate.messages import PLUGINS, Message, PluginMessage

REPEAT: Final = 5.0
"""Seconds between two times of the same question."""


class NoAnswer(TidegateError):  # noqa: N818 - reads as the fact it states
    """The plugin was silent for as long as its answer is waited for."""


class Calls:
    """Hears all answers of one kind from now on. `letters` is the box for those that nobody can read."""

    def __init__(self, bus: Bus, answer: type[PluginMessage], *, letters: str, repeat: float = REPEAT) -> None:
        self._bus = bus
        self._repeat = repeat
        self._waiting: defaultdict[tuple[str, str], list[asyncio.Future[PluginMessage]]] = defaultdict(list)
        self._feed = bus.feed(PLUGINS, wildcard(answer), self._hear, beginning="new", letters=letters)

    async def ask(self, question: PluginMessage, *, patience: float) -> PluginMessage:
        """The answer, or `NoAnswer` after `patience` seconds, in which NATS may be away."""
        answer: asyncio.Future[PluginMessage] = asyncio.get_running_loop().create_future()
        call = question.plugin, question.id  # who may answer for one plugin may not answer for another
        self._waiting[call].append(answer)
        try:
            async with asyncio.timeout(patience):
                await self._feed.caught_up.wait()  # else what is answered at once would not be heard
                while True:
                    with suppress(Retry):
                        await self._bus.publish(question)
                    done, _ = await asyncio.wait({answer}, timeout=self._repeat)
                    if done:
                        return answer.result()
        except TimeoutError as error:
            raise NoAnswer(f"plugin {question.plugin} did not answer within {patience:g} s") from error
        finally:
            self._waiting[call].remove(answer)
            if not self._waiting[call]:
                del self._waiting[call]

    def _hear(self, message: Message, _envelope: Envelope) -> None:
        if isinstance(message, PluginMessage):
            for each in self._waiting.get((message.plugin, message.id), ()):
                if not each.done():
                    each.set_result(message)
