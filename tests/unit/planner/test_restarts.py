"""Which pods go when a restart is due, how many at a time, and what the status says meanwhile (`argo-behaviour.md` 11.3)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.durations import rfc3339
from tidegate.kube.errors import Conflict, Forbidden, NotFound, TooManyRequests
from tidegate.kube.kinds import POD, ROLLOUT
from tidegate.kube.memory import Call
from tidegate.testing import a_rollout
from tidegate_planner.decide import decide
from tidegate_planner.outside import REFUSALS_TAKEN
from tidegate_planner.plan import EvictPods, Plan, PodName, ScaleReplicaSet
from tidegate_planner.podlists import FRESH_FOR
from tidegate_planner.podneeds import needs_pods, with_pods
from tidegate_planner.seen import Pod, ReplicaSet, Seen
from tidegate_planner.simulation.shell import NAMESPACE, Shell
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of, services_on

OLD, YOUNG = rfc3339(NOW - 500), rfc3339(NOW + 1)
AT = rfc3339(NOW - 10)


def pods_of(replica_set: ReplicaSet, count: int, *, ready: int | None = None, created: str = OLD, **fields: Any) -> list[Pod]:
    """Named after the version and numbered."""
    serving = count if ready is None else ready
    name = str(replica_set.uid).removeprefix("uid-")
    return [
        Pod(
            name=f"{name}-{number}",
            uid=f"uid-{name}-{number}",
            owner=replica_set.uid,
            created=created,
            ready=number < serving,
            **fields,
        )
        for number in range(count)
    ]


def restarting(*sets: ReplicaSet, pods: list[Pod], new: str = "v1", stable: str = "v1", restart_at: str = AT, **view: Any) -> Seen:
    """Replicas: four."""
    status = view.pop("status", None) or a_status(new, stable, None)
    spec = {"restartAt": restart_at, **view.pop("spec", {})}
    return with_pods(a_view(new, *sets, status=status, spec=spec, **view), pods)


def evicted(plan: Plan) -> list[tuple[list[str], int]]:
    return [
        ([pod.name for pod in action.pods], action.at_most) for action in plan.actions if isinstance(action, EvictPods)
    ]


# --- when ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("restart_at", "restarted_at", "needed"),
    [
        (None, None, False),
        (AT, None, True),
        (AT, AT, False),
        (AT, rfc3339(NOW - 11), True),
        (AT, rfc3339(NOW - 5), True),
        (rfc3339(NOW + 60), None, False),
    ],
)
def test_pods_are_looked_at_only_while_a_restart_is_due(restart_at: str | None, restarted_at: str | None, needed: bool) -> None:
    status = {"restartedAt": restarted_at} if restarted_at else {}
    assert needs_pods(a_view("v1", status=status, spec={"restartAt": restart_at}), NOW) is needed


def test_a_restart_for_later_wakes_the_planner_then_and_is_told_at_once() -> None:
    later = rfc3339(NOW + 60)
    plan = decide(a_view("v1", a_set("v1", 4), status=a_status("v1", "v1", None), spec={"restartAt": later}), NOW)
    assert plan.wake_at == NOW + 60
    assert (plan.status["phase"], plan.status["message"]) == ("Progressing", "rollout is restarting")
    assert "restartedAt" not in plan.status


def test_a_restart_that_is_under_way_is_looked_at_again_after_half_a_minute() -> None:
    stable = a_set("v1", 4)
    plan = decide(restarting(stable, pods=pods_of(stable, 4)), NOW)
    assert plan.wake_at == NOW + 30


def test_it_is_done_when_no_older_pod_is_left() -> None:
    stable = a_set("v1", 4)
    going = pods_of(stable, 1, deleting=True)
    plan = decide(restarting(stable, pods=[*pods_of(stable, 4, created=YOUNG), *going]), NOW)
    assert (plan.status["restartedAt"], evicted(plan)) == (AT, [])
    assert plan.status.get("message") != "rollout is restarting"


def test_it_is_not_done_while_a_pod_that_went_is_still_counted_as_serving() -> None:
    """The last pod is seen to go before its ReplicaSet says so; the rollout would be Healthy for that moment."""
    stable = a_set("v1", 4)
    plan = decide(restarting(stable, pods=pods_of(stable, 3, created=YOUNG)), NOW)
    assert "restartedAt" not in plan.status
    assert plan.status["message"] == "rollout is restarting"


def test_a_new_template_does_not_pass_for_a_restart() -> None:
    """Its update may be aborted, and then the pods of the stable version are as old as before."""
    stable = a_set("v1", 4)
    plan = decide(restarting(stable, pods=pods_of(stable, 4), new="v2", status=a_status("v1", "v1", None)), NOW)
    assert (plan.status["currentPodHash"], plan.status["stableRS"]) == (hash_of("v2"), hash_of("v1"))
    assert "restartedAt" not in plan.status


def test_without_a_look_at_the_pods_it_is_not_done() -> None:
    view = a_view("v1", a_set("v1", 0), status=a_status("v1", "v1", None), spec={"restartAt": AT})
    assert "restartedAt" not in decide(view, NOW).status


def test_what_was_done_before_is_kept() -> None:
    status = a_status("v1", "v1", None, restartedAt=AT)
    assert decide(a_view("v1", a_set("v1", 4), status=status), NOW).status["restartedAt"] == AT


def test_a_pause_is_told_before_a_restart_and_a_restart_before_missing_pods() -> None:
    stable = a_set("v1", 4)
    paused = restarting(stable, pods=pods_of(stable, 4), spec={"paused": True})
    assert decide(paused, NOW).status["message"] == "manually paused"
    few = a_set("v1", 2)
    assert decide(restarting(few, pods=pods_of(few, 2)), NOW).status["message"] == "rollout is restarting"


# --- who, and how many --------------------------------------------------------------------------------------------------


def test_as_many_go_at_once_as_may_be_unavailable_and_always_one() -> None:
    stable = a_set("v1", 4)
    for unavailable, many in ((0, 1), (1, 1), (2, 2), ("50%", 2), (4, 4)):
        view = restarting(stable, pods=pods_of(stable, 4), canary={"maxUnavailable": unavailable, "maxSurge": 1})
        assert evicted(decide(view, NOW)) == [([f"v1-{number}" for number in range(4)], many)]


def test_blue_green_has_a_limit_of_its_own_for_restarts() -> None:
    stable = a_set("v1", 4)
    for limit, many in (({}, 1), ({"maxUnavailable": 0}, 1), ({"maxUnavailable": 3}, 3), ({"maxUnavailable": "50%"}, 2)):
        strategy, services = {"activeService": "active", **limit}, services_on(active="v1")
        view = restarting(stable, pods=pods_of(stable, 4), blue_green=strategy, services=services)
        assert [at_most for _, at_most in evicted(decide(view, NOW))] == [many]


def test_stable_goes_first_then_new_then_the_others_by_age() -> None:
    """While paused by hand, so that nothing else moves."""
    older, oldest = a_set("v0", 1, revision=2), a_set("v9", 1, revision=1)
    stable, new = a_set("v1", 1, revision=3), a_set("v2", 1, revision=4)
    pods = [pod for each in (older, new, oldest, stable) for pod in pods_of(each, 1)]
    view = restarting(older, stable, new, oldest, pods=pods, new="v2", stable="v1", spec={"paused": True})
    assert evicted(decide(view, NOW)) == [(["v1-0", "v2-0", "v9-0", "v0-0"], 1)]


def test_nobody_is_evicted_by_a_pass_that_scales_down() -> None:
    """AR#4221: both from one view took more than may be unavailable."""
    stable, new = a_set("v1", 4), a_set("v2", 1, revision=2)
    view = restarting(
        stable,
        new,
        pods=[*pods_of(stable, 4), *pods_of(new, 1)],
        new="v2",
        stable="v1",
        status=a_status("v2", "v1", 0, [{"setWeight": 25}]),
        canary={"steps": [{"setWeight": 25}], "maxSurge": 1, "maxUnavailable": 0},
    )
    plan = decide(view, NOW)
    assert [each for each in plan.actions if isinstance(each, ScaleReplicaSet) and each.after < each.before]
    assert evicted(plan) == []


