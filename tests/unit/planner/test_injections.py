"""Labels, annotations and anti-affinity that a controller puts into pods and takes out again (`argo-behaviour.md` 5.6, 11.4)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate import keys
from tidegate.kube.errors import Conflict, NotFound
from tidegate.kube.kinds import POD, REPLICA_SET, ROLLOUT
from tidegate.kube.memory import Call
from tidegate.testing import a_rollout
from tidegate_planner.decide import decide
from tidegate_planner.plan import ChangeTemplate, ConfirmReplicaSet, CreateReplicaSet, Plan, PodName, RelabelPod, ScaleReplicaSet
from tidegate_planner.podneeds import needs_pods, with_pods
from tidegate_planner.readings import slim_replica_set
from tidegate_planner.seen import Pod, ReplicaSet, Seen
from tidegate_planner.simulation.scenario import pod_template
from tidegate_planner.simulation.shell import Shell
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of, services_on
from tidegate_planner.writing import Refused

CANARY_ROLE, STABLE_ROLE = {"labels": {"role": "canary"}}, {"labels": {"role": "stable"}, "annotations": {"seen": "all"}}
BOTH = {"canaryMetadata": CANARY_ROLE, "stableMetadata": STABLE_ROLE}
STABLE_RECORD = '{"labels":{"role":"stable"},"annotations":{"seen":"all"}}'
CANARY_RECORD = '{"labels":{"role":"canary"}}'
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def carrying(version: str, replicas: int, record: str = "", *, behind: str = "", **fields: Any) -> ReplicaSet:
    """With what the record says in its template."""
    annotations = {**({keys.EPHEMERAL_METADATA: record} if record else {}), **({keys.PODS_BEHIND: behind} if behind else {})}
    bare = a_set(version, replicas, annotations=annotations, generation=3, **fields)
    metadata = {kind: {**(pod_template(version)["metadata"].get(kind) or {}), **values} for kind, values in bare.put_in.items()}
    template = pod_template(version)
    return replace(bare, template={**template, "metadata": {**template["metadata"], **metadata}})


def changes(plan: Plan) -> dict[str, ChangeTemplate]:
    return {action.name.removeprefix("app-"): action for action in plan.actions if isinstance(action, ChangeTemplate)}


def updating(stable: ReplicaSet, new: ReplicaSet, canary: dict[str, Any], **view: Any) -> Seen:
    steps = [{"setWeight": 50}, {"pause": {}}]
    status = a_status("v2", "v1", 1, steps, controllerPause=True)
    status["pauseConditions"] = [{"reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z"}]
    return a_view("v2", stable, new, status=status, canary={"steps": steps, **canary}, **view)


# --- metadata in templates ----------------------------------------------------------------------------------------------


def test_a_version_is_born_with_the_metadata_of_its_part() -> None:
    first = decide(a_view("v1", canary=BOTH), NOW)
    created = next(each for each in first.actions if isinstance(each, CreateReplicaSet)).manifest
    assert created["metadata"]["annotations"][keys.EPHEMERAL_METADATA] == STABLE_RECORD
    template = created["spec"]["template"]["metadata"]
    assert (template["labels"]["role"], template["annotations"]) == ("stable", {"seen": "all"})
    assert "role" not in created["metadata"]["labels"]
    assert "role" not in created["spec"]["selector"]["matchLabels"]

    second = decide(a_view("v2", carrying("v1", 4, STABLE_RECORD), status=a_status("v1", "v1", None), canary=BOTH), NOW)
    created = next(each for each in second.actions if isinstance(each, CreateReplicaSet)).manifest
    assert created["metadata"]["annotations"][keys.EPHEMERAL_METADATA] == CANARY_RECORD
    assert changes(second) == {}


def test_without_any_metadata_a_template_is_the_users_own() -> None:
    created = next(each for each in decide(a_view("v1"), NOW).actions if isinstance(each, CreateReplicaSet)).manifest
    assert keys.EPHEMERAL_METADATA not in created["metadata"]["annotations"]
    assert created["spec"]["template"]["metadata"] == {"labels": {"app": "app", keys.POD_TEMPLATE_HASH: hash_of("v1")}}


def test_a_promotion_makes_the_canary_stable_and_takes_the_old_ones_part_away() -> None:
    status = a_status("v2", "v2", None)
    older = carrying("v1", 2, STABLE_RECORD)
    new = carrying("v2", 4, CANARY_RECORD, revision=2)
    plan = decide(a_view("v2", older, new, status=status, canary=BOTH), NOW)
    assert set(changes(plan)) == {hash_of("v1"), hash_of("v2")}
    promoted, left = changes(plan)[hash_of("v2")], changes(plan)[hash_of("v1")]
    assert promoted.metadata == {"labels": {"app": "app", "role": "stable"}, "annotations": {"seen": "all"}}
    assert promoted.annotations == {keys.EPHEMERAL_METADATA: STABLE_RECORD, keys.PODS_BEHIND: '{"labels":["role"]}'}
    assert left.metadata == {"labels": {"app": "app"}}
    assert left.annotations == {keys.EPHEMERAL_METADATA: None, keys.PODS_BEHIND: '{"labels":["role"],"annotations":["seen"]}'}
    assert promoted.generation == 3


def test_a_version_without_pods_is_not_waited_for() -> None:
    older = carrying("v1", 0, STABLE_RECORD)
    plan = decide(a_view("v2", older, a_set("v2", 4, revision=2), status=a_status("v2", "v2", None)), NOW)
    assert changes(plan)[hash_of("v1")].annotations == {keys.EPHEMERAL_METADATA: None}


def test_templates_change_before_pods_are_added() -> None:
    """A version that is used again: its new pods must be born with its new part."""
    older, stable = carrying("v1", 0, revision=1), carrying("v2", 4, STABLE_RECORD, revision=2)
    plan = decide(a_view("v1", older, stable, status=a_status("v2", "v2", None), canary=BOTH), NOW)
    kinds = [type(each) for each in plan.actions if isinstance(each, ChangeTemplate | ScaleReplicaSet)]
    assert kinds[0] is ChangeTemplate
    assert changes(plan)[hash_of("v1")].metadata["labels"]["role"] == "canary"


def test_a_label_of_the_users_own_that_was_covered_comes_back() -> None:
    template = pod_template("v1")
    template["metadata"]["labels"]["role"] = "theirs"
    status = a_status("v1", "v1", None)
    covered = replace(carrying("v1", 4, STABLE_RECORD), hash="h", name="app-h")
    view = a_view("v1", covered, status={**status, "currentPodHash": "h", "stableRS": "h"}, spec={"template": template})
    plan = decide(view, NOW)
    assert changes(plan)["h"].metadata["labels"] == {"app": "app", "role": "theirs"}


@pytest.mark.parametrize(("active", "labels"), [("v1", {"role": "preview"}), ("v2", {"role": "preview"})])
def test_blue_green_has_preview_and_active_metadata(active: str, labels: dict[str, str]) -> None:
    """A version is active by being stable, as in the peer: until then users may still be sent back."""
    strategy = {
        "activeService": "active",
        "autoPromotionEnabled": False,
        "activeMetadata": {"labels": {"role": "active"}},
        "previewMetadata": {"labels": {"role": "preview"}},
    }
    sets = (carrying("v1", 4), carrying("v2", 3, revision=2))
    status = a_status("v2", "v1", None, None)
    plan = decide(a_view("v2", *sets, status=status, blue_green=strategy, services=services_on(active=active)), NOW)
    assert changes(plan)[hash_of("v2")].metadata["labels"] == {"app": "app", **labels}
    assert changes(plan)[hash_of("v1")].metadata["labels"] == {"app": "app", "role": "active"}


@pytest.mark.parametrize("record", ["not JSON", "[1]", '"text"'])
def test_a_record_that_nobody_can_read_is_replaced(record: str) -> None:
    broken = a_set("v1", 4, annotations={keys.EPHEMERAL_METADATA: record})
    plan = decide(a_view("v1", broken, status=a_status("v1", "v1", None), canary=BOTH), NOW)
    assert changes(plan)[hash_of("v1")].annotations[keys.EPHEMERAL_METADATA] == STABLE_RECORD


def test_a_version_is_recognised_whatever_was_put_in() -> None:
    """By an equal template, as after a takeover: its hash is another controller's."""
    foreign = replace(carrying("v1", 4, STABLE_RECORD), hash="abc", name="app-abc")
    plan = decide(a_view("v1", foreign, status={}, canary=BOTH), NOW)
    assert not [each for each in plan.actions if isinstance(each, CreateReplicaSet)]
    assert plan.status["currentPodHash"] == "abc"


