"""What people do to a rollout that is under way, by command over the bus and by plain edits of the object."""

import asyncio

import pytest

from tidegate.keys import FAIL_FAST
from tidegate.testing import Scene, a_rollout, degraded, eventually, healthy_on, paused_at

pytestmark = pytest.mark.e2e

BLUE, YELLOW, GREEN = "demo:blue", "demo:yellow", "demo:green"
GATE = ({"setWeight": 34}, {"pause": {}})  # 34 % of 3 pods is one


def verbs(scene: Scene, name: str, revision: int) -> list[str]:
    return [told.outcome.verb for told in scene.outcomes.of(scene.namespace, name, revision=revision)]


async def at_the_gate(scene: Scene, name: str = "web", **fields) -> None:
    """Blue everywhere but for one pod, which is yellow and waits for a word."""
    await scene.apply(a_rollout(name, steps=GATE, **fields))
    await scene.until(name, healthy_on(BLUE))
    await scene.request_image(name, YELLOW)
    await scene.until(name, paused_at(1, image=YELLOW))


async def sizes(scene: Scene, name: str = "web") -> dict[str, int]:
    """Pods wanted, by image; ReplicaSets without any are left out."""
    found = await scene.replica_sets(name)
    images = {each["spec"]["template"]["spec"]["containers"][0]["image"]: each["spec"]["replicas"] for each in found}
    return {image: count for image, count in images.items() if count}


async def test_aborted_it_goes_back_and_retried_it_starts_again(scene: Scene) -> None:
    await at_the_gate(scene)
    assert (await scene.command("web", "abort")).accepted
    await scene.until("web", degraded("RolloutAborted: Rollout aborted update to revision 2"))
    await eventually(lambda: sizes(scene), lambda seen: seen == {BLUE: 3}, what="all pods to be blue again")
    await scene.until_told("web", "rolled-back", revision=2)
    assert verbs(scene, "web", 2) == ["started", "step-completed", "paused", "aborted", "rolled-back"]

    assert (await scene.command("web", "retry")).accepted
    await scene.until("web", paused_at(1, image=YELLOW))
    await scene.command("web", "promote")
    await scene.until("web", healthy_on(YELLOW))
    await scene.until_told("web", "completed", revision=2)
    assert len(await scene.replica_sets("web")) == 2
    assert scene.outcomes.repeats(scene.namespace) == []


async def test_aborted_it_stays_aborted_when_it_is_scaled(scene: Scene) -> None:
    await at_the_gate(scene)
    await scene.command("web", "abort")
    await scene.until_told("web", "rolled-back", revision=2)
    await scene.patch("web", {"spec": {"replicas": 5}})
    await eventually(lambda: sizes(scene), lambda seen: seen == {BLUE: 5}, what="five blue pods and no other")
    await asyncio.sleep(1)
    assert await sizes(scene) == {BLUE: 5}
    assert degraded("RolloutAborted")(await scene.rollout("web"))


async def test_promoted_in_full_it_asks_nobody_any_more(scene: Scene) -> None:
    await at_the_gate(scene)
    assert (await scene.command("web", "promote-full")).accepted
    rollout = await scene.until("web", healthy_on(YELLOW))
    assert rollout["status"].get("promoteFull") is None
    await scene.until_told("web", "completed", revision=2)
    told = verbs(scene, "web", 2)
    assert (told[0], told[-2:]) == ("started", ["promoted", "completed"])
    assert told.count("paused") == 1


async def test_a_version_that_never_gets_ready_meets_its_deadline_and_the_next_one_gets_out(scene: Scene) -> None:
    await scene.apply(a_rollout(steps=({"setWeight": 34},), progressDeadlineAbort=True))
    await scene.until("web", healthy_on(BLUE))
    await scene.patch("web", {"spec": {"progressDeadlineSeconds": 5}})  # for none but the one that meets it
    await scene.request_image("web", "demo:bad")
    await scene.until("web", degraded("RolloutAborted"))
    await scene.until_told("web", "degraded", revision=2)
    await eventually(lambda: sizes(scene), lambda seen: seen == {BLUE: 3}, what="all pods to be blue again")
    await scene.until_told("web", "rolled-back", revision=2)
    assert "completed" not in verbs(scene, "web", 2)

    await scene.patch("web", {"spec": {"progressDeadlineSeconds": 600}})
    await scene.request_image("web", YELLOW)
    await scene.until("web", healthy_on(YELLOW))


