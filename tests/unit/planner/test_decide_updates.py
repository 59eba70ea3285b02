"""What one look at a canary update decides: children, sizes, revisions, the step."""

from dataclasses import replace

import pytest

from tidegate import keys
from tidegate_planner.decide import decide
from tidegate_planner.plan import (
    AnnotateRollout,
    CreateReplicaSet,
    DeleteReplicaSet,
    Plan,
    ScaleReplicaSet,
    SetDefaultReplicas,
)
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of

STEPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}]
CANARY = {"steps": STEPS}


def sizes(plan: Plan) -> dict[str, int]:
    """ReplicaSet hash -> what the plan makes of it; those left alone are absent."""
    asked = {action.hash: action.after for action in plan.actions if isinstance(action, ScaleReplicaSet)}
    asked.update({each.hash: each.manifest["spec"]["replicas"] for each in plan.actions if isinstance(each, CreateReplicaSet)})
    return asked


def test_the_first_revision_is_created_whole_and_stable_at_once() -> None:
    plan = decide(a_view("v1", canary=CANARY), NOW)
    create = next(action for action in plan.actions if isinstance(action, CreateReplicaSet))
    assert create.manifest["spec"]["replicas"] == 4
    assert create.manifest["metadata"]["name"] == f"app-{hash_of('v1')}"
    assert create.manifest["metadata"]["annotations"] == {keys.REVISION: "1", keys.DESIRED_REPLICAS: "4"}
    assert (plan.status["stableRS"], plan.status["currentStepIndex"]) == (hash_of("v1"), 3)
    assert AnnotateRollout(annotations={keys.REVISION: "1"}) in plan.actions


def test_unset_replicas_are_written_back_as_one() -> None:
    view = a_view("v1")
    assert view.spec is not None
    assert (
        SetDefaultReplicas(replicas=1)
        in decide(replace(view, spec=replace(view.spec, replicas=1, replicas_given=False)), NOW).actions
    )


def test_edited_min_ready_seconds_reach_the_pods_of_the_present_template_and_no_others() -> None:
    """Without another template there is no other ReplicaSet that could be created with them (`argo-behaviour.md` 1.2)."""
    sets = (a_set("v2", 1, revision=2, min_ready=5), a_set("v1", 3))
    view = a_view("v2", *sets, status=a_status("v2", "v1", 1, STEPS), canary=CANARY, spec={"minReadySeconds": 30})
    changed = {each.hash: each.min_ready for each in decide(view, NOW).actions if isinstance(each, ScaleReplicaSet)}
    assert changed == {hash_of("v2"): 30}
    done = replace(view, replica_sets=(a_set("v2", 1, revision=2, min_ready=30), sets[1]))
    assert sizes(decide(done, NOW)) == {}


def test_a_changed_template_starts_at_step_0_with_the_pods_of_its_first_weight() -> None:
    old = a_set("v1", 4)
    plan = decide(a_view("v2", old, status=a_status("v1", "v1", 3, STEPS), canary=CANARY), NOW)
    assert (plan.status["currentPodHash"], plan.status["stableRS"], plan.status["currentStepIndex"]) == (
        hash_of("v2"),
        hash_of("v1"),
        0,
    )
    assert sizes(plan) == {hash_of("v2"): 1, hash_of("v1"): 3}


@pytest.mark.parametrize(("remembered", "revision"), [("1", "2"), ("4", "5"), ("none", "1")])
def test_no_revision_is_counted_twice_where_the_replica_sets_were_not_seen_yet(remembered: str, revision: str) -> None:
    seen = a_view("v2", status=a_status("v1", "v1", 3, STEPS), canary=CANARY, annotations={keys.REVISION: remembered})
    made = next(action for action in decide(seen, NOW).actions if isinstance(action, CreateReplicaSet))
    assert made.manifest["metadata"]["annotations"][keys.REVISION] == revision