def test_a_pod_that_was_evicted_a_moment_ago_is_not_counted_on() -> None:
    """The ReplicaSet's own count still has it."""
    stable = a_set("v1", 4)
    pods = pods_of(stable, 4)
    pods[0] = replace(pods[0], deleting=True)
    view = restarting(stable, pods=pods, canary={"maxUnavailable": 1})
    assert view.replica_sets[0].available == 3
    assert evicted(decide(view, NOW)) == []


def test_pods_that_do_not_serve_are_replaced_without_waiting_for_those_that_do() -> None:
    """All of them crashing would otherwise hold up the very restart that is to help; the peer waits for ever."""
    stable = a_set("v1", 4, 1)
    plan = decide(restarting(stable, pods=pods_of(stable, 4, ready=1)), NOW)
    assert evicted(plan) == [(["v1-1", "v1-2", "v1-3"], 3)]


@given(
    st.integers(0, 6),
    st.integers(0, 6),
    st.lists(st.sampled_from([OLD, YOUNG]), max_size=6),
    st.sampled_from([0, 1, 2, "50%"]),
    st.data(),
)
def test_what_is_left_serving_is_what_the_strategy_needs(
    spec: int, available: int, ages: list[str], unavailable: int | str, data: st.DataObject
) -> None:
    stable = a_set("v1", spec, min(spec, available))
    pods = [replace(each, created=age) for each, age in zip(pods_of(stable, len(ages)), ages, strict=True)]
    pods = [replace(each, ready=data.draw(st.booleans()), deleting=data.draw(st.booleans())) for each in pods]
    view = restarting(stable, pods=pods, canary={"maxUnavailable": unavailable, "maxSurge": 1})
    by_name = {pod.name: pod for pod in pods}
    serving = sum(pod.ready and not pod.deleting for pod in pods)
    may = {0: 0, 1: 1, 2: 2, "50%": 2}[unavailable]
    for names, at_most in evicted(decide(view, NOW)):
        assert all(by_name[name].created == OLD and not by_name[name].deleting for name in names)
        if by_name[names[0]].ready:
            assert serving - at_most >= 4 - max(1, may)


