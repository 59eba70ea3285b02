"""Notes as core/v1 Events, seen by `kubectl describe` and by tools of the peer.

One POST per note and nothing else: no read, no aggregation, no patch of a count; 200 rollouts at once are 3,000 of them. The name
is the note's, so an Event that exists already is as good as written.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Protocol

from tidegate.errors import GiveUp, KubeError, Retry
from tidegate.kube.errors import AlreadyExists, Conflict, Forbidden, NotFound, Transient, Unauthorized
from tidegate.kube.kinds import EVENT, Kind
from tidegate_notifier.channel import Note
from tidegate_notifier.render import core_event

IN_FLIGHT = 8
QUIET, LONGEST_REST = 0.007, 0.4
TICK = 0.025
"""Writes at a time; the seconds in which a quiet API server answers so many, and those that a write rests at most before the next
(`rest_after`); and the beat on which rests end.

Events give way. They are more than half of what a rollout writes, and nobody waits for them, while a rollout waits for its own
writes. A server that takes six times as long as a quiet one has five others to serve for each of ours, and is left to them for six
times as long. On a quiet one the rests are hardly felt: some 300 Events a second. In a storm the Events come after the rollouts:
200 rollouts at once were done in 17.9 s with eight writes at a time and no rest, in 13.7 s with rests; their 2,400 Events were
complete some 15 s later.

On a common beat, because what is done in a turn of the loop is done once for all: an Event costs 0.8 ms of CPU so, 1.4 ms with two
writers that rest each for itself. Each still waits for nothing but its own answer, so one that hangs holds up none of the others.
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
                await self._sleep(rest_after(asked, self._clock()))
        except AlreadyExists:
            return
        except KubeError as error:
            if not _namespace_is_gone(error):
                raise _verb_for(error, note) from error


def rest_after(asked: float, answered: float) -> float:
    """Seconds; both moments are of the loop's clock."""
    took = answered - asked
    end = answered + min(took * took / QUIET, LONGEST_REST)
    return math.ceil(end / TICK) * TICK - answered


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