ENTRIES = st.dictionaries(st.sampled_from(["a", "b", "role"]), st.sampled_from(["1", "2"]))
METADATA = st.fixed_dictionaries({}, optional={"labels": ENTRIES, "annotations": ENTRIES})


@given(st.lists(st.tuples(METADATA, METADATA), min_size=1, max_size=3))
def test_whatever_is_put_in_can_be_taken_out_again_and_a_second_look_changes_nothing(plans: list[tuple[Any, Any]]) -> None:
    held = carrying("v1", 4)
    for stable, canary in [*plans, ({}, {})]:
        strategy = {"stableMetadata": stable, "canaryMetadata": canary}
        for repeated in (False, True):
            plan = decide(a_view("v1", held, status=a_status("v1", "v1", None), canary=strategy), NOW)
            change = changes(plan).get(held.hash)
            assert change is None or not repeated
            if change is not None:
                kept = {**held.annotations, **change.annotations}
                annotations = {key: value for key, value in kept.items() if value is not None}
                held = replace(held, annotations=annotations, template={**held.template, "metadata": change.metadata})
    assert held.template == pod_template("v1")
    assert keys.EPHEMERAL_METADATA not in held.annotations


# --- running pods -------------------------------------------------------------------------------------------------------


def pod(owner: ReplicaSet, number: int, *, labels: Any = (), annotations: Any = (), **fields: Any) -> Pod:
    return Pod(
        name=f"p{number}", uid=f"u{number}", owner=owner.uid, created="2026-01-01T00:00:00Z",
        labels={"app": "app", **dict(labels)}, annotations=dict(annotations), **fields,
    )  # fmt: skip


