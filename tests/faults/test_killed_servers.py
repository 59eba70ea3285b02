"""The bus and the API server die, lose what they held, or stay away for a while, in the middle of rollouts like the seed's."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tidegate.bus.server import LocalNats
from tidegate.messages import ANALYSIS, OUTCOMES, REQUESTS, TRAFFIC
from tidegate.testing import Fleet, Scene, eventually
from tidegate.testing.fleet import STEPS
from tidegate_embedded import ControlPlane

pytestmark = pytest.mark.e2e

EVERY_STEP = range(len(STEPS))


async def through(fleet: Fleet, steps: range | tuple[int, ...], fault: Callable[[], Awaitable[object]]) -> None:
    """All of the fleet to its end, with the fault each time that its first rollout comes to one of the steps."""

    async def break_things() -> None:
        for step in steps:
            await fleet.reach(step)
            await fault()

    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.drive())
        group.create_task(break_things())


async def test_nats_is_killed_at_every_step(started, scene: Scene, nats: LocalNats) -> None:
    suite = started()
    fleet = Fleet(scene)
    await fleet.create()
    await through(fleet, EVERY_STEP, lambda: asyncio.to_thread(nats.restart))
    await fleet.judge()
    assert suite.ended() == []


async def test_nats_is_killed_and_comes_back_empty(started, scene: Scene, nats: LocalNats) -> None:
    suite = started()
    fleet = Fleet(scene)
    await fleet.create()
    await through(fleet, (1, 4), lambda: asyncio.to_thread(nats.restart, empty=True))
    await fleet.judge(whole_story=False)
    assert suite.ended() == []


async def test_all_streams_are_deleted_and_the_planner_is_killed(started, scene: Scene) -> None:
    """What is told is remembered in a stream; with that gone and the process too, all that is left is Kubernetes."""
    suite = started()
    fleet = Fleet(scene)
    await fleet.create()

    async def delete_and_kill() -> None:
        suite["planner"].kill()
        for stream in (REQUESTS, TRAFFIC, ANALYSIS, OUTCOMES):
            await scene.bus.js.delete_stream(stream)
        await asyncio.to_thread(suite["planner"].start)

    await through(fleet, (1, 3, 6), delete_and_kill)
    await fleet.judge(whole_story=False)
    assert suite.ended() == []
    # The streams are back, and in use.
    await fleet.scene.set_image(fleet.names[0], "demo:green")
    await scene.until_told(fleet.names[0], "started", revision=3)


async def test_nats_stays_away_for_twenty_seconds(started, scene: Scene, nats: LocalNats) -> None:
    """Twenty, where an operator's bad day has minutes: past every time-out and back-off that is involved (the longest has 10 s)."""
    suite = started()
    fleet = Fleet(scene)
    await fleet.create()

    async def outage() -> None:
        await asyncio.to_thread(nats.kill)
        await asyncio.sleep(20)
        assert suite.ended() == []
        await asyncio.to_thread(nats.start)

    await through(fleet, (3,), outage)
    await fleet.judge()
    assert suite.ended() == []


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


async def test_the_api_server_is_killed_again_and_again(started, scene: Scene, control_plane: ControlPlane) -> None:
    suite = started()
    fleet = Fleet(scene)
    await fleet.create()
    await through(fleet, (0, 2, 3, 5), lambda: asyncio.to_thread(control_plane.restart_apiserver))

    async def reachable() -> bool:
        return bool(await asyncio.to_thread(control_plane.client.get, "/readyz"))

    await eventually(reachable, bool, what="the API server")
    await fleet.judge()
    assert suite.ended() == []
