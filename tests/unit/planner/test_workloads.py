"""Where a Rollout with `workloadRef` takes its pods from, and how that workload's own pods give way (`argo-behaviour.md` 11.1)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import keys
from tidegate.durations import rfc3339
from tidegate.kube.cache import Cache
from tidegate.kube.kinds import DEPLOYMENT, POD_TEMPLATE, REPLICA_SET, ROLLOUT, Kind
from tidegate.testing import a_rollout
from tidegate_planner.decide import decide
from tidegate_planner.plan import AnnotateRollout, CreateReplicaSet, Plan, ScaleReplicaSet, ScaleWorkload
from tidegate_planner.router_objects import NotYet, Nowhere, WatchedKinds
from tidegate_planner.seen import Seen, Workload
from tidegate_planner.simulation.shell import Shell
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view
from tidegate_planner.workload_reads import Workloads
from tidegate_planner.workloads import reference_of, slim_workload
from tidegate_planner.writing import Refused

IMAGE = "demo:blue"
POD_LABELS = {"app": "web"}


@pytest.fixture
def shell() -> Shell:
    return Shell()


def a_template(image: str = IMAGE) -> dict[str, Any]:
    return {"metadata": {"labels": POD_LABELS}, "spec": {"containers": [{"name": "app", "image": image}]}}


def referring(kind: str = "Deployment", api_version: str = "apps/v1", name: str = "web", **spec: Any) -> dict[str, Any]:
    """A Rollout without a template and a selector of its own."""
    reference = {"apiVersion": api_version, "kind": kind, "name": name}
    rollout = a_rollout(workloadRef=reference, replicas=4)
    del rollout["spec"]["template"], rollout["spec"]["selector"]
    return {**rollout, "spec": {**rollout["spec"], **spec}}


def a_workload(kind: str = "Deployment", *, image: str = IMAGE, generation: int = 1, **metadata: Any) -> dict[str, Any]:
    whole = {"name": "web", "generation": generation, **metadata}
    if kind == "PodTemplate":
        return {"metadata": whole, "template": a_template(image)}
    return {"metadata": whole, "spec": {"replicas": 4, "selector": {"matchLabels": POD_LABELS}, "template": a_template(image)}}


def problem_of(shell: Shell, rollout: dict[str, Any]) -> str | None:
    shell.put(ROLLOUT, rollout)
    return shell.see().problem


# --- where the pods come from -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "made"), [(DEPLOYMENT, "Deployment"), (REPLICA_SET, "ReplicaSet")])
def test_template_and_selector_are_those_of_the_workload(shell: Shell, kind: Kind, made: str) -> None:
    shell.put(kind, a_workload(made))
    shell.put(ROLLOUT, referring(made))
    seen = shell.see()
    assert seen.problem is None
    assert seen.spec is not None
    assert (seen.spec.template, seen.spec.selector) == (a_template(), {"matchLabels": POD_LABELS})
    assert "template" not in shell.stored(ROLLOUT)["spec"]


def test_a_pod_template_has_no_selector_so_the_rollout_needs_its_own(shell: Shell) -> None:
    shell.put(POD_TEMPLATE, a_workload("PodTemplate"))
    missing = problem_of(shell, referring("PodTemplate", "v1"))
    assert missing is not None
    assert "Rollout has missing field '.spec.selector'" in missing
    assert problem_of(shell, referring("PodTemplate", "v1", selector={"matchLabels": POD_LABELS})) is None
    assert shell.see().spec is not None


def test_a_selector_of_its_own_counts(shell: Shell) -> None:
    shell.put(DEPLOYMENT, a_workload())
    shell.put(ROLLOUT, referring(selector={"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}))
    seen = shell.see()
    assert seen.spec is not None
    assert "matchExpressions" in seen.spec.selector


@pytest.mark.parametrize(
    ("rollout", "why"),
    [
        (referring(template=a_template()), "template must be empty for workload reference rollout"),
        (referring("StatefulSet"), "workload of type apps/StatefulSet is not supported"),
        (referring("Pod", "v1"), "workload of type /Pod is not supported"),
        (referring(name="other"), 'deployments.apps "default/other" not found'),
        (referring("PodTemplate", "v1"), 'podtemplates "default/web" not found'),
    ],
)
def test_a_workload_that_cannot_be_used_makes_the_spec_invalid_in_the_peers_words(
    shell: Shell, rollout: dict[str, Any], why: str
) -> None:
    shell.put(DEPLOYMENT, a_workload())
    assert problem_of(shell, rollout) == f'The Rollout "web" is invalid: {why}'


def test_a_template_that_breaks_a_rule_is_found_in_the_workload_too(shell: Shell) -> None:
    shell.put(DEPLOYMENT, a_workload(image=""))
    found = problem_of(shell, referring())
    assert found is not None
    assert "spec.template.spec.containers[0].image: Required value" in found


def test_a_misspelt_scale_down_is_named_with_what_would_be_right(shell: Shell) -> None:
    shell.put(DEPLOYMENT, a_workload())
    rollout = referring()
    rollout["spec"]["workloadRef"]["scaleDown"] = "onSuccess"
    found = problem_of(shell, rollout)
    assert found is not None
    assert found.endswith(
        'spec.workloadRef.scaleDown: Unsupported value: "onSuccess": supported values: "never", "onsuccess", "progressively"'
    )


def test_a_workload_that_is_created_later_ends_the_complaint(shell: Shell) -> None:
    assert problem_of(shell, referring()) is not None
    shell.put(DEPLOYMENT, a_workload())
    assert shell.see().problem is None


def test_a_changed_workload_is_read_anew_and_its_pods_are_not(shell: Shell) -> None:
    shell.put(DEPLOYMENT, a_workload())
    shell.put(ROLLOUT, referring())
    first = shell.see()
    shell.put(DEPLOYMENT, {**a_workload(), "status": {"readyReplicas": 4}})
    assert shell.see().spec is first.spec
    shell.put(DEPLOYMENT, a_workload(image="demo:green", generation=2))
    second = shell.see()
    assert second.template_hash != first.template_hash
    assert second.fence > first.fence, "a request made of the newer template must win"


def test_as_long_as_its_kind_is_not_known_a_workload_is_not_missed() -> None:
    """Or a restart of the planner would make every such Rollout invalid for a moment."""
    shell, begun = Shell(), []
    shell.world.workloads = WatchedKinds(lambda kind: Cache(shell.kube, kind, slim=slim_workload), begun.append)
    shell.put(ROLLOUT, referring())
    for _ in range(2):
        with pytest.raises(NotYet):
            shell.see()
    (cache,) = begun
    assert cache.kind == DEPLOYMENT, "one view, of the kind that is in use"
    shell.kube.feed(cache, DEPLOYMENT)
    problem = shell.see().problem
    assert problem is not None
    assert "not found" in problem


def test_a_workload_that_may_not_be_read_is_told_from_one_that_is_missing() -> None:
    shell = Shell()
    shell.world.workloads = Nowhere()
    assert problem_of(shell, referring()) == (
        'The Rollout "web" is invalid: the workload cannot be read: deployments.apps default/web'
    )


def test_little_of_a_workload_is_held() -> None:
    whole = a_workload(annotations={"kubectl.kubernetes.io/last-applied-configuration": "x" * 5000}, labels={"a": "b"})
    held = slim_workload({**whole, "status": {"conditions": ["many"]}})
    assert set(held) == {"apiVersion", "kind", "metadata", "spec", "templateText"}
    assert (set(held["metadata"]), held["metadata"]["annotations"]) == ({"name", "generation", "annotations"}, {})
    assert set(held["spec"]) == {"replicas", "selector"}


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_nothing_in_place_of_a_reference_breaks_its_reading(anything: Any) -> None:
    reference_of({"spec": {"workloadRef": anything}})
    reference_of({"spec": {"workloadRef": {"kind": anything, "apiVersion": "apps/v1"}}})
    reference_of({"spec": anything})


# --- a view of it that lags behind ---------------------------------------------------------------------------------------


class Lagging:
    """A planner whose watch of Deployments stands still, while another one acts on what it has not heard of."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.cache = Cache(shell.kube, DEPLOYMENT, slim=slim_workload)
        shell.put(DEPLOYMENT, a_workload())
        self.feed = shell.kube.feed(self.cache, DEPLOYMENT)
        self.feed.pause()
        views = WatchedKinds(lambda _kind: self.cache, lambda _cache: None)
        shell.world.workloads = views
        self.workloads = Workloads(kube=shell.kube, views=views, further=shell.pods.look)

    def acted_on(self, generation: str) -> None:
        self.shell.put(ROLLOUT, {**referring(), "status": {"workloadObservedGeneration": generation}})

    async def look(self) -> Seen:
        return await self.workloads.look(self.shell.see(), self.shell.now)