def test_a_moment_that_is_none_is_said_to_be_wrong() -> None:
    shell = Shell()
    shell.put(ROLLOUT, a_rollout(restartAt="soon"))
    problem = shell.see().problem
    assert problem is not None
    assert 'spec.restartAt: Invalid value: "soon"' in problem
    assert "2026-01-02T03:04:05Z" in problem


def test_a_limit_that_is_no_number_is_said_to_be_wrong() -> None:
    shell = Shell()
    manifest = a_rollout()
    manifest["spec"]["strategy"] = {"blueGreen": {"activeService": "active", "maxUnavailable": "many"}}
    shell.put(ROLLOUT, manifest)
    problem = shell.see().problem
    assert problem is not None
    assert 'maxUnavailable: Invalid value: "many": must be a number of pods (1) or a percentage (25%)' in problem


# --- the writes ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def shell() -> Shell:
    """A Rollout `web` with four running pods."""
    shell = Shell()
    shell.put(ROLLOUT, a_rollout(replicas=4))
    labels = {"app": "web", "rollouts-pod-template-hash": "h"}
    for number in range(4):
        shell.put(POD, {"metadata": {"name": f"web-{number}", "labels": labels}, "status": {"conditions": []}})
    return shell


def name_of(shell: Shell, number: int, uid: str | None = None) -> PodName:
    held = shell.stored(POD, f"web-{number}")
    return PodName(f"web-{number}", uid or held["metadata"]["uid"])


def left(shell: Shell) -> list[str]:
    return [each["metadata"]["name"] for each in shell.kube.snapshot(POD)]


async def test_an_eviction_is_of_this_very_pod(shell: Shell) -> None:
    await shell.apply(EvictPods(pods=(name_of(shell, 0), name_of(shell, 1)), at_most=1))
    assert left(shell) == ["web-1", "web-2", "web-3"]
    (call,) = [each for each in shell.kube.calls if each.subresource == "eviction"]
    assert call.body["apiVersion"] == "policy/v1"
    assert call.body["deleteOptions"]["preconditions"]["uid"]


def refusing(*names: str, error: Exception) -> Any:
    def refuse(call: Call) -> None:
        if call.subresource == "eviction" and call.name in names:
            raise error

    return refuse


BUDGET = TooManyRequests("would violate the pod's disruption budget", status=429)


async def test_a_pod_that_a_disruption_budget_holds_is_passed_over(shell: Shell) -> None:
    shell.kube.before = refusing("web-0", error=BUDGET)
    await shell.apply(EvictPods(pods=tuple(name_of(shell, number) for number in range(3)), at_most=1))
    assert left(shell) == ["web-0", "web-2", "web-3"]


async def test_after_some_refusals_the_rest_is_not_tried(shell: Shell) -> None:
    names = tuple(f"web-{number}" for number in range(REFUSALS_TAKEN))
    shell.kube.before = refusing(*names, error=BUDGET)
    await shell.apply(EvictPods(pods=tuple(name_of(shell, number) for number in range(4)), at_most=4))
    assert len(left(shell)) == 4


@pytest.mark.parametrize("error", [NotFound("gone", status=404), Conflict("another uid", status=409)])
async def test_a_pod_that_is_gone_counts_as_evicted(shell: Shell, error: Exception) -> None:
    shell.kube.before = refusing("web-0", error=error)
    await shell.apply(EvictPods(pods=(name_of(shell, 0), name_of(shell, 1)), at_most=1))
    assert len(left(shell)) == 4


async def test_a_list_of_pods_serves_for_a_second_with_our_own_evictions_in_it(shell: Shell) -> None:
    seen = shell.see()
    assert len(await shell.pods.of(seen)) == 4
    assert shell.pods.look_again_at(seen.uid) is None, "a change from now on wakes by itself"
    await shell.apply(EvictPods(pods=(name_of(shell, 0),), at_most=1))
    shell.now += FRESH_FOR / 2
    assert [pod.name for pod in await shell.pods.of(seen) if pod.deleting] == ["web-0"]
    assert shell.pods.look_again_at(seen.uid) == pytest.approx(shell.now + FRESH_FOR / 2)
    shell.now += FRESH_FOR
    assert len(await shell.pods.of(seen)) == 3
    assert sum(call.verb == "list" for call in shell.kube.calls) == 2


async def test_without_the_right_to_list_pods_the_rest_of_a_rollout_goes_on(shell: Shell) -> None:
    def refuse(call: Call) -> None:
        if call.kind == POD:
            raise Forbidden("an older role", status=403)

    shell.kube.before = refuse
    seen = shell.see()
    assert await shell.pods.of(seen) is None
    assert with_pods(seen, None) is seen


async def test_a_rollout_that_is_not_understood_has_no_pods_to_look_at(shell: Shell) -> None:
    seen = replace(shell.see(), spec=None)
    assert await shell.pods.of(seen) is None
    assert not [call for call in shell.kube.calls if call.namespace == NAMESPACE and call.verb == "list"]
