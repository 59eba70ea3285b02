"""The experiment step of a canary: one Experiment per attempt, what its end means, and its share of the traffic."""

from dataclasses import replace
from typing import Any

import pytest

from tidegate import keys
from tidegate.messages import Destination, Split
from tidegate_planner.decide import decide
from tidegate_planner.plan import CreateExperiment, DeleteExperiment, Plan, ShiftTraffic, TerminateExperiment
from tidegate_planner.seen import Experiment, ExperimentPods, ReplicaSet, Seen, Traffic
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of, services_on

SIDES = [{"name": "base", "specRef": "stable"}, {"name": "cand", "specRef": "canary"}]
STEP = {"experiment": {"templates": SIDES, "duration": "1m"}}
STEPS = [{"setWeight": 25}, STEP, {"pause": {}}]
NAME = f"app-{hash_of('v2')}-2-1"
ROUTED = {
    "stableService": "stable",
    "canaryService": "canary",
    "trafficRouting": {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "app"}}},
}


def at_the_step(*experiments: Experiment, steps: Any = STEPS, canary: Any = None, seen: Any = None, **status: Any) -> Seen:
    told = a_status("v2", "v1", 1, steps, canary={"currentExperiment": NAME}, **status)
    sets = (a_set("v1", 3), a_set("v2", 1, revision=2))
    return a_view("v2", *sets, status=told, canary={"steps": steps, **(canary or {})}, experiments=experiments, **(seen or {}))


def an_experiment(phase: str = "Running", name: str = NAME, **fields: Any) -> Experiment:
    return Experiment(name=name, uid=f"uid-{name}", phase=phase, **fields)


def created(plan: Plan) -> list[dict[str, Any]]:
    return [dict(action.manifest) for action in plan.actions if isinstance(action, CreateExperiment)]


def ended(plan: Plan) -> list[str]:
    return [action.name for action in plan.actions if isinstance(action, TerminateExperiment)]


def removed(plan: Plan) -> list[str]:
    return [action.name for action in plan.actions if isinstance(action, DeleteExperiment)]


def looked(seen: Seen) -> Plan:
    return decide(seen, NOW)


# --- one experiment per step and attempt --------------------------------------------------------------------------------


def test_its_name_stands_in_the_status_before_it_exists() -> None:
    before = replace(at_the_step(), status=a_status("v2", "v1", 1, STEPS))
    plan = looked(before)
    assert plan.status["canary"] == {"currentExperiment": NAME}
    assert [each["metadata"]["name"] for each in created(plan)] == [NAME]
    assert created(looked(at_the_step())) == created(plan)
    assert created(looked(at_the_step(an_experiment("")))) == []