async def test_what_another_planner_has_acted_on_is_read_before_anything_is_decided_from_less(shell: Shell) -> None:
    """Or the two would take each other's pods, for as long as the watch is late."""
    lagging = Lagging(shell)
    shell.put(DEPLOYMENT, a_workload(image="demo:green"))
    lagging.acted_on("2")
    with pytest.raises(Refused, match="newer than what was seen of it"):
        await lagging.look()
    seen = await lagging.look()
    assert seen.workload is not None
    assert seen.workload.generation == 2
    assert seen.spec is not None
    assert seen.spec.template == a_template("demo:green")


async def test_a_workload_in_the_place_of_one_that_was_deleted_is_no_old_view(shell: Shell) -> None:
    lagging = Lagging(shell)
    lagging.acted_on("5")
    assert (await lagging.look()).workload is not None


async def test_nobody_is_asked_about_a_workload_that_is_seen_as_it_was_acted_on(shell: Shell) -> None:
    lagging = Lagging(shell)
    lagging.acted_on("1")
    shell.kube.calls.clear()
    await lagging.look()
    assert shell.kube.calls == []


async def test_a_workload_that_is_gone_meanwhile_is_waited_for(shell: Shell) -> None:
    """Its watch will say so, and the Rollout is then invalid."""
    lagging = Lagging(shell)
    lagging.acted_on("2")
    await shell.kube.delete(DEPLOYMENT, "default", "web")
    with pytest.raises(Refused, match="is gone"):
        await lagging.look()
    lagging.feed.resume()
    assert "not found" in str((await lagging.look()).problem)


