"""A provider without a world outside: it answers what it was told to, in order. The reference of both ports and their test double.

Its config is `{"script": name}`. Answers are numbered like measurements, so asking twice for the same key gives the same answer.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from tidegate_analyzer.expression import json_of
from tidegate_analyzer.provider import Config, Context, Decided, Measured, NotMeasured, Outcome, Texts, Unfinished

NAME: Final = "memory"


class Memory:
    """`scripts` maps a name to answers: an Outcome, an exception to raise, an Event to wait for, or a plain value."""

    def __init__(self, scripts: dict[str, Sequence[Any]] | None = None) -> None:
        self.scripts: dict[str, Sequence[Any]] = dict(scripts or {})
        self.asked: list[tuple[str, str]] = []
        """What was asked for, and with which key."""
        self.configs: list[Config] = []

    async def measure(self, config: Config, context: Context) -> Outcome:
        return await self._answer("measure", config, context, context.number - 1)

    async def resume(self, config: Config, context: Context, metadata: Texts) -> Outcome:
        turn = int(metadata["turn"]) + 1
        return await self._answer("resume", config, context, turn)

    async def terminate(self, config: Config, context: Context, metadata: Texts) -> Outcome:
        self._note("terminate", config, context)
        return Decided(phase="Inconclusive", message="Metric Terminated", metadata=metadata)

    async def _answer(self, verb: str, config: Config, context: Context, turn: int) -> Outcome:
        self._note(verb, config, context)
        answers = self.scripts[config["script"]]
        answer = answers[min(turn, len(answers) - 1)]
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            answer = True
        match answer:
            case Exception():
                raise answer
            case Measured() | Decided() | Unfinished():
                return answer
        return Measured(result=answer, value=json_of(answer))

    def _note(self, verb: str, config: Config, context: Context) -> None:
        self.asked.append((verb, context.key))
        self.configs.append(config)
        if config.get("script") not in self.scripts:
            raise NotMeasured(f"unknown script {config.get('script')!r}; known: {', '.join(sorted(self.scripts))}")
