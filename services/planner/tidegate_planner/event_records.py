"""The core Events of a rollout's changes, in the peer's words and order (`argo-behaviour.md` 12.3). Pure."""

from collections.abc import Iterator

from tidegate.messages import Record
from tidegate.rollout import Pause
from tidegate_planner.changes import Changes
from tidegate_planner.conditions import CREATE_ERROR
from tidegate_planner.progress import CANARY_PAUSE
from tidegate_planner.step_calls import ABORT, RUN, SUCCESSFUL, TERMINATE
from tidegate_planner.told import aborted_condition, weight_changes


class EventRecords:
    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def records(self) -> Iterator[Record]:
        before, now = self._changes.before, self._changes.now
        unknown = before.hash == "" and before.sets == now.sets and before.annotated == now.annotated and bool(now.sets)
        if unknown:
            return
        if now.annotated != before.annotated and now.annotated:
            yield _normal("RolloutUpdated", f"Rollout updated to revision {now.annotated}")
        for name, revision, _ in (now.sets[key] for key in now.sets if key not in before.sets):
            yield _normal("NewReplicaSetCreated", f"Created ReplicaSet {name} (revision {revision})")
        if self._changes.is_no_longer_completed():
            text = f"Rollout not completed, started update to revision {now.revision} ({now.hash})"
            yield _normal("RolloutNotCompleted", text)
        if (self._changes.returned_to_stable() or self._changes.plan_changed_afterwards()) and self._changes.steps():
            yield _normal("SkipSteps", "Rollback to stable ReplicaSets")
        if now.hash != before.hash and self._changes.within_window() and self._changes.steps() and before.size_of(now.hash) > 0:
            yield _normal("SkipSteps", "Rollback to active ReplicaSets within RollbackWindow")
        yield from self._scalings()
        yield from self._progress_records()

    def _scalings(self) -> Iterator[Record]:
        for key, (name, revision, size) in self._changes.now.sets.items():
            former = self._changes.before.sets.get(key, (name, revision, 0))[2]
            if size != former:
                word = "up" if size > former else "down"
                text = f"Scaled {word} ReplicaSet {name} (revision {revision}) from {former} to {size}"
                yield _normal("ScalingReplicaSet", text)

    def _progress_records(self) -> Iterator[Record]:
        before, now = self._changes.before, self._changes.now
        # Still up when a person has cleared the pause: no Event then.
        released = not self._changes.seen.status.get("controllerPause")
        if before.pauses and not now.pauses and not now.abort and released:
            yield _normal("RolloutResumed", "Rollout is resumed")
        yield from self._step_records()
        if now.pauses and (self._changes.went_on() or not set(now.pauses) & set(before.pauses)):  # a reason more is no other pause
            yield _normal("RolloutPaused", f"Rollout is paused ({now.pauses[0][0]})")
        if changes := ", ".join(weight_changes(before, now)):
            yield _normal("TrafficWeightUpdated", f"Traffic weight updated {changes}")
        yield from self._analysis_records()
        yield from self._plugin_records()
        yield from self._experiment_records()
        if now.refused and now.refused != before.refused:
            yield Record(type="Warning", reason=CREATE_ERROR, message=now.refused)
        if now.given_up and not before.given_up:
            yield Record(type="Warning", reason="RolloutAborted", message=now.given_up)
        if now.abort and not before.abort:
            message = (aborted_condition(self._changes.seen.status) or {}).get("message", "")
            yield Record(type="Warning", reason="RolloutAborted", message=message)
        if now.promoted and now.stable != before.stable:
            text = f"Rollout completed update to revision {now.revision} ({now.hash}): {self._changes.promotion_reason()}"
            yield _normal("RolloutCompleted", text)

    def _step_records(self) -> Iterator[Record]:
        total = len(self._changes.steps())
        for index, step in self._changes.completed_steps():
            unseen = self._changes.paused_unseen(index, step)
            if unseen:
                yield _normal("RolloutPaused", f"Rollout is paused ({CANARY_PAUSE})")
            yield _normal("RolloutStepCompleted", f"Rollout step {index + 1}/{total} completed ({step})")
            if unseen and isinstance(step, Pause) and step.duration is not None:
                yield _normal("RolloutResumed", "Rollout is resumed")
        if self._changes.rested_unseen():
            yield _normal("RolloutPaused", f"Rollout is paused ({CANARY_PAUSE})")

    def _analysis_records(self) -> Iterator[Record]:
        kinds = {run.name: run.kind for run in self._changes.seen.analysis_runs}
        for name, phase in self._changes.now.runs.items():
            former = self._changes.before.runs.get(name, "")
            if phase != former:
                bad = phase in {"Failed", "Error"}
                text = f"{kinds.get(name, '')} Analysis Run '{name}' Status New: '{phase}' Previous: '{former}'"
                yield Record(type="Warning" if bad else "Normal", reason=f"AnalysisRun{phase}", message=text)

    def _plugin_records(self) -> Iterator[Record]:
        """Each call at each phase once; of a Run that succeeded tells the completed step (`argo-behaviour.md` 12.3)."""
        words = {RUN: "transitioned to {}", ABORT: "aborted ({})", TERMINATE: "terminated ({})"}
        for each in self._changes.now.plugins:
            name, number, operation, phase = each
            if each not in self._changes.before.plugins and (operation, phase) != (RUN, SUCCESSFUL):
                bad = phase in {"Failed", "Error"}
                text = f"Step plugin {name} (step {number}) {words[operation].format(phase)}"
                yield Record(type="Warning" if bad else "Normal", reason="StepPluginTransition", message=text)

    def _experiment_records(self) -> Iterator[Record]:
        for experiment in self._changes.seen.experiments:
            if experiment.name not in self._changes.before.experiments:
                yield _normal("ExperimentCreated", f"Created Experiment '{experiment.name}'")
            for name, former, phase in self._changes.experiment_changes(experiment.name):
                text = analysis_transition(name, former, phase, experiment.runs[name][1])
                yield Record(type="Warning", reason=f"AnalysisRun{phase}", message=text)  # always, as the peer's consumers know it


def analysis_transition(name: str, before: str, after: str, message: str) -> str:
    """The words about an analysis of an experiment, on the Experiment and on its Rollout (`argo-behaviour.md` 10)."""
    because = f": {message}" if message else ""
    return f"AnalysisRun '{name}' transitioned from {before} -> {after}{because}"


def _normal(reason: str, message: str) -> Record:
    return Record(type="Normal", reason=reason, message=message)
