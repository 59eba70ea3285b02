"""Which routers there are once plugins are declared."""

from datetime import UTC, datetime
from typing import Any

from tidegate.config import Settings
from tidegate.kube.memory import MemoryKube
from tidegate.plugins import BUILT_IN_ROUTERS
from tidegate_shifter.app import reactions
from tidegate_shifter.routers import ROUTERS
from tidegate_shifter.routers.gateway_api import GatewayApi
from tidegate_shifter.routers.plugin import Plugin, declared_routers


class NoCalls:
    async def ask(self, question: Any, *, patience: float) -> Any:
        raise AssertionError(f"nothing is asked when routers are put together, yet {question} was, for {patience} s")


def test_a_plugin_that_is_disabled_is_no_router() -> None:
    declared = declared_routers({"acme/edge": True, "acme/off": False}, NoCalls())
    assert list(declared) == ["acme/edge"]
    assert isinstance(declared["acme/edge"](MemoryKube()), Plugin)


def test_what_is_built_in_needs_no_plugin_though_the_peers_declaration_names_one() -> None:
    assert set(ROUTERS) >= BUILT_IN_ROUTERS
    (gateway_api,) = BUILT_IN_ROUTERS
    plugins = declared_routers({gateway_api: True, "acme/edge": True}, NoCalls())
    bus: Any = None
    (handlers,) = reactions(
        kube=MemoryKube(), bus=bus, settings=Settings(), clock=lambda: datetime(2026, 11, 20, tzinfo=UTC), plugins=plugins
    ).values()
    (handling,) = handlers.values()
    routers = handling._shifter._routers  # type: ignore[attr-defined]
    assert isinstance(routers[gateway_api], GatewayApi)
    assert isinstance(routers["acme/edge"], Plugin)