def relabelled(plan: Plan) -> dict[str, tuple[Any, Any]]:
    return {each.pod.name: (each.labels, each.annotations) for each in plan.actions if isinstance(each, RelabelPod)}


def mark_of(plan: Plan) -> list[str | None]:
    scales = (each for each in plan.actions if isinstance(each, ScaleReplicaSet))
    return [each.annotations[keys.PODS_BEHIND] for each in scales if keys.PODS_BEHIND in each.annotations]


def behind(*pods: Pod, settled: bool = True) -> Plan:
    """Stable pods that were canaries until a moment ago."""
    held = carrying("v1", 4, STABLE_RECORD, behind='{"labels":["role","gone"]}', settled=settled)
    view = a_view("v1", held, status=a_status("v1", "v1", None), canary=BOTH)
    assert needs_pods(view, NOW)
    return decide(with_pods(view, [replace(each, owner=held.uid) for each in pods]), NOW)


A_SET = a_set("v1", 4)
RIGHT = {"labels": {"role": "stable"}, "annotations": {"seen": "all"}}


def test_a_running_pod_gets_what_it_lacks_and_loses_what_was_taken_out() -> None:
    wrong = pod(A_SET, 1, labels={"role": "canary", "gone": "x", "theirs": "kept"})
    plan = behind(pod(A_SET, 0, **RIGHT), wrong, pod(A_SET, 2, deleting=True), pod(a_set("v9", 1), 3))
    assert relabelled(plan)["p1"] == ({"gone": None, "role": "stable"}, {"seen": "all"})
    assert "p0" not in relabelled(plan)
    assert "p2" not in relabelled(plan), "it is going"
    assert mark_of(plan) == []
    assert plan.wake_at == NOW + 1


def test_pods_change_only_after_their_replica_set_was_found_to_be_what_was_seen() -> None:
    plan = behind(pod(A_SET, 0), pod(A_SET, 1))
    order = [action for action in plan.actions if isinstance(action, ConfirmReplicaSet | RelabelPod)]
    assert order[0] == ConfirmReplicaSet(name=A_SET.name, generation=3)
    assert [type(each) for each in order] == [ConfirmReplicaSet, RelabelPod, RelabelPod]


def test_pods_of_a_template_that_is_about_to_change_wait_for_it() -> None:
    held = carrying("v1", 4, CANARY_RECORD, behind='{"labels":["gone"]}')
    view = a_view("v1", held, status=a_status("v1", "v1", None), canary=BOTH)
    plan = decide(with_pods(view, [pod(held, 0)]), NOW)
    assert changes(plan)
    assert relabelled(plan) == {}


def test_the_mark_goes_when_every_pod_was_seen_to_be_right() -> None:
    assert mark_of(behind(pod(A_SET, 0, **RIGHT), pod(A_SET, 1, deleting=True))) == [None]


def test_as_long_as_its_controller_may_make_pods_of_the_former_template_the_mark_stays() -> None:
    assert mark_of(behind(pod(A_SET, 0, **RIGHT), settled=False)) == []


