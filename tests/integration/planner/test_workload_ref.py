"""A Rollout that takes its pods from a live Deployment. The resync is an hour away, so the workload's own watch wakes it."""


import pytest

from tidegate.keys import WORKLOAD_GENERATION
from tidegate.kube.kinds import DEPLOYMENT, Object
from tidegate.testing import Scene, a_deployment, a_referring_rollout, degraded, eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("unprompted")]

BLUE, YELLOW = "demo:blue", "demo:yellow"


async def deployment(scene: Scene, name: str = "web") -> Object:
    return await scene.kube.get(DEPLOYMENT, scene.namespace, name)


async def set_image(scene: Scene, image: str, name: str = "web") -> None:
    operation = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}
    await scene.kube.json_patch(DEPLOYMENT, scene.namespace, name, [operation])


async def until_healthy(scene: Scene, image: str, *, revision: str) -> Object:
    """On this image, in this revision, with the workload's newest generation observed."""

    async def look() -> tuple[Object, str, list[str], Object]:
        rollout, newest = await scene.rollout("web"), (await scene.replica_sets("web") or [{}])[-1]
        containers = newest["spec"]["template"]["spec"]["containers"] if newest else []
        return rollout, newest.get("metadata", {}).get("name", ""), [each["image"] for each in containers], await deployment(scene)

    def holds(seen: tuple[Object, str, list[str], Object]) -> bool:
        rollout, newest, images, workload = seen
        status, annotations = rollout.get("status") or {}, rollout["metadata"].get("annotations") or {}
        generation = str(workload["metadata"]["generation"])
        return (
            (status.get("phase"), images) == ("Healthy", [image])
            and newest == f"web-{status.get('stableRS')}"
            and annotations.get("rollout.argoproj.io/revision") == revision
            and annotations.get(WORKLOAD_GENERATION) == status.get("workloadObservedGeneration") == generation
        )

    return (await eventually(look, holds, what=f"Healthy on {image}, revision {revision}"))[0]


async def test_a_changed_workload_is_an_update_and_an_undo_changes_it_back(scene: Scene) -> None:
    await scene.apply(a_deployment(replicas=0), a_referring_rollout())
    first = await until_healthy(scene, BLUE, revision="1")
    assert not first["spec"].get("template")
    assert "selector" not in first["spec"]
    assert first["status"]["selector"] == "app=web"

    await set_image(scene, YELLOW)
    second = await until_healthy(scene, YELLOW, revision="2")
    assert second["metadata"]["generation"] == first["metadata"]["generation"], "the spec stays as it was written"

    assert (await scene.command("web", "undo")).accepted
    await until_healthy(scene, BLUE, revision="3")
    assert (await scene.request_image("web", YELLOW)).accepted
    await until_healthy(scene, YELLOW, revision="4")
    assert len(await scene.replica_sets("web")) == 2


async def test_a_workload_that_is_missing_is_named_and_mended_once_it_is_there(scene: Scene) -> None:
    await scene.apply(a_referring_rollout())
    await scene.until("web", degraded(f'deployments.apps "{scene.namespace}/web" not found'))
    await scene.apply(a_deployment(replicas=0))
    await until_healthy(scene, BLUE, revision="1")


async def test_a_deployment_gives_way_also_when_the_first_revision_never_worked(scene: Scene) -> None:
    """The peer scales it down in revision 1 only."""
    await scene.apply(a_deployment(image="demo:bad"), a_referring_rollout(scale_down="progressively"))
    await eventually(lambda: scene.replica_sets("web"), lambda sets: len(sets) == 1, what="the first ReplicaSet")
    assert (await deployment(scene))["spec"]["replicas"] == 3
    await set_image(scene, BLUE)
    await until_healthy(scene, BLUE, revision="2")
    await eventually(lambda: deployment(scene), lambda each: each["spec"]["replicas"] == 0, what="no pods of the Deployment")
