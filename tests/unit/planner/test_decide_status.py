"""Conditions, phases, the deadline and analysis verdicts, as one look writes them (`argo-behaviour.md` 6.3 to 6.5, 7.7)."""

from dataclasses import replace
from typing import Any

import pytest

from tidegate import keys
from tidegate.durations import rfc3339
from tidegate_planner.decide import decide
from tidegate_planner.plan import StartAnalysis, TerminateAnalysis
from tidegate_planner.seen import AnalysisRun, Seen
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of

STEPS: list[Any] = [{"setWeight": 25}, {"pause": {}}]
CHECK = {"analysis": {"templates": [{"templateName": "check"}]}}
JUDGED: list[Any] = [{"setWeight": 25}, CHECK, {"setWeight": 50}]


def told(status: Any) -> dict[str, tuple[str, str, str]]:
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in status["conditions"]}


def counted(**counts: int) -> dict[str, Any]:
    return {"replicas": 4, "updatedReplicas": 1, "readyReplicas": 4, "availableReplicas": 4, **counts}


def finished(available: int = 4, **fields: Any) -> Seen:
    return a_view("v1", a_set("v1", 4, available), status=a_status("v1", "v1", 2, STEPS, **fields), canary={"steps": STEPS})


def test_a_finished_rollout_is_healthy_and_says_so_in_every_condition() -> None:
    status = decide(finished(), NOW).status
    assert (status["phase"], "message" in status) == ("Healthy", False)
    assert told(status) == {
        "Progressing": ("True", "NewReplicaSetAvailable", f'ReplicaSet "app-{hash_of("v1")}" has successfully progressed.'),
        "Healthy": ("True", "RolloutHealthy", "Rollout is healthy"),
        "Available": ("True", "AvailableReason", "Rollout has minimum availability"),
        "Completed": ("True", "RolloutCompleted", "RolloutCompleted"),
    }


def test_a_second_look_changes_nothing_whatever_the_phase() -> None:
    paused = {"spec": {"paused": True}}
    views: list[dict[str, Any]] = [{}, paused]
    for given in views:
        first = decide(a_view("v1", a_set("v1", 4), status=a_status("v1", "v1", 2, STEPS), canary={"steps": STEPS}, **given), NOW)
        again = a_view("v1", a_set("v1", 4), status=first.status, canary={"steps": STEPS}, **given)
        assert decide(again, NOW + 60).status == first.status


def test_lost_pods_make_a_finished_rollout_unhealthy() -> None:
    healthy = decide(finished(), NOW).status
    status = decide(a_view("v1", a_set("v1", 4, 2), status=healthy, canary={"steps": STEPS}), NOW + 5).status
    assert told(status)["Progressing"] == ("True", "ReplicaSetNotAvailable", "Rollout does not have minimum availability")
    assert told(status)["Healthy"] == ("False", "RolloutHealthy", "Rollout is not healthy")
    assert (status["phase"], status["message"]) == ("Progressing", "updated replicas are still becoming available")


def test_a_replica_failure_is_copied_and_goes_with_its_cause() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    failed = decide(a_view("v1", a_set("v1", 4, failure=failure), status=a_status("v1", "v1", None)), NOW).status
    assert told(failed)["ReplicaFailure"] == ("True", "FailedCreate", "exceeded quota")
    assert "ReplicaFailure" not in told(decide(a_view("v1", a_set("v1", 4), status=failed), NOW).status)


WAITING = "more replicas need to be updated"
PHASES = [
    pytest.param((a_set("v2", 1, revision=2), a_set("v1", 3)), {"steps": STEPS}, 1, "Paused", "CanaryPauseStep"),
    pytest.param((a_set("v2", 1, 0, revision=2), a_set("v1", 3)), {"steps": STEPS}, 0, "Progressing", WAITING),
    pytest.param((a_set("v2", 4, 0, revision=2),), {}, None, "Progressing", "updated replicas are still becoming available"),
    pytest.param((a_set("v2", 4, 3, revision=2), a_set("v1", 1)), {}, None, "Progressing", "old replicas are pending termination"),
]


