"""Which Rollouts a planner takes care of: those of its instance, those of its namespace, and no others."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tidegate.keys import INSTANCE_ID
from tidegate.kube.kinds import REPLICA_SET
from tidegate.testing import Scene, Suite, a_rollout, healthy_on

pytestmark = pytest.mark.integration

BLUE, YELLOW, GREEN = "demo:blue", "demo:yellow", "demo:green"
PlannerFactory = Callable[..., AbstractContextManager[Suite]]
RESYNC = {"TIDEGATE_RESYNC_SECONDS": "1"}
LONGER_THAN_A_RESYNC = 3.0


def relabelled(instance: str | None) -> dict:
    return {"metadata": {"labels": {INSTANCE_ID: instance}}}


async def is_untouched(scene: Scene, name: str) -> bool:
    return "status" not in await scene.rollout(name) and await scene.replica_sets(name) == []


async def test_an_instance_takes_care_of_its_own_and_takes_over_and_lets_go_by_label(
    scene: Scene, a_planner: PlannerFactory
) -> None:
    await scene.apply(a_rollout("theirs"), a_rollout("other", labels={INSTANCE_ID: "west"}))
    with a_planner(TIDEGATE_INSTANCE_ID="east", **RESYNC):
        await scene.apply(a_rollout("mine", labels={INSTANCE_ID: "east"}))
        await scene.until("mine", healthy_on(BLUE))
        await asyncio.sleep(LONGER_THAN_A_RESYNC)
        assert await is_untouched(scene, "theirs")
        assert await is_untouched(scene, "other")

        await scene.patch("theirs", relabelled("east"))
        await scene.until("theirs", healthy_on(BLUE))

        await scene.patch("mine", relabelled(None))
        await scene.set_image("mine", YELLOW)
        await scene.set_image("theirs", YELLOW)
        await scene.until("theirs", healthy_on(YELLOW))
        await asyncio.sleep(LONGER_THAN_A_RESYNC)
        assert len(await scene.replica_sets("mine")) == 1


async def test_without_an_instance_id_those_that_carry_one_are_left_alone(scene: Scene, a_planner: PlannerFactory) -> None:
    await scene.apply(a_rollout("theirs", labels={INSTANCE_ID: "west"}))
    with a_planner(**RESYNC):
        await scene.apply(a_rollout("mine"))
        await scene.until("mine", healthy_on(BLUE))
        await asyncio.sleep(LONGER_THAN_A_RESYNC)
        assert await is_untouched(scene, "theirs")


async def test_a_planner_of_one_namespace_serves_that_one_only(new_scene: Callable[[], Scene], a_planner: PlannerFactory) -> None:
    inside, outside = new_scene(), new_scene()
    await outside.apply(a_rollout())
    with a_planner(TIDEGATE_NAMESPACE=inside.namespace, **RESYNC):
        assert (await inside.request("web", manifest=a_rollout())).accepted
        await inside.until("web", healthy_on(BLUE))
        refused = await outside.request_image("web", YELLOW)
        assert (refused.accepted, inside.namespace in refused.reason) == (False, True)
        assert await is_untouched(outside, "web")
        assert (await outside.kube.list(REPLICA_SET, outside.namespace))[0] == []