async def test_a_version_that_crashes_is_given_up_long_before_its_deadline_where_that_was_asked_for(scene: Scene) -> None:
    await scene.apply(a_rollout(steps=({"setWeight": 34},), annotations={FAIL_FAST: "1"}))
    await scene.until("web", healthy_on(BLUE))
    await scene.request_image("web", "demo:crash")
    await scene.until("web", degraded('container "app" waits with CrashLoopBackOff after'))
    await eventually(lambda: sizes(scene), lambda seen: seen == {BLUE: 3}, what="all pods to be blue again")


async def test_a_second_revision_takes_the_place_of_the_first_and_blue_keeps_serving(scene: Scene) -> None:
    await at_the_gate(scene)
    await scene.request_image("web", GREEN)
    await scene.until("web", paused_at(1, image=GREEN))
    await eventually(lambda: sizes(scene), lambda seen: seen == {BLUE: 2, GREEN: 1}, what="the yellow pod to go")
    await scene.command("web", "promote")
    await scene.until("web", healthy_on(GREEN))
    await scene.until_told("web", "completed", revision=3)
    assert verbs(scene, "web", 2)[-1] == "superseded"


async def test_back_to_blue_in_the_middle_is_a_rollback_without_steps(scene: Scene) -> None:
    await at_the_gate(scene)
    assert (await scene.command("web", "undo")).accepted
    await scene.until("web", healthy_on(BLUE))
    assert await eventually(lambda: sizes(scene), lambda seen: YELLOW not in seen, what="the yellow pod to go") == {BLUE: 3}


async def test_undone_after_completion_it_walks_back_to_the_revision_before(scene: Scene) -> None:
    await at_the_gate(scene)
    await scene.command("web", "promote")
    await scene.until("web", healthy_on(YELLOW))
    assert (await scene.command("web", "undo")).accepted
    await scene.until("web", paused_at(1, image=BLUE))
    await scene.command("web", "promote")
    await scene.until("web", healthy_on(BLUE))
    first, second = await scene.replica_sets("web")
    assert [first["spec"]["replicas"], second["spec"]["replicas"]] == [0, 3]  # blue is the newest revision now


async def test_while_it_is_paused_by_hand_nothing_moves(scene: Scene) -> None:
    await scene.apply(a_rollout(steps=({"setWeight": 34},)))
    await scene.until("web", healthy_on(BLUE))
    assert (await scene.command("web", "pause")).accepted
    await scene.request_image("web", YELLOW)
    await scene.until("web", lambda rollout: rollout["status"].get("phase") == "Paused", what="Paused")
    await asyncio.sleep(2)  # longer than anything that might still be under way
    assert await sizes(scene) == {BLUE: 3}
    assert (await scene.command("web", "resume")).accepted
    await scene.until("web", healthy_on(YELLOW))


async def test_plain_edits_of_the_object_are_obeyed_as_well(scene: Scene) -> None:
    await scene.apply(a_rollout(steps=GATE))
    await scene.until("web", healthy_on(BLUE))
    await scene.set_image("web", YELLOW)
    await scene.until("web", paused_at(1, image=YELLOW))
    await scene.patch("web", {"status": {"abort": True}}, subresource="status")
    await scene.until("web", degraded("RolloutAborted"))
    await scene.patch("web", {"status": {"abort": False}}, subresource="status")
    await scene.until("web", paused_at(1, image=YELLOW))
    await scene.patch("web", {"status": {"pauseConditions": None}}, subresource="status")
    await scene.until("web", healthy_on(YELLOW))


async def test_scaled_in_the_middle_both_sides_follow(scene: Scene) -> None:
    await at_the_gate(scene)
    await scene.patch("web", {"spec": {"replicas": 6}})
    await eventually(lambda: sizes(scene), lambda seen: seen == {BLUE: 4, YELLOW: 2}, what="4 blue and 2 yellow pods")
    await scene.command("web", "promote")
    await scene.until("web", healthy_on(YELLOW))
    assert await eventually(lambda: sizes(scene), lambda seen: BLUE not in seen, what="blue to go") == {YELLOW: 6}
