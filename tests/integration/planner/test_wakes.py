"""What wakes the planner. The resync is an hour away, so that nothing but the change itself can have done it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from tidegate.kube.kinds import ANALYSIS_TEMPLATE, INGRESS, REPLICA_SET, Object
from tidegate.testing import Scene, Suite, a_rollout, a_service, an_analysis_template, degraded, eventually, healthy_on

pytestmark = pytest.mark.integration

BLUE, YELLOW = "demo:blue", "demo:yellow"
PROMETHEUS = {"provider": {"prometheus": {"address": "http://nowhere", "query": "up"}}}


def an_ingress(name: str, *, service: str, namespace: str) -> Object:
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": {"rules": [{"http": {"paths": [path]}}]},
    }


@pytest.fixture(autouse=True)
def planner(a_planner: Any) -> Iterator[Suite]:
    running: AbstractContextManager[Suite] = a_planner(TIDEGATE_RESYNC_SECONDS="3600")
    with running as suite:
        yield suite


async def test_a_missing_service_that_is_created_mends_its_rollout(scene: Scene) -> None:
    await scene.apply(a_rollout(canary={"canaryService": "canary"}))
    await scene.until("web", degraded('canaryService: Invalid value: "canary"'))
    await scene.apply(a_service("canary", app="web"))
    await scene.until("web", lambda rollout: rollout["status"]["phase"] != "Degraded", what="no longer Degraded")


async def test_a_missing_ingress_that_is_created_mends_its_rollout(scene: Scene) -> None:
    await scene.apply(a_service("stable", app="web"), a_service("canary", app="web"))
    nginx = {"stableService": "stable", "canaryService": "canary", "trafficRouting": {"nginx": {"stableIngress": "main"}}}
    await scene.apply(a_rollout(canary=nginx))
    await scene.until("web", degraded('ingress.networking.k8s.io "main" not found'))
    assert await scene.replica_sets("web") == []
    await scene.kube.create(INGRESS, an_ingress("main", service="stable", namespace=scene.namespace))
    await scene.until("web", lambda rollout: rollout["status"]["phase"] != "Degraded", what="no longer Degraded")


async def test_a_missing_template_that_is_created_mends_its_rollout(scene: Scene) -> None:
    check = {"analysis": {"templates": [{"templateName": "check"}]}}
    await scene.apply(a_rollout(steps=[check]))
    await scene.until("web", degraded("check"))
    await scene.apply(an_analysis_template("check", {"name": "up", "successCondition": "true", **PROMETHEUS}))
    await scene.until("web", healthy_on(BLUE))
    await scene.kube.delete(ANALYSIS_TEMPLATE, scene.namespace, "check")
    await scene.until("web", degraded("check"))


async def test_a_replica_set_that_somebody_deletes_is_made_again(scene: Scene) -> None:
    await scene.apply(a_rollout())
    await scene.until("web", healthy_on(BLUE))
    (former,) = await scene.replica_sets("web")
    await scene.kube.delete(REPLICA_SET, scene.namespace, former["metadata"]["name"])

    async def uids() -> list[str]:
        return [each["metadata"]["uid"] for each in await scene.replica_sets("web")]

    await eventually(uids, lambda each: len(each) == 1 and each != [former["metadata"]["uid"]], what="another ReplicaSet")
    await scene.until("web", healthy_on(BLUE))


async def test_a_replica_set_that_somebody_scales_is_scaled_back(scene: Scene) -> None:
    await scene.apply(a_rollout())
    await scene.until("web", healthy_on(BLUE))
    (ours,) = await scene.replica_sets("web")
    name = ours["metadata"]["name"]
    await scene.kube.merge_patch(REPLICA_SET, scene.namespace, name, {"spec": {"replicas": 7}})

    async def size() -> int:
        return int((await scene.kube.get(REPLICA_SET, scene.namespace, name))["spec"]["replicas"])

    await eventually(size, lambda each: each == 3, what="three replicas again")


async def test_a_replica_set_that_lost_its_owner_is_adopted_again(scene: Scene) -> None:
    await scene.apply(a_rollout())
    rollout = await scene.until("web", healthy_on(BLUE))
    (ours,) = await scene.replica_sets("web")
    name = ours["metadata"]["name"]
    await scene.kube.merge_patch(REPLICA_SET, scene.namespace, name, {"metadata": {"ownerReferences": None}})

    async def owners() -> list[str]:
        held = await scene.kube.get(REPLICA_SET, scene.namespace, name)
        return [each["uid"] for each in held["metadata"].get("ownerReferences") or ()]

    await eventually(owners, lambda each: each == [rollout["metadata"]["uid"]], what="its owner again")


async def test_a_timed_pause_ends_by_itself(scene: Scene) -> None:
    await scene.apply(a_rollout(steps=[{"setWeight": 50}, {"pause": {"duration": "1s"}}]))
    await scene.until("web", healthy_on(BLUE))
    await scene.set_image("web", YELLOW)
    await scene.until("web", healthy_on(YELLOW))
