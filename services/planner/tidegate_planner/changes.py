"""What has changed between what was told of a rollout and what is seen now: the questions its Events and outcomes share. Pure."""

from collections.abc import Iterator

from tidegate.rollout import BlueGreen, Canary, Pause, Step
from tidegate_planner.progress import FAST_ROLLBACK, FULL_PROMOTION, WITHIN_WINDOW
from tidegate_planner.seen import Seen
from tidegate_planner.situation import within_window
from tidegate_planner.told import Told


def plan_of(seen: Seen) -> Canary:
    """The one that the status is of: it may have been edited between a step's end and this look."""
    strategy = seen.spec.strategy if seen.spec else None
    return (seen.former_plan or strategy) if isinstance(strategy, Canary) else Canary()


class Changes:
    def __init__(self, before: Told, now: Told, seen: Seen) -> None:
        self.before, self.now, self.seen = before, now, seen
        self.strategy = seen.spec.strategy if seen.spec else None
        self.restarted = before.hash != now.hash or before.steps_hash != now.steps_hash or before.attempt != now.attempt

    def went_on(self) -> bool:
        """One pause may end and the next begin between two looks, both within the second that is all a pause's start tells."""
        return (self.now.hash, self.now.step) != (self.before.hash, self.before.step)

    def is_no_longer_completed(self) -> bool:
        """The turn of the condition `Completed`, which a further revision in the middle does not make again. The first version of a
        blue-green rollout is stable at once, and never not completed."""
        first = not self.before.stable
        if self.now.hash == self.before.hash or (first and isinstance(self.strategy, BlueGreen)):
            return False
        return first or self.before.promoted

    def returned_to_stable(self) -> bool:
        """The template of the stable version is wanted again, in the middle of an update away from it (`argo-behaviour.md` 6.6)."""
        before, now = self.before, self.now
        return now.promoted and before.stable == now.stable and before.hash not in {"", now.hash}

    def plan_changed_afterwards(self) -> bool:
        """Other steps, when all was done already: the peer takes it for a way back to the stable version."""
        before, now = self.before, self.now
        return before.promoted and before.hash == now.hash and before.steps_hash not in {"", now.steps_hash}

    def within_window(self) -> bool:
        """A way back so short that it takes no steps. Once it is over, the version that it replaced is the one told of before."""
        window = self.seen.spec.rollback_window if self.seen.spec else None
        replaced = self.before.stable if self.now.promoted else self.now.stable
        sets = {each.hash: each for each in self.seen.replica_sets}
        return within_window(window, sets.get(self.now.hash), sets.get(replaced), self.seen.replica_sets)

    def promotion_reason(self) -> str:
        if not self.before.stable:
            return "Initial deploy"
        completion = (self.seen.status.get("duration") or {}).get("completionStatus")
        if completion == "FastPromoted":
            return FULL_PROMOTION
        if completion == "FastRolledBack":
            return WITHIN_WINDOW if self.within_window() else FAST_ROLLBACK
        if isinstance(self.strategy, BlueGreen):
            return "Completed blue-green update"
        return f"Completed all {len(self.steps())} canary steps"

    def rested_unseen(self) -> bool:
        steps, rested = self.steps(), self.now.rested
        return rested is not None and rested < len(steps) and self.paused_unseen(rested, steps[rested])

    def paused_unseen(self, index: int, step: Step) -> bool:
        """It paused and went on between two looks: a quick hand, no planner alive, or one that died before it noted so."""
        before = self.before
        seen = before.same_attempt(self.now) and before.step == index and (before.pauses or before.rested == index)
        return isinstance(step, Pause) and not seen

    def completed_steps(self) -> Iterator[tuple[int, Step]]:
        """Steps that were carried out, not jumped over: a first deployment, a way back and a full promotion jump."""
        before, now, steps = self.before, self.now, self.steps()
        whole = before.stable not in {"", now.stable}  # nothing was told since before this update, and now it is over
        walked = (before.hash == now.hash or whole) and self.promotion_reason().startswith("Completed all")
        jumped = (now.promoted and not walked) or self.within_window() or self.plan_changed_afterwards()
        if now.step is None or now.abort or jumped:
            return
        first = 0 if self.restarted else (before.step or 0)
        for index in range(first, min(now.step, len(steps))):
            yield index, steps[index]

    def experiment_changes(self, experiment: str) -> Iterator[tuple[str, str, str]]:
        """(analysis, former phase, phase)"""
        before = self.before.experiments.get(experiment, {})
        for name, phase in self.now.experiments[experiment].items():
            if phase != before.get(name, ""):
                yield name, before.get(name, ""), phase

    def steps(self) -> tuple[Step, ...]:
        return self.plan().steps

    def plan(self) -> Canary:
        return plan_of(self.seen)
