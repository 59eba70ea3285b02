"""Which object is looked at when: observe, tell, decide, apply, one rollout or experiment at a time, many of them at once.

A wake-up only says that something may have changed. What wakes: a watch event, a message from another service, a moment that a
plan named, and a slow resync that finds what no message announced.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

import structlog

from tidegate.errors import KubeError, Retry
from tidegate.shares import owner
from tidegate_planner.apply import Memory, Refused
from tidegate_planner.observe import Key
from tidegate_planner.router_objects import NotYet

LAZY_FOR = 1.0  # seconds that counts may lag behind in the status
RETRY_AFTER = 1.0
LONGEST_RETRY = 30.0
AT_ONCE = 32  # passes under way; more would only queue for a connection

log = structlog.get_logger(__name__)


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

    def forget(self, uid: str) -> None: ...


class Tells(Protocol[SeenT_contra]):
    def tell(self, key: Key, seen: SeenT_contra) -> None: ...

    def forget(self, key: Key) -> None: ...


class Applies(Protocol[SeenT_contra, PlanT_contra]):
    async def apply(self, seen: SeenT_contra, plan: PlanT_contra, memory: Memory, *, lazy_for: float) -> bool:
        """True if the status is left unwritten for now."""
        ...


@dataclass(slots=True)
class _Entry:
    """One object's place in the shell."""

    memory: Memory = field(default_factory=Memory)
    uid: str = ""
    running: bool = False
    again: bool = False
    timer: asyncio.TimerHandle | None = None
    failures: int = 0


class Worker(Generic[SeenT, PlanT]):
    """Runs passes from `start` until it is closed, for the objects of one kind that fall to this member of the live ones."""

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
        self._me = ""
        self._members: frozenset[str] = frozenset()
        self._entries: dict[Key, _Entry] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._started = False

    def start(self, me: str, members: frozenset[str]) -> None:
        """From now on wakes lead to passes; before, the caches were not whole."""
        self._me, self._started = me, True
        self.share_with(members)

    def share_with(self, members: frozenset[str]) -> None:
        """A changed set of live members: look at everything, for some of it may be ours now."""
        self._members = members
        self.wake_all()

    def owns(self, key: Key) -> bool:
        return len(self._members) < 2 or owner(f"{key[0]}/{key[1]}", self._members) == self._me

    def wake(self, key: Key) -> None:
        entry = self._entries.setdefault(key, _Entry())
        if not self._started or not self.owns(key):
            return
        if entry.running:
            entry.again = True
            return
        entry.running = True
        task = asyncio.get_running_loop().create_task(self._run(key, entry))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def wake_all(self) -> None:
        for key in list(self._entries):
            self.wake(key)

    async def close(self) -> None:
        self._started = False
        for entry in self._entries.values():
            if entry.timer is not None:
                entry.timer.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, key: Key, entry: _Entry) -> None:
        """Passes until nothing woke it meanwhile. The defect of one is logged and tried again; the others go on."""
        try:
            async with self._slots:
                entry.again = True
                while entry.again and self._started:
                    entry.again = False
                    await self._pass(key, entry)
        finally:
            entry.running = False

    async def _pass(self, key: Key, entry: _Entry) -> None:
        _cancel_timer(entry)
        try:
            seen = self._observer.see(key)
            if seen is None:
                self._forget(key, entry)
                return
            if entry.uid != seen.uid:
                self._begin(entry, seen)
            self._teller.tell(key, seen)
            if self._look is not None:
                seen = await self._look(seen, self._clock())
            await self._act(key, entry, seen, self._decide(seen, self._clock()))
            entry.failures = 0
        except NotYet as kind:
            log.debug("waiting for the first list of a kind that is named", key=key, kind=str(kind))
            self._wake_in(key, entry, RETRY_AFTER)
        except Refused as refusal:
            log.debug("a write was refused, waiting for the watch", key=key, reason=str(refusal))
            self._wake_in(key, entry, RETRY_AFTER)
        except (KubeError, Retry) as error:
            entry.failures += 1
            log.warning("pass failed", namespace=key[0], name=key[1], error=str(error), failures=entry.failures)
            self._wake_in(key, entry, _back_off(entry.failures))
        except Exception:
            entry.failures += 1
            log.exception("pass failed", namespace=key[0], name=key[1], failures=entry.failures)
            self._wake_in(key, entry, _back_off(entry.failures))

    async def _act(self, key: Key, entry: _Entry, seen: SeenT, plan: PlanT) -> None:
        postponed = await self._applier.apply(seen, plan, entry.memory, lazy_for=LAZY_FOR)
        now = self._clock()
        moments = [each for each in (plan.wake_at, entry.memory.resend_at) if each is not None]
        if postponed and entry.memory.lazy_since is not None:
            moments.append(entry.memory.lazy_since + LAZY_FOR)
        if moments:
            self._wake_in(key, entry, max(0.0, min(moments) - now))

    def _wake_in(self, key: Key, entry: _Entry, seconds: float) -> None:
        _cancel_timer(entry)
        entry.timer = asyncio.get_running_loop().call_later(seconds, self.wake, key)

    def _begin(self, entry: _Entry, seen: SeenT) -> None:
        """One seen for the first time, maybe in the place of a namesake that was deleted between two looks."""
        if entry.uid:
            self._observer.forget(entry.uid)
        entry.uid, entry.memory = seen.uid, Memory()

    def _forget(self, key: Key, entry: _Entry) -> None:
        self._entries.pop(key, None)
        self._observer.forget(entry.uid)
        self._teller.forget(key)


def _back_off(failures: int) -> float:
    """Seconds. The exponent is bounded: a night of failures would make the power too large for a float."""
    return min(math.ldexp(RETRY_AFTER, min(failures - 1, 10)), LONGEST_RETRY)


def _cancel_timer(entry: _Entry) -> None:
    if entry.timer is not None:
        entry.timer.cancel()
        entry.timer = None
