"""Plugins of all three kinds, as processes that know nothing of Tidegate, in a rollout that really runs."""

from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import pytest

from tidegate.bus.rights import PLUGIN
from tidegate.bus.server import LocalNats
from tidegate.kube.kinds import ANALYSIS_RUN, ANALYSIS_TEMPLATE, Object
from tidegate.testing import Scene, a_rollout, degraded, eventually, healthy_on
from tidegate.testing.plugins import METRIC, ROUTER, STEP, PluginProcess
from tidegate_analyzer.testing import Endpoint, Reply
from tidegate_cli.local.identities import BusUsers

pytestmark = pytest.mark.e2e

BLUE, YELLOW = "demo:blue", "demo:yellow"
Plugin = Callable[[str], PluginProcess]


@pytest.fixture
def plugin(nats: LocalNats, users: BusUsers) -> Plugin:
    """Under the NATS user that an installation has for plugins."""
    return lambda name: PluginProcess(name, users.url(nats.url, PLUGIN.user))


@pytest.fixture
def window() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


def check(url: str, undo: str) -> Object:
    return {"plugin": {"name": STEP, "config": {"url": url, "undo": undo, "every": 11}}}


def calls(rollout: Object) -> list[Object]:
    return list((rollout["status"].get("canary") or {}).get("stepPluginStatuses") or ())


async def test_a_canary_goes_on_by_plugins_of_all_three_kinds_one_of_them_killed_meanwhile(
    scene: Scene, plugin: Plugin, window: Endpoint, tmp_path: Path
) -> None:
    window.answer("/may-go-on", Reply(503))
    metric = {"name": "load", "successCondition": "result.load >= 0", "provider": {"plugin": {METRIC: {}}}}
    metadata = {"name": "load", "namespace": scene.namespace}
    await scene.kube.create(ANALYSIS_TEMPLATE, {"metadata": metadata, "spec": {"metrics": [metric]}})
    steps = (
        {"setWeight": 34}, check(window.url("/may-go-on"), ""), {"analysis": {"templates": [{"templateName": "load"}]}},
    )  # fmt: skip
    routing = {"trafficRouting": {"plugins": {ROUTER: {"folder": str(tmp_path)}}}, "scaleDownDelaySeconds": 1}

    with plugin(ROUTER), plugin(METRIC), plugin(STEP) as step:
        await scene.apply(a_rollout(steps=steps, canary=routing))
        await scene.until("web", healthy_on(BLUE))
        await scene.set_image("web", YELLOW)
        rollout = await scene.until("web", lambda seen: calls(seen) != [] and "backoff" in calls(seen)[0], what="Running, answered")
        tries = calls(rollout)[0]["status"]["tries"]
        assert (calls(rollout)[0]["phase"], tries >= 1, rollout["status"]["currentStepIndex"]) == ("Running", True, 1)
        weights = orjson.loads((tmp_path / f"{scene.namespace}.web.json").read_bytes())
        assert (weights["split"]["canary"]["weight"], weights["uid"]) == (34, rollout["metadata"]["uid"])
        step.kill()
        await scene.until("web", lambda seen: "backoff" not in calls(seen)[0], what="the plugin to be asked again")
        window.answer("/may-go-on", Reply(200))
        step.start()
        rollout = await scene.until("web", healthy_on(YELLOW))
    assert (calls(rollout)[0]["phase"], calls(rollout)[0]["status"]["tries"] > tries) == ("Successful", True)
    runs, _ = await scene.kube.list(ANALYSIS_RUN, scene.namespace)
    (measurement,) = runs[0]["status"]["metricResults"][0]["measurements"]
    assert (measurement["phase"], "load" in measurement["value"]) == ("Successful", True)


async def test_a_step_that_fails_aborts_and_the_steps_before_it_are_undone(scene: Scene, plugin: Plugin, window: Endpoint) -> None:
    window.answer("/migrated", Reply(200))
    window.answer("/back", Reply(200))
    window.answer("/allowed", Reply(403))
    steps = (check(window.url("/migrated"), window.url("/back")), check(window.url("/allowed"), ""))
    with plugin(STEP):
        await scene.apply(a_rollout(steps=steps))
        await scene.until("web", healthy_on(BLUE))
        await scene.set_image("web", YELLOW)
        rollout = await scene.until("web", degraded(f"Step Plugin 2 ({STEP}) failed: HTTP 403"))
        assert rollout["status"]["abort"] is True

        async def aborts() -> list[Object]:
            return [each for each in calls(await scene.rollout("web")) if each["operation"] == "Abort"]

        undone = await eventually(aborts, lambda seen: seen != [] and "finishedAt" in seen[0], what="the first step to be undone")
    assert [(each["index"], each["phase"], each["message"]) for each in undone] == [(0, "Successful", "undo: HTTP 200")]
    assert ("POST", "/back") in [(each.method, each.path) for each in window.asked]
    failed = ("StepPluginTransition", f"Step plugin {STEP} (step 2) transitioned to Failed")
    await eventually(lambda: scene.events("web"), lambda seen: failed in seen and "RolloutAborted" in dict(seen), what="the Events")
