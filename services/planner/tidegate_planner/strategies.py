"""What the planner asks of a strategy, and which strategy answers for a rollout.

Rule of this file: each strategy is a module of pure functions with these signatures. What is the same for all of them (children,
conditions, phases, commands, revisions) asks here and knows none of them.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from tidegate.messages import TrafficRequested
from tidegate.rollout import Canary
from tidegate_planner import bluegreen, canary
from tidegate_planner.progress import Progress
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.situation import Situation

Json = Mapping[str, Any]


class Strategy(Protocol):
    """`SECTION` is the field of the status that is the strategy's own."""

    SECTION: str

    def advanced(self, at: Situation) -> Progress:
        """As far as what was seen allows."""
        ...

    def pause_ends(self, at: Situation) -> float | None: ...

    def request(self, at: Situation) -> TrafficRequested | None:
        """Where traffic should be, None where there is nothing to ask for."""
        ...

    def sizes(self, at: Situation, now: dict[str, int]) -> dict[str, int]:
        """From what each ReplicaSet has to what it is scaled to in this pass, by hash."""
        ...

    def deadlines(self, at: Situation, sizes: Mapping[str, int]) -> dict[str, str | None]:
        """Changes of the `scale-down-deadline` annotation: hash -> new value, None to remove it."""
        ...

    def serving(self, at: Situation) -> tuple[ReplicaSet, ...]:
        """The ReplicaSets that users reach."""
        ...

    def scale_selector(self, at: Situation) -> Json: ...

    def section(self, at: Situation) -> dict[str, Any]: ...

    def is_healthy(self, at: Situation, status: Json) -> bool:
        """Everything asked for is there, and nothing else (6.5)."""
        ...

    def unfinished(self, at: Situation, status: Json) -> str:
        """What an update waits for though its pods are there (6.4), "" when it is over."""
        ...

    def takes_its_time(self, at: Situation) -> bool:
        """Whether what is being waited for is no matter of pods, so that the progress deadline stands still (6.3)."""
        ...

    def waits_for_person(self, at: Situation) -> bool: ...


def strategy_of(at: Situation) -> Strategy:
    return canary if isinstance(at.strategy, Canary) else bluegreen
