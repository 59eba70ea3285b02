"""A cache fed by the in-memory API within each write, and the perturbation that finds most controller bugs: a view that lags."""

from collections import deque
from typing import Protocol

from tidegate.kube.client import Objects
from tidegate.kube.kinds import Object
from tidegate.kube.memory.journal import Happening, Journal, Scope
from tidegate.kube.watch import EventType, WatchEvent


class Receiver(Protocol):
    """What a feed needs of a `Cache`."""

    def receive(self, event: EventType, obj: Object) -> None: ...

    def replace(self, items: Objects, version: str) -> None: ...


class Feed:
    """A live subscription. While paused, events queue up in order and the receiver's view is stale."""

    def __init__(self, journal: Journal, scope: Scope, receiver: Receiver) -> None:
        self._scope = scope
        self._receiver = receiver
        self._held: deque[WatchEvent] = deque()
        self._paused = False
        self._end = journal.subscribe(self._hear)

    def pause(self) -> None:
        self._paused = True

    def step(self) -> bool:
        """Let one held event through; False if there is none."""
        if not self._held:
            return False
        self._receiver.receive(*self._held.popleft())
        return True

    def resume(self) -> None:
        self._paused = False
        while self.step():
            pass

    def close(self) -> None:
        self._end()

    def _hear(self, happening: Happening) -> None:
        event = self._scope.event(happening)
        if event is None:
            return
        self._held.append(event)
        if not self._paused:
            self.resume()