def test_a_changed_template_forgets_pause_abort_and_full_promotion() -> None:
    pause = [{"reason": "CanaryPauseStep", "startTime": "2027-01-15T07:59:00Z"}]
    status = a_status("v2", "v1", 1, STEPS, pauseConditions=pause, controllerPause=True, abort=True, promoteFull=True)
    told = decide(a_view("v3", a_set("v2", 1, revision=2), a_set("v1", 3), status=status, canary=CANARY), NOW).status
    assert not {"pauseConditions", "controllerPause", "abort", "promoteFull"} & told.keys()
    assert told["currentStepIndex"] == 0


def test_a_third_revision_drains_the_second_before_stable_shrinks() -> None:
    status = a_status("v3", "v1", 0, STEPS)
    sets = (a_set("v3", 1, revision=3), a_set("v2", 2, revision=2), a_set("v1", 4))
    plan = decide(a_view("v3", *sets, status=status, canary={**CANARY, "maxSurge": "100%", "maxUnavailable": 0}), NOW)
    assert sizes(plan) == {hash_of("v2"): 0}


def test_back_to_the_stable_template_skips_the_steps() -> None:
    status = a_status("v2", "v1", 1, STEPS)
    plan = decide(a_view("v1", a_set("v2", 1, revision=2), a_set("v1", 3), status=status, canary=CANARY), NOW)
    assert (plan.status["stableRS"], plan.status["currentPodHash"], plan.status["currentStepIndex"]) == (
        hash_of("v1"),
        hash_of("v1"),
        3,
    )
    assert sizes(plan)[hash_of("v1")] == 4


def test_edited_steps_start_over_but_not_once_they_were_carried_out() -> None:
    edited = [{"setWeight": 10}, {"pause": {}}]
    under_way = a_view(
        "v2", a_set("v2", 1, revision=2), a_set("v1", 3), status=a_status("v2", "v1", 2, STEPS), canary={"steps": edited}
    )
    assert decide(under_way, NOW).status["currentStepIndex"] == 0
    finished = a_view("v2", a_set("v2", 4, revision=2), status=a_status("v2", "v2", 3, STEPS), canary={"steps": edited})
    assert decide(finished, NOW).status["currentStepIndex"] == 2


def test_a_reused_replica_set_gets_a_new_number_and_remembers_the_old_one() -> None:
    old, new = a_set("v1", 0, revision=1), a_set("v2", 4, revision=2)
    plan = decide(a_view("v1", old, new, status=a_status("v2", "v2", 3, STEPS), canary=CANARY), NOW)
    scale = next(action for action in plan.actions if isinstance(action, ScaleReplicaSet) and action.hash == old.hash)
    assert scale.annotations == {keys.REVISION: "3", keys.REVISION_HISTORY: "1"}
    assert AnnotateRollout(annotations={keys.REVISION: "3"}) in plan.actions


def test_annotations_of_the_rollout_stand_on_the_set_of_its_template_also_when_they_come_later() -> None:
    """2.4. What is taken off the Rollout stays, as with the peer; what is about the Rollout alone is not copied."""
    sets = (a_set("v2", 4, revision=2, annotations={"team": "blue", "former": "x"}), a_set("v1", 0))
    own = {keys.REVISION: "2", keys.LAST_APPLIED: "{}", keys.NOTIFIED: "{}", keys.COMMANDS: "a.b"}
    view = a_view("v2", *sets, status=a_status("v2", "v2", 3, STEPS), canary=CANARY, annotations={"team": "green", **own})
    changed = {each.hash: each.annotations for each in decide(view, NOW).actions if isinstance(each, ScaleReplicaSet)}
    assert changed == {hash_of("v2"): {"team": "green"}}


@pytest.mark.parametrize(("limit", "deleted"), [(0, ["v1", "v2"]), (1, ["v1"]), (2, []), (10, [])])
def test_the_oldest_empty_sets_beyond_the_history_limit_go(limit: int, deleted: list[str]) -> None:
    sets = (a_set("v1", 0, revision=1), a_set("v2", 0, revision=2), a_set("v3", 4, revision=3))
    view = a_view("v3", *sets, status=a_status("v3", "v3", None), spec={"revisionHistoryLimit": limit})
    gone = [action.uid for action in decide(view, NOW).actions if isinstance(action, DeleteReplicaSet)]
    assert gone == [f"uid-{version}" for version in deleted]


