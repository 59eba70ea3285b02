"""The canary strategy: when a step is done and what follows (`argo-behaviour.md` 3.6, 4).

Rule of this file: pure; it answers what `strategies.Strategy` asks. `advanced` moves the progress as far as what was seen allows,
all in one decision: two setWeight steps that need the same pods cost one status write, not two.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate.durations import epoch, rfc3339
from tidegate.messages import Destination, Split, TrafficRequested
from tidegate.rollout import Analysis, Experiment, Pause, Plugin, SetCanaryScale, SetHeaderRoute, SetMirrorRoute, SetWeight, Step
from tidegate_planner import analysis, canary_sizes, delays, experiment_step, ping_pong, routing, step_plugins, targets
from tidegate_planner.progress import (
    CANARY_PAUSE,
    FULL_PROMOTION,
    WITHIN_WINDOW,
    Progress,
    aborted,
    at_end,
    paused,
    promoted,
    resumed,
)
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.situation import Situation, roles_of
from tidegate_planner.step_calls import statuses_of

Json = Mapping[str, Any]

SECTION = "canary"


def advanced(at: Situation) -> Progress:
    """As many steps further as what was seen allows."""
    progress = step_plugins.heard(at)
    for _ in range(len(at.canary.steps) + 2):
        after = step_plugins.begun(replace(at, progress=_once(replace(at, progress=progress))))
        if after == progress:
            break
        progress = after
    return progress


def _once(at: Situation) -> Progress:
    if at.progress.abort or at.progress.fully_promoted:
        return at.progress
    at = replace(at, progress=experiment_step.without_outdated_pause(at))
    judged = _judged(at)
    if judged is not None:
        return judged
    return at.progress if at.spec.paused else _walked_on(at)


def _judged(at: Situation) -> Progress | None:
    """What a verdict makes of it, also while `spec.paused`: the canary has users then, too."""
    for verdict in (analysis.verdict(at), experiment_step.verdict(at)):
        if verdict.abort_reason is not None:
            return aborted(at.progress, reason=verdict.abort_reason, now=rfc3339(at.now), steps=at.steps)
        if verdict.inconclusive is not None:
            return paused(at.progress, reason=verdict.inconclusive, now=rfc3339(at.now))
    return None


def _walked_on(at: Situation) -> Progress:
    progress = at.progress
    if progress.promote_full:
        return _promoted_if_available(at, FULL_PROMOTION)
    if at.within_window:
        return _promoted_if_available(replace(at, progress=at_end(progress, steps=at.steps)), WITHIN_WINDOW)
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
            done = targets.counts_reached(at) and routing.step_settled(at)
        case SetHeaderRoute() | SetMirrorRoute():
            done = routing.step_settled(at)
        case Analysis():
            done = analysis.passed(at, analysis.STEP)
        case Plugin():
            if reason := step_plugins.failure(at):
                return aborted(progress, reason=reason, now=rfc3339(at.now), steps=at.steps)
            done = step_plugins.done(at)
        case Experiment():
            done = experiment_step.passed(at)
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


# --- traffic and pods --------------------------------------------------------------------------------------------------


def request(at: Situation) -> TrafficRequested | None:
    return routing.wanted(at)


def sizes(at: Situation, now: dict[str, int]) -> dict[str, int]:
    return canary_sizes.sizes(at, now)


def deadlines(at: Situation, sizes: delays.Sizes) -> dict[str, str | None]:
    """Without routing the budget says when pods go, and nothing lingers."""
    changes = delays.used_changes(at)
    if not at.canary.traffic_routing:
        return changes
    return {**changes, **delays.older_changes(at, sizes), **delays.aborted_changes(at)}


# --- status ------------------------------------------------------------------------------------------------------------


def serving(at: Situation) -> tuple[ReplicaSet, ...]:
    return at.roles.everyone


def scale_selector(at: Situation) -> Json:
    return at.spec.selector


def section(at: Situation) -> dict[str, Any]:
    fields: dict[str, Any] = dict(analysis.run_statuses(at))
    if at.progress.step_calls:
        fields["stepPluginStatuses"] = statuses_of(at.progress.step_calls)
    experiment = experiment_step.in_use(at)
    if experiment is not None:
        fields["currentExperiment"] = experiment.name
    parts = {"weights": weights(at), "stablePingPong": ping_pong.told(at)}
    return {**fields, **{field: part for field, part in parts.items() if part}}


def weights(at: Situation) -> Json | None:
    """The split that the data plane was last seen to have. Of what is only asked for no more is recorded than which pods of
    experiments it names, at weight 0: from now on they may get requests, and must not go (N15)."""
    if not at.canary.traffic_routing:
        return None
    seen, request = _seen_weights(at), routing.wanted(at)
    if seen is None or request is None or request.split is None:
        return seen
    held = seen.get("additional") or []
    known = {each.get("podTemplateHash") for each in held}
    asked = [{**_recorded(each), "weight": 0} for each in request.split.additional if each.hash not in known]
    return {**seen, "additional": [*held, *asked]} if asked else seen


def _seen_weights(at: Situation) -> Json | None:
    before: Json | None = (at.seen.status.get("canary") or {}).get("weights")
    split, traffic = _answered_split(at), at.seen.traffic
    if split is None or traffic is None:
        return before
    if traffic.state != "applied":
        return {**before, "verified": False} if before and traffic.verified is False else before
    recorded: dict[str, Any] = {"canary": _recorded(split.canary), "stable": _recorded(split.stable)}
    if split.additional:
        recorded["additional"] = [_recorded(each) for each in split.additional]
    return recorded if traffic.verified is None else {**recorded, "verified": traffic.verified}


def _recorded(side: Destination) -> dict[str, Any]:
    named = {"serviceName": side.service} if side.service else {}
    return {"weight": side.weight, **named, "podTemplateHash": side.hash}


def _answered_split(at: Situation) -> Split | None:
    """What the traffic-shifter's last word is about: the split that is wanted now, or the one that let the update move on in this
    very decision. Without the latter the last weight of all was never told, nor one that the next step takes up at once."""
    situations = [at]
    if at.entered is not None and at.entered != at.progress:
        situations.append(replace(at, progress=at.entered, roles=roles_of(at.seen, at.roles.new, at.entered.stable_hash)))
    for each in situations:
        request = routing.wanted(each)
        if request is not None and at.seen.traffic is not None and at.seen.traffic.digest == request.digest:
            return request.split
    return None


def is_healthy(at: Situation, status: Json) -> bool:
    replicas, progress = at.spec.replicas, at.progress
    counts = {int(status.get(field, 0)) for field in ("updatedReplicas", "availableReplicas", "replicas")}
    steps_done = progress.step_index is None or progress.step_index >= len(at.canary.steps)
    return counts == {replicas} and steps_done and progress.fully_promoted


def unfinished(at: Situation, status: Json) -> str:
    if not at.canary.traffic_routing and int(status.get("replicas", 0)) > int(status.get("updatedReplicas", 0)):
        return "old replicas are pending termination"
    return "" if at.progress.fully_promoted else "waiting for all steps to complete"


def takes_its_time(at: Situation) -> bool:
    at_a_step = not (at.progress.fully_promoted or at.progress.promote_full)  # a full promotion waits for pods only
    return at_a_step and isinstance(targets.current_step(at.progress, at.canary), Pause | Analysis | Experiment)


def waits_for_person(at: Situation) -> bool:
    step = targets.current_step(at.progress, at.canary)
    return isinstance(step, Pause) and step.duration is None and at.progress.pause_for(CANARY_PAUSE) is not None
