"""kill -9 of each service at every step of rollouts like the seed's, started again each time: with and without Services, a route
that carries the weights, and a verdict on the way."""

import asyncio
from itertools import cycle

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

    async def kill_and_start() -> None:
        suite[service].kill()
        await asyncio.to_thread(suite[service].start)

    await fleet.drive_through(kill_and_start)
    await fleet.judge()
    assert suite.ended() == []


async def test_two_of_each_service_share_the_work_and_at_every_step_one_of_them_is_killed(
    started, scene: Scene, metrics: Endpoint
) -> None:
    """Nobody waits for the killed one: the next dies while it is coming back."""
    suite = started()
    for service in MODULES:
        suite.add(service, name=f"{service}-2").start(wait=False)
    for service in MODULES:
        suite[f"{service}-2"].wait_until_started()
    fleet = Fleet(scene, kinds=MIXED, metrics=metrics.url, hands_over=True)
    await fleet.create()
    victims = cycle(suite)

    async def kill_the_next() -> None:
        victim = next(victims)
        victim.kill()
        victim.start(wait=False)

    await fleet.drive_through(kill_the_next)
    await fleet.judge()
    assert suite.ended() == []
