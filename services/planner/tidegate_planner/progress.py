"""Where a rollout stands: the part of its status that steers, as one value, and the changes that commands make to it.

Rule of this file: each function takes a Progress and returns one; nothing else remembers anything. What people and tools
patch into the status (`argo-behaviour.md` 6.1) is obeyed here (6.2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidegate_planner.step_calls import Call, calls_of

Json = Mapping[str, Any]

CANARY_PAUSE = "CanaryPauseStep"
BLUE_GREEN_PAUSE = "BlueGreenPause"
INCONCLUSIVE_RUN = "InconclusiveAnalysisRun"
INCONCLUSIVE_EXPERIMENT = "InconclusiveExperiment"

FULL_PROMOTION, WITHIN_WINDOW = "Full promotion requested", "Rollback within window"
FAST_ROLLBACK, BACK_TO_STABLE = "Fast rollback", "Rollback to stable"


@dataclass(frozen=True, slots=True)
class PauseCondition:
    reason: str
    start_time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """`step_index` is None where the plan has no steps. `abort_reason` is new text for this decision only, never read back.

    `preview_accepted`: nothing but its pods keeps the new version of a blue-green update from the active Service any more
    (`scaleUpPreviewCheckPoint`). It is reached once per attempt, and kept over restarts and lost pods. `step_calls`: what plugins
    were asked in this update.
    """

    current_hash: str = ""
    stable_hash: str = ""
    step_index: int | None = None
    steps_hash: str = ""
    pauses: tuple[PauseCondition, ...] = ()
    controller_pause: bool = False
    abort: bool = False
    aborted_at: str | None = None
    promote_full: bool = False
    preview_accepted: bool = False
    step_calls: tuple[Call, ...] = ()
    abort_reason: str = ""
    promoted_because: str = ""

    @property
    def fully_promoted(self) -> bool:
        return self.stable_hash != "" and self.stable_hash == self.current_hash

    @property
    def inconclusive(self) -> bool:
        return any(pause.reason == INCONCLUSIVE_RUN for pause in self.pauses)

    def pause_for(self, reason: str) -> PauseCondition | None:
        return next((pause for pause in self.pauses if pause.reason == reason), None)


def progress_of(status: Json) -> Progress:
    return Progress(
        current_hash=status.get("currentPodHash") or "",
        stable_hash=status.get("stableRS") or "",
        step_index=status.get("currentStepIndex"),
        steps_hash=status.get("currentStepHash") or "",
        pauses=tuple(PauseCondition(each["reason"], each.get("startTime") or "") for each in status.get("pauseConditions") or ()),
        controller_pause=bool(status.get("controllerPause")),
        abort=bool(status.get("abort")),
        aborted_at=status.get("abortedAt"),
        promote_full=bool(status.get("promoteFull")),
        preview_accepted=bool((status.get("blueGreen") or {}).get("scaleUpPreviewCheckPoint")),
        step_calls=calls_of(status),
    )


def restarted(before: Progress, *, current_hash: str, steps_hash: str, steps: int | None) -> Progress:
    """What a changed template or changed steps make of it: everything that was about the former update is forgotten.

    The first revision ever is stable at once (`argo-behaviour.md` 5.4); a return to the stable template has no step to take.
    `steps` is the number of steps, None for a strategy or a plan without any.
    """
    stable_hash = before.stable_hash or current_hash
    nothing_to_do = stable_hash == current_hash
    index = None if steps is None else steps if nothing_to_do else 0
    because = "Initial deploy" if not before.stable_hash else BACK_TO_STABLE if nothing_to_do else ""
    return Progress(
        current_hash=current_hash, stable_hash=stable_hash, step_index=index, steps_hash=steps_hash, promoted_because=because
    )


def aborted(before: Progress, *, reason: str, now: str, steps: int | None) -> Progress:
    """The time of the first abort is kept; a rollout that is already at its target has nothing to abort.

    An abort ends a full promotion too: left standing, `promoteFull` would lift the abort in the next pass, and so on for ever.
    """
    if before.fully_promoted:
        return replace(before, abort=False, aborted_at=None)
    return replace(
        before,
        abort=True,
        aborted_at=before.aborted_at or now,
        abort_reason=reason,
        pauses=(),
        controller_pause=False,
        promote_full=False,
        preview_accepted=False,
        step_index=None if steps is None else 0,
    )


def paused(before: Progress, *, reason: str, now: str) -> Progress:
    if before.pause_for(reason):
        return before
    return replace(before, pauses=(*before.pauses, PauseCondition(reason, now)), controller_pause=True)


def resumed(before: Progress, *, reason: str) -> Progress:
    """Without `reason`'s pause; when it was the last one nothing of the controller's pausing is left."""
    left = tuple(pause for pause in before.pauses if pause.reason != reason)
    return replace(before, pauses=left, controller_pause=bool(left))


def at_end(before: Progress, *, steps: int | None) -> Progress:
    """All steps are behind it, without having been taken: only pods are still to be waited for."""
    return replace(before, step_index=steps, pauses=(), controller_pause=False)


def accepted(before: Progress) -> Progress:
    """The preview has passed: what paused it is over."""
    return replace(resumed(before, reason=BLUE_GREEN_PAUSE), preview_accepted=True)


def promoted(before: Progress, *, because: str, steps: int | None) -> Progress:
    return replace(
        before,
        stable_hash=before.current_hash,
        step_index=steps,
        promote_full=False,
        preview_accepted=False,
        pauses=(),
        controller_pause=False,
        promoted_because=because,
    )


def obeyed(before: Progress, *, now: str, steps: int | None) -> Progress:
    """What the user's words in the status ask for: abort, full promotion, or nothing.

    Of both the later one counts. An abort that was obeyed has its time; a full promotion beside it came later and lifts it.
    One without a time is new.
    """
    if before.promote_full and not (before.abort and before.aborted_at is None):
        if before.fully_promoted:
            return replace(before, promote_full=False)
        return replace(before, abort=False, aborted_at=None, pauses=(), controller_pause=False)
    if before.abort:
        return aborted(before, reason="", now=now, steps=steps)
    return replace(before, aborted_at=None)
