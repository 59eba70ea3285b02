"""The port to whatever knows a metric's value: a provider returns values, never verdicts (`argo-behaviour.md` 8).

A provider is one class in `providers/`, built once per process from `Tools`. It is asked with the metric's own part of the spec,
arguments already put in, and may be asked twice for the same `Context.key` (a restart, a second replica): the second time it must
not do the work again if the work leaves a trace. It is cancelled as a task when the run ends before it answers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from tidegate.config import Settings
from tidegate.errors import TidegateError
from tidegate.messages import PluginMessage
from tidegate.outbound import Outbound
from tidegate_analyzer.api import Api

Config = Mapping[str, Any]
Texts = Mapping[str, str]


class NotMeasured(TidegateError):  # noqa: N818 - reads as the fact it states
    """There is no value this time. The text becomes the message of an Error measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """For whom is measured. `number` counts the metric's measurements from 1, Errors included.

    `interval` is the metric's, as it is written; `run_started` is unknown while the run's first round is measured; `kept` is how
    many of its measurements the run shows, and so how much of their traces is worth keeping.
    """

    namespace: str
    run: str
    uid: str
    metric: str
    number: int
    now: datetime
    interval: str = ""
    run_started: datetime | None = None
    kept: int = 10

    @property
    def key(self) -> str:
        return f"{self.uid}.{self.metric}.{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A value: `result` is what conditions see, `value` its text for the status.

    `metadata` belongs to the measurement, `about` to the metric (a query as it was sent, say).
    """

    result: Any
    value: str
    metadata: Texts = field(default_factory=dict)
    about: Texts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """An outcome that no condition judges, of work that judges itself: a Job, a score with its own thresholds."""

    phase: str
    message: str = ""
    value: str = ""
    metadata: Texts = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """Work that goes on elsewhere. `metadata` is kept in the status and is all that `resume` gets back, in whatever process."""

    resume_at: datetime
    metadata: Texts


Outcome = Measured | Decided | Unfinished


class Provider(Protocol):
    """The port. Each of the registry has `offers` too: what a metric can ask of it, in a few words, for `tidegate support`."""

    async def measure(self, config: Config, context: Context) -> Outcome: ...


class OnlyAsks:
    """Marks a provider that leaves no trace where it asks: runs with the same question may share an answer (`sharing`)."""


@runtime_checkable
class Resumable(Protocol):
    """The second port, of providers that answer `Unfinished`."""

    async def resume(self, config: Config, context: Context, metadata: Texts) -> Outcome: ...

    async def terminate(self, config: Config, context: Context, metadata: Texts) -> Outcome: ...


class Asks(Protocol):
    """The part of `tidegate.bus.Calls` that is used here."""

    async def ask(self, question: PluginMessage, *, patience: float) -> PluginMessage: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What providers are built from. `own_outbound` is for this process's own log-in at its cloud: no metric has a say there.

    `calls` asks plugins; None where there is no bus.
    """

    outbound: Outbound
    kube: Api
    clock: Callable[[], datetime]
    settings: Settings = field(default_factory=Settings)
    own_outbound: Outbound | None = None
    calls: Asks | None = None


Providers = Mapping[str, Provider]
