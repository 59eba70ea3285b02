"""A router that is somebody's own process, asked over the bus (docs/plugins.md): any declared key of `trafficRouting.plugins`.

It is told the whole split and the fence, keeps what it needs, and says what its data plane does. Silence and `failed` are refusals
like those of any other router: said in the answer and by an Event, and tried again.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar, Final, Literal, Protocol

from tidegate.bus import NoAnswer
from tidegate.messages import PluginMessage, RouterAnswered, RouterReport, RouterRequested
from tidegate.plugins import Plugins
from tidegate_shifter.router import Ask, Feature, Refused, TrafficRouter
from tidegate_shifter.writing import Api

SECONDS: Final = 5.0
"""How long an answer is waited for, unless something else is wanted meanwhile. Who needs more answers `pending`."""


class Asks(Protocol):
    """The part of `tidegate.bus.Calls` that is used here."""

    async def ask(self, question: PluginMessage, *, patience: float) -> PluginMessage: ...


class Plugin:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset(Feature)
    remarks: ClassVar[Mapping[Feature, str]] = {}

    def __init__(self, name: str, calls: Asks, *, patience: float = SECONDS) -> None:
        self._name = name
        self._calls = calls
        self._patience = patience

    async def apply(self, ask: Ask) -> RouterReport:
        return await self._asked(ask, "Apply")

    async def observed(self, ask: Ask) -> RouterReport:
        return await self._asked(ask, "Observe")

    async def _asked(self, ask: Ask, operation: Literal["Apply", "Observe"]) -> RouterReport:
        try:
            answer = await self._calls.ask(question(self._name, ask, operation), patience=self._patience)
        except NoAnswer as silence:
            raise Refused(str(silence)) from silence
        if not isinstance(answer, RouterAnswered) or answer.state == "failed":
            raise Refused(getattr(answer, "message", "") or f"plugin {self._name} failed and did not say why")
        return RouterReport(
            router=self._name, state=answer.state, weight=answer.weight, verified=answer.verified, message=answer.message
        )


def question(name: str, ask: Ask, operation: Literal["Apply", "Observe"]) -> RouterRequested:
    """Pure. The fence is part of the call's name: the same split asked for later is another call."""
    asked = RouterRequested(
        namespace=ask.owner.namespace,
        name=ask.owner.name,
        plugin=name,
        id="-",
        operation=operation,
        uid=ask.owner.uid,
        fence=ask.fence,
        split=ask.split,
        config=dict(ask.config),
    )
    digest = hashlib.blake2b(asked.model_dump_json(exclude={"id"}).encode(), digest_size=16).hexdigest()
    return asked.model_copy(update={"id": digest})


def declared_routers(plugins: Plugins, calls: Asks) -> Mapping[str, Callable[[Api], TrafficRouter]]:
    """What the registry gets beside the built-in ones."""
    return {name: partial(_built, name, calls) for name, enabled in plugins.items() if enabled}


def _built(name: str, calls: Asks, _kube: Api) -> TrafficRouter:
    return Plugin(name, calls)
