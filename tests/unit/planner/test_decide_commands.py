"""What people write into a rollout, and what one look makes of it (`argo-behaviour.md` 6.1, 6.2), with pauses to the second."""

from typing import Any

import pytest

from tidegate.durations import rfc3339
from tidegate_planner.decide import decide
from tidegate_planner.plan import ScaleReplicaSet
from tidegate_planner.seen import Seen
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of

STEPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {"duration": "10s"}}, {"setWeight": 75}]


def held_since(moment: float) -> dict[str, Any]:
    return {"pauseConditions": [{"reason": "CanaryPauseStep", "startTime": rfc3339(moment)}], "controllerPause": True}


def updating(step: int, *, spec: dict[str, Any] | None = None, canary_pods: int = 1, **steering: Any) -> Seen:
    """Half way from v1 to v2, with the pods that step 0 wants unless told otherwise."""
    status = a_status("v2", "v1", step, STEPS, **steering)
    sets = (a_set("v2", canary_pods, revision=2), a_set("v1", 4 - canary_pods))
    return a_view("v2", *sets, status=status, canary={"steps": STEPS}, spec=spec)


def condition(status: Any, kind: str) -> tuple[str, str, str]:
    found = next(each for each in status["conditions"] if each["type"] == kind)
    return found["status"], found["reason"], found["message"]


def test_an_endless_pause_is_entered_once_and_waits() -> None:
    status = decide(updating(1), NOW).status
    assert status["pauseConditions"] == [{"reason": "CanaryPauseStep", "startTime": rfc3339(NOW)}]
    assert (status["phase"], status["message"], status["controllerPause"]) == ("Paused", "CanaryPauseStep", True)
    assert decide(updating(1, **held_since(NOW - 9999)), NOW).status["currentStepIndex"] == 1


def test_clearing_the_pause_ends_it() -> None:
    status = decide(updating(1, controllerPause=True), NOW).status
    assert status["currentStepIndex"] == 2
    assert "controllerPause" not in status


@pytest.mark.parametrize(("age", "index"), [(0, 3), (9.999, 3), (10, 4), (11, 4)])
def test_a_timed_pause_ends_at_its_very_second(age: float, index: int) -> None:
    plan = decide(updating(3, canary_pods=2, **held_since(NOW)), NOW + age)
    assert plan.status["currentStepIndex"] == index
    assert (plan.wake_at == NOW + 10) == (index == 3)


def test_a_pause_that_begins_within_a_second_is_never_shorter_than_it_says() -> None:
    status = decide(updating(3, canary_pods=2), NOW + 0.4).status
    assert status["pauseConditions"][0]["startTime"] == rfc3339(NOW + 1)


def test_spec_paused_holds_every_step_and_every_scale_also_of_a_pause_that_is_over() -> None:
    plan = decide(updating(3, canary_pods=1, spec={"paused": True}, **held_since(NOW - 60)), NOW)
    assert (plan.status["phase"], plan.status["message"], plan.status["currentStepIndex"]) == ("Paused", "manually paused", 3)
    assert not [action for action in plan.actions if isinstance(action, ScaleReplicaSet)]
    assert plan.wake_at is None


def test_a_step_that_a_person_skipped_is_skipped() -> None:
    assert decide(updating(2, canary_pods=1), NOW).status["currentStepIndex"] == 2


def test_an_abort_drops_pauses_goes_to_step_0_and_gives_the_pods_back() -> None:
    plan = decide(updating(1, **held_since(NOW), abort=True), NOW)
    assert (plan.status["abort"], plan.status["abortedAt"], plan.status["currentStepIndex"]) == (True, rfc3339(NOW), 0)
    assert not {"pauseConditions", "controllerPause"} & plan.status.keys()
    assert condition(plan.status, "Progressing") == ("False", "RolloutAborted", "Rollout aborted update to revision 2")
    assert plan.status["phase"] == "Degraded"
    scales = [(action.hash, action.after) for action in plan.actions if isinstance(action, ScaleReplicaSet)]
    assert scales == [(hash_of("v1"), 4), (hash_of("v2"), 0)]


def test_the_time_of_the_first_abort_stays() -> None:
    assert decide(updating(0, abort=True, abortedAt=rfc3339(NOW - 50)), NOW).status["abortedAt"] == rfc3339(NOW - 50)


