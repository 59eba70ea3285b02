"""What to tell the world, from two views of a rollout: core Events (`argo-behaviour.md` 12.3) and outcomes (DESIGN.md 4).

Rule of this file: pure. Only differences between what was told last and what is observed now are told, so nothing is lost when a
process dies between two writes, and nothing is told that did not happen. Ids of outcomes are made of what they are about: a
process that tells the same again sends a duplicate, which consumers drop.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from tidegate import keys
from tidegate.messages import OutcomeVerb, Record, RolloutOutcome
from tidegate.rollout import BlueGreen, Canary, Pause, SetWeight, Step
from tidegate_planner.conditions import CREATE_ERROR
from tidegate_planner.progress import CANARY_PAUSE, FAST_ROLLBACK, FULL_PROMOTION, WITHIN_WINDOW
from tidegate_planner.seen import Seen
from tidegate_planner.situation import within_window
from tidegate_planner.step_calls import ABORT, RUN, SUCCESSFUL, TERMINATE
from tidegate_planner.told import Told, aborted_condition, snapshot, weight_changes

Json = Mapping[str, Any]
State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Outcome:
    id: str
    message: RolloutOutcome


@dataclass(frozen=True, slots=True)
class Chapter(Generic[State]):
    """What is new. `told` is the state to compare with the next time."""

    told: State
    records: tuple[Record, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


def narrate(before: Told | None, seen: Seen) -> Chapter[Told]:
    """`before` None: nothing is known of what was told. Then outcomes that the present state implies are told (again), under
    their fixed ids; Events are not, they would be noise. A rollout without a status is simply new."""
    now = snapshot(seen)
    if before is None:
        before = Told() if not seen.status else _nothing_but_outcomes(now)
    if now.hash and now.hash not in now.sets:
        # The status is written before its ReplicaSet exists; the revision's number is known only then.
        now = replace(before, phase=now.phase, message=now.message, refused=now.refused)
        if now == before:
            return Chapter(before)
    done = now.phase == "Healthy" or (before.done and now.same_attempt(before))
    stays = now.same_attempt(before) and now.step == before.step
    rested = (stays and not now.pauses and (bool(before.pauses) or before.rested == now.step)) or _pause_was_cleared(now, seen)
    there = {run.name for run in seen.analysis_runs}  # one that says nothing for the moment may say how it ended later
    runs = {**{name: phase for name, phase in before.runs.items() if name in there}, **now.runs}
    now = replace(now, done=done, rested=now.step if rested else None, runs=runs)
    if now == before:
        return Chapter(before)
    teller = _Teller(before, now, seen)
    return Chapter(now, tuple(teller.records()), tuple(teller.outcomes()))


def _nothing_but_outcomes(now: Told) -> Told:
    """A state from which the present one differs in what outcomes tell, and in nothing that Events tell."""
    return replace(now, hash="", stable="", step=0, phase="", pauses=(), abort=False, back_on_stable=False, done=False)


def _plan_of(seen: Seen) -> Canary:
    """The one that the status is of: it may have been edited between a step's end and this look."""
    strategy = seen.spec.strategy if seen.spec else None
    return (seen.former_plan or strategy) if isinstance(strategy, Canary) else Canary()


def _pause_was_cleared(now: Told, seen: Seen) -> bool:
    """A person has ended the pause of this step, and the step is not over yet. The status says so also to one who knows nothing of
    what was told, and who would tell of a pause that nobody saw when the step is over."""
    steps = _plan_of(seen).steps
    pauses_here = now.step is not None and now.step < len(steps) and isinstance(steps[now.step], Pause)
    return pauses_here and bool(seen.status.get("controllerPause")) and not (now.pauses or now.abort)


