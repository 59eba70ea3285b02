"""Requests to the other services, sent once, and again only when nothing came of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tidegate.messages import AnalysisRequested, Message
from tidegate_planner import plan as plans
from tidegate_planner.memory import Asked, Memory

RESEND_AFTER = 5.0  # seconds after which an unanswered request to another service is sent again


class Sends(Protocol):
    """The part of `tidegate.bus.Bus` that is used here."""

    async def publish(self, message: Message) -> object: ...


@dataclass(frozen=True, slots=True)
class Asking:
    bus: Sends
    clock: Callable[[], float]

    async def ask(self, message: Message, topic: str, content: str, memory: Memory) -> None:
        """Send a request once, and again only when nothing came of it for a while.

        What counts is the last request on its topic: traffic asked to go there, and back within the same seconds, must go back.
        """
        now = self.clock()
        asked = memory.asked.get(topic)
        if asked is None or asked.content != content or now >= asked.at + RESEND_AFTER:
            await self.bus.publish(message)
            memory.asked = {each: held for each, held in memory.asked.items() if now < held.at + RESEND_AFTER}
            asked = memory.asked[topic] = Asked(content, now)
        memory.resend_at = min(asked.at + RESEND_AFTER, memory.resend_at or float("inf"))

    async def ask_for_run(self, namespace: str, action: plans.AnalysisAction, memory: Memory, **owner: str) -> None:
        """`owner`: the `rollout` or the `experiment` that the run belongs to."""
        fields: dict[str, Any] = {"namespace": namespace, **owner}
        match action:
            case plans.StartAnalysis():
                fields |= {"name": action.manifest["metadata"]["name"], "manifest": dict(action.manifest)}
            case plans.TerminateAnalysis():
                fields |= {"name": action.name, "terminate": True}
            case plans.DeleteAnalysis():
                fields |= {"name": action.name, "delete": action.uid}
        request = AnalysisRequested.model_validate(fields)
        await self.ask(request, f"analysis/{request.name}", type(action).__name__, memory)
