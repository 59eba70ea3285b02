"""What to tell the world, from two views of a rollout: core Events (`argo-behaviour.md` 12.3) and outcomes (DESIGN.md 4).

Rule of this file: pure. Only differences between what was told last and what is observed now are told, so nothing is lost when a
process dies between two writes, and nothing is told that did not happen. Ids of outcomes are made of what they are about: a
process that tells the same again sends a duplicate, which consumers drop.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from tidegate import keys
from tidegate.messages import OutcomeVerb, Record, RolloutOutcome
from tidegate.rollout import Pause, SetWeight
from tidegate_planner.changes import Changes, plan_of
from tidegate_planner.conditions import HEALTHY
from tidegate_planner.event_records import EventRecords
from tidegate_planner.progress import CANARY_PAUSE
from tidegate_planner.seen import Seen
from tidegate_planner.told import Told, snapshot

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
    their fixed ids; Events are not, they would be noise. A rollout that is new has nothing behind it of which was told."""
    now = snapshot(seen)
    if before is None:
        before = Told() if _is_new(now, seen) else _nothing_but_outcomes(now)
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
    changes = Changes(before, now, seen)
    return Chapter(now, tuple(EventRecords(changes).records()), tuple(_Outcomes(changes).outcomes()))


def _is_new(now: Told, seen: Seen) -> bool:
    """It has no status, or one of a first deployment that never was whole: who wrote that did not live to tell."""
    if not seen.status:
        return True
    whole = now.phase == "Healthy" or any(each["type"] == HEALTHY for each in seen.status.get("conditions") or ())
    return now.promoted and now.annotated <= 1 and len(now.sets) <= 1 and not whole


def _nothing_but_outcomes(now: Told) -> Told:
    """A state from which the present one differs in what outcomes tell, and in nothing that Events tell."""
    return replace(now, hash="", stable="", step=0, phase="", pauses=(), abort=False, back_on_stable=False, done=False)


def _pause_was_cleared(now: Told, seen: Seen) -> bool:
    """A person has ended the pause of this step, and the step is not over yet. The status says so also to one who knows nothing of
    what was told, and who would tell of a pause that nobody saw when the step is over."""
    steps = plan_of(seen).steps
    pauses_here = now.step is not None and now.step < len(steps) and isinstance(steps[now.step], Pause)
    return pauses_here and bool(seen.status.get("controllerPause")) and not (now.pauses or now.abort)


class _Outcomes:
    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def outcomes(self) -> Iterator[Outcome]:
        before, now = self._changes.before, self._changes.now
        if now.hash != before.hash and before.hash and not before.promoted and not before.abort:
            yield self._outcome("superseded", before.attempt, about=before)
        if now.hash != before.hash and now.hash:
            yield self._outcome("started", now.attempt)
        went_on = self._changes.went_on()
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
        ended = {run.name for run in self._changes.seen.analysis_runs if run.terminate}  # nobody measured to the end
        changed = [(name, phase) for name, phase in self._changes.now.runs.items() if phase != self._changes.before.runs.get(name)]
        runs = [(name, phase) for name, phase in changed if name not in ended]
        for experiment in self._changes.now.experiments:
            runs += [(f"{experiment}-{name}", phase) for name, _, phase in self._changes.experiment_changes(experiment)]
        for name, phase in runs:
            if phase not in {"Pending", "Running"}:
                yield self._outcome("analysis-concluded", f"{name}.{phase}", message=f"{name}: {phase}")

    def _asker(self) -> str:
        """What asked for the present weight: the step, wherever the update has got to since. A planner that died meanwhile may have
        told the same change already, and its successor looks later."""
        now = self._changes.now
        if now.promoted or now.abort:
            return "promoted" if now.promoted else "aborted"
        reached = list(enumerate(self._changes.plan().entries[: (now.step or 0) + 1]))
        weights = ((index, kind.weight) for index, entry in reversed(reached) for kind in entry if isinstance(kind, SetWeight))
        return str(next((index for index, weight in weights if weight == now.weight), now.step))

    def _step_outcomes(self) -> Iterator[Outcome]:
        attempt = self._changes.now.attempt
        for index, step in self._changes.completed_steps():
            if self._changes.paused_unseen(index, step):
                yield from self._whole_pause(index)
            yield self._outcome("step-completed", f"{attempt}.{index}", step=index)
        if self._changes.now.rested is not None and self._changes.rested_unseen():
            yield from self._whole_pause(self._changes.now.rested)

    def _whole_pause(self, index: int) -> Iterator[Outcome]:
        yield self._outcome("paused", f"{self._changes.now.attempt}.{index}:{CANARY_PAUSE}", step=index)
        yield self._outcome("resumed", f"{self._changes.now.attempt}.{index}:{CANARY_PAUSE}")

    def _endings(self) -> Iterator[Outcome]:
        before, now = self._changes.before, self._changes.now
        if now.abort and not before.abort:
            yield self._outcome("aborted", f"{now.attempt}.{self._changes.seen.status.get('abortedAt')}")
        if now.back_on_stable and not before.back_on_stable:
            yield self._outcome("rolled-back", f"{now.attempt}.{self._changes.seen.status.get('abortedAt')}")
        if now.promoted and now.stable != before.stable:
            yield self._outcome("promoted", now.attempt)
        if self._changes.returned_to_stable():
            yield self._outcome("rolled-back", now.attempt)
        if now.done and not (before.done and now.same_attempt(before)):
            yield self._outcome("completed", now.attempt)
        if now.phase == "Degraded" and before.phase != "Degraded" and not now.abort:
            yield self._outcome("degraded", f"{now.attempt}.{self._changes.seen.generation}.{now.message}")

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
        told, seen = about or self._changes.now, self._changes.seen
        containers = (seen.spec.template.get("spec") or {}).get("containers") or () if seen.spec and about is None else ()
        outcome = RolloutOutcome(
            namespace=seen.namespace,
            name=seen.name,
            verb=verb,
            uid=seen.uid,
            revision=told.revision,
            hash=told.hash,
            phase=self._changes.now.phase,
            message=message or self._changes.now.message,
            step=step,
            steps=len(self._changes.steps()) or None,
            weight=weight,
            images=tuple(each.get("image", "") for each in containers),
            requested_by=seen.annotations.get(keys.REQUESTED_BY, ""),
        )
        return Outcome(f"{seen.uid}.{told.revision}.{told.hash}.{verb}.{detail}", outcome)
