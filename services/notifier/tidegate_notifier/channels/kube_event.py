"""Notes as core/v1 Events, seen by `kubectl describe` and by tools of the peer.

One POST per note and nothing else: no read, no aggregation, no patch of a count; 200 rollouts at once are 3,000 of them. The name
is the note's, so an Event that exists already is as good as written.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Protocol

from tidegate.errors import GiveUp, KubeError, Retry
from tidegate.kube.errors import AlreadyExists, Conflict, Forbidden, NotFound, Transient, Unauthorized
from tidegate.kube.kinds import EVENT, Kind
from tidegate_notifier.channel import Note
from tidegate_notifier.render import core_event

IN_FLIGHT = 2
REST, LONGEST_REST = 2.0, 0.05
"""Writes at a time, and how long each rests before the next: twice as long as its answer took, in seconds at most the second.

Events give way. They are more than half of what a rollout writes, and nobody waits for them, while a rollout waits for its own
writes. A quiet API server answers in 3 ms, then the rests are hardly felt: two hundred Events a second. In a storm it answers in
40 ms, and the Events come after the rollouts: 200 rollouts at once were done in 17.9 s with eight writes at a time and no rest, in
14.1 s with two, in 13.7 s with two that rest; their 2,400 Events were complete some 15 s later.
"""


class Creates(Protocol):
    """The one verb of `tidegate.kube` used here."""

    async def create(self, kind: Kind, obj: dict[str, Any]) -> object: ...


Sleep = Callable[[float], Awaitable[object]]


class KubeEvents:
    offers: ClassVar[tuple[str, ...]] = ("Argo Rollouts' reasons and texts", "one Event for each thing", "always on")

    def __init__(self, kube: Creates, *, clock: Callable[[], float] = time.monotonic, sleep: Sleep = asyncio.sleep) -> None:
        self._kube = kube
        self._clock = clock
        self._sleep = sleep
        self._in_flight = asyncio.Semaphore(IN_FLIGHT)

    async def send(self, note: Note) -> None:
        try:
            async with self._in_flight:
                asked = self._clock()
                await self._kube.create(EVENT, core_event(note))
                await self._sleep(min(REST * (self._clock() - asked), LONGEST_REST))
        except AlreadyExists:
            return
        except KubeError as error:
            if not _namespace_is_gone(error):
                raise _verb_for(error, note) from error


def _namespace_is_gone(error: KubeError) -> bool:
    """The object went with its namespace, and its Events would; nobody is left to read this one."""
    return isinstance(error, NotFound) or (isinstance(error, Forbidden) and "because it is being terminated" in str(error))


def _verb_for(error: KubeError, note: Note) -> Retry | GiveUp:
    """A refusal (RBAC, quota, not valid) is given up even if someone may lift it one day: waiting for that would fill the room for
    unfinished messages with one namespace's, and end the Events of all others. The dead letter can be sent again.
    """
    told = f"Event {note.reason} on {note.about.kind} {note.about.namespace}/{note.about.name}: {error}"
    match error:
        case Transient():
            return Retry(told, after=error.retry_after)
        case Unauthorized() | Conflict():  # credentials are being rotated; nothing of ours conflicts, so it passes
            return Retry(told)
        case _:
            return GiveUp(told)