@pytest.mark.parametrize(("sets", "canary", "step", "phase", "message"), PHASES)
def test_the_phase_is_the_first_line_that_fits(sets, canary, step, phase, message) -> None:
    status = decide(a_view("v2", *sets, status=a_status("v2", "v1", step, canary.get("steps", ())), canary=canary), NOW).status
    assert (status["phase"], status["message"]) == (phase, message)


def test_a_problem_of_the_spec_is_told_and_nothing_else_is_touched() -> None:
    problem = 'The Rollout "app" is invalid: spec.strategy: none given'
    before = a_status("v1", "v1", 2, STEPS)
    plan = decide(a_view("v1", a_set("v1", 4), status=before, problem=problem), NOW)
    assert (plan.status["phase"], plan.status["message"]) == ("Degraded", f"InvalidSpec: {problem}")
    assert plan.actions == ()
    assert plan.status["currentPodHash"] == before["currentPodHash"]
    assert "InvalidSpec" not in told(decide(a_view("v1", a_set("v1", 4), status=plan.status, canary={"steps": STEPS}), NOW).status)


# --- the deadline ------------------------------------------------------------------------------------------------------


def stuck(step: int = 0, *, steps: Any = STEPS, spec: Any = None, older: Any = (), **fields: Any) -> Seen:
    held = len(older) * 2
    counts = counted(replicas=4 + held, readyReplicas=3 + held, availableReplicas=3 + held)
    status = a_status("v2", "v1", step, steps, **counts, **fields)
    return a_view("v2", a_set("v2", 1, 0, revision=9), *older, a_set("v1", 3), status=status, canary={"steps": steps}, spec=spec)


@pytest.mark.parametrize(("age", "phase"), [(599, "Progressing"), (600, "Progressing"), (600.001, "Degraded"), (9999, "Degraded")])
def test_the_deadline_fires_when_it_is_exceeded(age: float, phase: str) -> None:
    plan = decide(stuck(), NOW + age)
    assert plan.status["phase"] == phase
    if phase == "Degraded":
        assert plan.status["message"] == f'ProgressDeadlineExceeded: ReplicaSet "app-{hash_of("v2")}" has timed out progressing.'
    else:
        assert plan.wake_at == NOW + 600


def test_a_deadline_may_abort() -> None:
    """In two statuses, as the peer: why, and then that it was done."""
    view = stuck(spec={"progressDeadlineAbort": True})
    first = decide(view, NOW + 601).status
    assert (first["abort"], first["phase"]) == (True, "Degraded")
    assert told(first)["Progressing"][2] == f'ReplicaSet "app-{hash_of("v2")}" has timed out progressing.'
    then = decide(replace(view, status=first), NOW + 602).status
    assert then["message"] == "RolloutAborted: Rollout aborted update to revision 9"
    assert decide(replace(view, status=then), NOW + 700).status == then


def test_a_deadline_that_is_over_aborts_also_when_that_is_asked_for_later() -> None:
    late = decide(stuck(), NOW + 601).status
    asked = replace(stuck(spec={"progressDeadlineAbort": True}), status=late)
    assert (decide(asked, NOW + 700).status["abort"], late.get("abort")) == (True, None)
    again = replace(asked, status={**late, "stableRS": hash_of("v2")})  # promoted meanwhile: nothing to abort any more
    assert decide(again, NOW + 700).status.get("abort") is None


@pytest.mark.parametrize(("step", "steps", "spec"), [(1, STEPS, None), (1, JUDGED, None), (0, STEPS, {"paused": True})])
def test_the_deadline_stands_still_at_a_pause_an_analysis_and_while_paused(step, steps, spec) -> None:
    plan = decide(stuck(step, steps=steps, spec=spec), NOW + 9999)
    assert plan.status["phase"] != "Degraded"


def test_the_deadline_waits_for_a_scale_down_delay_only_while_it_runs() -> None:
    running = a_set("v0", 2, annotations={keys.SCALE_DOWN_DEADLINE: rfc3339(NOW + 700)})
    over = a_set("v0", 2, annotations={keys.SCALE_DOWN_DEADLINE: rfc3339(NOW + 1)})
    assert decide(stuck(older=(running,)), NOW + 650).status["phase"] == "Progressing"
    assert decide(stuck(older=(over,)), NOW + 650).status["phase"] == "Degraded"


