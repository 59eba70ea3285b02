"""Requests from a real bus, changes on a real API server, answers on the bus."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import pytest

from tidegate.bus import Bus
from tidegate.config import Settings
from tidegate.keys import FENCE, MANAGED_BY, POD_TEMPLATE_HASH
from tidegate.kube.kinds import HTTP_ROUTE, ROLLOUT, SERVICE
from tidegate.messages import (
    OUTCOMES,
    TRAFFIC,
    Destination,
    EventsRecorded,
    Router,
    ServiceTarget,
    Split,
    TrafficApplied,
    TrafficRequested,
)
from tidegate.testing import eventually, patient_bus
from tidegate_shifter.app import now, reactions

pytestmark = pytest.mark.integration
PATIENCE = 300.0  # seconds; only costs time when something is broken


def service(namespace, name):
    ports = [{"port": 80, "targetPort": 8080}]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"selector": {"app": "app"}, "ports": ports}}


def route(namespace, name):
    refs = [{"name": "stable", "port": 80}, {"name": "their-service", "port": 80, "weight": 7}]
    rules = [{"backendRefs": refs}]
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"parentRefs": [{"name": "edge"}], "rules": rules}}


async def rollout(kube, namespace):
    labels = {"app": "app"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template, "strategy": {"canary": {}}}
    created = await kube.create(ROLLOUT, {"metadata": {"name": "app", "namespace": namespace}, "spec": spec})
    for name in ("canary", "stable"):
        await kube.create(SERVICE, service(namespace, name))
    return created["metadata"]["uid"]


def request(namespace, uid, *, weight=20, fence=10, name="web"):
    return TrafficRequested(
        namespace=namespace,
        name="app",
        uid=uid,
        fence=fence,
        digest=f"{weight}",
        services=(ServiceTarget(service="stable", hash="abc"), ServiceTarget(service="canary", hash="def")),
        routers=(Router(router="argoproj-labs/gatewayAPI", config={"httpRoute": name}),),
        split=Split(canary=Destination(weight=weight, service="canary"), stable=Destination(weight=100 - weight, service="stable")),
    )


async def the_answer(bus, namespace, *, fence, state="applied"):
    found = await eventually(
        lambda: bus.last(TRAFFIC, f"tidegate.traffic.applied.{namespace}.app"),
        lambda seen: seen and (seen.message.fence, seen.message.state) == (fence, state),
        what=f"{state} at fence {fence}",
    )
    assert isinstance(found.message, TrafficApplied)
    return found.message


def a_shifter(bus, kube):
    for consumer, handlers in reactions(kube=kube, bus=bus, settings=Settings(), clock=now).items():
        bus.consume(consumer, handlers)


def weights(found):
    return {ref["name"]: ref["weight"] for ref in found["spec"]["rules"][0]["backendRefs"]}


async def test_a_request_is_carried_out_recorded_and_answered(nats, kube, namespace):
    uid = await rollout(kube, namespace)
    await kube.create(HTTP_ROUTE, route(namespace, "web"))
    async with (
        patient_bus(Settings(nats_url=nats.url), service="planner") as planner,
        Bus.connect(Settings(nats_url=nats.url), service="traffic-shifter") as bus,
    ):
        a_shifter(bus, kube)
        sent = await planner.publish(request(namespace, uid))
        answer = await the_answer(planner, namespace, fence=10)
        recorded = await planner.last(OUTCOMES, f"tidegate.recorded.traffic-shifter.{namespace}.app")
    assert (answer.digest, answer.reports[0].weight, answer.reports[0].verified) == ("20", 20, None)
    assert isinstance(recorded.message, EventsRecorded)
    assert [each.message for each in recorded.message.records] == [
        "Switched selector for service 'stable' from '' to 'abc'",
        "Switched selector for service 'canary' from '' to 'def'",
    ]
    assert recorded.envelope.causation == sent.id
    assert weights(await kube.get(HTTP_ROUTE, namespace, "web")) == {"stable": 80, "their-service": 7, "canary": 20}
    canary = await kube.get(SERVICE, namespace, "canary")
    assert canary["spec"]["selector"] == {"app": "app", POD_TEMPLATE_HASH: "def"}
    assert canary["metadata"]["annotations"] == {MANAGED_BY: "app", FENCE: f"{namespace}/app={uid}/10"}


async def test_what_one_replica_could_not_do_the_next_one_does(nats, kube, namespace):
    uid = await rollout(kube, namespace)
    async with patient_bus(Settings(nats_url=nats.url), service="planner") as planner:
        async with Bus.connect(Settings(nats_url=nats.url), service="traffic-shifter") as first:
            a_shifter(first, kube)
            await planner.publish(request(namespace, uid, name="later"))
            refused = await the_answer(planner, namespace, fence=10, state="failed")
        assert f"HTTPRoute {namespace}/later does not exist" in refused.message
        await kube.create(HTTP_ROUTE, route(namespace, "later"))
        async with Bus.connect(Settings(nats_url=nats.url), service="traffic-shifter") as second:
            a_shifter(second, kube)
            await the_answer(planner, namespace, fence=10)
    assert weights(await kube.get(HTTP_ROUTE, namespace, "later"))["canary"] == 20


async def test_with_every_stream_lost_a_late_request_still_does_not_move_traffic_back(nats, kube, namespace):
    uid = await rollout(kube, namespace)
    await kube.create(HTTP_ROUTE, route(namespace, "web"))
    async with (
        patient_bus(Settings(nats_url=nats.url), service="planner") as planner,
        Bus.connect(Settings(nats_url=nats.url), service="traffic-shifter") as bus,
    ):
        a_shifter(bus, kube)
        await planner.publish(request(namespace, uid, weight=40, fence=30))
        await the_answer(planner, namespace, fence=30)
        await planner.js.delete_stream(TRAFFIC)
        await planner.publish(request(namespace, uid, weight=80, fence=20))
        dropped = await the_answer(planner, namespace, fence=20, state="failed")
    assert "last changed for decision 30" in dropped.message
    assert dropped.reports[0].weight == 40
    assert weights(await kube.get(HTTP_ROUTE, namespace, "web"))["canary"] == 40


@contextlib.asynccontextmanager
async def process(nats, control_plane, log):
    """It has started: one that is asked to end before it can listen to that just ends."""
    script = Path(sys.executable).parent / "tidegate-traffic-shifter"
    environ = {**os.environ, "NATS_URL": nats.url, "KUBECONFIG": str(control_plane.kubeconfig), "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        running = await asyncio.create_subprocess_exec(str(script), env=environ, stdout=output, stderr=output)

    async def said():
        return await asyncio.to_thread(log.read_text)

    try:
        await eventually(said, lambda text: "service.started" in text, what="the traffic-shifter to start")
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            running.kill()
        await running.wait()


async def test_the_process_serves_dies_at_any_moment_and_ends_with_code_0_when_asked_to(
    nats, control_plane, kube, namespace, tmp_path
):
    uid = await rollout(kube, namespace)
    await kube.create(HTTP_ROUTE, route(namespace, "web"))
    async with patient_bus(Settings(nats_url=nats.url), service="planner") as planner:
        async with process(nats, control_plane, tmp_path / "log"):
            await planner.publish(request(namespace, uid, weight=20, fence=10))
            await the_answer(planner, namespace, fence=10)
            await planner.publish(request(namespace, uid, weight=50, fence=20))
        async with process(nats, control_plane, tmp_path / "log") as second:
            await the_answer(planner, namespace, fence=20)
            second.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                assert await second.wait() == 0
    assert weights(await kube.get(HTTP_ROUTE, namespace, "web"))["canary"] == 50
