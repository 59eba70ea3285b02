"""A live Deployment is taken over under the eyes of its users, and a rollout's pods are restarted."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.kube.kinds import DEPLOYMENT, POD, SERVICE, Object
from tidegate.testing import Scene, a_deployment, a_referring_rollout, a_rollout, a_service, eventually, healthy_on

pytestmark = pytest.mark.e2e

BLUE, YELLOW = "demo:blue", "demo:yellow"
SLOW = {"embedded.tidegate/ready-delay": "1"}
"""A pod takes a second to be ready, so that one that is missing can be seen to be."""


def is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions") or ()
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


@asynccontextmanager
async def watched(scene: Scene, service: str) -> AsyncIterator[list[int]]:
    """How many ready pods the Service chooses, many times a second."""
    counts: list[int] = []

    async def look() -> None:
        while True:
            chosen = (await scene.kube.get(SERVICE, scene.namespace, service))["spec"]["selector"]
            labels = ",".join(f"{key}={value}" for key, value in chosen.items())
            pods, _ = await scene.kube.list(POD, scene.namespace, labels)
            counts.append(sum(map(is_ready, pods)))
            await asyncio.sleep(0.1)

    task = asyncio.create_task(look())
    try:
        yield counts
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def deployment(scene: Scene) -> Object:
    return await scene.kube.get(DEPLOYMENT, scene.namespace, "web")


async def test_a_live_deployment_is_taken_over_without_a_gap(scene: Scene) -> None:
    await scene.apply(a_deployment(replicas=3, pod_annotations=SLOW), a_service("web", app="web"), a_service("next", app="web"))
    await eventually(
        lambda: deployment(scene), lambda each: each.get("status", {}).get("availableReplicas") == 3, what="a live Deployment"
    )
    services = {"strategy": {"canary": {"stableService": "web", "canaryService": "next", "steps": [{"setWeight": 50}]}}}
    async with watched(scene, "web") as counts:
        await scene.apply(a_referring_rollout(replicas=3, scale_down="progressively", **services))
        await eventually(lambda: deployment(scene), lambda each: each["spec"]["replicas"] == 0, what="no pods of the Deployment")
        rollout = await scene.until("web", lambda each: each["status"].get("phase") == "Healthy", what="Healthy")
        await asyncio.sleep(1)
    assert min(counts) >= 3
    (ours,) = await scene.replica_sets("web")
    stable = rollout["status"]["stableRS"]
    assert ours["metadata"]["labels"][POD_TEMPLATE_HASH] == stable

    async def chosen() -> str | None:
        selector: dict[str, str] = (await scene.kube.get(SERVICE, scene.namespace, "web"))["spec"]["selector"]
        return selector.get(POD_TEMPLATE_HASH)

    await eventually(chosen, lambda seen: seen == stable, what="the Service to lead to the rollout's pods")

    assert (await scene.request_image("web", YELLOW)).accepted
    await scene.until_told("web", "completed", revision=2)
    image = (await deployment(scene))["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == YELLOW
    assert (await deployment(scene))["spec"]["replicas"] == 0


async def test_a_restart_replaces_every_pod_and_keeps_users_served(scene: Scene) -> None:
    rollout = a_rollout(replicas=3, canary={"maxUnavailable": 1})
    rollout["spec"]["template"]["metadata"]["annotations"] = SLOW
    await scene.apply(rollout, a_service("web", app="web"))
    await scene.until("web", healthy_on(BLUE))
    before, _ = await scene.kube.list(POD, scene.namespace)
    await asyncio.sleep(1.1)  # a restart is of whole seconds
    async with watched(scene, "web") as counts:
        assert (await scene.command("web", "restart")).accepted
        asked = (await scene.rollout("web"))["spec"]["restartAt"]
        await scene.until("web", lambda each: each["status"].get("restartedAt") == asked, what="restarted")
        await scene.until("web", healthy_on(BLUE))
    assert min(counts) >= 2
    after, _ = await scene.kube.list(POD, scene.namespace)
    names = [{each["metadata"]["name"] for each in pods} for pods in (before, after)]
    assert names[0] & names[1] == set()
    assert [told.outcome.verb for told in scene.outcomes.of(scene.namespace, "web", revision=2)] == []
