"""What the current step asks for: its weight and its pods (`argo-behaviour.md` 3.2 to 3.4), and whether the pods are there.

Rule of this file: pure questions about a situation; nothing here moves the progress.
"""

from collections.abc import Mapping
from typing import Any

from tidegate import keys
from tidegate.messages import Destination
from tidegate.rollout import Canary, SetCanaryScale, SetWeight, Step
from tidegate_planner import service_pods
from tidegate_planner.progress import Progress
from tidegate_planner.replicas import (
    CanaryScale,
    ProgressThreshold,
    RecordedWeights,
    at_desired_counts,
    canary_split,
    enough_available,
    routed_counts,
    stepped_down_weight,
)
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.situation import Situation


def weight_at(index: int, canary: Canary) -> int:
    """The nearest setWeight at or before step `index`, 0 before the first."""
    return next((step.weight for step in reversed(canary.asked(until=index)) if isinstance(step, SetWeight)), 0)


def _recorded(at: Situation) -> Mapping[str, Any]:
    weights: Mapping[str, Any] = (at.seen.status.get("canary") or {}).get("weights") or {}
    return weights


def recorded_weights(at: Situation) -> RecordedWeights | None:
    """`status.canary.weights` as persisted: what the data plane was last seen to do."""
    weights = _recorded(at)
    if not weights:
        return None
    canary, stable = weights.get("canary") or {}, weights.get("stable") or {}
    return RecordedWeights(canary=canary.get("weight", 0), stable=stable.get("weight", 0))


def recorded_hash(at: Situation) -> str:
    """The ReplicaSet that the canary's recorded weight was for."""
    return (_recorded(at).get("canary") or {}).get("podTemplateHash") or ""


def recorded_additional(at: Situation) -> tuple[Destination, ...]:
    """The sets of pods beside the two sides, those of experiments, with the share they were last seen to get: 0 where it was only
    asked for."""
    return tuple(
        Destination(weight=each.get("weight") or 0, service=each.get("serviceName"), hash=each.get("podTemplateHash") or "")
        for each in _recorded(at).get("additional") or ()
    )


def current_step(progress: Progress, canary: Canary) -> Step | None:
    index = progress.step_index
    return canary.steps[index] if index is not None and 0 <= index < len(canary.steps) else None


def desired_weight(progress: Progress, canary: Canary) -> int:
    """The weight that decides how many pods there are (3.2), out of `canary.max_weight`."""
    if progress.promote_full or progress.stable_hash == "" or progress.fully_promoted:
        return canary.max_weight
    if progress.abort:
        return 0
    if current_step(progress, canary) is None:
        return canary.max_weight
    return weight_at(progress.step_index or 0, canary)


def stepped_down(at: Situation, behind: ReplicaSet | None) -> int:
    """The weight on the way down from `behind`'s recorded share to none; 0 where nothing is known of it."""
    recorded, stable = recorded_weights(at), at.roles.stable
    if recorded is None or behind is None or behind.available == 0 or behind.hash != recorded_hash(at):
        return 0
    return stepped_down_weight(
        set_weights=[step.weight for step in at.canary.asked() if isinstance(step, SetWeight)],
        replicas=at.spec.replicas,
        stable_available=stable.available if stable else 0,
        canary_available=behind.available,
        recorded=recorded.canary,
        max_weight=at.canary.max_weight,
    )


def canary_scale(progress: Progress, canary: Canary) -> CanaryScale | None:
    """The `setCanaryScale` in force (3.3): the nearest at or before the current step, none after an abort or at the end."""
    keeps_after_abort = canary.abort_scale_down_delay == 0
    if current_step(progress, canary) is None or (progress.abort and not keeps_after_abort):
        return None
    for step in reversed(canary.asked(until=progress.step_index or 0)):
        if isinstance(step, SetCanaryScale):
            by_weight = step.replicas is None and step.weight is None
            return None if by_weight else CanaryScale(step.replicas, step.weight)
    return None