# --- what is told about it ----------------------------------------------------------------------------------------------


async def test_the_generation_that_was_acted_on_stands_in_annotation_and_status(shell: Shell) -> None:
    shell.put(DEPLOYMENT, a_workload())
    shell.put(DEPLOYMENT, a_workload(image="demo:green"))
    shell.put(ROLLOUT, referring())
    plan = decide(shell.see(), shell.now)
    assert plan.status["workloadObservedGeneration"] == "2"
    assert AnnotateRollout(annotations={keys.REVISION: "1", keys.WORKLOAD_GENERATION: "2"}) in plan.actions
    created = next(each for each in plan.actions if isinstance(each, CreateReplicaSet))
    assert created.manifest["spec"]["template"]["spec"] == a_template("demo:green")["spec"]
    assert created.manifest["spec"]["selector"]["matchLabels"]["app"] == "web"


def test_without_a_reference_nothing_is_said_about_a_workload() -> None:
    plan = decide(a_view("v1"), NOW)
    assert "workloadObservedGeneration" not in plan.status
    assert AnnotateRollout(annotations={keys.REVISION: "1"}) in plan.actions


# --- how the workload's pods give way -----------------------------------------------------------------------------------

ONCE_HEALTHY = {
    "type": "Healthy",
    "status": "False",
    "reason": "RolloutHealthy",
    "message": "",
    "lastUpdateTime": rfc3339(NOW),
    "lastTransitionTime": rfc3339(NOW),
}


def handed_over(
    mode: str,
    available: int,
    *,
    deployment: int = 4,
    started_with: int | None = None,
    once_healthy: bool = False,
    kind: str = "Deployment",
    **spec: Any,
) -> Plan:
    """Of a Rollout of four pods in its first revision, of which so many are available."""
    status = a_status("v1", "v1", None)
    if once_healthy:
        status["conditions"] = [*status["conditions"], ONCE_HEALTHY]
    workload = Workload(
        kind=kind, name="web", generation=1, replicas=deployment if kind != "PodTemplate" else None, started_with=started_with
    )
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": "web", "scaleDown": mode}
    view = a_view("v1", a_set("v1", 4, available), status=status, spec={"workloadRef": reference, **spec}, workload=workload)
    return decide(view, NOW)


def deployment_after(plan: Plan) -> int | None:
    """None where it is left alone."""
    scaled = [each for each in plan.actions if isinstance(each, ScaleWorkload)]
    return scaled[0].after if scaled else None


@pytest.mark.parametrize(
    ("mode", "available", "after"),
    [
        ("", 4, None),
        ("never", 4, None),
        ("onsuccess", 3, None),
        ("onsuccess", 4, 0),
        ("progressively", 0, None),
        ("progressively", 1, 3),
        ("progressively", 4, 0),
    ],
)
def test_a_deployment_shrinks_when_its_rollout_says(mode: str, available: int, after: int | None) -> None:
    assert deployment_after(handed_over(mode, available)) == after


def test_only_a_deployment_is_scaled_and_nothing_while_paused_by_hand() -> None:
    assert deployment_after(handed_over("progressively", 4, kind="ReplicaSet")) is None
    assert deployment_after(handed_over("progressively", 4, kind="PodTemplate")) is None
    assert deployment_after(handed_over("progressively", 2, paused=True)) is None


def test_pods_that_the_rollout_loses_on_the_way_come_back_to_the_deployment() -> None:
    assert deployment_after(handed_over("progressively", 1, deployment=1, started_with=4)) == 3


