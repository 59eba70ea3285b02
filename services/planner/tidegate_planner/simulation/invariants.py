"""What must hold at every step of every run (I1 to I5 of the design's list, and the rules of a canary's sizes); `ledger` has what
only time can show.

Rule of this file: it judges what was seen, decided and written; it never looks into the planner. A broken promise is `BrokenError`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tidegate import keys
from tidegate.durations import epoch
from tidegate.messages import Split
from tidegate.podtemplate import as_written
from tidegate.rollout import Analysis, BlueGreen, Canary, Pause, SetCanaryScale, SetWeight, Spec
from tidegate_planner.conditions import ABORTED, PROGRESSING
from tidegate_planner.plan import EvictPods, Plan, ScaleReplicaSet, ShiftTraffic
from tidegate_planner.replicas import budget, weight_to_replicas
from tidegate_planner.seen import Pod, ReplicaSet, Seen
from tidegate_planner.situation import new_replica_set, within_window

Json = Mapping[str, Any]
AT_REST = frozenset({"Healthy", "Degraded", "Paused"})


class BrokenError(AssertionError):
    """An invariant does not hold. `name` says which, so that a shorter story can be checked to break the same."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{name}: {what}")
        self.name = name


def check(holds: bool, name: str, what: str) -> None:
    if not holds:
        raise BrokenError(name, what)


# --- one decision ------------------------------------------------------------------------------------------------------


def check_decision(seen: Seen, plan: Plan, now: float) -> None:
    """What one plan may never ask for, given what it was made from. Holds for stale views too."""
    check_steering(seen, plan.status, now)
    check_verdicts(seen, plan.status)
    scales = [action for action in plan.actions if isinstance(action, ScaleReplicaSet)]
    check_evictions(seen, plan)
    for action in plan.actions:
        if isinstance(action, ShiftTraffic):
            check_split(seen, action)
            check_switch(seen, action, plan.status)
    if seen.spec is not None and isinstance(seen.spec.strategy, BlueGreen) and not goes_back_within_window(seen):
        check_acceptance(seen.status, plan.status, seen.spec.strategy)
    canary = canary_of(seen)
    if canary is not None and not canary.traffic_routing and seen.spec is not None:
        check_budget(seen, seen.spec, canary, scales)


def check_evictions(seen: Seen, plan: Plan) -> None:
    """N13: what serves is not evicted below what the strategy needs, nor by a pass that scales down."""
    pods = {pod.uid: pod for pod in seen.pods or ()}
    evicted = [action for action in plan.actions if isinstance(action, EvictPods)]
    taken = sum(min(action.at_most, sum(pods[each.uid].ready for each in action.pods)) for action in evicted)
    if seen.spec is None or not taken:
        return
    canary = canary_of(seen)
    unavailable = budget(seen.spec.replicas, canary.max_surge, canary.max_unavailable).unavailable if canary else 0
    if isinstance(seen.spec.strategy, BlueGreen):
        unavailable = seen.spec.replicas // 4
    serving = sum(min(each.available, each.replicas) for each in seen.replica_sets)
    least = seen.spec.replicas - max(1, unavailable)
    check(serving - taken >= least, "evicted", f"{taken} of {serving} serving pods evicted, {least} needed")
    shrunk = [each.name for each in plan.actions if isinstance(each, ScaleReplicaSet) and each.after < each.before]
    check(not shrunk, "evicted", f"{taken} pods evicted while {shrunk} shrink")


def check_split(seen: Seen, action: ShiftTraffic) -> None:
    """I2: weights sum to the whole, and none goes to a set without an available pod."""
    split = action.request.split
    if split is None:
        return
    total = split.canary.weight + split.stable.weight + sum(each.weight for each in split.additional)
    check(total == split.max_weight, "I2", f"weights sum to {total} of {split.max_weight}")
    available = {each.hash: each.available for each in seen.replica_sets}
    if split.canary.weight:
        serving = available.get(split.canary.hash, 0)
        check(serving > 0, "I2", f"weight {split.canary.weight} for {split.canary.hash}, which has no available pod")
        check_capacity(seen, split, serving)
    check_way_back(seen, split, available)