def desired_counts(at: Situation) -> tuple[int, int | None]:
    """(canary, stable) that the current step asks for in the end. Stable is None where only the canary counts."""
    weight = desired_weight(at.progress, at.canary)
    replicas = at.spec.replicas
    if at.canary.traffic_routing:
        walks = at.progress.abort and at.canary.dynamic_stable_scale
        return _routed(at, stepped_down(at, at.roles.new) if walks else weight)
    if at.roles.stable is None or at.roles.stable is at.roles.new:
        return replicas, None
    surge = service_pods.surge_left(at)
    canary, stable = canary_split(replicas=replicas, weight=weight, surge=surge, max_weight=at.canary.max_weight)
    return canary, max(stable, stays_to_the_end(at))


def stays_to_the_end(at: Situation) -> int:
    """Without routing: what stable keeps for its Service though all pods are to be new ones by now. A step before the last one that
    asks for that means it; with the last one, and after it, there is nothing to wait for but the pods."""
    progress, steps = at.progress, at.canary.steps
    if progress.stable_hash == "" or desired_weight(progress, at.canary) < at.canary.max_weight:
        return 0
    step = current_step(progress, at.canary)
    last = progress.step_index == len(steps) - 1 and isinstance(step, SetWeight)
    holds = step is not None and not last and not progress.promote_full
    return 0 if holds else service_pods.last_of_stable(at)


def _routed(at: Situation, weight: int) -> tuple[int, int | None]:
    if at.roles.stable is None or at.progress.fully_promoted:
        return at.spec.replicas, None
    recorded = recorded_weights(at)
    canary, stable = routed_counts(
        replicas=at.spec.replicas,
        weight=weight,
        scale=canary_scale(at.progress, at.canary),
        floor=at.canary.min_pods,
        dynamic=at.canary.dynamic_stable_scale,
        recorded=RecordedWeights(canary=recorded.canary if recorded else 0, stable=_recorded_share(at, at.roles.stable)),
        aborted=at.progress.abort,
        max_weight=at.canary.max_weight,
    )
    return canary, stable


def _recorded_share(at: Situation, of: ReplicaSet) -> int:
    """What the data plane was last seen to give this version; all where it was not stable then. Routers that fail, or a planner who
    died after a promotion, may have left the record as it was when this one was the canary: what it got since nobody has noted."""
    sides = [_recorded(at).get(side) or {} for side in ("stable", "canary")]
    if sides[0].get("podTemplateHash") != of.hash:
        return at.canary.max_weight
    return sum(each.get("weight", 0) for each in sides if each.get("podTemplateHash") == of.hash)


def surges_in_steps(at: Situation) -> bool:
    """The owner wants `maxSurge` to count with traffic routing too, where the peer does not ask it (AR#3284)."""
    return at.seen.annotations.get(keys.SURGE_IN_STEPS) == "true"


def counts_reached(at: Situation) -> bool:
    """Whether the pods are where the current step wants them (3.4)."""
    desired_canary, desired_stable = desired_counts(at)
    stable = at.roles.stable
    return at_desired_counts(
        canary=at.new_count if at.roles.new else None,
        desired_canary=desired_canary,
        stable=stable.count if stable else None,
        stable_created=stable.current if stable else 0,
        desired_stable=None if at.canary.dynamic_stable_scale else desired_stable,
        older=() if at.canary.traffic_routing else service_pods.others(at),
        threshold=threshold_of(at.canary),
    )


def threshold_of(canary: Canary) -> ProgressThreshold | None:
    given = canary.threshold
    return None if given is None else ProgressThreshold("Pods" if given.type == "Pods" else "Percent", int(given.value))


def enough_to_promote(at: Situation) -> bool:
    threshold = threshold_of(at.canary)
    if threshold is not None:
        return enough_available(at.new_count, desired=at.spec.replicas, threshold=threshold)
    return at.roles.new is not None and at.new_count.available >= at.spec.replicas
