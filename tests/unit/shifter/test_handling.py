"""A request from the bus: is it still to be done, answered when, looked at again how long."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tidegate.bus import Envelope, Received
from tidegate.config import Settings
from tidegate.errors import Retry
from tidegate.keys import INSTANCE_ID
from tidegate.kube.errors import ServerUnavailable
from tidegate.kube.kinds import HTTP_ROUTE, ROLLOUT, SERVICE
from tidegate.kube.memory import MemoryKube
from tidegate.messages import (
    TRAFFIC,
    Destination,
    EventsRecorded,
    Record,
    Router,
    RouterReport,
    ServiceTarget,
    Split,
    TrafficApplied,
    TrafficRequested,
)  # fmt: skip
from tidegate_shifter.handling import PATIENCE, Handling
from tidegate_shifter.routers import ROUTERS
from tidegate_shifter.shift import Shifter

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWN_SUBJECT = "tidegate.traffic.applied.shop.app_v2"


class Bus:
    def __init__(self, *answers):
        self.published = []
        self.causes = []
        self.away = False
        self.looked = asyncio.Semaphore(0)
        self._answers = {(TRAFFIC, answer.subject_of()): answer for answer in answers}

    def holds(self, message):
        self._answers[TRAFFIC, message.subject_of()] = message

    async def publish(self, message, *, cause=None):
        self.published.append(message)
        self.causes.append(cause)
        return cause

    async def last(self, stream, subject):
        self.looked.release()
        if self.away:
            raise Retry("NATS is away")
        message = self._answers.get((stream, subject))
        return message and Received(message=message, envelope=Envelope(id="x"))


async def cluster(*, instance="", weight=0):
    kube = MemoryKube()
    labels = {INSTANCE_ID: instance} if instance else {}
    rollout = await kube.create(ROLLOUT, {"metadata": {"name": "app.v2", "namespace": "shop", "labels": labels}})
    await kube.create(SERVICE, {"metadata": {"name": "canary", "namespace": "shop"}, "spec": {"selector": {"app": "app"}}})
    refs = [{"name": "stable", "port": 80, "weight": 100 - weight}, {"name": "canary", "port": 80, "weight": weight}]
    await kube.create(HTTP_ROUTE, {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"rules": [{"backendRefs": refs}]}})
    return kube, rollout["metadata"]["uid"]


def handling(kube, bus, *, settings=None, now=NOW):
    shifter = Shifter(kube=kube, routers=ROUTERS)
    return Handling(kube=kube, bus=bus, shifter=shifter, settings=settings or Settings(), clock=lambda: now)


def request(uid, *, fence=10, route="web"):
    return TrafficRequested(
        namespace="shop",
        name="app.v2",
        uid=uid,
        fence=fence,
        digest="d",
        services=(ServiceTarget(service="canary", hash="abc"),),
        routers=(Router(router="argoproj-labs/gatewayAPI", config={"httpRoute": route}),),
        split=Split(canary=Destination(weight=20, service="canary"), stable=Destination(weight=80, service="stable")),
    )


def envelope(at=NOW, message_id="1"):
    return Envelope(id=message_id, time=at.isoformat())


def answer(uid, fence):
    return TrafficApplied(namespace="shop", name="app.v2", uid=uid, fence=fence, digest="x", state="applied")


def written(kube):
    return [call for call in kube.calls if call.verb in ("merge_patch", "create", "delete") and call.kind != ROLLOUT][2:]


async def test_it_answers_with_the_requests_digest_and_records_each_switch():
    kube, uid = await cluster()
    bus = Bus()
    await handling(kube, bus)(request(uid), envelope())
    recorded, applied = bus.published
    assert isinstance(recorded, EventsRecorded)
    assert recorded.service == "traffic-shifter"
    assert recorded.records == (Record(reason="SwitchService", message="Switched selector for service 'canary' from '' to 'abc'"),)
    assert (applied.digest, applied.fence, applied.state, applied.reports[0].weight) == ("d", 10, "applied", 20)
    assert [cause.id for cause in bus.causes] == ["1", "1"]


async def test_it_answers_also_when_nothing_had_to_be_changed():
    kube, uid = await cluster()
    bus = Bus()
    shifter = handling(kube, bus)
    await shifter(request(uid), envelope())
    kube.calls.clear()
    await shifter(request(uid, fence=11), envelope(message_id="2"))
    assert {call.verb for call in kube.calls} <= {"get", "list"}
    assert [(type(each), each.fence) for each in bus.published[2:]] == [(TrafficApplied, 11)]


async def test_a_request_older_than_the_newest_answer_is_dropped_in_silence():
    kube, uid = await cluster()
    bus = Bus(answer(uid, 30))
    assert answer(uid, 30).subject_of() == OWN_SUBJECT
    await handling(kube, bus)(request(uid, fence=20), envelope())
    assert (bus.published, written(kube)) == ([], [])


async def test_an_answer_to_a_deleted_namesake_says_nothing_about_this_rollout():
    kube, uid = await cluster()
    bus = Bus(answer("of-the-deleted-one", 30))
    await handling(kube, bus)(request(uid, fence=20), envelope())
    assert bus.published[-1].state == "applied"


@pytest.mark.parametrize("settings", [Settings(namespace="other"), Settings(instance_id="blue")])
async def test_what_belongs_to_another_installation_is_left_alone(settings):
    kube, uid = await cluster()
    bus = Bus()
    await handling(kube, bus, settings=settings)(request(uid), envelope())
    assert (bus.published, written(kube)) == ([], [])


async def test_an_instance_serves_the_rollouts_that_carry_its_label():
    kube, uid = await cluster(instance="blue")
    bus = Bus()
    await handling(kube, bus, settings=Settings(instance_id="blue", namespace="shop"))(request(uid), envelope())
    assert bus.published[-1].state == "applied"


async def test_a_request_of_a_deleted_rollout_moves_nothing():
    kube, _ = await cluster()
    bus = Bus()
    await handling(kube, bus)(request("of-the-deleted-one", fence=99), envelope())
    assert (bus.published, written(kube)) == ([], [])


async def test_a_failure_is_told_once_and_tried_again_until_it_passes():
    kube, uid = await cluster()
    bus = Bus()
    shifter = handling(kube, bus)
    for _ in range(3):
        with pytest.raises(Retry, match="HTTPRoute shop/later does not exist"):
            await shifter(request(uid, route="later"), envelope())
    assert [each.state for each in bus.published if isinstance(each, TrafficApplied)] == ["failed"]
    told = [record for each in bus.published if isinstance(each, EventsRecorded) for record in each.records]
    assert [(each.type, each.reason) for each in told] == [("Normal", "SwitchService"), ("Warning", "TrafficRoutingError")]
    route = kube.snapshot(HTTP_ROUTE, "shop")[0]
    await kube.create(HTTP_ROUTE, {"metadata": {"name": "later", "namespace": "shop"}, "spec": route["spec"]})
    await shifter(request(uid, route="later"), envelope())
    assert [each.state for each in bus.published if isinstance(each, TrafficApplied)] == ["failed", "applied"]


async def test_a_router_that_lags_behind_is_looked_at_until_it_is_verified():
    kube, uid = await cluster()
    bus = Bus()
    shifter = handling(kube, bus)
    controllers_look(kube)
    for _ in range(2):
        with pytest.raises(Retry, match="seen generation 1 of 2"):
            await shifter(request(uid), envelope())
    controllers_look(kube)
    await shifter(request(uid), envelope())
    answers = [each for each in bus.published if isinstance(each, TrafficApplied)]
    assert [(each.state, each.reports[0].verified) for each in answers] == [("pending", False), ("applied", True)]


def controllers_look(kube):
    route = kube.snapshot(HTTP_ROUTE, "shop")[0]
    condition = {"type": "Accepted", "status": "True", "observedGeneration": route["metadata"]["generation"]}
    kube.put(HTTP_ROUTE, {**route, "status": {"parents": [{"conditions": [condition]}]}})


@pytest.mark.parametrize("at", [(NOW - PATIENCE - timedelta(seconds=1)).isoformat(), "", "soon", "2026-01-01T00:00:00"])
async def test_an_old_request_is_answered_and_not_tried_again(at):
    kube, uid = await cluster()
    bus = Bus()
    await handling(kube, bus)(request(uid, route="never"), Envelope(id="1", time=at))
    assert bus.published[-1].state == "failed"


# --- a newer request ----------------------------------------------------------------------------------------------------


class Slow:
    """A router that answers when it is let, and first of all has something happen."""

    supports = frozenset()

    def __init__(self, happens):
        self.happens = happens
        self.let = asyncio.Event()
        self.begun, self.done = [], []

    async def apply(self, ask):
        self.begun.append(ask.split.canary.weight)
        if len(self.begun) == 1:
            self.happens()
            await self.let.wait()
        self.done.append(ask.split.canary.weight)
        return RouterReport(router="slow", state="applied", weight=ask.split.canary.weight)


def slow_request(uid, *, fence, canary):
    sides = {"canary": Destination(weight=canary, service="canary"), "stable": Destination(weight=100 - canary, service="stable")}
    routers = (Router(router="slow", config={}),)
    return request(uid, fence=fence).model_copy(update={"routers": routers, "split": Split(**sides)})


async def meanwhile(happens):
    """A request for 20 %, and what happens once the router was asked for it."""
    kube, uid = await cluster()
    bus = Bus()
    router = Slow(happens=lambda: happens(bus, uid))
    shifter = Shifter(kube=kube, routers={"slow": lambda _kube: router})
    handler = Handling(kube=kube, bus=bus, shifter=shifter, settings=Settings(), clock=lambda: NOW, look=0.001)
    return asyncio.create_task(handler(slow_request(uid, fence=10, canary=20), envelope())), router, bus


async def looks(bus, times=10):
    for _ in range(times):
        await bus.looked.acquire()


async def test_an_abort_does_not_wait_for_a_router_that_is_silent():
    handled, router, bus = await meanwhile(lambda bus, uid: bus.holds(slow_request(uid, fence=11, canary=0)))
    await handled
    assert (router.begun, router.done) == ([20, 0], [0])
    told, applied = bus.published
    assert [each.reason for each in told.records] == ["SwitchService"]
    assert (applied.fence, applied.state) == (11, "applied")


async def test_the_same_traffic_asked_for_again_does_not_begin_anew():
    """Else a router that is slow would never come to its end while pods come and go."""
    handled, router, bus = await meanwhile(lambda bus, uid: bus.holds(slow_request(uid, fence=11, canary=20)))
    await looks(bus)
    assert (router.begun, router.done) == ([20], [])
    router.let.set()
    await handled
    assert router.done == [20, 20]
    assert bus.published[-1].fence == 11


async def test_while_nats_is_away_nothing_newer_is_known_and_the_router_is_waited_for():
    handled, router, bus = await meanwhile(lambda bus, _uid: setattr(bus, "away", True))
    await looks(bus)
    assert (router.begun, router.done) == ([20], [])
    bus.away = False
    router.let.set()
    await handled
    assert router.done == [20]


async def test_while_the_rollout_cannot_be_read_the_request_waits():
    kube, uid = await cluster()

    def away(_call):
        raise ServerUnavailable("connection refused", status=0)

    kube.before = away
    bus = Bus()
    with pytest.raises(Retry, match=r"Rollout shop/app\.v2 could not be read: connection refused"):
        await handling(kube, bus)(request(uid), envelope())
    assert bus.published == []
