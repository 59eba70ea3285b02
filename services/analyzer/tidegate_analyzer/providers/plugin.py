"""A provider that is somebody's own process, asked over the bus (`argo-behaviour.md` 8.12, docs/plugins.md).

It answers with a value, which the metric's conditions judge like any other, or with a phase, if it judges by itself. The question
of one measurement has one name, also from an analyzer that starts anew: a plugin that has measured may say the same again.
"""

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final, Literal

import orjson

from tidegate.bus import NoAnswer
from tidegate.errors import GiveUp, UnknownName
from tidegate.messages import MetricAnswered, MetricRequested
from tidegate_analyzer.answers import NotJson, document, stored
from tidegate_analyzer.provider import Config, Context, Decided, Measured, NotMeasured, Outcome, Texts, Tools, Unfinished

NAME: Final = "plugin"
SECONDS: Final = 60.0
"""How long an answer is waited for. Who needs longer answers Running, and is asked again."""
RESUME: Final = 10.0

Operation = Literal["Run", "Resume", "Terminate"]


class Plugin:
    """See the module's docstring."""

    offers: ClassVar[tuple[str, ...]] = ("any process on the bus", "goes on after a restart", "may judge itself")

    def __init__(self, tools: Tools) -> None:
        self._calls = tools.calls
        self._clock = tools.clock
        self._known = [name for name, enabled in tools.settings.metric_plugins.items() if enabled]

    async def measure(self, config: Config, context: Context) -> Outcome:
        return await self._asked("Run", config, context, {})

    async def resume(self, config: Config, context: Context, metadata: Texts) -> Outcome:
        return await self._asked("Resume", config, context, metadata)

    async def terminate(self, config: Config, context: Context, metadata: Texts) -> Outcome:
        return await self._asked("Terminate", config, context, metadata)

    async def _asked(self, operation: Operation, config: Config, context: Context, metadata: Texts) -> Outcome:
        if self._calls is None:
            raise NotMeasured("a plugin is asked over the bus, and there is none here")
        name = plugin_of(config)
        if name not in self._known:
            raise UnknownName("metric plugin", name, self._known)
        try:
            answer = await self._calls.ask(question(name, operation, config[name], context, metadata), patience=SECONDS)
        except (NoAnswer, GiveUp) as error:
            raise NotMeasured(str(error)) from error
        if not isinstance(answer, MetricAnswered):
            raise NotMeasured(f"plugin {name} answered with a {type(answer).__name__}")
        if answer.phase == "Running" and operation != "Terminate":
            return Unfinished(resume_at=self._clock() + timedelta(seconds=answer.resume_after or RESUME), metadata=answer.metadata)
        return outcome_of(answer)


def plugin_of(config: Mapping[str, Any]) -> str:
    """Exactly one, as for the peer."""
    if len(config) != 1:
        raise NotMeasured(f"provider.plugin must name exactly one plugin, got {', '.join(sorted(config)) or 'none'}")
    return str(next(iter(config)))


def question(name: str, operation: Operation, config: Any, context: Context, metadata: Texts) -> MetricRequested:
    """Pure. A Run is named by its measurement alone; each look at one that goes on is a call of its own."""
    look = "" if operation == "Run" else f"{context.now.isoformat()}.{sorted(metadata.items())}"
    return MetricRequested(
        namespace=context.namespace,
        name=context.run,
        plugin=name,
        id=hashlib.blake2b(f"{context.key}.{operation}.{look}".encode(), digest_size=16).hexdigest(),
        operation=operation,
        uid=context.uid,
        metric=context.metric,
        number=context.number,
        config=config,
        metadata=dict(metadata),
    )


def outcome_of(answer: MetricAnswered) -> Outcome:
    """Of an answer that ends the measurement. Pure. Running is no answer to Terminate; it ends as a Job that was ended does."""
    try:
        result = document(orjson.dumps(answer.result))  # numbers as conditions know them
    except NotJson as error:
        raise NotMeasured(f"the result of plugin {answer.plugin} cannot be read: {error}") from error
    match answer.phase:
        case "Error":
            raise NotMeasured(answer.message or f"plugin {answer.plugin} says Error, and not why")
        case "":
            return Measured(result=result, value=answer.value or stored(result), metadata=answer.metadata)
        case "Running":
            return Decided(phase="Inconclusive", message=answer.message or "Metric Terminated", metadata=answer.metadata)
    value = answer.value or ("" if answer.result is None else stored(result))
    return Decided(phase=answer.phase, message=answer.message, value=value, metadata=answer.metadata)
