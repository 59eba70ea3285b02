"""Fields of both strategies with real processes: several rollouts side by side in one namespace, each with a story of its own."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.kube.kinds import ANALYSIS_RUN, HTTP_ROUTE, SERVICE, Object
from tidegate.testing import (
    Endpoint,
    Reply,
    Scene,
    a_rollout,
    a_service,
    an_analysis_template,
    an_http_route,
    degraded,
    eventually,
    healthy_on,
    paused_at,
)

pytestmark = pytest.mark.e2e

BLUE, YELLOW = "demo:blue", "demo:yellow"
GATE = ({"setWeight": 34}, {"pause": {}})
WINDOW = {"rollbackWindow": {"revisions": 1}}


@pytest.fixture
def metrics() -> Iterator[Endpoint]:
    with Endpoint(lambda _: Reply(body=b'{"good": true}')) as endpoint:
        yield endpoint


def through(route: str, namespace: str, **canary: Any) -> dict[str, Any]:
    """By the Gateway API, in an HTTPRoute of this name."""
    plugin = {"argoproj-labs/gatewayAPI": {"httpRoute": route, "namespace": namespace}}
    return {"trafficRouting": {"plugins": plugin}, **canary}


async def updated(scene: Scene, manifest: Object) -> str:
    """The rollout on blue, and yellow asked for; its name."""
    name: str = manifest["metadata"]["name"]
    await scene.apply(manifest)
    await scene.until(name, healthy_on(BLUE))
    await scene.request_image(name, YELLOW)
    return name


async def chosen(scene: Scene, service: str) -> str:
    return str((await scene.kube.get(SERVICE, scene.namespace, service))["spec"]["selector"].get(POD_TEMPLATE_HASH, ""))


async def weights(scene: Scene, route: str) -> dict[str, int]:
    found = await scene.kube.get(HTTP_ROUTE, scene.namespace, route)
    return {each["name"]: each["weight"] for each in found["spec"]["rules"][0]["backendRefs"]}


async def sizes(scene: Scene, name: str) -> list[int]:
    return [each["spec"]["replicas"] for each in await scene.replica_sets(name)]


# --- the stories -----------------------------------------------------------------------------------------------------------


async def back_within_the_window(scene: Scene) -> None:
    """Nobody is asked on the way back, and the skipped steps are told as skipped."""
    name = await updated(scene, a_rollout("window", steps=GATE, **WINDOW))
    await scene.until(name, paused_at(1, image=YELLOW))
    await scene.command(name, "promote")
    await scene.until(name, healthy_on(YELLOW))
    await scene.request_image(name, BLUE)
    rollout = await scene.until(name, healthy_on(BLUE))
    assert rollout["status"]["duration"]["completionStatus"] == "FastRolledBack"
    await scene.until_told(name, "completed", revision=3)
    assert "paused" not in [told.outcome.verb for told in scene.outcomes.of(scene.namespace, name, revision=3)]

    async def completions() -> list[str]:
        return [message for reason, message in await scene.events(name) if reason == "RolloutCompleted"]

    await eventually(completions, lambda said: any("Rollback within window" in each for each in said), what="the Event of the end")


async def blue_green_there_and_back(scene: Scene) -> None:
    """Users move when a person says so, and go back within the window without anybody."""
    await scene.apply(a_service("bg-active", app="bg"), a_service("bg-preview", app="bg"))
    blue_green = {"activeService": "bg-active", "previewService": "bg-preview", "autoPromotionEnabled": False}
    manifest = a_rollout("bg", **WINDOW)
    manifest["spec"]["strategy"] = {"blueGreen": {**blue_green, "scaleDownDelaySeconds": 1}}
    name = await updated(scene, manifest)
    rollout = await scene.until(name, lambda seen: seen["status"].get("message") == "BlueGreenPause", what="the pause")
    blue, yellow = rollout["status"]["stableRS"], rollout["status"]["currentPodHash"]
    await eventually(lambda: chosen(scene, "bg-preview"), lambda seen: seen == yellow, what="the preview of yellow")
    assert await chosen(scene, "bg-active") == blue
    await scene.command(name, "promote")
    await scene.until(name, healthy_on(YELLOW))
    assert await chosen(scene, "bg-active") == yellow
    await eventually(lambda: sizes(scene, name), lambda seen: seen == [0, 3], what="the pods of blue to go after their delay")
    await scene.request_image(name, BLUE)
    await scene.until(name, healthy_on(BLUE))
    assert await chosen(scene, "bg-active") == blue


async def ping_and_pong(scene: Scene) -> None:
    """They take turns; no Service that has traffic is switched."""
    await scene.apply(a_service("ping", app="turns"), a_service("pong", app="turns"))
    await scene.apply(an_http_route("turns", stable="pong", canary="ping"))
    pair = {"pingPong": {"pingService": "ping", "pongService": "pong"}}
    name = await updated(scene, a_rollout("turns", steps=GATE, canary=through("turns", scene.namespace, **pair)))
    rollout = await scene.until(name, paused_at(1, image=YELLOW))
    assert rollout["status"]["canary"]["stablePingPong"] == "ping"
    assert await weights(scene, "turns") == {"ping": 66, "pong": 34}
    assert await chosen(scene, "pong") == rollout["status"]["currentPodHash"]
    await scene.command(name, "promote")
    rollout = await scene.until(name, healthy_on(YELLOW))
    assert rollout["status"]["canary"]["stablePingPong"] == "pong"
    await eventually(lambda: weights(scene, "turns"), lambda seen: seen == {"ping": 0, "pong": 100}, what="pong to have all of it")
    assert await chosen(scene, "pong") == rollout["status"]["stableRS"] != await chosen(scene, "ping")


async def walking_back(scene: Scene) -> None:
    """Stable was scaled down; its pods and its traffic come back together."""
    await scene.apply(a_service("walk-stable", app="walk"), a_service("walk-canary", app="walk"))
    await scene.apply(an_http_route("walk", stable="walk-stable", canary="walk-canary"))
    steps = ({"setWeight": 25}, {"setWeight": 50}, {"setWeight": 75}, {"pause": {}})
    sides = {"stableService": "walk-stable", "canaryService": "walk-canary", "dynamicStableScale": True}
    canary = through("walk", scene.namespace, **sides)
    name = await updated(scene, a_rollout("walk", replicas=4, steps=steps, canary=canary))
    await scene.until(name, paused_at(3, image=YELLOW))
    await eventually(lambda: sizes(scene, name), lambda seen: seen == [1, 3], what="stable to give pods up")
    await scene.command(name, "abort")
    await scene.until(name, degraded("RolloutAborted"))
    await eventually(lambda: sizes(scene, name), lambda seen: seen == [4, 0], what="stable to have all pods again")
    assert await weights(scene, "walk") == {"walk-stable": 100, "walk-canary": 0}
    await scene.until_told(name, "rolled-back", revision=2)
    outcomes = [told.outcome for told in scene.outcomes.of(scene.namespace, name, revision=2)]
    aborted = [each.verb for each in outcomes].index("aborted")
    told = [each.weight or 0 for each in outcomes[aborted:] if each.verb == "weight-changed"]
    assert told == sorted(told, reverse=True)
    assert told[-1] == 0


async def only_so_many_runs(scene: Scene, metrics: Endpoint) -> None:
    """Of the finished AnalysisRuns as many are kept as asked, and the last one, which the status tells of."""
    metric = {
        "name": "good",
        "successCondition": "result == true",
        "provider": {"web": {"url": f"{metrics.url}/", "jsonPath": "{$.good}"}},
    }
    await scene.apply(an_analysis_template("good", metric))
    step = {"analysis": {"templates": [{"templateName": "good"}]}}
    limits = {"analysis": {"successfulRunHistoryLimit": 1}}
    name = await updated(scene, a_rollout("kept", steps=({"setWeight": 34}, step), **limits))
    for image in (YELLOW, BLUE, YELLOW):
        await scene.until(name, healthy_on(image))
        await scene.request_image(name, BLUE if image == YELLOW else YELLOW)

    async def runs() -> list[str]:
        found, _ = await scene.kube.list(ANALYSIS_RUN, scene.namespace)
        return [each["metadata"]["annotations"]["rollout.argoproj.io/revision"] for each in found]

    await scene.until(name, healthy_on(BLUE))
    await eventually(runs, lambda seen: seen == ["5"], what="the last run alone to be left")


async def test_fields_of_both_strategies_keep_their_promises_side_by_side(scene: Scene, metrics: Endpoint) -> None:
    async with asyncio.TaskGroup() as stories:
        for story in (back_within_the_window, blue_green_there_and_back, ping_and_pong, walking_back):
            stories.create_task(story(scene), name=story.__name__)
        stories.create_task(only_so_many_runs(scene, metrics), name="only_so_many_runs")