def check_capacity(seen: Seen, split: Split, serving: int) -> None:
    """N16: a share that grows is carried by pods that serve, but where their number was given apart from the weight, or the owner
    said that fewer will do (`replicaProgressThreshold`)."""
    canary = canary_of(seen)
    if canary is None or seen.spec is None or any(isinstance(kind, SetCanaryScale) for kind in canary.asked()):
        return
    if canary.threshold is not None:
        return
    weights = (seen.status.get("canary") or {}).get("weights") or {}
    recorded = weights.get("canary") or {}
    held = recorded.get("weight", 0) if recorded.get("podTemplateHash") == split.canary.hash else 0
    if split.canary.weight > held:
        needed = weight_to_replicas(weight=split.canary.weight, replicas=seen.spec.replicas, max_weight=split.max_weight)
        check(serving >= needed, "capacity", f"weight {split.canary.weight} needs {needed} pods, {serving} serve")


def check_way_back(seen: Seen, split: Split, available: Mapping[str, int]) -> None:
    """I3: stable gets no more than its pods carry, on an abort neither, as long as the pods serve that this traffic is on now.

    A canary of weight 0 gives nothing back, however many pods it has; and what an experiment had whose pods are gone must go.
    """
    recorded = (seen.status.get("canary") or {}).get("weights") or {}
    held = (recorded.get("stable") or {}).get("weight", split.max_weight)
    serving = {**available, **{pods.hash: pods.available for each in seen.experiments for pods in each.pods}}
    shares = {each.hash: each.weight for each in (split.canary, *split.additional)}
    holders = [each for each in (recorded.get("canary"), *(recorded.get("additional") or ())) if each]
    losing = [each["podTemplateHash"] for each in holders if each["weight"] > shares.get(each.get("podTemplateHash", ""), 0)]
    leaves = any(serving.get(each, 0) > 0 for each in losing if each != split.stable.hash)
    if seen.spec is not None and split.stable.weight > held and leaves:
        needed, covered = split.stable.weight * seen.spec.replicas // split.max_weight, available.get(split.stable.hash, 0)
        check(covered >= needed, "I3", f"weight {split.stable.weight} goes to stable, which has {covered} of {needed} pods")


def check_switch(seen: Seen, action: ShiftTraffic, after: Json) -> None:
    """I2 for the active Service: it moves only to a set with available pods, and forwards only once the preview was accepted."""
    if seen.spec is None or not isinstance(seen.spec.strategy, BlueGreen):
        return
    active = seen.spec.strategy.active_service
    target = next((each.hash for each in action.request.services if each.service == active), None)
    if target in (None, seen.services[active].hash) or seen.spec.replicas == 0:
        return
    available = {each.hash: each.available for each in seen.replica_sets}.get(target or "", 0)
    check(available > 0, "I2", f"the active Service moves to {target}, which has no available pod")
    if target != after.get("stableRS"):
        accepted = (after.get("blueGreen") or {}).get("scaleUpPreviewCheckPoint") or after.get("promoteFull")
        check(bool(accepted), "preview", f"the active Service moves to {target}, whose preview was not accepted")
        check(available >= seen.spec.replicas, "preview", f"all users go to {available} of {seen.spec.replicas} pods")


def check_acceptance(before: Json, after: Json, blue_green: BlueGreen) -> None:
    """Without auto promotion nobody but a person ends the pause."""
    point = "scaleUpPreviewCheckPoint"
    was, is_now = ((status.get("blueGreen") or {}).get(point) for status in (before, after))
    if blue_green.auto_promotion or was or not is_now or before.get("currentPodHash") != after.get("currentPodHash"):
        return
    resumed = bool(before.get("controllerPause")) and not before.get("pauseConditions")
    check(resumed, "pause", "the preview was accepted and nobody resumed it")


def goes_back_within_window(seen: Seen) -> bool:
    """Such an update asks nobody (6.6)."""
    new, window = new_replica_set(seen), seen.spec.rollback_window if seen.spec else None
    stable = next((each for each in seen.replica_sets if each.hash == seen.status.get("stableRS")), None)
    return within_window(window, new, stable, seen.replica_sets)


def check_budget(seen: Seen, spec: Spec, canary: Canary, scales: Iterable[ScaleReplicaSet]) -> None:
    """A basic canary's pass neither grows beyond `maxSurge` nor takes away what `maxUnavailable` needs (3.1)."""
    limits = budget(spec.replicas, canary.max_surge, canary.max_unavailable)
    before = {each.hash: each for each in seen.replica_sets}
    sizes = {each.hash: each.replicas for each in seen.replica_sets}
    sizes.update({scale.hash: scale.after for scale in scales})
    most, least = spec.replicas + limits.surge, spec.replicas - limits.unavailable
    grows = any(scale.after > scale.before for scale in scales)
    if grows:
        allowed = max(most, sum(each.replicas for each in before.values()))
        check(sum(sizes.values()) <= allowed, "surge", f"{sum(sizes.values())} pods asked for, {most} allowed")
    serving = sum(min(each.replicas, each.available) for each in before.values())
    left = sum(min(sizes[each.hash], each.available) for each in before.values())
    check(left >= min(serving, least), "unavailable", f"{left} of {serving} serving pods left, {least} needed")


