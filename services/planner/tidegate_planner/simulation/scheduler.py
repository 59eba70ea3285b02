"""A virtual clock and the order in which things happen at it: the only source of time and chance in a simulation.

Rule of this file: the same seed gives the same run for ever. Each purpose draws from its own stream, so that taking one edit
out of a story does not reshuffle everything else in it.
"""

import heapq
import random
from collections.abc import Callable

START = 1_800_000_000.0  # 2027-01-15T08:00:00Z; any whole second will do
MOST_EVENTS = 20_000  # a run has some hundred; more is a loop that spins in place

Happening = Callable[[], None]


class OverrunError(Exception):
    """So many events that something must be answering itself."""


class Scheduler:
    def __init__(self, seed: int | str) -> None:
        self.now = START
        self._seed = seed
        self._streams: dict[str, random.Random] = {}
        self._waiting: list[tuple[float, float, int, Happening]] = []
        self._count = 0

    def stream(self, purpose: str) -> random.Random:
        """Chance for one purpose."""
        if purpose not in self._streams:
            self._streams[purpose] = random.Random(f"{self._seed}/{purpose}")  # noqa: S311 - must be repeatable, guards no secret
        return self._streams[purpose]

    def at(self, moment: float, happening: Happening) -> None:
        """At `moment`, or now if that is over; what falls on the same instant is shuffled."""
        self._count += 1
        heapq.heappush(self._waiting, (max(moment, self.now), self.stream("order").random(), self._count, happening))

    def after(self, delay: float, happening: Happening) -> None:
        self.at(self.now + delay, happening)

    def run(self, until: float) -> None:
        """Let everything up to `until` happen; the clock then stands there."""
        if self._count > MOST_EVENTS:
            raise OverrunError(f"loop: {self._count} events by {self.now - START:.0f} s")
        while self._waiting and self._waiting[0][0] <= until:
            self.now, _, _, happening = heapq.heappop(self._waiting)
            happening()
            if self._count > MOST_EVENTS:
                raise OverrunError(f"loop: {self._count} events by {self.now - START:.0f} s")
        self.now = until
