"""One measurement: ask the provider, let the conditions judge, write down what happened as the object will hold it.

Whatever goes wrong in here is an Error measurement of one metric, never the end of a run or of the process. Values of Secrets are
hidden in every text but `value`.
"""

import asyncio
import traceback
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Final

import structlog

from tidegate.errors import UnknownName
from tidegate.outbound import CallFailed
from tidegate_analyzer import judge, sharing
from tidegate_analyzer.arguments import redacted
from tidegate_analyzer.metrics import timestamp
from tidegate_analyzer.provider import (
    Context,
    Decided,
    Measured,
    NotMeasured,
    OnlyAsks,
    Outcome,
    Provider,
    Providers,
    Resumable,
    Unfinished,
)
from tidegate_analyzer.rounds import Json, Taken

AT_ONCE: Final = 500
"""Measurements of one provider under way, each a socket; a slow provider can only fill its own. If every endpoint takes
the whole 10 s of the default time-out, these are still 50 a second."""
LONGEST_TEXT: Final = 16 * 1024
"""Characters of a value or message that are kept: ten measurements of several metrics must fit into one object (etcd: 1.5 MiB)."""

log = structlog.get_logger(__name__)


class Measurer:
    """Knows the providers; shared by all runs of a process."""

    def __init__(self, providers: Providers, *, clock: Callable[[], datetime]) -> None:
        self._providers = providers
        self._clock = clock
        self._questions = sharing.Questions()
        self._slots: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    async def take(
        self, action: str, metric: Mapping[str, Any], context: Context, *, before: Json | None, secrets: frozenset[str]
    ) -> Taken:
        """Start, resume or terminate a measurement. `metric` has all its arguments; `before` is the unfinished one, if any."""
        name, config = _provider_of(metric)
        async with self._slots[name]:
            started = (before or {}).get("startedAt") or timestamp(self._clock())
            outcome: Outcome | None = None
            try:
                outcome = await self._ask(name, action, config, context, before)
                judged = self._judged(metric, outcome)
            except (NotMeasured, CallFailed, UnknownName) as error:
                judged = self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - a provider's defect is its metric's Error
                self._report(error, context, secrets)
                judged = self._failed(f"{type(error).__name__}: {error}")
        return Taken(context.metric, context.number, _hidden({"startedAt": started, **judged}, secrets), _about(outcome, secrets))

    async def _ask(self, name: str, action: str, config: Mapping[str, Any], context: Context, before: Json | None) -> Outcome:
        provider = self._providers.get(name)
        if provider is None:
            raise UnknownName("metric provider", name, self._providers)
        if action == "start" or before is None:
            if not isinstance(provider, OnlyAsks):
                return await provider.measure(config, context)
            key, oldest = sharing.question(name, config, context), sharing.window(context)
            return await self._questions.answered(key, lambda: provider.measure(config, context), oldest=oldest)
        return await _continued(provider, name, action)(config, context, before.get("metadata") or {})

    def _judged(self, metric: Mapping[str, Any], outcome: Outcome) -> Json:
        texts = {"metadata": dict(outcome.metadata)} if outcome.metadata else {}
        match outcome:
            case Unfinished():
                return {"phase": "Running", "resumeAt": timestamp(outcome.resume_at), **texts}
            case Measured():
                verdict = judge.measurement_verdict(metric, outcome.result)
                phase, message = verdict.phase, verdict.message
            case Decided():
                phase, message = outcome.phase, outcome.message
        said = {"message": message} if message else {}
        value = {"value": outcome.value} if outcome.value else {}
        return {"phase": phase, **said, **value, "finishedAt": timestamp(self._clock()), **texts}

    def _failed(self, message: str) -> Json:
        return {"phase": "Error", "message": message, "finishedAt": timestamp(self._clock())}

    def _report(self, error: Exception, context: Context, secrets: frozenset[str]) -> None:
        trace = redacted("".join(traceback.format_exception(error)), secrets)
        log.error("measure.failed", run=f"{context.namespace}/{context.run}", metric=context.metric, trace=trace)


def _provider_of(metric: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The one provider of a valid metric."""
    return next((name, config) for name, config in metric["provider"].items() if config is not None)


def _continued(
    provider: Provider, name: str, action: str
) -> Callable[[Mapping[str, Any], Context, Mapping[str, str]], Awaitable[Outcome]]:
    if not isinstance(provider, Resumable):
        raise NotMeasured(f"a measurement of provider {name} cannot be unfinished; it is measured anew")
    return provider.terminate if action == "terminate" else provider.resume


def _hidden(measurement: Json, secrets: frozenset[str]) -> Json:
    """Redacted, and cut to what an object can hold."""
    after = dict(measurement)
    if "message" in after:
        after["message"] = _cut(redacted(after["message"], secrets))
    if "value" in after:
        after["value"] = _cut(after["value"])
    if "metadata" in after:
        after["metadata"] = {key: _cut(redacted(text, secrets)) for key, text in after["metadata"].items()}
    return after


def _about(outcome: Outcome | None, secrets: frozenset[str]) -> Mapping[str, str]:
    about = outcome.about if isinstance(outcome, Measured) else {}
    return {key: _cut(redacted(text, secrets)) for key, text in about.items()}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}... ({len(text)} characters)"