def test_a_set_that_still_has_pods_outlives_the_history_limit() -> None:
    sets = (a_set("v1", 0, revision=1, current=1), a_set("v3", 4, revision=3))
    view = a_view("v3", *sets, status=a_status("v3", "v3", None), spec={"revisionHistoryLimit": 0})
    assert not [action for action in decide(view, NOW).actions if isinstance(action, DeleteReplicaSet)]


def test_a_name_that_is_taken_costs_one_collision_and_nothing_else() -> None:
    taken = frozenset({f"app-{hash_of('v2')}"})
    status = a_status("v1", "v1", None)
    assert decide(a_view("v2", a_set("v1", 4), status=status, taken_names=taken), NOW) == Plan(
        status={**status, "collisionCount": 1}
    )


def test_a_refused_create_is_told_in_the_words_of_the_api_server() -> None:
    view = a_view("v2", a_set("v1", 4), status=a_status("v2", "v1", None), create_errors={hash_of("v2"): "exceeded quota"})
    progressing = next(each for each in decide(view, NOW).status["conditions"] if each["type"] == "Progressing")
    assert (progressing["status"], progressing["reason"]) == ("False", "ReplicaSetCreateError")
    assert progressing["message"] == f'Failed to create new replica set "app-{hash_of("v2")}": exceeded quota'


SCALING = [
    pytest.param({"replicas": 8}, {}, {"v2": 2, "v1": 6}, id="up, in the middle of an update"),
    pytest.param({"replicas": 2}, {}, {"v1": 2}, id="down, in the middle of an update"),
    pytest.param({"replicas": 8, "paused": True}, {}, {}, id="not while spec.paused"),
    pytest.param(
        {"replicas": 8}, {"abort": True}, {"v1": 8}, id="up after an abort, stable only; the canary follows once stable serves"
    ),
    pytest.param({"replicas": 0}, {}, {"v2": 0, "v1": 0}, id="to nothing"),
]


@pytest.mark.parametrize(("spec", "steering", "wanted"), SCALING)
def test_scaling_keeps_the_weight(spec, steering, wanted) -> None:
    status = a_status("v2", "v1", 0, STEPS, **steering)
    plan = decide(a_view("v2", a_set("v2", 1, revision=2), a_set("v1", 3), status=status, canary=CANARY, spec=spec), NOW)
    changed = {each: size for each, size in sizes(plan).items() if size != {hash_of("v2"): 1, hash_of("v1"): 3}[each]}
    assert changed == {hash_of(version): size for version, size in wanted.items()}


@pytest.mark.parametrize(
    ("limits", "first"),
    [
        ({"maxSurge": 1, "maxUnavailable": 0}, {"v2": 1, "v1": 1}),
        ({"maxSurge": 0, "maxUnavailable": 1}, {"v2": 1, "v1": 0}),
        ({"maxSurge": 0, "maxUnavailable": 0}, {"v2": 1, "v1": 0}),
    ],
)
def test_a_single_replica_is_replaced_within_its_limits(limits, first) -> None:
    canary = {**limits, "steps": [{"setWeight": 100}]}
    view = a_view("v2", a_set("v1", 1), status=a_status("v1", "v1", 1, canary["steps"]), canary=canary, spec={"replicas": 1})
    assert sizes(decide(view, NOW)) == {hash_of(version): size for version, size in first.items()}


def test_without_steps_the_new_version_is_promoted_once_all_of_it_serves() -> None:
    sets = (a_set("v2", 4, revision=2), a_set("v1", 0))
    assert decide(a_view("v2", *sets, status=a_status("v2", "v1", None)), NOW).status["stableRS"] == hash_of("v2")
    almost = (a_set("v2", 4, 3, revision=2), a_set("v1", 0))
    assert decide(a_view("v2", *almost, status=a_status("v2", "v1", None)), NOW).status["stableRS"] == hash_of("v1")