def test_it_copies_both_sides_with_their_own_hash_and_what_the_step_says() -> None:
    pods = {"metadata": {"labels": {"role": "baseline"}, "annotations": {"note": "x"}}, "replicas": 2, "service": {"name": "front"}}
    analysis = {"name": "a", "templateName": "check", "args": [{"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}]}
    step = {"templates": [{**SIDES[0], **pods}, SIDES[1]], "analyses": [analysis], "dryRun": [{"metricName": "m"}]}
    steps = [{"setWeight": 25}, {"experiment": step}]
    view = at_the_step(steps=steps, seen={"labels": {"team": "blue"}, "spec": {"minReadySeconds": 3, "progressDeadlineSeconds": 9}})
    (made,) = created(looked(view))
    metadata, (base, cand) = made["metadata"], made["spec"]["templates"]
    assert metadata["labels"] == {"team": "blue", keys.POD_TEMPLATE_HASH: hash_of("v2")}
    assert metadata["annotations"] == {keys.REVISION: "2", keys.MADE_FROM: "20"}
    assert metadata["ownerReferences"][0]["uid"] == "uid-app"
    own = {"app": "app", keys.POD_TEMPLATE_HASH: hash_of("v1"), "role": "baseline"}
    assert (base["selector"], base["replicas"], base["service"]) == ({"matchLabels": own}, 2, {"name": "front"})
    assert base["template"]["metadata"] == {"labels": {"app": "app", "role": "baseline"}, "annotations": {"note": "x"}}
    assert base["template"]["spec"]["containers"][0]["image"] == "app:v1"
    assert cand["template"]["spec"]["containers"][0]["image"] == "app:v2"
    assert "service" not in cand
    assert {base["minReadySeconds"], made["spec"]["progressDeadlineSeconds"]} == {3, 9}
    assert made["spec"]["analyses"] == [{**analysis, "args": [{"name": "hash", "value": hash_of("v2")}]}]
    assert made["spec"]["dryRun"] == [{"metricName": "m"}]


def test_what_was_put_into_a_version_for_its_part_in_the_canary_is_not_copied() -> None:
    """Its labels may be what a Service chooses by, and its anti-affinity would keep the experiment from the nodes of stable."""
    view = at_the_step()
    record = {keys.EPHEMERAL_METADATA: '{"labels":{"role":"stable"}}'}

    def with_more(each: ReplicaSet) -> ReplicaSet:
        labels = {"app": "app", "role": "stable", keys.POD_TEMPLATE_HASH: each.hash}
        template = {**each.template, "metadata": {"labels": labels}}
        return replace(each, template=template, annotations={**each.annotations, **record})

    (made,) = created(looked(replace(view, replica_sets=tuple(with_more(each) for each in view.replica_sets))))
    base = made["spec"]["templates"][0]
    assert base["template"]["metadata"]["labels"] == {"app": "app", keys.POD_TEMPLATE_HASH: hash_of("v1")}


def test_somebody_elses_experiment_of_that_name_is_left_alone() -> None:
    plan = looked(at_the_step(seen={"taken_names": frozenset({NAME})}))
    assert [each["metadata"]["name"] for each in created(plan)] == [f"{NAME}-1"]
    assert plan.status["canary"]["currentExperiment"] == f"{NAME}-1"


def test_none_begins_after_an_inconclusive_run() -> None:
    assert created(looked(at_the_step(pauseConditions=[{"reason": "InconclusiveAnalysisRun"}]))) == []


def test_paused_by_hand_it_begins_and_its_bad_end_counts() -> None:
    by_hand = {"spec": {"paused": True}}
    assert len(created(looked(at_the_step(seen=by_hand)))) == 1
    assert looked(at_the_step(an_experiment("Failed"), seen=by_hand)).status["phase"] == "Degraded"
    assert looked(at_the_step(an_experiment("Successful"), seen=by_hand)).status["currentStepIndex"] == 1


def test_it_waits_for_the_templates_it_copies() -> None:
    view = at_the_step()
    bare = tuple(replace(each, template={}) if each.hash == hash_of("v1") else each for each in view.replica_sets)
    assert created(looked(replace(view, replica_sets=bare))) == []


def test_a_stable_version_that_is_gone_is_not_waited_for() -> None:
    view = at_the_step()
    plan = looked(replace(view, replica_sets=view.replica_sets[1:]))
    assert plan.status["abort"]
    assert f"the stable ReplicaSet app-{hash_of('v1')}, whose template it copies, does not exist" in plan.status["message"]
    only_new = [{"setWeight": 25}, {"experiment": {"templates": SIDES[1:]}}]
    view = at_the_step(steps=only_new)
    assert len(created(looked(replace(view, replica_sets=view.replica_sets[1:])))) == 1


def test_an_argument_that_points_nowhere_aborts_with_its_words() -> None:
    args = [{"name": "x", "valueFrom": {"fieldRef": {"fieldPath": "status.nothing"}}}]
    steps = [{"setWeight": 25}, {"experiment": {"templates": SIDES, "analyses": [{"name": "a", "args": args}]}}]
    plan = looked(at_the_step(steps=steps))
    assert "Experiment cannot be made: invalid path status.nothing in rollout" in plan.status["message"]


# --- its end ------------------------------------------------------------------------------------------------------------


def test_the_step_is_done_when_it_is_successful() -> None:
    plan = looked(at_the_step(an_experiment("Successful")))
    assert (plan.status["currentStepIndex"], plan.status["canary"]) == (2, {})


@pytest.mark.parametrize("phase", ["Failed", "Error"])
@pytest.mark.parametrize(("message", "told"), [("too slow", ": too slow"), ("", "")])
def test_a_bad_end_aborts_with_the_peers_words(phase: str, message: str, told: str) -> None:
    plan = looked(at_the_step(an_experiment(phase, message=message)))
    assert (plan.status["abort"], plan.status["currentStepIndex"]) == (True, 0)
    words = f"RolloutAborted: Rollout aborted update to revision 2: Experiment analysis phase is error/failed{told}"
    assert plan.status["message"] == words


def test_inconclusive_it_waits_for_a_person_and_no_other_one_begins() -> None:
    view = at_the_step(an_experiment("Inconclusive"))
    plan = looked(view)
    (pause,) = plan.status["pauseConditions"]
    assert (pause["reason"], plan.status["phase"], plan.status["currentStepIndex"]) == ("InconclusiveExperiment", "Paused", 1)
    for _ in range(3):
        again = looked(replace(view, status=plan.status))
        assert (again.status, created(again)) == (plan.status, [])


def test_a_person_who_clears_the_pause_lets_it_pass() -> None:
    view = at_the_step(an_experiment("Inconclusive"))
    told = dict(looked(view).status)
    del told["pauseConditions"]
    plan = looked(replace(view, status=told))
    assert plan.status["currentStepIndex"] == 2
    assert [each["reason"] for each in plan.status["pauseConditions"]] == ["CanaryPauseStep"]


def test_a_pause_that_was_cleared_for_another_reason_lets_nothing_pass() -> None:
    plan = looked(at_the_step(an_experiment("Inconclusive"), controllerPause=True, message="InconclusiveAnalysisRun"))
    assert plan.status["currentStepIndex"] == 1
    assert [each["reason"] for each in plan.status["pauseConditions"]] == ["InconclusiveExperiment"]


def test_an_experiment_that_was_retried_lifts_its_pause_by_itself() -> None:
    paused = looked(at_the_step(an_experiment("Inconclusive"))).status
    plan = looked(replace(at_the_step(an_experiment("Running")), status=paused))
    assert ("pauseConditions" in plan.status, plan.status["currentStepIndex"]) == (False, 1)


def test_after_an_abort_and_a_retry_there_is_a_new_one() -> None:
    failed = at_the_step(an_experiment("Failed"), steps=[STEP])
    base = f"app-{hash_of('v2')}-2-0"
    held = an_experiment("Failed", base)
    told = a_status("v2", "v1", 0, [STEP], canary={"currentExperiment": base})
    aborted = looked(replace(failed, experiments=(held,), status=told))
    assert aborted.status["abort"]
    retried = looked(replace(failed, experiments=(held,), status={**aborted.status, "abort": False}))
    assert [each["metadata"]["name"] for each in created(retried)] == [f"{base}-1"]
    later = looked(replace(failed, experiments=(held, an_experiment("Running", f"{base}-1")), status=retried.status))
    assert (created(later), later.status["canary"]["currentExperiment"]) == ([], f"{base}-1")


@pytest.mark.parametrize("status", [{"abort": True}, {"promoteFull": True}, {"currentStepIndex": 2}], ids=str)
def test_it_is_ended_when_nothing_waits_for_it_any_more(status: Any) -> None:
    view = at_the_step(an_experiment("Running"))
    assert ended(looked(view)) == []
    assert ended(looked(replace(view, status={**view.status, **status}))) == [NAME]
    told_to_end = replace(view, experiments=(an_experiment("Running", terminate=True),), status={**view.status, **status})
    assert ended(looked(told_to_end)) == []


def test_who_has_not_seen_what_it_was_made_for_does_not_end_it() -> None:
    view = at_the_step(an_experiment("Running"))
    over = {**view.status, "currentStepIndex": 2}
    for made_from, done in ((view.resource_version, []), (view.resource_version - 1, [NAME])):
        made = an_experiment("Running", made_from=made_from)
        assert ended(looked(replace(view, experiments=(made,), status=over))) == done


@pytest.mark.parametrize(("limit", "deleted"), [(0, ["old", "older"]), (1, ["older"]), (None, [])])
def test_finished_ones_beyond_the_history_limit_are_deleted(limit: int | None, deleted: list[str]) -> None:
    held = [
        an_experiment("Successful", "older", hash=hash_of("v2"), created="2026-01-01T00:00:00Z"),
        an_experiment("Successful", "old", hash=hash_of("v2"), created="2026-01-02T00:00:00Z"),
        an_experiment("Failed", "failed", hash=hash_of("v2"), created="2026-01-01T00:00:00Z"),
        an_experiment("Running", hash=hash_of("v2")),
    ]
    limits = {} if limit is None else {"analysis": {"successfulRunHistoryLimit": limit}}
    assert removed(looked(at_the_step(*held, seen={"spec": limits}))) == deleted


def test_neither_the_one_in_use_nor_one_whose_pods_linger_is_history() -> None:
    limits = {"spec": {"analysis": {"successfulRunHistoryLimit": 0, "unsuccessfulRunHistoryLimit": 0}}}
    inconclusive = an_experiment("Inconclusive", hash=hash_of("v2"))
    assert removed(looked(at_the_step(inconclusive, seen=limits))) == []
    lingering = an_experiment("Successful", "old", hash=hash_of("v2"), pods=(ExperimentPods(name="cand", current=1),))
    assert removed(looked(at_the_step(lingering, seen=limits))) == []


def test_one_of_a_revision_that_is_gone_is_deleted_with_it() -> None:
    assert removed(looked(at_the_step(an_experiment("Successful", "old", hash="gone")))) == ["old"]


def test_the_deadline_stands_still_while_it_runs() -> None:
    plan = decide(at_the_step(an_experiment("Running")), NOW + 10**6)
    assert "timed out" not in plan.status.get("message", "")


# --- its share of the traffic -------------------------------------------------------------------------------------------

WEIGHTED = [{"setWeight": 25}, {"experiment": {"templates": [{**SIDES[0], "weight": 5}, {**SIDES[1], "weight": 10}]}}]
PODS = (
    ExperimentPods(name="base", available=1, service="exp-base", hash="hb"),
    ExperimentPods(name="cand", available=1, service="exp-cand", hash="hc"),
)


BEFORE = {"canary": {"weight": 25, "podTemplateHash": hash_of("v2")}, "stable": {"weight": 75, "podTemplateHash": hash_of("v1")}}
LENT = [{"weight": 10, "serviceName": "exp-cand", "podTemplateHash": "hc"}]


def routed(
    phase: str = "Running", pods: tuple[ExperimentPods, ...] = PODS, *, weights: Any = BEFORE, stable: int = 4, **fields: Any
) -> Seen:
    held = an_experiment(phase, pods=pods, resource_version=99)
    seen = {"services": services_on(stable="v1", canary="v2"), **fields}
    view = at_the_step(held, steps=WEIGHTED, canary=ROUTED, seen=seen)
    told = {**view.status, "canary": {"currentExperiment": NAME, "weights": weights}}
    return replace(view, status=told, replica_sets=(a_set("v1", 4, stable), a_set("v2", 1, revision=2)))


def split_of(plan: Plan) -> Split:
    (split,) = [action.request.split for action in plan.actions if isinstance(action, ShiftTraffic)]
    assert split is not None
    return split


def test_its_weights_come_out_of_stables_share() -> None:
    split = split_of(looked(routed()))
    assert (split.canary.weight, split.stable.weight) == (25, 60)
    assert split.additional == (
        Destination(weight=5, service="exp-base", hash="hb"),
        Destination(weight=10, service="exp-cand", hash="hc"),
    )


def test_it_gets_no_requests_before_all_of_it_serves() -> None:
    assert split_of(looked(routed("Pending"))).additional == ()


def test_a_template_that_lost_its_pods_gets_no_requests() -> None:
    split = split_of(looked(routed(pods=(replace(PODS[0], available=0), PODS[1]))))
    assert ([each.hash for each in split.additional], split.stable.weight) == (["hc"], 65)


@pytest.mark.parametrize("phase", ["Successful", "Inconclusive"])
def test_an_ended_one_gets_no_requests(phase: str) -> None:
    assert split_of(looked(routed(phase))).additional == ()


def test_what_it_was_seen_to_get_is_in_the_status() -> None:
    (request,) = [action.request for action in looked(routed()).actions if isinstance(action, ShiftTraffic)]
    plan = looked(routed(traffic=Traffic(digest=request.digest, state="applied")))
    assert plan.status["canary"]["weights"]["additional"] == [
        {"weight": 5, "serviceName": "exp-base", "podTemplateHash": "hb"},
        {"weight": 10, "serviceName": "exp-cand", "podTemplateHash": "hc"},
    ]


def test_it_gets_no_requests_before_traffic_was_seen_anywhere() -> None:
    assert split_of(looked(routed(weights=None))).additional == ()


def test_pods_are_named_in_the_status_before_any_request_is_asked_for_them() -> None:
    plan = looked(routed(weights={**BEFORE, "additional": LENT}))
    assert plan.status["canary"]["weights"] == {
        **BEFORE,
        "additional": [*LENT, {"weight": 0, "serviceName": "exp-base", "podTemplateHash": "hb"}],
    }


def test_they_stay_named_until_the_traffic_is_seen_to_have_left_them() -> None:
    before = {**BEFORE, "additional": LENT}
    (request,) = [each.request for each in looked(routed("Successful", weights=before)).actions if isinstance(each, ShiftTraffic)]
    for state in ("asked", "pending", "failed"):
        unanswered = looked(routed("Successful", weights=before, traffic=Traffic(digest=request.digest, state=state)))
        assert unanswered.status["canary"]["weights"] == before
    after = looked(routed("Successful", weights=before, traffic=Traffic(digest=request.digest, state="applied")))
    assert "additional" not in after.status["canary"]["weights"]


def test_what_an_ended_one_has_goes_back_to_stable_only_once_that_can_carry_it() -> None:
    before = {**BEFORE, "additional": LENT}
    assert split_of(looked(routed("Successful", weights=before, stable=2))).additional == (
        Destination(weight=10, service="exp-cand", hash="hc"),
    )
    gone = tuple(replace(each, available=0) for each in PODS)
    assert split_of(looked(routed("Successful", gone, weights=before, stable=2))).additional == ()
    assert split_of(looked(routed("Successful", weights=before, stable=3))).additional == ()


def test_a_request_is_as_new_as_the_experiment_it_was_made_from() -> None:
    (request,) = [action.request for action in looked(routed()).actions if isinstance(action, ShiftTraffic)]
    assert request.fence == 99