def test_an_abort_of_a_finished_rollout_is_taken_back() -> None:
    """It begins no other attempt either, whose steps would be told of as carried out."""
    started = {"rolloutStartedAt": rfc3339(NOW - 90), "completionStatus": "Promoted", "finishedAt": rfc3339(NOW - 60)}
    status = a_status("v2", "v2", 5, STEPS, abort=True, duration=started)
    taken_back = decide(a_view("v2", a_set("v2", 4), status=status, canary={"steps": STEPS}), NOW).status
    assert not {"abort", "abortedAt"} & taken_back.keys()
    assert taken_back["duration"] == started


def test_a_retry_starts_over() -> None:
    aborted = decide(updating(1, abort=True), NOW).status
    view = a_view("v2", a_set("v2", 0, revision=2), a_set("v1", 4), status={**aborted, "abort": False}, canary={"steps": STEPS})
    status = decide(view, NOW).status
    assert not {"abort", "abortedAt"} & status.keys()
    assert status["currentStepIndex"] == 0
    assert condition(status, "Progressing") in {
        ("Unknown", "RolloutRetry", "Retrying Rollout after abort"),
        ("True", "ReplicaSetUpdated", f'ReplicaSet "app-{hash_of("v2")}" is progressing.'),
    }


@pytest.mark.parametrize("lifted", [{"abort": False}, {"promoteFull": True}], ids=["retry", "full promotion"])
def test_whoever_lifts_an_abort_begins_another_attempt(lifted: dict[str, Any]) -> None:
    """Outcomes are told by attempt: those of the second must not pass for repeats of the first."""
    aborted = decide(updating(1, abort=True), NOW).status
    assert aborted["duration"]["completionStatus"] == "Aborted"
    sets = (a_set("v2", 0, revision=2), a_set("v1", 4))
    again = decide(a_view("v2", *sets, status={**aborted, **lifted}, canary={"steps": STEPS}), NOW + 60).status
    assert again["duration"] == {"rolloutStartedAt": rfc3339(NOW + 60)}
    later = decide(a_view("v2", *sets, status=again, canary={"steps": STEPS}), NOW + 90).status
    assert later["duration"] == again["duration"]


def test_a_full_promotion_skips_pauses_and_steps_but_not_the_pods() -> None:
    plan = decide(updating(1, **held_since(NOW), promoteFull=True), NOW)
    assert "pauseConditions" not in plan.status
    assert (plan.status["stableRS"], plan.status["promoteFull"]) == (hash_of("v1"), True)
    assert sum(action.after - action.before for action in plan.actions if isinstance(action, ScaleReplicaSet)) <= 1  # surge 25 %
    done = decide(updating(1, canary_pods=4, promoteFull=True), NOW).status
    assert (done["stableRS"], done["currentStepIndex"]) == (hash_of("v2"), 5)
    assert "promoteFull" not in done
    assert done["duration"]["completionStatus"] == "FastPromoted"


def test_a_full_promotion_after_an_abort_lifts_it() -> None:
    status = decide(updating(0, abort=True, abortedAt=rfc3339(NOW - 5), promoteFull=True), NOW).status
    assert status["promoteFull"] is True
    assert "abort" not in status


def test_an_abort_during_a_full_promotion_ends_it() -> None:
    status = decide(updating(1, abort=True, promoteFull=True), NOW).status
    assert status["abort"] is True
    assert "promoteFull" not in status


def test_a_full_promotion_at_a_pause_step_still_has_a_deadline() -> None:
    plan = decide(updating(1, promoteFull=True), NOW + 1)
    assert plan.wake_at is not None
    late = decide(updating(1, promoteFull=True, replicas=4, updatedReplicas=1, readyReplicas=4, availableReplicas=4), NOW + 601)
    assert late.status["phase"] == "Degraded"


def test_a_deadline_that_aborts_leaves_no_full_promotion_behind_to_lift_the_abort() -> None:
    view = updating(0, promoteFull=True, spec={"progressDeadlineAbort": True}, replicas=4, updatedReplicas=1, readyReplicas=4,
                    availableReplicas=4)  # fmt: skip
    first = decide(view, NOW + 601).status
    assert (first["abort"], "promoteFull" in first) == (True, False)
    again = a_view("v2", *view.replica_sets, status=first, canary={"steps": STEPS})
    assert decide(again, NOW + 602).status["abort"] is True