# --- analysis ----------------------------------------------------------------------------------------------------------


def judged(phase: str | None, *, step: int = 1, message: str = "", name: str = "", **fields: Any) -> Seen:
    """At the analysis step of JUDGED; `phase` is that of its run, None before there is one."""
    named = name or f"app-{hash_of('v2')}-2-1"
    run = AnalysisRun(name=named, phase=phase or "", message=message, kind="Step", step_index=1, hash=hash_of("v2"))
    told_run = {"canary": {"currentStepAnalysisRunStatus": {"name": named, "status": phase}}} if phase else {}
    status = a_status("v2", "v1", step, JUDGED, **told_run, **fields)
    sets = (a_set("v2", 1, revision=2), a_set("v1", 3))
    return a_view("v2", *sets, status=status, canary={"steps": JUDGED}, analysis_runs=(run,) if phase else ())


def started(view: Seen) -> list[str]:
    return [each.manifest["metadata"]["name"] for each in decide(view, NOW).actions if isinstance(each, StartAnalysis)]


def test_an_analysis_step_starts_one_run_and_says_its_name_first() -> None:
    name = f"app-{hash_of('v2')}-2-1"
    assert started(judged(None)) == [name]
    assert decide(judged(None), NOW).status["canary"]["currentStepAnalysisRunStatus"] == {"name": name, "status": "Pending"}
    assert started(judged("Running")) == []


@pytest.mark.parametrize(("phase", "index"), [("Running", 1), ("Pending", 1), ("Successful", 2)])
def test_a_step_passes_with_its_run(phase: str, index: int) -> None:
    assert decide(judged(phase), NOW).status["currentStepIndex"] == index


@pytest.mark.parametrize("phase", ["Failed", "Error"])
def test_a_bad_verdict_aborts_in_the_runs_own_words(phase: str) -> None:
    status = decide(judged(phase, message="metric m failed"), NOW).status
    assert status["abort"] is True
    assert status["message"] == (
        "RolloutAborted: Rollout aborted update to revision 2: Step-based analysis phase error/failed: metric m failed"
    )
    assert status["canary"]["currentStepAnalysisRunStatus"]["status"] == phase


def test_an_inconclusive_verdict_pauses_and_a_person_lets_it_pass() -> None:
    status = decide(judged("Inconclusive"), NOW).status
    assert [each["reason"] for each in status["pauseConditions"]] == ["InconclusiveAnalysisRun"]
    promoted = {**status, "currentStepIndex": 2}
    promoted.pop("pauseConditions")
    promoted.pop("controllerPause")
    after = decide(a_view("v2", *judged(None).replica_sets, status=promoted, canary={"steps": JUDGED}), NOW).status
    assert (after["phase"], after["currentStepIndex"]) == ("Progressing", 2)


def test_after_a_retry_the_same_step_gets_a_new_run() -> None:
    first = f"app-{hash_of('v2')}-2-1"
    aborted = decide(judged("Failed"), NOW).status
    failed = AnalysisRun(name=first, phase="Failed", kind="Step", step_index=1, hash=hash_of("v2"))

    def after(status: Any) -> Seen:
        sets = (a_set("v2", 1, revision=2), a_set("v1", 3))
        return a_view("v2", *sets, status=status, canary={"steps": JUDGED}, analysis_runs=(failed,))

    retried = decide(after({**aborted, "abort": False}), NOW)
    assert "abort" not in retried.status
    assert retried.status["currentStepIndex"] == 1
    assert [each.manifest["metadata"]["name"] for each in retried.actions if isinstance(each, StartAnalysis)] == [f"{first}.1"]


def test_a_run_that_nobody_waits_for_any_more_is_ended() -> None:
    view = judged("Running", step=2)
    assert TerminateAnalysis(name=f"app-{hash_of('v2')}-2-1") in decide(view, NOW).actions


@pytest.mark.parametrize(("starting", "step", "runs"), [(0, 0, 1), (1, 0, 0), (1, 1, 1)])
def test_a_background_run_starts_at_its_step_but_never_on_the_first_deployment(starting: int, step: int, runs: int) -> None:
    canary = {"steps": [{"setWeight": 25}, {"setWeight": 50}], "analysis": {**CHECK["analysis"], "startingStep": starting}}
    sets = (a_set("v2", 1, 0, revision=2), a_set("v1", 3))
    view = a_view("v2", *sets, status=a_status("v2", "v1", step, canary["steps"]), canary=canary)
    assert len(started(view)) == runs
    assert started(a_view("v1", canary=canary)) == []


