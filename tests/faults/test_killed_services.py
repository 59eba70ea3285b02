"""kill -9 of each service at every step of rollouts like the seed's, started again each time: with and without Services, a route
that carries the weights, and a verdict on the way."""

import asyncio

import pytest

from tidegate.testing import Endpoint, Fleet, Scene
from tidegate.testing.fleet import MIXED
from tidegate_cli.local.services import MODULES

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("service", MODULES)
async def test_killed_at_every_step_it_changes_nothing_but_the_time(service: str, started, scene: Scene, metrics: Endpoint) -> None:
    suite = started()
    fleet = Fleet(scene, kinds=MIXED, metrics=metrics.url)
    await fleet.create()

    async def kill_at_every_step() -> None:
        for step in range(fleet.longest_plan):
            await fleet.reach(step)
            suite[service].kill()
            await asyncio.to_thread(suite[service].start)

    async with asyncio.TaskGroup() as group:
        group.create_task(fleet.drive())
        group.create_task(kill_at_every_step())
    await fleet.judge()
    assert suite.ended() == []
