"""ReplicaSets that were there before, that are taken away, and that are too many."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tidegate.hashing import pod_template_hash
from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.kube.kinds import POD, REPLICA_SET, Object
from tidegate.testing import Scene, Suite, a_rollout, eventually, healthy_on

pytestmark = pytest.mark.integration

BLUE = "demo:blue"


@pytest.fixture(autouse=True)
def planner(a_planner: Any) -> Iterator[Suite]:
    running: AbstractContextManager[Suite] = a_planner()
    with running as suite:
        yield suite


def a_replica_set(namespace: str, name: str, *, app: str, hash_label: str, replicas: int) -> Object:
    """As a controller would have made it for the Rollout of `app`, but with nobody who owns it."""
    template = a_rollout(app)["spec"]["template"]
    labels = {"app": app, POD_TEMPLATE_HASH: hash_label}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {**template, "metadata": {"labels": labels}}}
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": spec}


def owner_uids(replica_set: Object) -> list[str]:
    return [each["uid"] for each in replica_set["metadata"].get("ownerReferences") or ()]


async def pods_of(scene: Scene) -> set[str]:
    found, _ = await scene.kube.list(POD, scene.namespace)
    return {each["metadata"]["uid"] for each in found}


async def test_a_name_that_is_taken_costs_a_collision_and_nothing_else(scene: Scene) -> None:
    taken = f"web-{pod_template_hash(a_rollout()['spec']['template'])}"
    theirs = await scene.kube.create(REPLICA_SET, a_replica_set(scene.namespace, taken, app="other", hash_label="x", replicas=0))
    await scene.apply(a_rollout())
    rollout = await scene.until("web", healthy_on(BLUE))
    assert rollout["status"]["collisionCount"] == 1
    (ours,) = await scene.replica_sets("web")
    assert ours["metadata"]["name"] == f"web-{rollout['status']['currentPodHash']}" != taken
    left = await scene.kube.get(REPLICA_SET, scene.namespace, taken)
    assert left["metadata"]["uid"] == theirs["metadata"]["uid"]
    assert owner_uids(left) == []


async def test_a_replica_set_of_the_peer_is_taken_over_with_its_pods_and_its_hash(scene: Scene) -> None:
    """Its controller computes hashes in another way; what counts is the template."""
    orphan = a_replica_set(scene.namespace, "web-7d9f8c6b5", app="web", hash_label="7d9f8c6b5", replicas=3)
    await scene.kube.create(REPLICA_SET, orphan)

    async def look() -> Object:
        return await scene.kube.get(REPLICA_SET, scene.namespace, "web-7d9f8c6b5")

    await eventually(look, lambda each: (each.get("status") or {}).get("availableReplicas") == 3, what="three pods of the orphan")
    before = await pods_of(scene)
    await scene.apply(a_rollout())
    rollout = await scene.until("web", healthy_on(BLUE))
    assert rollout["status"]["currentPodHash"] == rollout["status"]["stableRS"] == "7d9f8c6b5"
    assert owner_uids(await look()) == [rollout["metadata"]["uid"]]
    assert len((await scene.kube.list(REPLICA_SET, scene.namespace))[0]) == 1
    assert await pods_of(scene) == before


async def test_a_replica_set_that_the_selector_matches_no_more_is_let_go_with_its_pods(scene: Scene) -> None:
    await scene.apply(a_rollout())
    rollout = await scene.until("web", healthy_on(BLUE))
    (former,) = await scene.replica_sets("web")
    before = await pods_of(scene)
    name = former["metadata"]["name"]
    await scene.kube.merge_patch(REPLICA_SET, scene.namespace, name, {"metadata": {"labels": {"app": "quarantine"}}})

    async def look() -> list[Object]:
        return [await scene.kube.get(REPLICA_SET, scene.namespace, name), *await scene.replica_sets("web")]

    released, ours = await eventually(
        look, lambda each: len(each) == 2 and owner_uids(each[0]) == [], what=f"{name} to be released and replaced"
    )
    assert released["spec"]["replicas"] == 3
    assert owner_uids(ours) == [rollout["metadata"]["uid"]]
    await scene.until("web", healthy_on(BLUE))
    assert before <= await pods_of(scene)


async def test_old_replica_sets_beyond_the_history_limit_are_deleted(scene: Scene) -> None:
    await scene.apply(a_rollout(revisionHistoryLimit=1))
    await scene.until("web", healthy_on(BLUE))
    for number in range(3):
        await scene.set_image("web", f"demo:v{number}")
        await scene.until("web", healthy_on(f"demo:v{number}"))

    async def images() -> list[str]:
        sets = await scene.replica_sets("web")
        return [each["spec"]["template"]["spec"]["containers"][0]["image"] for each in sets]

    await eventually(images, lambda each: each == ["demo:v1", "demo:v2"], what="the two newest ReplicaSets alone")


async def test_replicas_that_nobody_gave_are_written_back_as_one(scene: Scene) -> None:
    """An autoscaler reads them."""
    manifest = a_rollout()
    del manifest["spec"]["replicas"]
    await scene.apply(manifest)
    rollout = await scene.until("web", healthy_on(BLUE))
    assert rollout["spec"]["replicas"] == rollout["status"]["availableReplicas"] == 1
