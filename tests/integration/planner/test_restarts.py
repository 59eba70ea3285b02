"""`spec.restartAt` with real pods, the Eviction API and a real disruption budget. The resync is an hour away."""

import asyncio

import pytest

from tidegate.durations import epoch, rfc3339
from tidegate.kube.kinds import POD, POD_DISRUPTION_BUDGET, Object
from tidegate.testing import Scene, a_rollout, eventually, healthy_on, paused_at

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("unprompted")]

BLUE, YELLOW = "demo:blue", "demo:yellow"


async def pods(scene: Scene) -> list[Object]:
    found, _ = await scene.kube.list(POD, scene.namespace, "app=web")
    return [each for each in found if not each["metadata"].get("deletionTimestamp")]


async def names(scene: Scene) -> set[str]:
    return {each["metadata"]["name"] for each in await pods(scene)}


async def restart(scene: Scene) -> str:
    """Once a second has begun in which none of the pods was made."""
    await asyncio.sleep(1.1)
    assert (await scene.command("web", "restart")).accepted
    asked: str = (await scene.rollout("web"))["spec"]["restartAt"]
    return asked


async def until_restarted(scene: Scene, asked: str) -> None:
    await scene.until("web", lambda rollout: rollout["status"].get("restartedAt") == asked, what="restarted")


async def test_every_pod_is_replaced_and_never_more_than_one_is_missing(scene: Scene) -> None:
    """A pod takes a second to be ready, so that too many at once would be seen."""
    slow = a_rollout(replicas=3, canary={"maxUnavailable": 1})
    slow["spec"]["template"]["metadata"]["annotations"] = {"embedded.tidegate/ready-delay": "1"}
    await scene.apply(slow)
    await scene.until("web", healthy_on(BLUE))
    before = await names(scene)
    asked = await restart(scene)
    fewest = 3

    async def look() -> Object:
        nonlocal fewest
        conditions = [(each["status"].get("conditions") or ()) for each in await pods(scene)]
        ready = sum(any(c["type"] == "Ready" and c["status"] == "True" for c in each) for each in conditions)
        fewest = min(fewest, ready)
        return await scene.rollout("web")

    await eventually(look, lambda rollout: rollout["status"].get("restartedAt") == asked, what="restarted")
    await scene.until("web", healthy_on(BLUE))
    after = await names(scene)
    assert before & after == set()
    assert fewest >= 2
    assert len(await scene.replica_sets("web")) == 1, "no new revision"


async def test_a_restart_in_the_middle_of_an_update_replaces_both_versions_pods(scene: Scene) -> None:
    await scene.apply(a_rollout(replicas=4, steps=[{"setWeight": 50}, {"pause": {}}]))
    await scene.until("web", healthy_on(BLUE))
    await scene.set_image("web", YELLOW)
    await scene.until("web", paused_at(1))
    before = await names(scene)
    await until_restarted(scene, await restart(scene))
    await eventually(lambda: names(scene), lambda seen: len(seen) == 4 and not seen & before, what="four other pods")
    assert (await scene.rollout("web"))["status"]["currentStepIndex"] == 1


async def test_pods_that_a_disruption_budget_holds_are_evicted_once_it_lets_go(scene: Scene) -> None:
    await scene.apply(a_rollout(replicas=2))
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
    budget = {"metadata": {"name": "all", "namespace": scene.namespace}, "spec": spec}
    await scene.kube.create(POD_DISRUPTION_BUDGET, budget)
    await scene.until("web", healthy_on(BLUE))
    before = await names(scene)
    asked = await restart(scene)
    told = await scene.until("web", lambda each: each["status"].get("message") == "rollout is restarting", what="told so")
    assert told["status"]["phase"] == "Progressing"
    await asyncio.sleep(3)
    assert await names(scene) == before
    await scene.kube.delete(POD_DISRUPTION_BUDGET, scene.namespace, "all")
    await scene.patch("web", {"metadata": {"annotations": {"look": "now"}}})  # instead of half a minute
    await until_restarted(scene, asked)
    await eventually(lambda: names(scene), lambda seen: len(seen) == 2 and not seen & before, what="two other pods")


async def test_a_restart_for_later_waits_for_its_time(scene: Scene) -> None:
    await scene.apply(a_rollout(replicas=1))
    await scene.until("web", healthy_on(BLUE))
    (before,) = await pods(scene)
    at = rfc3339(epoch(before["metadata"]["creationTimestamp"]) + 5)
    await scene.patch("web", {"spec": {"restartAt": at}})
    await until_restarted(scene, at)
    name = before["metadata"]["name"]
    await eventually(lambda: names(scene), lambda seen: len(seen) == 1 and seen != {name}, what="another pod")
    (after,) = await pods(scene)
    assert epoch(after["metadata"]["creationTimestamp"]) >= epoch(at)