@pytest.mark.parametrize("seconds", [None, "10m"])
def test_a_background_run_measures_through_a_pause_though_nothing_came_before_it(seconds: str | None) -> None:
    pause = {"pause": {"duration": seconds} if seconds else {}}
    canary = {"steps": [pause, {"setWeight": 50}], "analysis": CHECK["analysis"]}
    sets = (a_set("v2", 1, 0, revision=2), a_set("v1", 3))
    entering = a_view("v2", *sets, status=a_status("v2", "v1", 0, canary["steps"]), canary=canary)
    status = decide(entering, NOW).status
    assert ([each["reason"] for each in status["pauseConditions"]], len(started(entering))) == (["CanaryPauseStep"], 1)
    assert len(started(a_view("v2", *sets, status=status, canary=canary))) == 1  # a planner that died before it asked for the run


def test_no_run_begins_after_an_inconclusive_one() -> None:
    canary = {"steps": STEPS, "analysis": CHECK["analysis"]}
    stop = {"pauseConditions": [{"reason": "InconclusiveAnalysisRun"}]}
    sets, status = (a_set("v2", 1, revision=2), a_set("v1", 3)), a_status("v2", "v1", 0, STEPS, **stop)
    assert started(a_view("v2", *sets, status=status, canary=canary)) == []


BY_HAND = {"spec": {"paused": True}}


def test_what_is_paused_by_hand_is_measured_all_the_same() -> None:
    """3.5, 7.7: a pause holds pods and steps, and what has users stays under watch."""
    canary = {"steps": STEPS, "analysis": CHECK["analysis"]}
    sets, status = (a_set("v2", 1, revision=2), a_set("v1", 3)), a_status("v2", "v1", 0, STEPS)
    assert len(started(a_view("v2", *sets, status=status, canary=canary, **BY_HAND))) == 1


@pytest.mark.parametrize(
    ("phase", "shown"), [("Failed", "Degraded"), ("Inconclusive", "Paused"), ("Successful", "Paused"), ("Running", "Paused")]
)
def test_a_verdict_counts_while_paused_by_hand_but_moves_no_step(phase: str, shown: str) -> None:
    paused = replace(judged(phase), spec=a_view("v2", canary={"steps": JUDGED}, **BY_HAND).spec)
    status = decide(paused, NOW).status
    assert (status["phase"], status.get("abort", False)) == (shown, phase == "Failed")
    assert status["currentStepIndex"] == (0 if phase == "Failed" else 1)
    assert [each["reason"] for each in status.get("pauseConditions", ())] == (
        ["InconclusiveAnalysisRun"] if phase == "Inconclusive" else []
    )


def test_an_argument_that_has_yet_to_come_is_waited_for_and_named() -> None:
    """The peer tells its log alone. A field of the status may be there a moment later."""
    argument = {"name": "share", "valueFrom": {"fieldRef": {"fieldPath": "status.canary.weights.canary.weight"}}}
    steps: list[Any] = [{"setWeight": 25}, {"analysis": {**CHECK["analysis"], "args": [argument]}}]
    given = {"templates": {("AnalysisTemplate", "check"): {"spec": {"metrics": [{"name": "m"}], "args": [{"name": "share"}]}}}}
    sets, status = (a_set("v2", 1, revision=2), a_set("v1", 3)), a_status("v2", "v1", 1, steps)
    waiting = a_view("v2", *sets, status=status, canary={"steps": steps}, **given)
    name, path = f"app-{hash_of('v2')}-2-1", "status.canary.weights.canary.weight"
    told = {"name": name, "status": "Pending", "message": f"cannot be made: invalid path {path} in rollout"}
    assert (started(waiting), decide(waiting, NOW).status["canary"]["currentStepAnalysisRunStatus"]) == ([], told)
    there = {**waiting.manifest, "status": {"canary": {"weights": {"canary": {"weight": 25}}}}}
    assert started(replace(waiting, manifest=there)) == [name]
