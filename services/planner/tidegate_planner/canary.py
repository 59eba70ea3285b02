"""The canary strategy: when a step is done and what follows (`argo-behaviour.md` 3.6, 4).

Rule of this file: pure. `advanced` moves the progress as far as what was seen allows, all in one decision: two setWeight steps
that need the same pods cost one status write, not two.
"""

from dataclasses import replace

from tidegate.durations import epoch, rfc3339
from tidegate.rollout import Analysis, Pause, SetCanaryScale, SetHeaderRoute, SetMirrorRoute, SetWeight, Step
from tidegate_planner import analysis, routing, targets
from tidegate_planner.progress import CANARY_PAUSE, Progress, aborted, paused, promoted, resumed
from tidegate_planner.situation import Situation


def advanced(at: Situation) -> Progress:
    """As many steps further as what was seen allows."""
    progress = at.progress
    for _ in range(len(at.canary.steps) + 2):
        after = _once(replace(at, progress=progress))
        if after == progress:
            break
        progress = after
    return progress


def _once(at: Situation) -> Progress:
    progress = at.progress
    if at.spec.paused or progress.abort or progress.fully_promoted:
        return progress
    verdict = analysis.verdict(at)
    if verdict.abort_reason is not None:
        return aborted(progress, reason=verdict.abort_reason, now=rfc3339(at.now), steps=at.steps)
    if verdict.inconclusive is not None:
        return paused(progress, reason=verdict.inconclusive, now=rfc3339(at.now))
    if progress.promote_full:
        return _promoted_if_available(at, "Full promotion requested")
    if progress.inconclusive:
        return progress
    progress = _without_stale_flag(at)
    step = targets.current_step(progress, at.canary)
    if step is None:
        return _promoted_if_available(at, f"Completed all {len(at.canary.steps)} canary steps")
    return _after_step(replace(at, progress=progress), step)


def _without_stale_flag(at: Situation) -> Progress:
    """Outside a pause step `controllerPause` without a pause says that a person let an inconclusive run pass; that is done now."""
    in_pause_step = isinstance(targets.current_step(at.progress, at.canary), Pause)
    return at.progress if in_pause_step or at.progress.pauses else replace(at.progress, controller_pause=False)


def _promoted_if_available(at: Situation, because: str) -> Progress:
    """The end of the plan: all pods of the new version serve, and all traffic is seen to be theirs."""
    if not targets.enough_to_promote(at) or not routing.settled(at):
        return at.progress
    return promoted(at.progress, because=because, steps=at.steps)


def _after_step(at: Situation, step: Step) -> Progress:
    progress = at.progress
    match step:
        case Pause():
            return _after_pause(at, step)
        case SetWeight() | SetCanaryScale():
            done = targets.counts_reached(at) and routing.settled(at)
        case SetHeaderRoute() | SetMirrorRoute():
            done = routing.settled(at)
        case Analysis():
            done = analysis.step_passed(at)
        case _:
            done = False  # experiments and plugins; validation refuses a plan that holds one
    return replace(progress, step_index=(progress.step_index or 0) + 1) if done else progress


def _after_pause(at: Situation, step: Pause) -> Progress:
    """Entering adds the condition; a person clears it, or its time runs out. Then the step is done.

    The start is rounded up to a whole second, which is all that the field holds: a pause of 10 s never lasts 9.
    """
    progress = at.progress
    held = progress.pause_for(CANARY_PAUSE)
    if held is None:
        if not progress.controller_pause:
            return paused(progress, reason=CANARY_PAUSE, now=rfc3339(-(-at.now // 1)))
        return _next(progress)
    if step.duration is not None and at.now >= epoch(held.start_time) + step.duration:
        return _next(progress)
    return progress


def _next(progress: Progress) -> Progress:
    return replace(resumed(progress, reason=CANARY_PAUSE), step_index=(progress.step_index or 0) + 1)


def pause_ends(at: Situation) -> float | None:
    """When the pause that is being waited for is over, in seconds since 1970."""
    step, held = targets.current_step(at.progress, at.canary), at.progress.pause_for(CANARY_PAUSE)
    if isinstance(step, Pause) and step.duration is not None and held is not None:
        return epoch(held.start_time) + step.duration
    return None