def check_steering(seen: Seen, after: Json, now: float) -> None:
    """The step index of one attempt only rises, and an endless pause is never passed without a person."""
    before, canary = seen.status, canary_of(seen)
    same = all(before.get(field) == after.get(field) for field in ("currentPodHash", "currentStepHash"))
    if canary is None or not same or after.get("abort") or before.get("abort"):
        return
    old, new = before.get("currentStepIndex"), after.get("currentStepIndex")
    if old is None or new is None:
        check(old == new, "step", f"step index {old} became {new}")
        return
    check(new >= old, "step", f"step index went back from {old} to {new}")
    if before.get("promoteFull") or before.get("stableRS") == before.get("currentPodHash") or goes_back_within_window(seen):
        return
    for index in range(old, min(new, len(canary.steps))):
        check_pause_was_over(canary, index, before, now, entered=index == old)


def check_pause_was_over(canary: Canary, index: int, before: Json, now: float, *, entered: bool) -> None:
    step = canary.steps[index]
    if not isinstance(step, Pause):
        return
    held = [each for each in before.get("pauseConditions") or () if each["reason"] == "CanaryPauseStep"]
    resumed = entered and bool(before.get("controllerPause")) and not held
    if step.duration is None:
        check(resumed, "pause", f"step {index} is an endless pause and nobody resumed it")
    elif not resumed and step.duration > 0:
        over = bool(held) and now >= epoch(held[0]["startTime"]) + step.duration
        check(entered and over, "pause", f"step {index} paused less than its {step.duration:.0f} s")


def check_verdicts(seen: Seen, after: Json) -> None:
    """I5: a revision whose current run is seen to have failed is not promoted by the same look. After a retry it counts anew."""
    before = seen.status
    was, is_now = before.get("stableRS"), after.get("stableRS")
    retried = not before.get("abort") and any(each.get("reason") == ABORTED for each in before.get("conditions") or ())
    if was in (is_now, None) or before.get("promoteFull") or is_now != before.get("currentPodHash") or retried:
        return
    canary, index = canary_of(seen), before.get("currentStepIndex") or 0
    told = {**(before.get("canary") or {}), **(before.get("blueGreen") or {})}
    fields = ["currentBackgroundAnalysisRunStatus", "postPromotionAnalysisRunStatus"]
    if not any(service.name == "active" and service.hash == is_now for service in seen.services.values()):
        fields.append("prePromotionAnalysisRunStatus")  # once users are there, what was measured before is not waited for
    if canary is not None and index < len(canary.steps) and isinstance(canary.steps[index], Analysis):
        fields.append("currentStepAnalysisRunStatus")  # a step that a person skipped is no longer waited for
    names = {(told.get(field) or {}).get("name") for field in fields}
    failed = [run.name for run in seen.analysis_runs if run.name in names and run.phase in {"Failed", "Error"}]
    check(not failed, "I5", f"promoted though {failed} failed")


# --- the cluster -------------------------------------------------------------------------------------------------------


def check_templates(sets: Iterable[ReplicaSet]) -> None:
    """N9: one ReplicaSet per template, whatever anybody's view was."""
    live = list(sets)
    templates = [str(as_written(each.template, ephemeral=each.put_in)) for each in live]
    check(len(templates) == len(set(templates)), "template", f"two of {[each.name for each in live]} have the same template")


def check_revisions(sets: Iterable[ReplicaSet]) -> None:
    """No number twice. Two planners with different views may give one twice; the next look of either puts that right."""
    revisions = [each.revision for each in sets if each.revision]
    check(len(revisions) == len(set(revisions)), "revision", f"revisions {sorted(revisions)} are not unique")


def check_experiments(names: Iterable[str], attempts: int) -> None:
    """N9: a step makes no more experiments than there were attempts at it; `<rollout>-<hash>-<revision>-<step>`, then numbers."""
    steps = ["-".join(name.split("-")[:4]) for name in names]
    most = max(map(steps.count, steps), default=0)
    check(most <= attempts, "N9", f"{most} experiments for one step in {attempts} attempts")


