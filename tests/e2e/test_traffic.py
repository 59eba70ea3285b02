"""Traffic moves with the rollout, and the rollout waits for the traffic."""

import asyncio
from typing import Any

import pytest

from tidegate.keys import FENCE, POD_TEMPLATE_HASH
from tidegate.kube.kinds import HTTP_ROUTE, SERVICE
from tidegate.testing import Scene, a_rollout, a_service, an_http_route, degraded, eventually, healthy_on, paused_at

pytestmark = pytest.mark.e2e

BLUE, YELLOW = "demo:blue", "demo:yellow"
SERVICES = {"stableService": "web-stable", "canaryService": "web-canary"}
STEPS = ({"setWeight": 34}, {"pause": {}})


def routed(namespace: str) -> dict:
    plugin = {"argoproj-labs/gatewayAPI": {"httpRoute": "web", "namespace": namespace}}
    return {**SERVICES, "trafficRouting": {"plugins": plugin}, "abortScaleDownDelaySeconds": 1, "scaleDownDelaySeconds": 1}


async def with_services(scene: Scene) -> None:
    await scene.apply(a_service("web-stable", app="web"), a_service("web-canary", app="web"))


async def on_blue_without_its_route(scene: Scene, **spec: Any) -> None:
    """A finished first version, and then nothing to write the next split to."""
    await with_services(scene)
    await scene.apply(an_http_route("web", stable="web-stable", canary="web-canary"))
    await scene.apply(a_rollout(steps=STEPS, canary=routed(scene.namespace), **spec))
    await scene.until("web", healthy_on(BLUE))
    await scene.kube.delete(HTTP_ROUTE, scene.namespace, "web")


async def chosen(scene: Scene) -> tuple[str, str]:
    """The hashes that the stable and the canary Service choose."""
    found = [await scene.kube.get(SERVICE, scene.namespace, f"web-{side}") for side in ("stable", "canary")]
    stable, canary = (each["spec"]["selector"].get(POD_TEMPLATE_HASH, "") for each in found)
    return stable, canary


async def weights(scene: Scene) -> tuple[int, int]:
    """(stable, canary) in the HTTPRoute."""
    route = await scene.kube.get(HTTP_ROUTE, scene.namespace, "web")
    by_name = {each["name"]: each["weight"] for each in route["spec"]["rules"][0]["backendRefs"]}
    return by_name["web-stable"], by_name["web-canary"]


async def test_services_follow_the_revisions_they_are_named_for(scene: Scene) -> None:
    await with_services(scene)
    await scene.apply(a_rollout(steps=STEPS, canary=SERVICES))
    rollout = await scene.until("web", healthy_on(BLUE))
    blue = rollout["status"]["stableRS"]
    await eventually(lambda: chosen(scene), lambda seen: seen == (blue, blue), what="both Services to choose blue")

    await scene.request_image("web", YELLOW)
    rollout = await scene.until("web", paused_at(1, image=YELLOW))
    yellow = rollout["status"]["currentPodHash"]
    await eventually(lambda: chosen(scene), lambda seen: seen == (blue, yellow), what="the canary Service to choose yellow")

    await scene.command("web", "promote")
    await scene.until("web", healthy_on(YELLOW))
    await eventually(lambda: chosen(scene), lambda seen: seen == (yellow, yellow), what="both Services to choose yellow")
    stable = await scene.kube.get(SERVICE, scene.namespace, "web-stable")
    assert stable["metadata"]["annotations"][FENCE].startswith(f"{scene.namespace}/web={rollout['metadata']['uid']}/")
    switch = ("SwitchService", f"Switched selector for service 'web-canary' from '{blue}' to '{yellow}'")
    await eventually(lambda: scene.events("web"), lambda events: switch in events, what="the switch to be told")


async def test_no_step_passes_before_the_traffic_was_seen_to_move(scene: Scene) -> None:
    await on_blue_without_its_route(scene)
    await scene.request_image("web", YELLOW)

    # The route that is to be written does not exist: pods come, the step stays.
    async def canary_pods() -> int:
        found = await scene.replica_sets("web")
        return found[-1]["status"].get("availableReplicas", 0) if len(found) == 2 else 0

    await eventually(canary_pods, lambda count: count == 2, what="the pods of the canary")
    await asyncio.sleep(2)
    status = (await scene.rollout("web"))["status"]
    assert (status["currentStepIndex"], status["phase"]) == (0, "Progressing")

    await scene.apply(an_http_route("web", stable="web-stable", canary="web-canary"))
    rollout = await scene.until("web", paused_at(1, image=YELLOW))
    assert await weights(scene) == (66, 34)
    assert rollout["status"]["canary"]["weights"]["canary"]["weight"] == 34

    await scene.command("web", "promote")
    await scene.until("web", healthy_on(YELLOW))
    await eventually(lambda: weights(scene), lambda seen: seen == (100, 0), what="all traffic to be stable's, which is yellow now")


async def test_the_deadline_fires_though_the_traffic_cannot_be_moved(scene: Scene) -> None:
    await on_blue_without_its_route(scene, progressDeadlineAbort=True)
    await scene.patch("web", {"spec": {"progressDeadlineSeconds": 4}})  # blue had all the time it needed
    await scene.request_image("web", YELLOW)
    await scene.until("web", degraded("RolloutAborted"))


async def test_aborted_the_traffic_goes_back_first_and_the_pods_go_after_it(scene: Scene) -> None:
    await with_services(scene)
    await scene.apply(an_http_route("web", stable="web-stable", canary="web-canary"))
    await scene.apply(a_rollout(steps=STEPS, canary=routed(scene.namespace)))
    blue = (await scene.until("web", healthy_on(BLUE)))["status"]["stableRS"]
    await scene.request_image("web", YELLOW)
    await scene.until("web", paused_at(1, image=YELLOW))
    assert await weights(scene) == (66, 34)

    await scene.command("web", "abort")
    await scene.until("web", degraded("RolloutAborted"))
    await eventually(lambda: weights(scene), lambda seen: seen == (100, 0), what="all traffic to be stable's")
    assert (await chosen(scene))[0] == blue

    async def sizes() -> list[int]:
        return [each["spec"]["replicas"] for each in await scene.replica_sets("web")]

    await eventually(sizes, lambda seen: seen == [3, 0], what="the canary's pods to go")