def test_changes_that_were_not_finished_add_up() -> None:
    """Some pod may still carry what was put in before the last change."""
    held = carrying("v1", 4, CANARY_RECORD, behind='{"labels":["older"]}')
    plan = decide(a_view("v1", held, status=a_status("v1", "v1", None), canary=BOTH), NOW)
    assert changes(plan)[hash_of("v1")].annotations[keys.PODS_BEHIND] == '{"labels":["older","role"]}'


def test_on_any_other_day_pods_are_not_looked_at() -> None:
    assert not needs_pods(a_view("v1", carrying("v1", 4, STABLE_RECORD), canary=BOTH), NOW)


# --- anti-affinity ------------------------------------------------------------------------------------------------------

TERM = {
    "labelSelector": {"matchExpressions": [{"key": keys.POD_TEMPLATE_HASH, "operator": "In", "values": [hash_of("v1")]}]},
    "namespaces": ["default"],
    "topologyKey": "kubernetes.io/hostname",
}
ASKED = {
    PREFERRED: ({PREFERRED: {"weight": 7}}, {"podAffinityTerm": TERM, "weight": 7}),
    REQUIRED: ({REQUIRED: {}}, TERM),
}
OWN = {"nodeAffinity": {"own": 1}, "podAntiAffinity": {REQUIRED: [{"topologyKey": "zone", "labelSelector": {"matchLabels": {}}}]}}


def with_affinity(version: str, replicas: int, affinity: Any, **fields: Any) -> ReplicaSet:
    held = a_set(version, replicas, **fields)
    return replace(held, template={**held.template, "spec": {**held.template["spec"], "affinity": affinity}})


@pytest.mark.parametrize("kind", ASKED)
def test_a_new_version_keeps_away_from_the_stable_ones_nodes_while_it_replaces_it(kind: str) -> None:
    asked, entry = ASKED[kind]
    plan = decide(a_view("v2", a_set("v1", 4), status=a_status("v1", "v1", None), canary={"antiAffinity": asked}), NOW)
    created = next(each for each in plan.actions if isinstance(each, CreateReplicaSet)).manifest
    assert created["spec"]["template"]["spec"]["affinity"] == {"podAntiAffinity": {kind: [entry]}}
    held = with_affinity("v2", 2, {"podAntiAffinity": {kind: [entry]}}, revision=2)
    assert changes(decide(updating(a_set("v1", 2), held, {"antiAffinity": asked}), NOW)) == {}


def test_the_first_version_has_nobody_to_keep_away_from() -> None:
    plan = decide(a_view("v1", canary={"antiAffinity": {REQUIRED: {}}}), NOW)
    created = next(each for each in plan.actions if isinstance(each, CreateReplicaSet)).manifest
    assert "affinity" not in created["spec"]["template"]["spec"]


@pytest.mark.parametrize("kind", ASKED)
def test_once_promoted_it_is_taken_out_and_the_users_own_stays(kind: str) -> None:
    asked, entry = ASKED[kind]
    anti = OWN["podAntiAffinity"]
    injected = {**OWN, "podAntiAffinity": {**anti, kind: [*anti.get(kind, ()), entry]}}
    held = with_affinity("v2", 4, injected, revision=2)
    plan = decide(a_view("v2", held, status=a_status("v2", "v2", None), canary={"antiAffinity": asked}), NOW)
    assert changes(plan)[hash_of("v2")].affinity == OWN
    assert changes(plan)[hash_of("v2")].annotations == {}, "running pods stay where they are"
    bare = with_affinity("v2", 4, {"podAntiAffinity": {kind: [entry]}}, revision=2)
    plan = decide(a_view("v2", bare, status=a_status("v2", "v2", None)), NOW)
    assert changes(plan)[hash_of("v2")].affinity is None


def test_another_wish_replaces_the_former_one() -> None:
    held = with_affinity("v2", 2, {"podAntiAffinity": {REQUIRED: [TERM]}}, revision=2)
    plan = decide(updating(a_set("v1", 2), held, {"antiAffinity": ASKED[PREFERRED][0]}), NOW)
    assert changes(plan)[hash_of("v2")].affinity == {"podAntiAffinity": {PREFERRED: [ASKED[PREFERRED][1]]}}


def test_an_interrupted_version_dislikes_nobody_any_more() -> None:
    interrupted = with_affinity("v3", 1, {"podAntiAffinity": {REQUIRED: [TERM]}}, revision=3)
    view = updating(a_set("v1", 2), a_set("v2", 2, revision=4), {"antiAffinity": {REQUIRED: {}}})
    plan = decide(replace(view, replica_sets=(*view.replica_sets, interrupted)), NOW)
    assert changes(plan)[hash_of("v3")].affinity is None


