"""The bus and the API server die, lose what they held, or stay away for a while, in the middle of rollouts like the seed's: with
and without Services, a route that carries the weights, and a verdict on the way."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from tidegate.bus import Bus
from tidegate.bus.server import LocalNats
from tidegate.config import Settings
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.kinds import HTTP_ROUTE, ROLLOUT
from tidegate.messages import ANALYSIS, OUTCOMES, REQUESTS, TRAFFIC
from tidegate.testing import Endpoint, Fleet, Outcomes, Reply, Scene, Suite, eventually, paused_at
from tidegate.testing.fleet import GATE, MIXED, ROUTED, ROUTED_AND_MEASURED
from tidegate.testing.manifests import YELLOW
from tidegate.testing.waiting import PATIENCE
from tidegate_cli.local.services import MODULES
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace

pytestmark = pytest.mark.e2e


class Outage:
    """A bus that is away for a whole minute, with an installation of its own around it, beside the other tests of this file.

    `begin` returns as soon as it has begun, `end` once the minute is over.
    """

    SECONDS = 60.0

    def __init__(self, control_plane: ControlPlane, nats: LocalNats, suite: Suite, namespace: str, metrics: str) -> None:
        self.suite = suite
        self._kubeconfig, self._nats, self._namespace, self._metrics = control_plane.kubeconfig, nats, namespace, metrics
        self._began: float | None = None

    @asynccontextmanager
    async def fleet(self) -> AsyncIterator[Fleet]:
        """The same rollouts each time, with somebody who listens."""
        async with self._kube() as kube, Bus.connect(Settings(nats_url=self._nats.url), service="test") as bus:
            outcomes = Outcomes()
            outcomes.listen(bus)
            scene = Scene(kube=kube, bus=bus, namespace=self._namespace, outcomes=outcomes)
            yield Fleet(scene, size=2, kinds=(ROUTED_AND_MEASURED, ROUTED), metrics=self._metrics)

    async def begin(self) -> None:
        """Yellow is asked for; while it waits at the gate NATS goes, and then it is let through."""
        if self._began is not None:
            return
        async with self.fleet() as fleet:
            await fleet.create()
            for name in fleet.names:
                await fleet.scene.set_image(name, YELLOW)
            for name in fleet.names:
                await fleet.scene.until(name, paused_at(GATE, image=YELLOW))
            await asyncio.to_thread(self._nats.kill)
            self._began = time.monotonic()
            for name in fleet.names:
                await fleet.scene.patch(name, {"status": {"pauseConditions": None}}, subresource="status")

    async def end(self) -> dict[str, tuple[str, int, int]]:
        """Where each stands at the end of the minute: phase, step, and weight of the canary."""
        assert self._began is not None
        await asyncio.sleep(max(0.0, self._began + self.SECONDS - time.monotonic()))
        found = {}
        async with self._kube() as kube:
            for route in (await kube.list(HTTP_ROUTE, self._namespace))[0]:
                name = route["metadata"]["name"]
                status = (await kube.get(ROLLOUT, self._namespace, name))["status"]
                weights = {each["name"]: each["weight"] for each in route["spec"]["rules"][0]["backendRefs"]}
                found[name] = (status["phase"], status["currentStepIndex"], weights[f"{name}-canary"])
        await asyncio.to_thread(self._nats.start)
        return found

    def _kube(self) -> Kube:
        return Kube(load(self._kubeconfig), user_agent="kubectl")


@pytest.fixture(scope="module")
def outage(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    folder, namespace = tmp_path_factory.mktemp("outage"), create_namespace(control_plane, "outage")
    with LocalNats() as nats, Endpoint(lambda _: Reply(body=b'{"errors": 0}')) as metrics:
        settings = {"KUBECONFIG": str(control_plane.kubeconfig), "NATS_URL": nats.url, "TIDEGATE_NAMESPACE": namespace}
        with Suite(MODULES, settings=settings, folder=folder) as suite:
            yield Outage(control_plane, nats, suite, namespace, metrics.url)


async def through(fleet: Fleet, fault: Callable[[], Awaitable[object]], *, at: tuple[int, ...]) -> None:
    """All of the fleet to its end, with the fault each time that its first rollout comes to one of these steps."""

    async def break_things() -> None:
        for step in at:
            await fleet.reach(step)
            await fault()

    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.drive())
        group.create_task(break_things())


async def delete_everything(bus: Bus) -> None:
    """Whatever there is. Of buckets there are none, but they would be among these."""
    js = bus.client.jetstream(timeout=PATIENCE)
    streams = {each.config.name for each in await js.streams_info()}
    assert {REQUESTS, TRAFFIC, ANALYSIS, OUTCOMES} <= streams
    for name in streams:
        await js.delete_stream(name)


@pytest.fixture
def fleet(scene: Scene, metrics: Endpoint) -> Fleet:
    return Fleet(scene, kinds=MIXED, metrics=metrics.url)


async def test_nats_is_killed_at_every_step(started, fleet: Fleet, nats: LocalNats, outage: Outage) -> None:
    await outage.begin()
    suite = started()
    await fleet.create()
    await fleet.drive_through(lambda: asyncio.to_thread(nats.restart))
    await fleet.judge()
    assert suite.ended() == []


async def test_nats_is_killed_and_comes_back_empty(started, fleet: Fleet, nats: LocalNats) -> None:
    suite = started()
    await fleet.create()
    await through(fleet, lambda: asyncio.to_thread(nats.restart, empty=True), at=(1, 4))
    await fleet.judge(whole_story=False)
    assert suite.ended() == []


async def test_all_streams_are_deleted_and_the_planner_is_killed(started, scene: Scene, fleet: Fleet) -> None:
    """What is told is remembered in a stream; with that gone and the process too, all that is left is Kubernetes."""
    suite = started()
    await fleet.create()

    async def delete_and_kill() -> None:
        suite["planner"].kill()
        await delete_everything(scene.bus)
        await asyncio.to_thread(suite["planner"].start)

    await through(fleet, delete_and_kill, at=(1, 3, 6))
    await fleet.judge(whole_story=False)
    assert suite.ended() == []
    # The streams are back, and in use.
    await fleet.scene.set_image(fleet.names[0], "demo:green")
    await scene.until_told(fleet.names[0], "started", revision=3)


async def test_services_started_before_nats_wait_for_it(started, scene: Scene, nats: LocalNats, tmp_path) -> None:
    suite = started()
    fleet = Fleet(scene, size=1)
    await fleet.create()
    await asyncio.to_thread(nats.kill)
    suite["planner"].kill()
    suite["planner"].start(wait=False)
    await scene.set_image(fleet.names[0], "demo:yellow")
    await asyncio.sleep(3)
    assert suite["planner"].is_running
    await asyncio.to_thread(nats.start)
    await fleet.drive()
    await fleet.judge()


async def test_the_api_server_is_killed_at_every_step(started, fleet: Fleet, control_plane: ControlPlane) -> None:
    """Each time takes many seconds, for controllers, too, come back later the oftener they lost it: so all that stand at different
    places are met at once."""
    suite = started()
    await fleet.create()
    await fleet.drive_through(lambda: asyncio.to_thread(control_plane.restart_apiserver), meets_all=True)

    async def reachable() -> bool:
        return bool(await asyncio.to_thread(control_plane.client.get, "/readyz"))

    await eventually(reachable, bool, what="the API server")
    await fleet.judge()
    assert suite.ended() == []


async def test_nats_stays_away_for_a_whole_minute(outage: Outage) -> None:
    """It began with the first test of this file and went on beside the others; this one comes last, and waits for what is left.

    The planner knows that the gate is open, and can ask nobody for what follows.
    """
    await outage.begin()
    stood = await outage.end()
    assert stood == dict.fromkeys(("web-0", "web-1"), ("Progressing", GATE + 1, 20)), "something moved"
    assert outage.suite.ended() == []
    async with outage.fleet() as fleet:
        await fleet.drive()
        await fleet.judge()
    assert outage.suite.ended() == []
