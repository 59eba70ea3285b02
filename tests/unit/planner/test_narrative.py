"""What is told of a rollout's life: core Events in the peer's words, outcomes under ids that a second telling repeats."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tidegate import keys
from tidegate.rollout import Canary
from tidegate_planner.narrative import Chapter, narrate
from tidegate_planner.seen import AnalysisRun, ReplicaSet, Seen
from tidegate_planner.simulation.views import a_set, a_status, a_view, hash_of
from tidegate_planner.told import Told, told_from_json

STEPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {"duration": "2s"}}]
CANARY = {"steps": STEPS}
NEW, STABLE = hash_of("v2"), hash_of("v1")
AT_ONE, AT_TWO = "2027-01-15T08:00:00Z", "2027-01-15T08:01:00Z"


class Reader:
    """Reads on from view to view, as the teller does. Given no `told`, it knows nothing of what was told before."""

    def __init__(self, told: Told | None = None) -> None:
        self.told = told

    def read(self, seen: Seen) -> Chapter:
        chapter = narrate(self.told, seen)
        self.told = chapter.told
        return chapter


def reasons(chapter: Chapter) -> list[str]:
    return [record.reason for record in chapter.records]


def verbs(chapter: Chapter) -> list[str]:
    return [outcome.message.verb for outcome in chapter.outcomes]


def ids(chapter: Chapter) -> list[str]:
    return [outcome.id for outcome in chapter.outcomes]


def paused_for(reason: str = "CanaryPauseStep", start: str = AT_ONE) -> dict[str, Any]:
    return {"pauseConditions": [{"reason": reason, "startTime": start}], "controllerPause": True, "phase": "Paused"}


def began(at: str = AT_ONE) -> dict[str, Any]:
    return {"duration": {"rolloutStartedAt": at}}


def finished(version: str = "v1", revision: int = 1, **fields: Any) -> Seen:
    status = a_status(version, version, 4, STEPS, phase="Healthy", **{**began(), **fields})
    return a_view(version, a_set(version, 4, revision=revision), status=status, canary=CANARY)


def updating(step: int, size: int, stable_size: int, **fields: Any) -> Seen:
    """v1 -> v2, at this step with these sizes."""
    sets = (a_set("v2", size, revision=2), a_set("v1", stable_size))
    status = a_status("v2", "v1", step, STEPS, **{"phase": "Progressing", **began(AT_TWO), **fields})
    return a_view("v2", *sets, status=status, canary=CANARY)


def reading_from(seen: Seen) -> Reader:
    """One that has told everything up to this view."""
    reader = Reader(Told())
    reader.read(seen)
    return reader


def aborted(canary: int, stable: int, *, serving: int | None = None) -> Seen:
    progressing = {
        "type": "Progressing", "status": "False", "reason": "RolloutAborted", "message": "Rollout aborted update to revision 2",
    }  # fmt: skip
    sets = (a_set("v2", canary, revision=2), a_set("v1", stable, serving))
    fields: dict[str, Any] = {"conditions": [progressing], "abort": True, "abortedAt": AT_TWO, "phase": "Degraded", **began(AT_TWO)}
    return a_view("v2", *sets, status=a_status("v2", "v1", 0, STEPS, **fields), canary=CANARY)


# --- the first deployment -----------------------------------------------------------------------------------------------


def test_the_first_deployment_is_told_as_the_peer_tells_it() -> None:
    reader = Reader()
    assert reader.read(a_view("v1", canary=CANARY)) == Chapter(Told())
    status = a_status("v1", "v1", 4, STEPS, phase="Progressing", **began())
    chapter = reader.read(a_view("v1", a_set("v1", 4, 0), status=status, canary=CANARY))
    assert [record.message for record in chapter.records] == [
        "Rollout updated to revision 1",
        f"Created ReplicaSet app-{STABLE} (revision 1)",
        f"Rollout not completed, started update to revision 1 ({STABLE})",
        f"Scaled up ReplicaSet app-{STABLE} (revision 1) from 0 to 4",
        f"Rollout completed update to revision 1 ({STABLE}): Initial deploy",
    ]
    assert verbs(chapter) == ["started", "promoted"]
    assert verbs(reader.read(finished())) == ["completed"]


def test_nothing_is_told_of_a_revision_before_its_replica_set_exists() -> None:
    reader = reading_from(finished())
    status = a_status("v2", "v1", 0, STEPS, phase="Progressing", **began(AT_TWO))
    chapter = reader.read(a_view("v2", a_set("v1", 4), status=status, canary=CANARY))
    assert (reasons(chapter), verbs(chapter)) == ([], [])
    assert verbs(reader.read(updating(0, 1, 3))) == ["started"]


def test_a_replica_set_that_is_refused_is_told_once_in_the_words_of_the_condition() -> None:
    words = 'Failed to create new replica set "app-x": quota'
    refusal = {"type": "Progressing", "status": "False", "reason": "ReplicaSetCreateError", "message": words}
    reader = reading_from(finished())
    status = a_status("v2", "v1", 0, STEPS, **{**began(AT_TWO), "conditions": [refusal]}, phase="Progressing")
    refused = a_view("v2", a_set("v1", 4), status=status, canary=CANARY)
    told = [(record.type, record.reason, record.message) for record in reader.read(refused).records]
    assert told == [("Warning", "ReplicaSetCreateError", words)]
    assert reasons(reader.read(refused)) == []
    assert "RolloutNotCompleted" in reasons(reader.read(updating(0, 1, 3)))


def test_the_same_view_twice_tells_nothing_the_second_time() -> None:
    reader = reading_from(updating(1, 1, 3, **paused_for()))
    assert reader.read(updating(1, 1, 3, **paused_for())) == Chapter(reader.told or Told())


# --- an update, step by step --------------------------------------------------------------------------------------------


def test_an_update_is_told_from_its_start_to_its_first_pause() -> None:
    reader = reading_from(finished())
    chapter = reader.read(updating(0, 1, 3))
    assert [record.message for record in chapter.records] == [
        "Rollout updated to revision 2",
        f"Created ReplicaSet app-{NEW} (revision 2)",
        f"Rollout not completed, started update to revision 2 ({NEW})",
        f"Scaled up ReplicaSet app-{NEW} (revision 2) from 0 to 1",
        f"Scaled down ReplicaSet app-{STABLE} (revision 1) from 4 to 3",
    ]
    chapter = reader.read(updating(1, 1, 3, **paused_for()))
    assert [record.message for record in chapter.records] == [
        "Rollout step 1/4 completed (setWeight: 25)",
        "Rollout is paused (CanaryPauseStep)",
    ]
    assert verbs(chapter) == ["step-completed", "paused"]
    completed, paused = (outcome.message for outcome in chapter.outcomes)
    assert (completed.step, completed.steps, paused.step, paused.phase) == (0, 4, 1, "Paused")


def test_a_step_that_a_person_wrote_over_is_told_like_any_other() -> None:
    """Two planners may look at the same status, and neither has anything else to go by."""
    chapter = reading_from(updating(2, 1, 3)).read(updating(3, 1, 3))
    assert (reasons(chapter), verbs(chapter)) == (["RolloutStepCompleted"], ["step-completed"])


def test_a_pause_ended_by_a_person_is_an_outcome_but_no_event() -> None:
    """As recorded of the peer: its Event is for pauses that end by themselves; `controllerPause` tells them apart."""
    reader = reading_from(updating(1, 1, 3, **paused_for()))
    chapter = reader.read(updating(1, 1, 3, controllerPause=True))
    assert (reasons(chapter), verbs(chapter)) == ([], ["resumed"])
    assert verbs(reader.read(updating(2, 2, 2))) == ["step-completed"]


def test_a_pause_that_is_over_by_itself_is_both() -> None:
    reader = reading_from(updating(3, 2, 2, **paused_for()))
    chapter = reader.read(updating(4, 4, 0))
    assert reasons(chapter).count("RolloutResumed") == 1
    assert verbs(chapter) == ["resumed", "step-completed"]


def test_a_view_that_jumps_from_pause_to_pause_tells_the_end_of_one_and_the_start_of_the_next() -> None:
    reader = reading_from(updating(1, 1, 3, **paused_for(start=AT_ONE)))
    chapter = reader.read(updating(3, 2, 2, **paused_for(start=AT_TWO)))
    assert verbs(chapter) == ["resumed", "step-completed", "step-completed", "paused"]
    assert len(set(ids(chapter))) == 4


def test_a_pause_that_nobody_saw_is_an_event_all_the_same() -> None:
    """A tool that promotes at once is faster than the next look; the peer tells the pause where it writes it."""
    reader = reading_from(updating(0, 1, 3))
    chapter = reader.read(updating(2, 2, 2, controllerPause=True))
    assert [record.message for record in chapter.records if record.reason != "ScalingReplicaSet"] == [
        "Rollout step 1/4 completed (setWeight: 25)",
        "Rollout is paused (CanaryPauseStep)",
        "Rollout step 2/4 completed (pause)",
    ]
    chapter = reader.read(updating(4, 3, 1))
    assert [record.message for record in chapter.records if record.reason != "ScalingReplicaSet"] == [
        "Rollout step 3/4 completed (setWeight: 50)",
        "Rollout is paused (CanaryPauseStep)",
        "Rollout step 4/4 completed (pause: 2s)",
        "Rollout is resumed",
    ]


def test_a_pause_that_a_person_has_ended_is_no_second_event_once_nobody_remembers_the_first() -> None:
    """All streams gone, and the planner: what is left is the status. Outcomes may come again, under their ids."""
    before = reading_from(updating(0, 1, 3))
    told = ids(before.read(updating(1, 1, 3, **paused_for()))) + ids(before.read(updating(1, 1, 3, controllerPause=True)))
    reader = Reader(None)
    first = reader.read(updating(1, 1, 3, controllerPause=True))
    assert reasons(first) == []
    assert set(told) <= set(ids(first))
    later = reader.read(updating(2, 2, 2))
    assert "RolloutPaused" not in reasons(later)
    assert verbs(later) == ["step-completed"]


def test_a_pause_that_a_person_ended_before_it_was_told_is_told_once() -> None:
    reader = reading_from(updating(0, 1, 3))
    chapters = [reader.read(updating(1, 1, 3, controllerPause=True)), reader.read(updating(2, 2, 2))]
    assert [each for chapter in chapters for each in reasons(chapter) if each == "RolloutPaused"] == ["RolloutPaused"]
    assert [each for chapter in chapters for each in verbs(chapter)] == ["step-completed", "paused", "resumed", "step-completed"]


def test_a_second_reason_to_pause_is_no_second_event() -> None:
    step, run = ({"reason": reason, "startTime": AT_ONE} for reason in ("CanaryPauseStep", "InconclusiveAnalysisRun"))
    reader = reading_from(updating(1, 1, 3, **paused_for()))
    assert reasons(reader.read(updating(1, 1, 3, **{**paused_for(), "pauseConditions": [step, run]}))) == []
    chapter = reading_from(updating(1, 1, 3)).read(updating(1, 1, 3, **{**paused_for(), "pauseConditions": [step, run]}))
    assert [record.message for record in chapter.records] == ["Rollout is paused (CanaryPauseStep)"]


def test_pauses_of_two_steps_in_the_same_second_have_two_ids() -> None:
    reader = reading_from(updating(0, 1, 3))
    first = reader.read(updating(1, 1, 3, **paused_for(start=AT_ONE)))
    second = reader.read(updating(3, 2, 2, **paused_for(start=AT_ONE)))
    told = {outcome.id for chapter in (first, second) for outcome in chapter.outcomes if outcome.message.verb == "paused"}
    assert len(told) == 2


def test_a_rollout_held_by_hand_is_paused_and_resumed_without_a_pause_condition() -> None:
    held = a_view("v1", a_set("v1", 4), status=finished().status, canary=CANARY, spec={"paused": True})
    reader = reading_from(finished())
    assert verbs(reader.read(held)) == ["paused"]
    assert verbs(reader.read(finished())) == ["resumed"]


def test_a_changed_weight_is_told_with_both_numbers() -> None:
    def at(weight: int) -> Seen:
        return updating(1, 1, 3, canary={"weights": {"canary": {"weight": weight}, "stable": {"weight": 100 - weight}}})

    first = reading_from(updating(1, 1, 3)).read(at(0))
    assert [record.message for record in first.records] == ["Traffic weight updated to 0"]
    reader = reading_from(at(5))
    chapter = reader.read(at(25))
    assert [(record.reason, record.message) for record in chapter.records] == [
        ("TrafficWeightUpdated", "Traffic weight updated from 5 to 25")
    ]
    assert [(outcome.message.verb, outcome.message.weight) for outcome in chapter.outcomes] == [("weight-changed", 25)]


def test_that_the_canary_has_no_traffic_yet_is_no_change_of_its_weight_however_late_it_is_seen() -> None:
    """With a slow API server the weight of the first deployment was noted during the next one, which then told it as its own."""
    reader = Reader(narrate(None, finished()).told)
    chapter = reader.read(updating(0, 0, 4, canary={"weights": {"canary": {"weight": 0}, "stable": {"weight": 100}}}))
    assert verbs(chapter) == ["started"]


def test_what_an_experiment_gets_of_the_traffic_is_told_with_the_weight_or_alone() -> None:
    def at(weight: int, *additional: dict[str, Any]) -> Seen:
        weights = {"canary": {"weight": weight}, "stable": {"weight": 100 - weight}, "additional": list(additional)}
        return updating(1, 1, 3, canary={"weights": weights})

    base, cand = ({"weight": 10, "serviceName": f"app-{name}", "podTemplateHash": f"hash-{name}"} for name in ("base", "cand"))
    reader, asked = reading_from(at(5)), at(5, {**base, "weight": 0})
    told = [[record.message for record in reader.read(each).records] for each in (asked, at(5, base, cand), at(25, cand), at(25))]
    assert told == [
        [],
        ["Traffic weight updated additional: [{10 app-base hash-base} {10 app-cand hash-cand}]"],
        ["Traffic weight updated from 5 to 25, additional: [{10 app-cand hash-cand}]"],
        ["Traffic weight updated additional: []"],
    ]
    as_stored = told_from_json(json.loads(json.dumps((reading_from(at(5, base)).told or Told()).as_json())))
    assert reasons(Reader(as_stored).read(at(5, base))) == []


@pytest.mark.parametrize(
    ("phase", "kind", "concluded"),
    [
        ("Running", "Normal", []),
        ("Successful", "Normal", ["analysis-concluded"]),
        ("Inconclusive", "Normal", ["analysis-concluded"]),
        ("Failed", "Warning", ["analysis-concluded"]),
        ("Error", "Warning", ["analysis-concluded"]),
    ],
)
def test_each_phase_of_an_analysis_run_is_an_event_and_each_verdict_an_outcome(phase: str, kind: str, concluded: list[str]) -> None:
    def with_run(phase: str) -> Seen:
        seen = updating(1, 1, 3)
        runs = (AnalysisRun(name="run", phase=phase, kind="Step"),)
        return a_view("v2", *seen.replica_sets, status=seen.status, canary=CANARY, analysis_runs=runs)

    reader = reading_from(with_run("Pending"))
    chapter = reader.read(with_run(phase))
    assert [(record.type, record.reason) for record in chapter.records] == [(kind, f"AnalysisRun{phase}")]
    assert chapter.records[0].message == f"Step Analysis Run 'run' Status New: '{phase}' Previous: 'Pending'"
    assert verbs(chapter) == concluded


# --- the ends -----------------------------------------------------------------------------------------------------------


def promoted(available: int = 4, phase: str = "Healthy", **fields: Any) -> Seen:
    status = a_status("v2", "v2", 4, STEPS, phase=phase, **{**began(AT_TWO), **fields})
    return a_view("v2", a_set("v2", 4, available, revision=2), a_set("v1", 0), status=status, canary=CANARY)


def test_an_update_that_walked_all_steps_says_so_once() -> None:
    reader = reading_from(updating(3, 2, 2, **paused_for()))
    chapter = reader.read(promoted())
    assert chapter.records[-1].message == f"Rollout completed update to revision 2 ({NEW}): Completed all 4 canary steps"
    assert verbs(chapter) == ["resumed", "step-completed", "promoted", "completed"]


def test_a_full_promotion_tells_its_reason_and_no_step_that_was_jumped() -> None:
    reader = reading_from(updating(1, 1, 3, **paused_for()))
    chapter = reader.read(promoted(duration={"rolloutStartedAt": AT_TWO, "completionStatus": "FastPromoted"}))
    assert chapter.records[-1].message == f"Rollout completed update to revision 2 ({NEW}): Full promotion requested"
    assert "RolloutStepCompleted" not in reasons(chapter)
    assert verbs(chapter) == ["resumed", "promoted", "completed"]


def test_a_pod_lost_and_replaced_later_is_no_second_completion() -> None:
    reader = reading_from(promoted())
    assert verbs(reader.read(promoted(available=3, phase="Progressing"))) == []
    assert verbs(reader.read(promoted())) == []


def test_an_abort_is_told_once_it_is_carried_out_once_and_with_its_reason() -> None:
    reader = reading_from(updating(1, 2, 2, **paused_for()))
    chapter = reader.read(updating(1, 2, 2, abort=True))  # a person's word from a moment ago
    assert "aborted" not in verbs(chapter)
    chapter = reader.read(aborted(2, 3))
    assert [(r.type, r.message) for r in chapter.records if r.reason == "RolloutAborted"] == [
        ("Warning", "Rollout aborted update to revision 2")
    ]
    assert verbs(chapter) == ["aborted"]
    assert verbs(reader.read(aborted(1, 4))) == []


def test_rolled_back_is_told_when_the_new_pods_are_gone_and_stable_serves_alone() -> None:
    reader = reading_from(aborted(2, 3))
    assert verbs(reader.read(aborted(0, 4, serving=3))) == []
    assert verbs(reader.read(aborted(0, 4))) == ["rolled-back"]


def test_an_aborted_rollout_is_not_degraded_on_top() -> None:
    reader = reading_from(updating(1, 2, 2))
    assert "degraded" not in verbs(reader.read(aborted(2, 3)))


def test_a_rollout_that_cannot_go_on_is_degraded_with_the_words_of_its_status() -> None:
    reader = reading_from(updating(1, 1, 3))
    chapter = reader.read(updating(1, 1, 3, phase="Degraded", message="ProgressDeadlineExceeded: no progress"))
    assert [(each.message.verb, each.message.message) for each in chapter.outcomes] == [
        ("degraded", "ProgressDeadlineExceeded: no progress")
    ]


def test_a_deadline_that_aborts_is_told_with_its_reason_and_then_as_an_abort() -> None:
    late = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "it has timed out progressing."}
    reader = reading_from(updating(0, 1, 3))
    given_up = updating(0, 1, 3, abort=True, abortedAt=AT_TWO, phase="Degraded", conditions=[late])
    chapters = [reader.read(given_up), reader.read(aborted(1, 3))]
    told = [[(record.type, record.reason, record.message) for record in each.records] for each in chapters]
    assert told == [
        [("Warning", "RolloutAborted", "it has timed out progressing.")],
        [("Warning", "RolloutAborted", "Rollout aborted update to revision 2")],
    ]
    assert [verbs(each) for each in chapters] == [["degraded"], ["aborted"]]


def test_a_newer_revision_supersedes_the_one_under_way_but_not_a_finished_or_aborted_one() -> None:
    sets = (a_set("v3", 1, revision=3), a_set("v2", 1, revision=2), a_set("v1", 3))
    third = a_view("v3", *sets, status=a_status("v3", "v1", 0, STEPS, **began("later")), canary=CANARY)
    chapter = reading_from(updating(1, 1, 3)).read(third)
    assert verbs(chapter) == ["superseded", "started"]
    about = chapter.outcomes[0].message
    assert (about.revision, about.hash, about.images) == (2, NEW, ())
    assert "superseded" not in verbs(reading_from(aborted(1, 3)).read(third))
    assert "superseded" not in verbs(reading_from(promoted()).read(third))


def test_not_completed_is_told_when_an_update_begins_and_not_again_of_what_interrupts_it() -> None:
    """A condition that turned: `Completed` (`argo-behaviour.md` 6.5). Back on the stable template it is True at once."""
    reader = reading_from(finished())
    assert "RolloutNotCompleted" in reasons(reader.read(updating(0, 1, 3)))
    sets = (a_set("v3", 1, revision=3), a_set("v2", 1, revision=2), a_set("v1", 3))
    third = a_view("v3", *sets, status=a_status("v3", "v1", 0, STEPS, **began("later")), canary=CANARY)
    assert "RolloutNotCompleted" not in reasons(reader.read(third))
    status = a_status("v1", "v1", 4, STEPS, **began("last"))
    back = a_view("v1", *sets[:2], a_set("v1", 3, revision=4), status=status, canary=CANARY)
    told = reasons(reader.read(back))
    assert "SkipSteps" in told
    assert "RolloutNotCompleted" not in told


def test_steps_that_are_edited_when_all_is_done_are_skipped_and_not_completed() -> None:
    edited = [{"setWeight": 10}]
    status = a_status("v1", "v1", 1, edited, phase="Healthy", **began())
    chapter = reading_from(finished()).read(a_view("v1", a_set("v1", 4), status=status, canary={"steps": edited}))
    assert [(record.reason, record.message) for record in chapter.records] == [("SkipSteps", "Rollback to stable ReplicaSets")]
    assert chapter.outcomes == ()


def test_a_second_attempt_at_the_same_revision_completes_again_under_another_id() -> None:
    first = reading_from(updating(3, 2, 2)).read(promoted())
    retried = reading_from(updating(3, 2, 2, **began("later"))).read(promoted(**began("later")))
    assert verbs(first)[-1] == verbs(retried)[-1] == "completed"
    assert not set(ids(first)) & set(ids(retried))


def test_outcomes_carry_who_asked_and_what_runs() -> None:
    view = updating(0, 1, 3)
    asked = a_view(
        "v2", *view.replica_sets, status=view.status, canary=CANARY, annotations={keys.REVISION: "2", keys.REQUESTED_BY: "ada"}
    )
    started = reading_from(finished()).read(asked).outcomes[0].message
    assert (started.requested_by, started.revision, started.hash) == ("ada", 2, NEW)
    assert len(started.images) == 1


# --- restarts, and views that come together -----------------------------------------------------------------------------


LIFE = {
    "progressing": updating(0, 1, 3),
    "paused": updating(1, 1, 3, **paused_for()),
    "aborted": aborted(2, 3),
    "rolled back": aborted(0, 4),
    "completed": promoted(),
    "stable": finished(),
}


@pytest.mark.parametrize("name", LIFE)
def test_a_planner_that_knows_nothing_repeats_outcomes_under_the_same_ids_and_no_events(name: str) -> None:
    whole = Reader()
    told = {each for seen in (a_view("v1", canary=CANARY), finished(), updating(0, 1, 3)) for each in ids(whole.read(seen))}
    told |= {each for step in (updating(1, 1, 3, **paused_for()), LIFE[name]) for each in ids(whole.read(step))}
    chapter = Reader().read(LIFE[name])
    assert reasons(chapter) == []
    assert chapter.outcomes
    if name != "stable":
        assert set(ids(chapter)) <= told, "an id that was never told before"


def test_a_first_deployment_of_which_nobody_lived_to_tell_is_told_by_the_next_planner() -> None:
    """Killed, or relieved, between its first write and its first message."""
    begun = a_view("v1", a_set("v1", 4, 0), status=a_status("v1", "v1", 4, STEPS, phase="Progressing", **began()), canary=CANARY)
    first = reading_from(a_view("v1", canary=CANARY)).read(begun)
    assert "RolloutCompleted" in reasons(first)
    assert Reader().read(begun) == first
    conditions = [*begun.status["conditions"], {"type": "Healthy", "status": "False"}]
    assert reasons(Reader().read(replace(begun, status={**begun.status, "conditions": conditions}))) == []


@pytest.mark.parametrize("name", LIFE)
def test_what_was_told_survives_json(name: str) -> None:
    told = reading_from(LIFE[name]).told
    assert told is not None
    assert told_from_json(json.loads(json.dumps(told.as_json()))) == told
    assert Reader(told_from_json(json.loads(json.dumps(told.as_json())))).read(LIFE[name]) == Chapter(told)


def test_what_another_version_told_still_reads() -> None:
    assert told_from_json({"hash": "abc", "a field of later": 1}) == Told(hash="abc")
    assert told_from_json({}) == Told()


def sizes_scaled(chapters: list[Chapter]) -> Mapping[str, tuple[int, int]]:
    """Where each ReplicaSet was before and is after, as the Events say."""
    found: dict[str, tuple[int, int]] = {}
    for record in (record for chapter in chapters for record in chapter.records if record.reason == "ScalingReplicaSet"):
        words = record.message.split()
        name, first, last = words[3], int(words[-3]), int(words[-1])
        found[name] = (found[name][0] if name in found else first, last)
    return found


def test_views_that_come_together_tell_the_same_outcomes_as_each_for_itself() -> None:
    """Also what came and went unseen: the pauses and steps of a revision that was not seen before it was promoted."""
    views = [updating(0, 1, 3), updating(1, 1, 3, **paused_for()), updating(2, 2, 2), updating(3, 3, 1), promoted()]
    single, at_once = reading_from(finished()), reading_from(finished())
    chapters = [single.read(view) for view in views]
    coalesced = at_once.read(views[-1])
    each = {outcome.id for chapter in chapters for outcome in chapter.outcomes}
    assert set(ids(coalesced)) == each
    assert sizes_scaled(chapters) == sizes_scaled([coalesced])
    assert at_once.told == single.told


def test_a_replica_set_being_deleted_is_not_told_as_scaled() -> None:
    def with_old(old: ReplicaSet) -> Seen:
        seen = promoted()
        return a_view("v2", seen.replica_sets[0], old, status=seen.status, canary=CANARY)

    reader = reading_from(with_old(a_set("v1", 0)))
    assert reasons(reader.read(with_old(a_set("v1", 0, deleting=True)))) == []


def test_an_update_of_which_nothing_was_told_while_it_ran_is_told_whole_at_its_end() -> None:
    """As after a planner was killed at every step before it could publish a word: the snapshot is that of the revision before."""
    before = Told(hash=STABLE, stable=STABLE, revision=1, annotated=1, step=4, phase="Healthy", attempt=AT_ONE, done=True)
    duration = {"rolloutStartedAt": AT_TWO, "completionStatus": "Promoted"}
    ended = a_status("v2", "v2", 4, STEPS, phase="Healthy", duration=duration)
    seen = a_view("v2", a_set("v1", 0, revision=1), a_set("v2", 4, revision=2), status=ended, canary=CANARY)
    told = [f"{each.message.verb} {each.message.step}".removesuffix(" None") for each in narrate(before, seen).outcomes]
    first, second = ["paused 1", "resumed", "step-completed 1"], ["paused 3", "resumed", "step-completed 3"]
    assert told == ["started", "step-completed 0", *first, "step-completed 2", *second, "promoted", "completed"]


def test_each_phase_of_a_plugins_call_is_an_event_and_success_is_the_completed_step() -> None:
    def calling(phase: str, operation: str = "Run", step: int = 0) -> Seen:
        call = {"index": 0, "name": "acme/approval", "operation": operation, "phase": phase}
        status = a_status("v2", "v1", step, PLUGGED, **began(), canary={"stepPluginStatuses": [call]})
        return a_view("v2", a_set("v2", 1, revision=2), a_set("v1", 3), status=status, canary={"steps": PLUGGED})

    reader = Reader()
    reader.read(a_view("v2", a_set("v2", 1, revision=2), a_set("v1", 3), status=a_status("v2", "v1", 0, PLUGGED, **began())))
    seen = (
        calling("Running"), calling("Running"), calling("Error"), calling("Successful", step=1), calling("Failed", "Abort", step=1),
        calling("Successful", "Terminate", step=1),
    )  # fmt: skip
    told = [
        [(each.type, each.message) for each in reader.read(view).records if each.reason == "StepPluginTransition"] for view in seen
    ]
    assert told == [
        [("Normal", "Step plugin acme/approval (step 1) transitioned to Running")],
        [],
        [("Warning", "Step plugin acme/approval (step 1) transitioned to Error")],
        [],
        [("Warning", "Step plugin acme/approval (step 1) aborted (Failed)")],
        [("Normal", "Step plugin acme/approval (step 1) terminated (Successful)")],
    ]
    assert told_from_json(json.loads(json.dumps(reader.told.as_json()))) == reader.told


PLUGGED = [{"plugin": {"name": "acme/approval"}}, {"pause": {}}]


def test_a_step_that_ended_just_before_its_plan_was_edited_is_told_in_the_words_of_that_plan() -> None:
    reader = reading_from(updating(0, 1, 3))
    paused = updating(1, 1, 3, **paused_for())
    edited = a_view("v2", *paused.replica_sets, status=paused.status, canary={"steps": [{"setWeight": 50}, {"pause": {}}]})
    assert paused.spec is not None
    assert isinstance(paused.spec.strategy, Canary)
    told = reader.read(replace(edited, former_plan=paused.spec.strategy))
    assert "Rollout step 1/4 completed (setWeight: 25)" in [record.message for record in told.records]