def test_a_deployment_never_gets_more_pods_than_it_had() -> None:
    assert deployment_after(handed_over("progressively", 0, deployment=2)) is None
    assert deployment_after(handed_over("progressively", 0, deployment=1, started_with=2)) == 2


def test_once_the_rollout_was_healthy_its_lost_pods_are_its_own_affair() -> None:
    assert deployment_after(handed_over("progressively", 1, deployment=0, started_with=4, once_healthy=True)) is None
    assert deployment_after(handed_over("progressively", 4, deployment=3, started_with=4, once_healthy=True)) == 0


def test_a_second_attempt_takes_over_as_the_first_would_have() -> None:
    """The peer scales the Deployment of revision 1 only: one that needed a fix keeps its pods for ever."""
    failed, fixed = a_set("v1", 1, 0), a_set("v2", 3, 3, revision=2)
    workload = Workload(kind="Deployment", name="web", generation=2, replicas=4)
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "scaleDown": "progressively"}
    status = a_status("v2", "v1", None)
    plan = decide(a_view("v2", failed, fixed, status=status, spec={"workloadRef": reference}, workload=workload), NOW)
    assert deployment_after(plan) == 1
    done = a_status("v2", "v2", None)
    whole = a_view("v2", a_set("v2", 4, revision=2), status=done, spec={"workloadRef": reference}, workload=workload)
    assert deployment_after(decide(whole, NOW)) == 0


def test_pods_that_the_same_look_takes_away_are_not_counted_on() -> None:
    """An update that begins while the Deployment still serves takes the one pod that `maxUnavailable` lets it take."""
    workload = Workload(kind="Deployment", name="web", generation=2, replicas=4)
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "scaleDown": "progressively"}
    limits = {"canary": {"maxSurge": 0, "maxUnavailable": 1}}
    status = a_status("v1", "v1", None)
    view = a_view("v2", a_set("v1", 4), status=status, spec={"workloadRef": reference, "strategy": limits}, workload=workload)
    plan = decide(view, NOW)
    assert [each.after for each in plan.actions if isinstance(each, ScaleReplicaSet)] == [3]
    assert deployment_after(plan) == 1


@pytest.mark.parametrize(("mode", "after"), [("onsuccess", None), ("progressively", 2)])
def test_pods_that_are_going_make_no_rollout_healthy_enough(mode: str, after: int | None) -> None:
    """A ReplicaSet just told to shrink, and wanted again, still counts its old pods; the phase is Healthy."""
    workload = Workload(kind="Deployment", name="web", generation=1, replicas=4)
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "scaleDown": mode}
    shrinking = a_set("v1", 2, 4, current=4, settled=False)
    view = a_view("v1", shrinking, status=a_status("v1", "v1", None), spec={"workloadRef": reference}, workload=workload)
    plan = decide(view, NOW)
    assert plan.status["phase"] == "Healthy"
    assert deployment_after(plan) == after


@given(
    st.integers(0, 6),
    st.lists(st.integers(0, 4), max_size=12),
)
def test_together_they_never_have_fewer_pods_than_the_deployment_had_or_the_rollout_wants(
    had: int, availabilities: list[int]
) -> None:
    deployment, started_with, once_healthy = had, None, False
    for available in availabilities:
        plan = handed_over(
            "progressively", available, deployment=deployment, started_with=started_with, once_healthy=once_healthy
        )
        for each in plan.actions:
            if isinstance(each, ScaleWorkload):
                assert each.before == deployment
                deployment, started_with = each.after, started_with if each.started_with is None else each.started_with
        once_healthy = once_healthy or plan.status["phase"] == "Healthy"
        assert once_healthy or deployment + available >= min(had, 4)
        assert deployment <= had


# --- the write ----------------------------------------------------------------------------------------------------------


async def test_a_deployment_notes_what_it_started_with_and_keeps_its_annotations(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout())
    for annotations in ({}, {"annotations": {"theirs": "kept"}}):
        shell.put(DEPLOYMENT, a_workload(**annotations))
        await shell.apply(ScaleWorkload(name="web", before=4, after=3, started_with=4))
        held = shell.stored(DEPLOYMENT)
        assert held["spec"]["replicas"] == 3
        assert held["metadata"]["annotations"] == {**annotations.get("annotations", {}), keys.HANDED_OVER: "4"}


async def test_a_deployment_that_somebody_scaled_meanwhile_refuses_ours(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout())
    shell.put(DEPLOYMENT, a_workload())
    with pytest.raises(Refused):
        await shell.apply(ScaleWorkload(name="web", before=5, after=3))
    assert shell.stored(DEPLOYMENT)["spec"]["replicas"] == 4
