"""The scale subresource, as an autoscaler reads and writes it in the middle of a canary."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tidegate.keys import AUTOSCALER_COUNTS
from tidegate.testing import Scene, Suite, a_rollout, healthy_on, paused_at
from tidegate_embedded import ControlPlane

pytestmark = pytest.mark.integration

BLUE, YELLOW = "demo:blue", "demo:yellow"


@pytest.fixture(autouse=True)
def planner(a_planner: Any) -> Iterator[Suite]:
    running: AbstractContextManager[Suite] = a_planner()
    with running as suite:
        yield suite


@pytest.fixture
def scale(control_plane: ControlPlane, scene: Scene) -> Callable[..., Any]:
    """Of a Rollout; with `replicas` it is written first."""

    def call(name: str, replicas: int | None = None) -> Any:
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{scene.namespace}/rollouts/{name}/scale"
        if replicas is not None:
            control_plane.client.call("PATCH", path, {"spec": {"replicas": replicas}})
        return control_plane.client.get(path)

    return call


async def test_the_number_that_is_told_does_not_drive_itself_up_where_the_owner_asked_for_that(
    scene: Scene, scale: Callable[..., Any]
) -> None:
    """40 % of four is two beside three. Told five, an autoscaler whose metric is on target asks for five (AR#4847)."""
    plan = {"steps": [{"setWeight": 40}, {"pause": {}}], "canary": {"maxSurge": 1, "maxUnavailable": 0}, "replicas": 4}
    for name, counts in (("plain", None), ("web", "wanted")):
        await scene.apply(a_rollout(name, annotations={AUTOSCALER_COUNTS: counts} if counts else {}, **plan))
        await scene.until(name, healthy_on(BLUE))
        await scene.set_image(name, YELLOW)
        rollout = await scene.until(name, paused_at(1))
        assert rollout["status"]["replicas"] == 5
    told = {name: scale(name) for name in ("plain", "web")}
    assert {name: each["status"]["replicas"] for name, each in told.items()} == {"plain": 5, "web": 4}
    assert told["web"]["status"]["selector"] == "app=web"

    for name, each in told.items():
        scale(name, replicas=each["status"]["replicas"])
    assert (await scene.rollout("web"))["spec"]["replicas"] == 4
    assert (await scene.rollout("plain"))["spec"]["replicas"] == 5


async def test_an_autoscaler_that_asks_for_more_in_the_middle_of_a_canary_gets_it(
    scene: Scene, scale: Callable[..., Any]
) -> None:
    plan = {"steps": [{"setWeight": 50}, {"pause": {}}], "replicas": 2}
    await scene.apply(a_rollout(annotations={AUTOSCALER_COUNTS: "wanted"}, **plan))
    await scene.until("web", healthy_on(BLUE))
    await scene.set_image("web", YELLOW)
    await scene.until("web", paused_at(1))
    scale("web", replicas=6)
    rollout = await scene.until("web", lambda each: each["status"].get("HPAReplicas") == 6, what="six told")
    assert rollout["status"]["currentStepIndex"] == 1
    assert scale("web")["status"]["replicas"] == 6
