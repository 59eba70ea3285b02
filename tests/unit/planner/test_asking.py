"""The shell asks another service once, again when nothing comes of it, and at once when it wants something else."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tidegate.messages import Message, ServiceTarget, TrafficRequested
from tidegate_planner.apply import Applier
from tidegate_planner.asking import RESEND_AFTER
from tidegate_planner.memory import Memory
from tidegate_planner.plan import Plan, ShiftTraffic
from tidegate_planner.seen import Seen, Traffic
from tidegate_planner.world import World


@dataclass
class Bus:
    """Keeps what is published; `away` refuses it."""

    sent: list[Message] = field(default_factory=list)
    away: bool = False

    async def publish(self, message: Message) -> None:
        if self.away:
            raise ConnectionError
        self.sent.append(message)


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Asking:
    """One rollout's shell, with nothing to write in Kubernetes."""

    def __init__(self) -> None:
        self.bus, self.clock, self.memory = Bus(), Clock(), Memory()
        nothing: Any = None
        self.world = World(
            rollouts=nothing,
            replica_sets=nothing,
            services=nothing,
            analysis_runs=nothing,
            templates=nothing,
            cluster_templates=nothing,
            experiments=nothing,
        )
        self._applier = Applier(
            kube=nothing,
            bus=self.bus,
            world=self.world,
            rollouts=nothing,
            replica_sets=nothing,
            experiments=nothing,
            outside=nothing,
            clock=self.clock,
        )
        self._seen = Seen(
            namespace="shop", name="web", uid="u", generation=1, resource_version=1, annotations={}, labels={}, status={},
            manifest={}, spec=None,
        )  # fmt: skip

    async def ask(self, *wanted: str) -> list[str]:
        """One pass per wanted digest; the digests that were sent in all."""
        for digest in wanted:
            target = ServiceTarget(service="web", hash=digest)
            request = TrafficRequested(namespace="shop", name="web", uid="u", fence=1, digest=digest, services=(target,))
            plan = Plan(status={}, actions=(ShiftTraffic(request=request),))
            await self._applier.apply(self._seen, plan, self.memory, lazy_for=1)
        return [message.digest for message in self.bus.sent if isinstance(message, TrafficRequested)]

    async def settle(self) -> None:
        """A pass that has nothing to ask for."""
        await self._applier.apply(self._seen, Plan(status={}), self.memory, lazy_for=1)


@pytest.fixture
def asking() -> Asking:
    return Asking()


async def test_the_same_is_asked_for_once(asking: Asking) -> None:
    assert await asking.ask("there", "there", "there") == ["there"]


async def test_what_was_asked_for_before_is_asked_for_again_after_something_else(asking: Asking) -> None:
    assert await asking.ask("back", "there", "back") == ["back", "there", "back"]


async def test_with_something_else_asked_for_the_former_answer_counts_no_more(asking: Asking) -> None:
    asking.world.hear_traffic("u", Traffic(digest="back", state="applied", fence=1))
    await asking.ask("back")
    assert asking.world.traffic["u"].state == "applied"
    await asking.ask("there")
    assert asking.world.traffic["u"] == Traffic(digest="there", state="asked", fence=1)


async def test_an_unanswered_request_is_due_again_after_a_while(asking: Asking) -> None:
    await asking.ask("there")
    assert asking.memory.resend_at == asking.clock.now + RESEND_AFTER
    asking.clock.now += RESEND_AFTER
    assert await asking.ask("there") == ["there", "there"]


async def test_with_nothing_to_ask_for_nothing_is_due(asking: Asking) -> None:
    await asking.ask("there")
    await asking.settle()
    assert asking.memory.resend_at is None


async def test_a_request_that_was_not_stored_counts_as_not_sent(asking: Asking) -> None:
    asking.bus.away = True
    with pytest.raises(ConnectionError):
        await asking.ask("there")
    asking.bus.away = False
    assert await asking.ask("there") == ["there"]
