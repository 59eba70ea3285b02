"""What is told of an experiment: on itself, and on the Rollout whose step it is (`argo-behaviour.md` 10, 12.3)."""

from dataclasses import replace
from typing import Any

from tidegate_planner import narrative as rollouts
from tidegate_planner.experiments.narrative import Told, narrate, told_from_json
from tidegate_planner.experiments.seen import Seen
from tidegate_planner.seen import AnalysisRun, Experiment, ReplicaSet
from tidegate_planner.simulation.views import a_set, a_status, a_view

STEPS = [{"setWeight": 25}, {"experiment": {"templates": [], "analyses": [{"name": "a"}]}}, {"pause": {}}]


def seen(phase: str = "", template: str = "", run: str = "", size: int | None = None, message: str = "") -> Seen:
    status: dict[str, Any] = {}
    if phase:
        status = {
            "phase": phase,
            "message": message,
            "templateStatuses": [{"name": "one", "status": template}],
            "analysisRuns": [{"name": "a", "phase": run, "message": message if run else ""}],
        }
    sets = {} if size is None else {"one": ReplicaSet(name="exp-one", hash="h", replicas=size)}
    return Seen(
        namespace="default", name="exp", uid="u", resource_version=1, annotations={}, labels={}, status=status, manifest={},
        spec=None, replica_sets=sets,
    )  # fmt: skip


def told(*views: Seen) -> list[str]:
    """The Events of these views, one after the other."""
    state, events = None, []
    for each in views:
        chapter = narrate(state, each)
        state = told_from_json(chapter.told.as_json())
        events += [f"{record.type} {record.reason}: {record.message}" for record in chapter.records]
        assert chapter.outcomes == ()
    return events


def test_its_life_is_told_as_the_peer_tells_it() -> None:
    assert told(
        seen(),
        seen("Pending", "Progressing"),
        seen("Pending", "Progressing", size=1),
        seen("Running", "Running", "Pending", size=1),
        seen("Failed", "Successful", "Failed", size=1, message="no good"),
        seen("Failed", "Successful", "Failed", size=0, message="no good"),
    ) == [
        "Normal TemplateProgressing: Template 'one' transitioned from  -> Progressing",
        "Normal ExperimentPending: Experiment transitioned from  -> Pending",
        "Normal ScalingReplicaSet: Scaled up ReplicaSet exp-one from 0 to 1",
        "Normal TemplateRunning: Template 'one' transitioned from Progressing -> Running",
        "Normal AnalysisRunPending: AnalysisRun 'a' transitioned from  -> Pending",
        "Normal ExperimentRunning: Experiment transitioned from Pending -> Running",
        "Normal TemplateSuccessful: Template 'one' transitioned from Running -> Successful",
        "Warning AnalysisRunFailed: AnalysisRun 'a' transitioned from Pending -> Failed: no good",
        "Warning ExperimentFailed: Experiment transitioned from Running -> Failed",
        "Normal ScalingReplicaSet: Scaled down ReplicaSet exp-one from 1 to 0",
    ]


def test_an_inconclusive_end_is_a_warning() -> None:
    assert told(seen("Running", "Running"), seen("Inconclusive", "Running"))[-1].startswith("Warning ExperimentInconclusive")


def test_a_run_that_the_end_cuts_short_is_told_once_and_one_that_somebody_ends_is_not() -> None:
    def at(phase: str, *, terminate: bool) -> Seen:
        view = seen(phase, "Running", "Running", size=1)
        told_run = {"name": "a", "phase": "Running", "analysisRun": "exp-a"}
        run = AnalysisRun(name="exp-a", phase="Running", terminate=terminate)
        return replace(view, status={**view.status, "analysisRuns": [told_run]}, runs=(run,))

    ended = [at("Running", terminate=False), at("Successful", terminate=False), *[at("Successful", terminate=True)] * 2]
    assert told(*ended) == [
        "Normal ExperimentSuccessful: Experiment transitioned from Running -> Successful",
        "Normal AnalysisRunTerminating: Terminating a (exp-a)",
    ]
    assert told(at("Running", terminate=False), at("Running", terminate=True)) == []


def test_what_may_have_been_told_before_a_restart_is_not_told_again() -> None:
    assert told(seen("Running", "Running", "Running", size=1)) == []


def test_a_snapshot_of_another_version_still_reads() -> None:
    assert told_from_json({"phase": "Running", "unknown": 1}) == Told(phase="Running")


# --- on its Rollout -----------------------------------------------------------------------------------------------------


def at_the_step(**runs: tuple[str, str]) -> Any:
    sets = (a_set("v1", 3), a_set("v2", 1, revision=2))
    view = a_view("v2", *sets, status=a_status("v2", "v1", 1, STEPS, phase="Progressing"), canary={"steps": STEPS})
    return replace(view, experiments=(Experiment(name="exp", runs=runs),))


def test_its_rollout_hears_of_its_analyses_as_the_peers_users_know_it() -> None:
    before = replace(at_the_step(), experiments=())
    state, events, outcomes = rollouts.narrate(None, before).told, [], []
    for view in (at_the_step(), at_the_step(a=("Pending", "")), at_the_step(a=("Failed", "no good"))):
        chapter = rollouts.narrate(state, view)
        state = chapter.told
        events += [f"{record.type} {record.reason}: {record.message}" for record in chapter.records]
        outcomes += [(each.message.verb, each.message.message) for each in chapter.outcomes]
    assert events == [
        "Normal ExperimentCreated: Created Experiment 'exp'",
        "Warning AnalysisRunPending: AnalysisRun 'a' transitioned from  -> Pending",
        "Warning AnalysisRunFailed: AnalysisRun 'a' transitioned from Pending -> Failed: no good",
    ]
    assert outcomes == [("analysis-concluded", "exp-a: Failed")]