# --- what is looked into, and the writes --------------------------------------------------------------------------------


def a_held_set(shell: Shell, *, annotations: Any = None, affinity: Any = None, **metadata: Any) -> dict[str, Any]:
    """The ReplicaSet of `web`, as the API server holds it."""
    seen = shell.see()
    owner = {"apiVersion": keys.API_VERSION, "kind": "Rollout", "name": "web", "uid": seen.uid, "controller": True}
    labels = {"app": "web", keys.POD_TEMPLATE_HASH: seen.template_hash}
    whole = {"name": "web-1", "labels": labels, "ownerReferences": [owner], "annotations": annotations or {}, **metadata}
    pods = {"containers": [{"name": "app", "image": "demo:blue"}], **({"affinity": affinity} if affinity else {})}
    template = {"metadata": {"labels": labels}, "spec": pods}
    return shell.put(REPLICA_SET, {"metadata": whole, "spec": {"replicas": 1, "template": template}})


@pytest.mark.parametrize(
    ("strategy", "annotations", "affinity", "looked_into"),
    [
        ({}, {}, None, False),
        ({"stableMetadata": STABLE_ROLE}, {}, None, True),
        ({"antiAffinity": {REQUIRED: {}}}, {}, None, True),
        ({}, {keys.EPHEMERAL_METADATA: CANARY_RECORD}, None, True),
        ({}, {keys.PODS_BEHIND: "{}"}, None, True),
        ({}, {}, {"podAntiAffinity": {REQUIRED: [TERM]}}, True),
        ({}, {}, OWN, False),
    ],
)
def test_a_template_is_looked_into_only_where_something_is_to_be_put_in_or_taken_out(
    strategy: Any, annotations: Any, affinity: Any, looked_into: bool
) -> None:
    shell = Shell()
    shell.put(ROLLOUT, a_rollout(canary=strategy))
    held = slim_replica_set(a_held_set(shell, annotations=annotations, affinity=affinity))
    shell.caches[REPLICA_SET].note_write({**held, "metadata": {**held["metadata"], "resourceVersion": "999"}})
    (seen,) = shell.see().replica_sets
    assert bool(seen.template) is looked_into


async def test_a_template_is_changed_only_if_it_is_the_one_that_was_seen() -> None:
    shell = Shell()
    shell.put(ROLLOUT, a_rollout())
    held = a_held_set(shell, affinity=OWN)
    generation = held["metadata"]["generation"]
    change = ChangeTemplate(
        name="web-1", generation=generation, metadata={"labels": {"a": "b"}}, affinity=None, annotations={"mark": "x"}
    )
    with pytest.raises(Refused):
        await shell.apply(replace(change, generation=generation + 1))
    await shell.apply(change)
    written = shell.stored(REPLICA_SET, "web-1")
    assert written["spec"]["template"]["metadata"] == {"labels": {"a": "b"}}
    assert not written["spec"]["template"]["spec"]["affinity"]
    assert written["metadata"]["annotations"]["mark"] == "x"
    assert shell.see().replica_sets[0].annotations["mark"] == "x", "read your own writes"


async def test_a_pod_is_relabelled_in_place_and_one_that_is_gone_is_no_error() -> None:
    shell = Shell()
    shell.put(ROLLOUT, a_rollout())
    labels = {"app": "web", keys.POD_TEMPLATE_HASH: "h", "role": "canary"}
    held = shell.put(POD, {"metadata": {"name": "p", "labels": labels}})
    name = PodName("p", held["metadata"]["uid"])
    await shell.pods.of(shell.see())
    await shell.apply(RelabelPod(pod=name, labels={"role": None, "part": "stable"}, annotations={"seen": "all"}))
    written = shell.stored(POD, "p")["metadata"]
    assert written["labels"] == {"app": "web", keys.POD_TEMPLATE_HASH: "h", "part": "stable"}
    assert written["annotations"] == {"seen": "all"}
    (known,) = await shell.pods.of(shell.see())
    assert known.labels["part"] == "stable", "without another list"
    for error in (NotFound("gone", status=404), Conflict("another uid", status=409)):

        def refuse(call: Call, error: Exception = error) -> None:
            if call.kind == POD:
                raise error

        shell.kube.before = refuse
        await shell.apply(RelabelPod(pod=name, labels={"role": "x"}, annotations={}))
    (known,) = await shell.pods.of(shell.see())
    assert known.deleting
