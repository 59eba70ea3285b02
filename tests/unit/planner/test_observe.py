"""What one look at the caches makes of them, and what it does not work out twice."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import keys
from tidegate.kube.kinds import ANALYSIS_RUN, ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE, REPLICA_SET, ROLLOUT, SERVICE
from tidegate.rollout import Canary
from tidegate.testing import a_rollout, a_service, an_analysis_template
from tidegate_planner.readings import (
    analyses_of,
    analysis_run_of,
    orphaned_in,
    owners_of,
    replica_set_of,
    service_names,
)
from tidegate_planner.seen import Traffic
from tidegate_planner.simulation.shell import NAMESPACE, Shell
from tidegate_planner.templates import CLUSTER, NAMESPACED

WITH_SERVICES = {"stableService": "stable", "canaryService": "canary"}


@pytest.fixture
def shell() -> Shell:
    return Shell()


def owner(uid: str, *, controller: bool = True) -> list[dict[str, Any]]:
    return [{"apiVersion": keys.API_VERSION, "kind": "Rollout", "name": "web", "uid": uid, "controller": controller}]


def a_set(name: str, *, app: str = "web", **metadata: Any) -> dict[str, Any]:
    labels = {"app": app, keys.POD_TEMPLATE_HASH: name}
    return {"metadata": {"name": f"web-{name}", "labels": labels, **metadata}, "spec": {"replicas": 1, "template": {}}}


# --- what is read when --------------------------------------------------------------------------------------------------


def test_a_manifest_is_read_once_per_generation(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout())
    first = shell.see()
    shell.put(ROLLOUT, {**a_rollout(annotations={"touched": "yes"}), "status": {"phase": "Progressing"}})
    second = shell.see()
    assert second.spec is first.spec
    assert (second.annotations, second.status) == ({"touched": "yes"}, {"phase": "Progressing"})
    shell.put(ROLLOUT, a_rollout(replicas=5))
    assert shell.see().spec is not first.spec


def test_the_plan_that_the_status_is_of_is_kept_until_an_edited_one_was_decided_upon(shell: Shell) -> None:
    hashes: dict[tuple[int, ...], dict[str, Any]] = {}

    def plan(*weights: int, status: dict[str, Any] | None = None) -> list[str]:
        shell.put(ROLLOUT, {**a_rollout(steps=[{"setWeight": weight} for weight in weights]), "status": status or {}})
        seen = shell.see()
        assert seen.spec is not None
        assert isinstance(seen.spec.strategy, Canary)
        hashes[weights] = {"currentStepHash": seen.spec.strategy.steps_hash}
        return [str(step) for step in seen.former_plan.steps] if seen.former_plan else []

    plan(25)
    assert plan(25, status=hashes[25,]) == []
    for edited in (50, 75):
        assert plan(edited, status=hashes[25,]) == ["setWeight: 25"]
    assert plan(75, status=hashes[75,]) == []
    assert plan(75, status=hashes[25,]) == [], "it is forgotten then"


def test_a_collision_changes_the_hash_without_a_new_generation(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout())
    before = shell.see().template_hash
    shell.put(ROLLOUT, {**a_rollout(), "status": {"collisionCount": 1}})
    assert shell.see().template_hash not in ("", before)


def test_a_missing_service_is_a_problem_until_it_is_created(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout(canary=WITH_SERVICES))
    shell.put(SERVICE, a_service("stable", app="web"))
    seen = shell.see()
    assert seen.spec is None
    assert seen.problem is not None
    assert 'canaryService: Invalid value: "canary"' in seen.problem
    shell.put(SERVICE, a_service("canary", app="web"))
    seen = shell.see()
    assert (seen.problem, sorted(seen.services)) == (None, ["canary", "stable"])


def test_a_service_that_chooses_one_revision_says_which(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout(canary=WITH_SERVICES))
    chosen = a_service("stable", app="web")
    chosen["spec"]["selector"][keys.POD_TEMPLATE_HASH] = "abc"
    chosen["metadata"]["annotations"] = {keys.MANAGED_BY: "web"}
    shell.put(SERVICE, chosen)
    shell.put(SERVICE, a_service("canary", app="web"))
    services = shell.see().services
    assert (services["stable"].hash, services["stable"].managed_by) == ("abc", "web")
    assert (services["canary"].hash, services["canary"].managed_by) == ("", "")


def test_templates_are_found_through_templates_also_in_a_ring(shell: Shell) -> None:
    def nesting(name: str, *nested: dict[str, Any]) -> dict[str, Any]:
        template = an_analysis_template(name, {"name": f"m-{name}", "provider": {"job": {}}})
        template["spec"]["templates"] = list(nested)
        return template

    shell.put(ANALYSIS_TEMPLATE, nesting("outer", {"templateName": "inner"}, {"templateName": "shared", "clusterScope": True}))
    shell.put(ANALYSIS_TEMPLATE, nesting("inner", {"templateName": "outer"}))
    shell.put(CLUSTER_ANALYSIS_TEMPLATE, nesting("shared"))
    shell.put(ANALYSIS_TEMPLATE, nesting("not-mine"))
    shell.put(ROLLOUT, a_rollout(canary={"analysis": {"templates": [{"templateName": "outer"}]}}))
    assert set(shell.see().templates) == {(NAMESPACED, "outer"), (NAMESPACED, "inner"), (CLUSTER, "shared")}


def test_a_missing_template_is_a_problem_until_it_is_created(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout(steps=[{"analysis": {"templates": [{"templateName": "check"}]}}]))
    assert "check" in (shell.see().problem or "")
    metric = {"name": "m", "successCondition": "true", "provider": {"web": {"url": "http://nowhere"}}}
    shell.put(ANALYSIS_TEMPLATE, an_analysis_template("check", metric))
    assert shell.see().problem is None


# --- whose ReplicaSets --------------------------------------------------------------------------------------------------


def test_replica_sets_are_ours_by_owner_and_selector(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout())
    uid = shell.see().uid
    shell.put(REPLICA_SET, a_set("mine", ownerReferences=owner(uid)))
    shell.put(REPLICA_SET, a_set("stranger", app="other", ownerReferences=owner(uid)))
    shell.put(REPLICA_SET, a_set("orphan"))
    shell.put(REPLICA_SET, a_set("only-noted", ownerReferences=owner(uid, controller=False)))
    shell.put(REPLICA_SET, a_set("theirs", ownerReferences=owner("someone")))
    shell.put(REPLICA_SET, a_set("foreign-orphan", app="other"))
    seen = shell.see()
    assert [each.hash for each in seen.replica_sets] == ["mine"]
    assert [each.hash for each in seen.strangers] == ["stranger"]
    assert sorted(each.hash for each in seen.orphans) == ["only-noted", "orphan"]


async def test_an_orphan_of_another_namespace_or_on_its_way_out_is_left_alone(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout())
    shell.put(REPLICA_SET, a_set("elsewhere", namespace="other"))
    shell.put(REPLICA_SET, a_set("leaving", finalizers=["wait"]))
    assert [each.hash for each in shell.see().orphans] == ["leaving"]
    await shell.kube.delete(REPLICA_SET, NAMESPACE, "web-leaving")
    assert shell.see().orphans == ()


META = {"name": "x", "uid": "u", "resourceVersion": "7"}


@pytest.mark.parametrize(
    ("metadata", "status", "expected"),
    [
        ({}, {}, {"revision": 0, "hash": "", "settled": True, "current": 0, "failure": None}),
        ({"annotations": {keys.REVISION: "twelve"}}, {}, {"revision": 0}),
        ({"annotations": {keys.REVISION: "12"}}, {}, {"revision": 12}),
        ({"generation": 3}, {"observedGeneration": 2}, {"settled": False}),
        ({"generation": 3}, {"observedGeneration": 3, "replicas": 2, "availableReplicas": 1}, {"settled": True, "available": 1}),
        ({}, {"conditions": [{"type": "ReplicaFailure", "status": "False"}]}, {"failure": None}),
        (
            {},
            {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "quota"}]},
            {"failure": {"type": "ReplicaFailure", "status": "True", "message": "quota"}},
        ),
    ],
)
def test_a_replica_set_is_read_whatever_is_missing_in_it(metadata: Any, status: Any, expected: dict[str, Any]) -> None:
    read = replica_set_of({"metadata": {**META, **metadata}, "spec": {}, "status": status})
    assert {name: getattr(read, name) for name in expected} == expected


def test_an_analysis_run_is_read_whatever_is_missing_in_it() -> None:
    bare = analysis_run_of({"metadata": {"name": "run"}})
    assert (bare.phase, bare.step_index, bare.terminate) == ("", None, False)
    labels = {keys.STEP_INDEX: "3", keys.ROLLOUT_TYPE: "Step"}
    metadata = {"name": "run", "labels": labels}
    full = analysis_run_of({"metadata": metadata, "spec": {"terminate": True}, "status": {"phase": "Failed"}})
    assert (full.phase, full.step_index, full.kind, full.terminate) == ("Failed", 3, "Step", True)


def test_runs_are_ours_by_owner(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout())
    shell.put(ANALYSIS_RUN, {"metadata": {"name": "mine", "ownerReferences": owner(shell.see().uid)}})
    shell.put(ANALYSIS_RUN, {"metadata": {"name": "by-hand"}})
    assert [each.name for each in shell.see().analysis_runs] == ["mine"]


# --- what is gone, and the fence ----------------------------------------------------------------------------------------


async def test_a_rollout_that_is_gone_or_going_is_not_seen(shell: Shell) -> None:
    held = a_rollout()
    held["metadata"]["finalizers"] = ["wait"]
    shell.put(ROLLOUT, held)
    assert shell.observer.see((NAMESPACE, "web")) is not None
    await shell.kube.delete(ROLLOUT, NAMESPACE, "web")
    assert shell.stored(ROLLOUT)["metadata"]["deletionTimestamp"]
    assert shell.observer.see((NAMESPACE, "web")) is None
    assert shell.observer.see((NAMESPACE, "never-there")) is None


def test_a_rollout_of_another_instance_is_not_seen(shell: Shell) -> None:
    """Also not by a resync, after its label was changed: the planner that was asked to let go must let go."""
    shell.put(ROLLOUT, a_rollout())
    assert shell.observer.see((NAMESPACE, "web")) is not None
    shell.put(ROLLOUT, a_rollout(labels={keys.INSTANCE_ID: "theirs"}))
    assert shell.observer.see((NAMESPACE, "web")) is None


async def test_the_fence_never_falls_though_its_highest_object_is_deleted(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout())
    shell.put(REPLICA_SET, a_set("mine", ownerReferences=owner(shell.see().uid)))
    highest = shell.see().fence
    await shell.kube.delete(REPLICA_SET, NAMESPACE, "web-mine")
    assert shell.see().fence == highest


def test_no_fence_is_lower_than_what_the_caches_began_with(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout())
    shell.world.least_fence = 1_000_000
    assert shell.see().fence == 1_000_000


def test_a_step_of_a_plugin_that_is_not_registered_is_a_problem_that_names_those_that_are(shell: Shell) -> None:
    shell.world.step_plugins = {"acme/approval": True, "acme/other": False}
    shell.put(ROLLOUT, a_rollout(steps=({"plugin": {"name": "acme/aproval"}},)))
    problem = 'spec.strategy.steps[0].plugin.name: Invalid value: "acme/aproval": step plugin is not registered'
    assert shell.see().problem == f'The Rollout "web" is invalid: {problem}; known: acme/approval, acme/other'


def test_a_registered_plugin_is_no_problem_and_a_disabled_one_is_known_as_such(shell: Shell) -> None:
    shell.world.step_plugins = {"acme/approval": True, "acme/other": False}
    shell.put(ROLLOUT, a_rollout(steps=({"plugin": {"name": "acme/approval"}}, {"plugin": {"name": "acme/other"}})))
    seen = shell.see()
    assert (seen.problem, seen.disabled_plugins) == (None, frozenset({"acme/other"}))


def test_what_is_forgotten_is_read_anew(shell: Shell) -> None:
    shell.put(ROLLOUT, a_rollout())
    seen = shell.see()
    shell.world.taken_names[seen.uid] = frozenset({"x"})
    shell.world.create_errors[seen.uid] = {"h": "quota"}
    shell.observer.forget(seen.uid)
    again = shell.see()
    assert again.spec is not seen.spec
    assert (again.taken_names, again.create_errors) == (frozenset(), {})


# --- malformed manifests ------------------------------------------------------------------------------------------------


NAMES = st.sampled_from(
    ["spec", "strategy", "canary", "blueGreen", "steps", "analysis", "templates", "templateName", "clusterScope", "selector",
     "matchLabels", "template", "metadata", "containers", "stableService", "canaryService", "trafficRouting", "replicas", "pause",
     "setWeight", "duration", "pingPong", "pingService", "args", "workloadRef"]
)  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 200) | st.sampled_from(["", "x", "25%", "5s"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=25,
)


@given(spec=st.dictionaries(NAMES, JUNK, max_size=6))
def test_no_manifest_however_malformed_raises(spec: dict[str, Any]) -> None:
    """A CRD that preserves unknown fields lets anything through; one such object must not stop the planner."""
    shell = Shell()
    manifest = a_rollout()
    shell.put(ROLLOUT, {**manifest, "spec": {**manifest["spec"], **spec}})
    seen = shell.see()
    assert (seen.spec is None) == (seen.problem is not None)


@given(strategy=JUNK)
def test_no_strategy_however_malformed_raises(strategy: Any) -> None:
    shell = Shell()
    manifest = a_rollout()
    manifest["spec"]["strategy"] = strategy
    shell.put(ROLLOUT, manifest)
    seen = shell.see()
    assert (seen.spec is None) == (seen.problem is not None)


@given(manifest=st.dictionaries(NAMES, JUNK, max_size=6))
def test_names_of_services_and_analyses_are_read_from_anything(manifest: dict[str, Any]) -> None:
    assert all(isinstance(name, str) and name for name in service_names(manifest))
    assert all(isinstance(each, dict) for each in analyses_of(manifest))


def test_every_place_of_a_service_and_of_an_analysis_is_known() -> None:
    canary = {**WITH_SERVICES, "pingPong": {"pingService": "ping", "pongService": "pong"}, "analysis": {"a": 1}}
    services = {"activeService": "active", "previewService": "preview"}
    green = {**services, "prePromotionAnalysis": {"b": 1}, "postPromotionAnalysis": {"c": 1}}
    manifest = {"spec": {"strategy": {"canary": {**canary, "steps": [{"analysis": {"d": 1}}, {"pause": {}}]}, "blueGreen": green}}}
    assert set(service_names(manifest)) == {"stable", "canary", "ping", "pong", "active", "preview"}
    assert {key for each in analyses_of(manifest) for key in each} == {"a", "b", "c", "d"}


def test_indexes_hold_what_a_controller_owns() -> None:
    two = [*owner("noted", controller=False), *owner("controller")]
    assert list(owners_of({"metadata": {"ownerReferences": two}})) == ["controller"]
    assert list(owners_of({"metadata": {}})) == []
    assert list(orphaned_in({"metadata": {"namespace": "n", "ownerReferences": two}})) == []
    assert list(orphaned_in({"metadata": {"namespace": "n", "ownerReferences": None}})) == ["n"]


# --- what the traffic-shifter says --------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["applied", "pending", "failed"])), min_size=1, max_size=12))
def test_answers_in_any_order_leave_that_of_the_newest_request(told: list[tuple[int, str]]) -> None:
    """A request for where the traffic was before may be answered again after it has moved on: nothing may rely on that."""
    world = Shell().world
    for fence, state in told:
        world.hear_traffic("uid", Traffic(digest=f"of {fence}", state=state, fence=fence))
    newest = max(fence for fence, _ in told)
    states = [state for fence, state in told if fence == newest]
    last = "applied" if "applied" in states else states[-1]
    assert world.traffic["uid"] == Traffic(digest=f"of {newest}", state=last, fence=newest)
