"""All services behind a proxy that refuses, loses, delays and cuts: rollouts like the seed's, with and without Services, a route
that carries the weights, and a verdict on the way, end as they do without it."""

import itertools
import random
from collections.abc import Callable

import pytest

from tidegate.testing import (
    ApiCall,
    Cut,
    Endpoint,
    Expire,
    Fault,
    FaultProxy,
    Fleet,
    Hang,
    Lag,
    LoseAnswer,
    LoseRequest,
    Refuse,
    Scene,
)
from tidegate.testing.fleet import MIXED

pytestmark = pytest.mark.e2e


class Chance(random.Random):
    """Seeded; who must meet each of a few faults takes them in turn, for there are a dozen watches and no more."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self._turns = itertools.count()

    def turn(self, *faults: Fault | None) -> Fault | None:
        return faults[next(self._turns) % len(faults)]


Mix = Callable[[ApiCall, Chance], Fault | None]


def errors(_: ApiCall, chance: Chance) -> Fault | None:
    return Refuse(chance.choice((500, 502, 503, 504))) if chance.random() < 0.25 else None


def throttling(call: ApiCall, chance: Chance) -> Fault | None:
    return Refuse(429, retry_after=1) if call.is_write and chance.random() < 0.3 else None


def lost_requests_and_answers(call: ApiCall, chance: Chance) -> Fault | None:
    """Half of them were carried out, and nobody heard of it."""
    lost = chance.choice((LoseRequest(), LoseAnswer()))
    return lost if not call.is_watch and chance.random() < 0.25 else None


def hanging(call: ApiCall, chance: Chance) -> Fault | None:
    return Hang(3.0) if not call.is_watch and chance.random() < 0.05 else None


def cut_watches(call: ApiCall, chance: Chance) -> Fault | None:
    """Half of them last long enough to be taken for healthy; a watch that always ends at once is backed off from, up to 30 s."""
    return Cut(chance.choice((chance.uniform(0.1, 2.0), 6.0))) if call.is_watch else None


def expired_watches(call: ApiCall, chance: Chance) -> Fault | None:
    return chance.turn(Expire(), Cut(6.0), Cut(6.0)) if call.is_watch else None


def stale_views(call: ApiCall, _: Chance) -> Fault | None:
    """Watches and reads show what was half a second ago, which is longer than a step of the plan needs; writes meet the present."""
    return Lag(0.5) if not call.is_write else None


def everything(call: ApiCall, chance: Chance) -> Fault | None:
    if call.is_watch:
        return chance.turn(Lag(0.5), Cut(chance.uniform(0.5, 3.0)), Expire(), None)
    mixed = (errors, throttling, lost_requests_and_answers, hanging)
    return chance.choice(mixed)(call, chance)


MIXES: dict[str, tuple[Mix, set[type]]] = {
    "errors": (errors, {Refuse}),
    "throttling": (throttling, {Refuse}),
    "lost requests and answers": (lost_requests_and_answers, {LoseRequest, LoseAnswer}),
    "hanging": (hanging, {Hang}),
    "cut watches": (cut_watches, {Cut}),
    "expired watches": (expired_watches, {Cut, Expire}),
    "stale views": (stale_views, {Lag}),
    "everything": (everything, {Refuse, LoseRequest, LoseAnswer, Hang, Cut, Expire, Lag}),
}
"""With the faults that must have been met."""


@pytest.mark.parametrize("name", MIXES)
async def test_the_end_is_the_same(name: str, proxy: FaultProxy, started, scene: Scene, metrics: Endpoint) -> None:
    mix, faults = MIXES[name]
    chance = Chance(name)  # the same faults in the same turn; which call comes when is up to the processes
    proxy.faults = lambda call: mix(call, chance)
    suite = started(KUBECONFIG=str(proxy.kubeconfig))
    fleet = Fleet(scene, kinds=MIXED, metrics=metrics.url)
    await fleet.create()
    await fleet.drive()
    assert {fault.__name__ for fault in faults} <= proxy.met.keys(), f"some faults were never met: {proxy.met}"
    await fleet.judge()
    assert suite.ended() == []