def check_served(weights: Mapping[str, int], scaled: ScaleReplicaSet) -> None:
    """I4: no ReplicaSet is emptied while the data plane still sends requests to it."""
    if scaled.after == 0 and scaled.before > 0:
        share = weights.get(scaled.hash, 0)
        check(share == 0, "I4", f"{scaled.name} goes to 0 while {share} of the traffic is on it")


def check_stable_service(seen: Seen, chosen: str, sets: Iterable[ReplicaSet], scaled: ScaleReplicaSet, now: float) -> None:
    """I4 without routing: what the stable Service chooses keeps a pod that serves, while others serve, until it is switched.

    Not where `maxSurge` leaves no room for it, where a step asked for new pods alone, or where it may be in the way of new ones,
    which have not come for half of the progress deadline."""
    canary, spec = canary_of(seen), seen.spec
    if canary is None or canary.traffic_routing or spec is None or scaled.hash != chosen or scaled.after > 0:
        return
    surge = budget(spec.replicas, canary.max_surge, canary.max_unavailable).surge
    asked = canary.asked(until=len(canary.entries) - 2)
    whole = any(isinstance(step, SetWeight) and step.weight >= canary.max_weight for step in asked)
    if surge == 0 or whole or waits_in_vain(seen, spec, now):
        return
    serving = next((each.count.serving for each in seen.replica_sets if each.hash == chosen), 0)
    others = [each.name for each in sets if each.hash != chosen and each.count.serving]
    check(not (serving and others), "I4", f"{scaled.name} goes to 0, the stable Service still chooses it, and {others} serve")


def waits_in_vain(seen: Seen, spec: Spec, now: float) -> bool:
    """Whether pods of the new version were refused, or are missing and nothing has moved for half of the progress deadline."""
    new = new_replica_set(seen)
    told = next((each for each in seen.status.get("conditions") or () if each["type"] == PROGRESSING), None)
    late = told is not None and now >= epoch(told["lastUpdateTime"]) + spec.progress_deadline / 2
    return new is not None and new.available < new.replicas and (late or new.failure is not None)


def check_revision(annotations: Json, sets: Iterable[ReplicaSet], current: str) -> None:
    """At rest the current ReplicaSet has the highest number, and the Rollout says the same."""
    newest = max(sets, key=lambda each: each.revision, default=None)
    if newest is not None:
        check(newest.hash == current, "revision", f"{newest.name} has the highest revision, current is {current}")
        told = annotations.get(keys.REVISION)
        check(told == str(newest.revision), "revision", f"the Rollout says revision {told}, its newest set {newest.revision}")


def check_rest(status: Json, generation: int, waited: float) -> None:
    """I1: the desired state stopped changing long ago, so the rollout has reached an end and says so."""
    phase, message = status.get("phase"), status.get("message", "")
    check(phase in AT_REST, "I1", f"still {phase} ({message}) {waited:.0f} s after the last change")
    observed = status.get("observedGeneration")
    check(observed == str(generation), "I1", f"generation {generation} not observed: {observed}")


def check_pods(rollout: Json, sets: Iterable[ReplicaSet], pods: Iterable[Pod]) -> None:
    """At the end each pod carries what its ReplicaSet's template says, and none is older than a restart that was carried out."""
    by_uid = {each.uid: each for each in sets}
    asked, done = rollout["manifest"]["spec"].get("restartAt"), rollout["status"].get("restartedAt")
    for each in by_uid.values():
        check(keys.PODS_BEHIND not in each.annotations, "metadata", f"{each.name} still waits for its pods")
    for pod in (each for each in pods if each.owner in by_uid):  # an experiment's are its own
        metadata = by_uid[pod.owner].template.get("metadata") or {}
        carried = (pod.labels, pod.annotations)
        right = (metadata.get("labels") or {}, metadata.get("annotations") or {})
        check(carried == right, "metadata", f"{pod.name} carries {carried}, its template says {right}")
        early = done is not None and done == asked and epoch(pod.created) < epoch(asked)
        check(not early, "restart", f"{pod.name} is of {pod.created}, and a restart at {asked} is said to be done")


def canary_of(seen: Seen) -> Canary | None:
    strategy = seen.spec.strategy if seen.spec is not None else None
    return strategy if isinstance(strategy, Canary) else None
