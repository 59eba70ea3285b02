"""Requests may be doubled, late and out of order, and the shifter may die between any two calls: the newest decision wins.

The argument is in the docstring of `fence.py`; this is its proof. Weights are drawn from three values only, so that X, Y, X (where
the second X writes nothing and leaves an old fence behind) comes up all the time.
"""

import asyncio
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.bus import Envelope, Received
from tidegate.config import Settings
from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.kube.kinds import HTTP_ROUTE, ROLLOUT, SERVICE
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, Router, ServiceTarget, Split, TrafficApplied, TrafficRequested
from tidegate_shifter.handling import Handling
from tidegate_shifter.routers import ROUTERS
from tidegate_shifter.shift import Shifter

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLUGIN = "argoproj-labs/gatewayAPI"


class Crash(Exception):  # noqa: N818
    """The process is gone."""


class LastValues:
    """What the bus promises: the last value of a subject is there for every process.

    `in_order`: requests are published in the order they were decided in. `stalls` are turns of the loop that are lost somewhere:
    before a request is published, and between reading a value and going on with it.
    """

    def __init__(self, *, in_order=True, stalls=()):
        self._in_order = in_order
        self._stored = {}
        self._stalls = list(stalls)

    async def stall(self):
        for _ in range(self._stalls.pop() if self._stalls else 0):
            await asyncio.sleep(0)

    async def request(self, message):
        await self.stall()
        held = self._stored.get(message.subject_of())
        if held is None or not self._in_order or held.fence < message.fence:
            self._stored[message.subject_of()] = message

    async def publish(self, message, *, cause=None):
        if isinstance(message, TrafficApplied):
            self._stored[message.subject_of()] = message
        return cause

    async def last(self, _stream, subject):
        message = self._stored.get(subject)
        await self.stall()
        return message and Received(message=message, envelope=Envelope(id="x"))


def request(uid, fence, weight, pods):
    split = Split(canary=Destination(weight=weight, service="canary"), stable=Destination(weight=100 - weight, service="stable"))
    return TrafficRequested(
        namespace="shop",
        name="app",
        uid=uid,
        fence=fence,
        digest=f"{weight}/{pods}",
        services=(ServiceTarget(service="canary", hash=pods),),
        routers=(Router(router=PLUGIN, config={"httpRoute": "web"}),),
        split=split,
    )


async def cluster():
    kube = MemoryKube()
    uid = (await kube.create(ROLLOUT, {"metadata": {"name": "app", "namespace": "shop"}}))["metadata"]["uid"]
    await kube.create(SERVICE, {"metadata": {"name": "canary", "namespace": "shop"}, "spec": {"selector": {"app": "app"}}})
    rules = [
        {"name": "all", "backendRefs": [{"name": "stable", "port": 80, "weight": 100}, {"name": "canary", "port": 80, "weight": 0}]}
    ]
    await kube.create(HTTP_ROUTE, {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"rules": rules}})
    return kube, uid


async def state_of(kube):
    service = await kube.get(SERVICE, "shop", "canary")
    route = await kube.get(HTTP_ROUTE, "shop", "web")
    weights = {each["name"]: each["weight"] for each in route["spec"]["rules"][-1]["backendRefs"]}
    return weights["canary"], service["spec"]["selector"].get(POD_TEMPLATE_HASH)


class Mortal:
    """The API as a process sees it that dies just before or just after one of its calls."""

    def __init__(self, kube, lives):
        self._kube = kube
        self._left = lives

    def __getattr__(self, verb):
        async def call(*arguments, **options):
            self._live()
            answer = await getattr(self._kube, verb)(*arguments, **options)
            self._live()
            return answer

        return call

    def _live(self):
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise Crash


def shifter(kube, bus, lives):
    mortal = Mortal(kube, lives)
    routed = Shifter(kube=mortal, routers=ROUTERS)
    return Handling(kube=mortal, bus=bus, shifter=routed, settings=Settings(), clock=lambda: NOW)


async def handled(process, bus, message):
    await bus.request(message)
    try:
        await process(message, Envelope(id=str(message.fence), time=NOW.isoformat()))
    except Crash:
        return False
    return True


async def delivered(decisions, order, bus, *, lives=(), replicas=1):
    """Each message to the next of the replicas, all at once; a crashed one comes up again, and its message comes again."""
    kube, uid = await cluster()
    requests = [request(uid, 10 * (index + 1), *decision) for index, decision in enumerate(decisions)]
    waiting = [requests[index] for index in order]
    lives = list(lives)
    while waiting:
        batch, waiting = waiting[:replicas], waiting[replicas:]
        work = [handled(shifter(kube, bus, lives.pop() if lives else None), bus, message) for message in batch]
        done = await asyncio.gather(*work)
        waiting += [message for message, settled in zip(batch, done, strict=True) if not settled]
    return await state_of(kube)


@st.composite
def deliveries(draw):
    decisions = draw(st.lists(st.tuples(st.sampled_from([0, 20, 50]), st.sampled_from(["abc", "def"])), min_size=1, max_size=5))
    every = list(range(len(decisions)))
    doubled = draw(st.lists(st.sampled_from(every), max_size=4))
    return decisions, draw(st.permutations(every + doubled))


deaths = st.lists(st.integers(0, 20), max_size=5)
stalls = st.lists(st.integers(0, 30), max_size=12)


@settings(max_examples=300, deadline=None)
@given(deliveries(), deaths)
def test_the_newest_decision_wins_whatever_comes_when_and_whoever_dies(drawn, lives):
    """Also where an older request was published last, so that the stream does not hold the newest any more."""
    decisions, order = drawn
    assert asyncio.run(delivered(decisions, order, LastValues(in_order=False), lives=lives)) == decisions[-1]


@settings(max_examples=300, deadline=None)
@given(deliveries(), deaths, stalls, st.integers(2, 3))
def test_replicas_at_work_on_one_rollout_at_once_end_with_the_newest_decision(drawn, lives, stalls, replicas):
    decisions, order = drawn
    bus = LastValues(stalls=stalls)
    assert asyncio.run(delivered(decisions, order, bus, lives=lives, replicas=replicas)) == decisions[-1]


def test_a_late_request_does_not_undo_a_newer_one_that_found_nothing_to_change():
    """10 asks for X, 30 for X again and writes nothing, then 20 comes with Y."""
    decisions = [(20, "abc"), (50, "def"), (20, "abc")]
    assert asyncio.run(delivered(decisions, [0, 2, 1], LastValues(in_order=False))) == (20, "abc")


def test_a_replica_that_was_overtaken_puts_its_late_write_right():
    """The newer request finds what it asks for and writes nothing, so only the second look at the stream tells the older one."""
    decisions = [(20, "abc"), (0, "abc")]
    assert asyncio.run(delivered(decisions, [0, 1], LastValues(), replicas=2)) == (0, "abc")