class _Teller:
    def __init__(self, before: Told, now: Told, seen: Seen) -> None:
        self._before, self._now, self._seen = before, now, seen
        self._strategy = seen.spec.strategy if seen.spec else None
        self._restarted = before.hash != now.hash or before.steps_hash != now.steps_hash or before.attempt != now.attempt

    # --- core Events ---------------------------------------------------------------------------------------------------

    def records(self) -> Iterator[Record]:
        before, now = self._before, self._now
        unknown = before.hash == "" and before.sets == now.sets and before.annotated == now.annotated and bool(now.sets)
        if unknown:
            return
        if now.annotated != before.annotated and now.annotated:
            yield _normal("RolloutUpdated", f"Rollout updated to revision {now.annotated}")
        for name, revision, _ in (now.sets[key] for key in now.sets if key not in before.sets):
            yield _normal("NewReplicaSetCreated", f"Created ReplicaSet {name} (revision {revision})")
        if self._is_no_longer_completed():
            text = f"Rollout not completed, started update to revision {now.revision} ({now.hash})"
            yield _normal("RolloutNotCompleted", text)
        if (self._returned_to_stable() or self._plan_changed_afterwards()) and self._steps():
            yield _normal("SkipSteps", "Rollback to stable ReplicaSets")
        if now.hash != before.hash and self._within_window() and self._steps() and before.size_of(now.hash) > 0:
            yield _normal("SkipSteps", "Rollback to active ReplicaSets within RollbackWindow")
        yield from self._scalings()
        yield from self._progress_records()

    def _scalings(self) -> Iterator[Record]:
        for key, (name, revision, size) in self._now.sets.items():
            former = self._before.sets.get(key, (name, revision, 0))[2]
            if size != former:
                word = "up" if size > former else "down"
                text = f"Scaled {word} ReplicaSet {name} (revision {revision}) from {former} to {size}"
                yield _normal("ScalingReplicaSet", text)

    def _progress_records(self) -> Iterator[Record]:
        before, now = self._before, self._now
        released = not self._seen.status.get("controllerPause")  # still up when a person has cleared the pause: no Event then
        if before.pauses and not now.pauses and not now.abort and released:
            yield _normal("RolloutResumed", "Rollout is resumed")
        yield from self._step_records()
        if now.pauses and not set(now.pauses) & set(before.pauses):  # a reason more is no other pause
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
            message = (aborted_condition(self._seen.status) or {}).get("message", "")
            yield Record(type="Warning", reason="RolloutAborted", message=message)
        if now.promoted and now.stable != before.stable:
            text = f"Rollout completed update to revision {now.revision} ({now.hash}): {self._promotion_reason()}"
            yield _normal("RolloutCompleted", text)

    def _step_records(self) -> Iterator[Record]:
        total = len(self._steps())
        for index, step in self._completed_steps():
            unseen = self._paused_unseen(index, step)
            if unseen:
                yield _normal("RolloutPaused", f"Rollout is paused ({CANARY_PAUSE})")
            yield _normal("RolloutStepCompleted", f"Rollout step {index + 1}/{total} completed ({step})")
            if unseen and isinstance(step, Pause) and step.duration is not None:
                yield _normal("RolloutResumed", "Rollout is resumed")
        if self._rested_unseen():
            yield _normal("RolloutPaused", f"Rollout is paused ({CANARY_PAUSE})")

    def _analysis_records(self) -> Iterator[Record]:
        kinds = {run.name: run.kind for run in self._seen.analysis_runs}
        for name, phase in self._now.runs.items():
            former = self._before.runs.get(name, "")
            if phase != former:
                bad = phase in {"Failed", "Error"}
                text = f"{kinds.get(name, '')} Analysis Run '{name}' Status New: '{phase}' Previous: '{former}'"
                yield Record(type="Warning" if bad else "Normal", reason=f"AnalysisRun{phase}", message=text)

    def _plugin_records(self) -> Iterator[Record]:
        """Each call at each phase once; of a Run that succeeded tells the completed step (`argo-behaviour.md` 12.3)."""
        words = {RUN: "transitioned to {}", ABORT: "aborted ({})", TERMINATE: "terminated ({})"}
        for each in self._now.plugins:
            name, number, operation, phase = each
            if each not in self._before.plugins and (operation, phase) != (RUN, SUCCESSFUL):
                bad = phase in {"Failed", "Error"}
                text = f"Step plugin {name} (step {number}) {words[operation].format(phase)}"
                yield Record(type="Warning" if bad else "Normal", reason="StepPluginTransition", message=text)

    def _experiment_records(self) -> Iterator[Record]:
        for experiment in self._seen.experiments:
            if experiment.name not in self._before.experiments:
                yield _normal("ExperimentCreated", f"Created Experiment '{experiment.name}'")
            for name, former, phase in self._experiment_changes(experiment.name):
                text = analysis_transition(name, former, phase, experiment.runs[name][1])
                yield Record(type="Warning", reason=f"AnalysisRun{phase}", message=text)  # always, as the peer's consumers know it

    def _experiment_changes(self, experiment: str) -> Iterator[tuple[str, str, str]]:
        """(analysis, former phase, phase)"""
        before = self._before.experiments.get(experiment, {})
        for name, phase in self._now.experiments[experiment].items():
            if phase != before.get(name, ""):
                yield name, before.get(name, ""), phase

    def _is_no_longer_completed(self) -> bool:
        """The turn of the condition `Completed`, which a further revision in the middle does not make again. The first version of a
        blue-green rollout is stable at once, and never not completed."""
        first = not self._before.stable
        if self._now.hash == self._before.hash or (first and isinstance(self._strategy, BlueGreen)):
            return False
        return first or self._before.promoted

    def _returned_to_stable(self) -> bool:
        """The template of the stable version is wanted again, in the middle of an update away from it (`argo-behaviour.md` 6.6)."""
        before, now = self._before, self._now
        return now.promoted and before.stable == now.stable and before.hash not in {"", now.hash}

    def _plan_changed_afterwards(self) -> bool:
        """Other steps, when all was done already: the peer takes it for a way back to the stable version."""
        before, now = self._before, self._now
        return before.promoted and before.hash == now.hash and before.steps_hash not in {"", now.steps_hash}

    def _within_window(self) -> bool:
        """A way back so short that it takes no steps. Once it is over, the version that it replaced is the one told of before."""
        window = self._seen.spec.rollback_window if self._seen.spec else None
        replaced = self._before.stable if self._now.promoted else self._now.stable
        sets = {each.hash: each for each in self._seen.replica_sets}
        return within_window(window, sets.get(self._now.hash), sets.get(replaced), self._seen.replica_sets)

    def _promotion_reason(self) -> str:
        if not self._before.stable:
            return "Initial deploy"
        completion = (self._seen.status.get("duration") or {}).get("completionStatus")
        if completion == "FastPromoted":
            return FULL_PROMOTION
        if completion == "FastRolledBack":
            return WITHIN_WINDOW if self._within_window() else FAST_ROLLBACK
        if isinstance(self._strategy, BlueGreen):
            return "Completed blue-green update"
        return f"Completed all {len(self._steps())} canary steps"

    # --- outcomes ------------------------------------------------------------------------------------------------------

    def outcomes(self) -> Iterator[Outcome]:
        before, now = self._before, self._now
        if now.hash != before.hash and before.hash and not before.promoted and not before.abort:
            yield self._outcome("superseded", before.attempt, about=before)
        if now.hash != before.hash and now.hash:
            yield self._outcome("started", now.attempt)
        went_on = (now.hash, now.step) != (before.hash, before.step)  # one pause may end and the next begin between two looks
        if before.paused and (went_on or not now.paused) and not now.abort and before.hash == now.hash:
            yield self._outcome("resumed", f"{now.attempt}.{before.pause_id}")
        yield from self._step_outcomes()
        if now.paused and (went_on or not before.paused):
            yield self._outcome("paused", f"{now.attempt}.{now.pause_id}", step=now.step)
        if now.weight is not None and now.weight != (before.weight or 0):  # where none was noted yet, there was none
            yield self._outcome("weight-changed", f"{now.attempt}.{self._asker()}.{now.weight}", weight=now.weight)
        yield from self._analysis_outcomes()
        yield from self._endings()

    def _analysis_outcomes(self) -> Iterator[Outcome]:
        ended = {run.name for run in self._seen.analysis_runs if run.terminate}  # nobody measured to the end
        changed = [(name, phase) for name, phase in self._now.runs.items() if phase != self._before.runs.get(name)]
        runs = [(name, phase) for name, phase in changed if name not in ended]
        for experiment in self._now.experiments:
            runs += [(f"{experiment}-{name}", phase) for name, _, phase in self._experiment_changes(experiment)]
        for name, phase in runs:
            if phase not in {"Pending", "Running"}:
                yield self._outcome("analysis-concluded", f"{name}.{phase}", message=f"{name}: {phase}")

    def _asker(self) -> str:
        """What asked for the present weight: the step, wherever the update has got to since. A planner that died meanwhile may have
        told the same change already, and its successor looks later."""
        now = self._now
        if now.promoted or now.abort:
            return "promoted" if now.promoted else "aborted"
        reached = list(enumerate(self._plan().entries[: (now.step or 0) + 1]))
        weights = ((index, kind.weight) for index, entry in reversed(reached) for kind in entry if isinstance(kind, SetWeight))
        return str(next((index for index, weight in weights if weight == now.weight), now.step))

    def _step_outcomes(self) -> Iterator[Outcome]:
        attempt = self._now.attempt
        for index, step in self._completed_steps():
            if self._paused_unseen(index, step):
                yield from self._whole_pause(index)
            yield self._outcome("step-completed", f"{attempt}.{index}", step=index)
        if self._now.rested is not None and self._rested_unseen():
            yield from self._whole_pause(self._now.rested)

    def _whole_pause(self, index: int) -> Iterator[Outcome]:
        yield self._outcome("paused", f"{self._now.attempt}.{index}:{CANARY_PAUSE}", step=index)
        yield self._outcome("resumed", f"{self._now.attempt}.{index}:{CANARY_PAUSE}")

    def _rested_unseen(self) -> bool:
        steps, rested = self._steps(), self._now.rested
        return rested is not None and rested < len(steps) and self._paused_unseen(rested, steps[rested])

    def _paused_unseen(self, index: int, step: Step) -> bool:
        """It paused and went on between two looks: a quick hand, no planner alive, or one that died before it noted so."""
        before = self._before
        seen = before.same_attempt(self._now) and before.step == index and (before.pauses or before.rested == index)
        return isinstance(step, Pause) and not seen

    def _endings(self) -> Iterator[Outcome]:
        before, now = self._before, self._now
        if now.abort and not before.abort:
            yield self._outcome("aborted", f"{now.attempt}.{self._seen.status.get('abortedAt')}")
        if now.back_on_stable and not before.back_on_stable:
            yield self._outcome("rolled-back", f"{now.attempt}.{self._seen.status.get('abortedAt')}")
        if now.promoted and now.stable != before.stable:
            yield self._outcome("promoted", now.attempt)
        if self._returned_to_stable():
            yield self._outcome("rolled-back", now.attempt)
        if now.done and not (before.done and now.same_attempt(before)):
            yield self._outcome("completed", now.attempt)
        if now.phase == "Degraded" and before.phase != "Degraded" and not now.abort:
            yield self._outcome("degraded", f"{now.attempt}.{self._seen.generation}.{now.message}")

    def _completed_steps(self) -> Iterator[tuple[int, Step]]:
        """Steps that were carried out, not jumped over: a first deployment, a way back and a full promotion jump."""
        before, now, steps = self._before, self._now, self._steps()
        whole = before.stable not in {"", now.stable}  # nothing was told since before this update, and now it is over
        walked = (before.hash == now.hash or whole) and self._promotion_reason().startswith("Completed all")
        jumped = (now.promoted and not walked) or self._within_window() or self._plan_changed_afterwards()
        if now.step is None or now.abort or jumped:
            return
        first = 0 if self._restarted else (before.step or 0)
        for index in range(first, min(now.step, len(steps))):
            yield index, steps[index]

    def _steps(self) -> tuple[Step, ...]:
        return self._plan().steps

    def _plan(self) -> Canary:
        return _plan_of(self._seen)

    def _outcome(
        self,
        verb: OutcomeVerb,
        detail: str,
        *,
        about: Told | None = None,
        step: int | None = None,
        weight: int | None = None,
        message: str = "",
    ) -> Outcome:
        told, seen = about or self._now, self._seen
        containers = (seen.spec.template.get("spec") or {}).get("containers") or () if seen.spec and about is None else ()
        outcome = RolloutOutcome(
            namespace=seen.namespace,
            name=seen.name,
            verb=verb,
            uid=seen.uid,
            revision=told.revision,
            hash=told.hash,
            phase=self._now.phase,
            message=message or self._now.message,
            step=step,
            steps=len(self._steps()) or None,
            weight=weight,
            images=tuple(each.get("image", "") for each in containers),
            requested_by=seen.annotations.get(keys.REQUESTED_BY, ""),
        )
        return Outcome(f"{seen.uid}.{told.revision}.{told.hash}.{verb}.{detail}", outcome)


def analysis_transition(name: str, before: str, after: str, message: str) -> str:
    """The words about an analysis of an experiment, on the Experiment and on its Rollout (`argo-behaviour.md` 10)."""
    because = f": {message}" if message else ""
    return f"AnalysisRun '{name}' transitioned from {before} -> {after}{because}"


def _normal(reason: str, message: str) -> Record:
    return Record(type="Normal", reason=reason, message=message)
