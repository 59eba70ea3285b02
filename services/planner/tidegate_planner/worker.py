"""The shared worker (`tidegate.worker`) on passes: observe, tell, decide, apply, for one rollout or experiment.

What wakes: a watch event, a message from another service, a moment that a plan named, and a slow resync that finds what no message
announced.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from tidegate.worker import Key, Worker
from tidegate_planner.memory import Memory
from tidegate_planner.router_objects import NotYet
from tidegate_planner.writing import Refused

LAZY_FOR = 1.0  # seconds that counts may lag behind in the status
AT_ONCE = 128  # passes under way; more would only queue for a connection


class Uid(Protocol):
    @property
    def uid(self) -> str: ...


class WakeAt(Protocol):
    @property
    def wake_at(self) -> float | None: ...


SeenT = TypeVar("SeenT", bound=Uid)
SeenT_contra = TypeVar("SeenT_contra", bound=Uid, contravariant=True)
SeenT_co = TypeVar("SeenT_co", bound=Uid, covariant=True)
PlanT = TypeVar("PlanT", bound=WakeAt)
PlanT_contra = TypeVar("PlanT_contra", bound=WakeAt, contravariant=True)


class Observes(Protocol[SeenT_co]):
    def see(self, key: Key) -> SeenT_co | None: ...

    def is_gone(self, key: Key) -> bool: ...

    def forget(self, uid: str) -> None: ...


class Tells(Protocol[SeenT_contra]):
    def tell(self, key: Key, seen: SeenT_contra) -> None: ...

    def forget(self, key: Key) -> None: ...


class Applies(Protocol[SeenT_contra, PlanT_contra]):
    async def apply(self, seen: SeenT_contra, plan: PlanT_contra, memory: Memory, *, lazy_for: float) -> bool:
        """True if the status is left unwritten for now."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    """What the shell remembers of one object between passes."""

    uid: str
    memory: Memory = field(default_factory=Memory)


class Passes(Generic[SeenT, PlanT]):
    """Passes over the objects of one kind."""

    def __init__(
        self,
        *,
        observer: Observes[SeenT],
        look: Callable[[SeenT, float], Awaitable[SeenT]] | None = None,
        decide: Callable[[SeenT, float], PlanT],
        applier: Applies[SeenT, PlanT],
        teller: Tells[SeenT],
        clock: Callable[[], float],
    ) -> None:
        """`look` adds what is in no cache and has to be read for this very decision."""
        self._observer = observer
        self._look = look
        self._decide = decide
        self._applier = applier
        self._teller = teller
        self._clock = clock
        self._held: dict[Key, _Held] = {}

    def is_gone(self, key: Key) -> bool:
        return self._observer.is_gone(key)

    async def over(self, key: Key) -> float | None:
        """One pass. The seconds until the next, None if only a wake-up is waited for."""
        seen = self._observer.see(key)
        if seen is None:
            self._forget(key)
            return None
        memory = self._memory_of(key, seen)
        self._teller.tell(key, seen)
        if self._look is not None:
            seen = await self._look(seen, self._clock())
        plan = self._decide(seen, self._clock())
        postponed = await self._applier.apply(seen, plan, memory, lazy_for=LAZY_FOR)
        now = self._clock()
        moments = [each for each in (plan.wake_at, memory.resend_at) if each is not None]
        if postponed and memory.lazy_since is not None:
            moments.append(memory.lazy_since + LAZY_FOR)
        return min(moments) - now if moments else None

    def _memory_of(self, key: Key, seen: SeenT) -> Memory:
        """New for one that is seen for the first time, maybe in the place of a namesake that was deleted between two looks."""
        held = self._held.get(key)
        if held is None or held.uid != seen.uid:
            if held is not None:
                self._observer.forget(held.uid)
            held = self._held[key] = _Held(seen.uid)
        return held.memory

    def _forget(self, key: Key) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            self._observer.forget(held.uid)
        self._teller.forget(key)


def worker_on(passes: Passes[SeenT, PlanT]) -> Worker:
    return Worker(passes.over, is_gone=passes.is_gone, refusals=(Refused, NotYet), at_once=AT_ONCE)
