"""The whole new status of a Rollout, from its progress and its ReplicaSets (`argo-behaviour.md` 1.3, 6.3 to 6.5).

Rule of this file: pure, and complete: what is not put in here leaves the status. Counts that are 0 and flags that are false are
left out, as the peer does, so that tools which compare statuses see the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.durations import epoch, rfc3339
from tidegate.rollout import selector_text
from tidegate_planner import autoscaling, chronicle, conditions, relapses, restarts, routing
from tidegate_planner.conditions import Conditions
from tidegate_planner.situation import Situation
from tidegate_planner.strategies import strategy_of

Json = Mapping[str, Any]

KEPT: Final = ("collisionCount",)
TOLD_BY_ROUTERS: Final = ("alb", "albs")
LONGEST_MESSAGE: Final = 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """A new status, and the abort that the deadline asks for, if it does."""

    status: dict[str, Any]
    deadline_abort: str = ""


def new_status(at: Situation) -> Verdict:
    before, strategy = at.seen.status, strategy_of(at)
    status: dict[str, Any] = {**_counts(at), **_steering(at), "blueGreen": {}, "canary": {}, strategy.SECTION: strategy.section(at)}
    status["observedGeneration"] = str(at.seen.generation)
    status["selector"] = selector_text(autoscaling.selector(at))
    status["duration"] = chronicle.duration(at)
    if at.seen.workload is not None:
        status["workloadObservedGeneration"] = str(at.seen.workload.generation)
    told = {**before, **(at.seen.traffic.status if at.seen.traffic else {})}
    kept = {field: before.get(field) for field in KEPT} | {field: told.get(field) for field in TOLD_BY_ROUTERS}
    kept["restartedAt"] = restarts.restarted_at(at)
    status |= {field: value for field, value in kept.items() if value is not None}
    held = Conditions(before.get("conditions") or (), now=rfc3339(at.now))
    held.remove(conditions.INVALID_SPEC)
    deadline_abort = _set_conditions(at, held, status)
    status["conditions"] = held.as_list()
    phase, message = phase_of(at, held, status)
    status["phase"] = phase
    if message:
        status["message"] = message
    return Verdict(status, deadline_abort)


def _counts(at: Situation) -> dict[str, int]:
    everyone = at.roles.everyone
    serving = strategy_of(at).serving(at) or everyone
    counts = {
        "replicas": sum(each.current for each in everyone),
        "updatedReplicas": at.roles.new.current if at.roles.new else 0,
        "readyReplicas": sum(each.ready for each in serving),
        "availableReplicas": sum(each.available for each in serving),
        "HPAReplicas": autoscaling.counted(at),
    }
    return {field: count for field, count in counts.items() if count}


def _steering(at: Situation) -> dict[str, Any]:
    progress = at.progress
    fields: dict[str, Any] = {
        "currentPodHash": progress.current_hash,
        "stableRS": progress.stable_hash,
        "currentStepHash": progress.steps_hash,
        "abort": progress.abort,
        "abortedAt": progress.aborted_at,
        "promoteFull": progress.promote_full,
        "controllerPause": progress.controller_pause,
        "pauseConditions": [{"reason": each.reason, "startTime": each.start_time} for each in progress.pauses],
    }
    steering = {field: value for field, value in fields.items() if value}
    if progress.step_index is not None:
        steering["currentStepIndex"] = progress.step_index
    return steering


# --- conditions --------------------------------------------------------------------------------------------------------


def _set_conditions(at: Situation, held: Conditions, status: Json) -> str:
    _set_pause_and_retry(at, held, status)
    turned_unhealthy = _set_health(at, held, status)
    deadline_abort = _set_progressing(at, held, status, turned_unhealthy=turned_unhealthy)
    _set_traffic(at, held)
    enough = sum(each.available for each in strategy_of(at).serving(at)) >= at.spec.replicas
    words = "has" if enough else "does not have"
    held.put(
        conditions.AVAILABLE,
        status=str(enough),
        reason="AvailableReason",
        message=f"Rollout {words} minimum availability",
    )
    done = at.progress.fully_promoted
    held.put(conditions.COMPLETED, status=str(done), reason="RolloutCompleted", message="RolloutCompleted")
    failure = next((each.failure for each in at.roles.everyone if each.failure), None)
    if failure is None:
        held.remove(conditions.REPLICA_FAILURE)
    else:
        reason, message = failure.get("reason", ""), failure.get("message", "")
        held.put(conditions.REPLICA_FAILURE, status="True", reason=reason, message=message)
    return deadline_abort


def _set_pause_and_retry(at: Situation, held: Conditions, status: Json) -> None:
    """Paused and Progressing tell a pause; an abort freezes both, as the last word about what was going on (6.2).

    A finished rollout keeps its word of success in Progressing while `spec.paused`: two truths would be written in turn for ever.
    """
    if at.progress.abort:
        return
    was_aborted = held.reason(conditions.PROGRESSING) == conditions.ABORTED
    is_paused = bool(at.progress.pauses) or at.spec.paused
    if was_aborted:
        message = "Retrying Rollout after abort"
        held.put(conditions.PROGRESSING, status="Unknown", reason=conditions.RETRY, message=message)
    told = held.reason(conditions.PROGRESSING) == conditions.ROLLOUT_PAUSED
    if is_paused != told and not was_aborted and not strategy_of(at).is_healthy(at, status):
        reason = conditions.ROLLOUT_PAUSED if is_paused else conditions.RESUMED
        message = "Rollout is paused" if is_paused else "Rollout is resumed"
        held.put(conditions.PROGRESSING, status="Unknown", reason=reason, message=message)
    if is_paused != held.is_true(conditions.PAUSED):
        held.put(conditions.PAUSED, status=str(is_paused), reason=conditions.ROLLOUT_PAUSED, message="Rollout is paused")


def _set_traffic(at: Situation, held: Conditions) -> None:
    """There only while traffic is seen not to be where it was asked to go: which router, what it waits for, and since when.

    A request that is still on its way is nothing to tell: every step would cost two writes more. What was told before stays until
    the request is known to be done: a planner that has yet to hear of it must not contradict one that has. Nor is it told again.
    """
    request = strategy_of(at).request(at)
    awaited = routing.awaited(at, request)
    if awaited is None:
        if request is None or routing.answered(at, request):
            held.remove(conditions.TRAFFIC_SHIFTED)
        return
    if awaited.told and not held.get(conditions.TRAFFIC_SHIFTED):
        return
    reason = conditions.TRAFFIC_FAILED if awaited.state == "failed" else conditions.TRAFFIC_PENDING
    message = (awaited.message or awaited.state)[:LONGEST_MESSAGE]
    news = held.get(conditions.TRAFFIC_SHIFTED).get("message") != message
    held.put(conditions.TRAFFIC_SHIFTED, status="False", reason=reason, message=message, touch=news)


def _set_health(at: Situation, held: Conditions, status: Json) -> bool:
    """True when a finished rollout just lost its health."""
    is_paused = bool(at.progress.pauses) or at.spec.paused
    if not is_paused and strategy_of(at).is_healthy(at, status):
        held.put(conditions.HEALTHY, status="True", reason="RolloutHealthy", message="Rollout is healthy")
        return False
    if not held.get(conditions.HEALTHY):
        return False
    turned = held.put(conditions.HEALTHY, status="False", reason="RolloutHealthy", message="Rollout is not healthy")
    was_done = at.seen.status.get("stableRS") == at.seen.status.get("currentPodHash")
    return turned and was_done and at.progress.fully_promoted


def _set_progressing(at: Situation, held: Conditions, status: Json, *, turned_unhealthy: bool) -> str:
    name = at.roles.new.name if at.roles.new else f"{at.seen.name}-{at.progress.current_hash}"
    kind = conditions.PROGRESSING
    refused = at.seen.create_errors.get(at.progress.current_hash)
    late = f'ReplicaSet "{name}" has timed out progressing.'
    if at.progress.abort:
        _tell_abort(at, held, late)
    elif refused and at.roles.new is None:
        message = f'Failed to create new replica set "{name}": {refused}'
        held.put(kind, status="False", reason=conditions.CREATE_ERROR, message=message, touch=False)
    elif strategy_of(at).is_healthy(at, status):
        message = f'ReplicaSet "{name}" has successfully progressed.'
        held.put(kind, status="True", reason=conditions.SET_AVAILABLE, message=message)
    elif turned_unhealthy:
        message = "Rollout does not have minimum availability"
        held.put(kind, status="True", reason=conditions.SET_NOT_AVAILABLE, message=message, touch=True)
    elif _is_paused_now(at, held):
        return ""
    elif _made_progress(at, status) or not held.get(kind) or _success_is_over(at, held):
        message = f'ReplicaSet "{name}" is progressing.'
        held.put(kind, status="True", reason=conditions.SET_UPDATED, message=message, touch=True)
    elif timed_out(at, held):
        held.put(kind, status="False", reason=conditions.TIMED_OUT, message=late)
        if at.spec.progress_deadline_abort and not at.progress.fully_promoted:
            return late
    return ""


def _tell_abort(at: Situation, held: Conditions, late: str) -> None:
    """The deadline's own abort takes two looks: the first says that it is over (`late`), the second that it was aborted, without a
    reason, as the peer's consumers know it."""
    because = at.progress.abort_reason
    if because == late:
        held.put(conditions.PROGRESSING, status="False", reason=conditions.TIMED_OUT, message=late)
        return
    revision = at.seen.annotations.get("rollout.argoproj.io/revision", "")
    message = f"Rollout aborted update to revision {revision}" + (f": {because}" if because else "")
    held.put(conditions.PROGRESSING, status="False", reason=conditions.ABORTED, message=message)


def _made_progress(at: Situation, status: Json) -> bool:
    return conditions.made_progress(at.seen.status, status) or relapses.gained(at)


def _success_is_over(at: Situation, held: Conditions) -> bool:
    """A new version that lost pods while it was still being measured has yet to get there; the deadline counts again."""
    return held.reason(conditions.PROGRESSING) == conditions.SET_AVAILABLE and not at.progress.fully_promoted


def _is_paused_now(at: Situation, held: Conditions) -> bool:
    return (bool(at.progress.pauses) or at.spec.paused) and held.reason(conditions.PROGRESSING) == conditions.ROLLOUT_PAUSED


# --- the deadline ------------------------------------------------------------------------------------------------------


def deadline(at: Situation, held: Conditions) -> float | None:
    """When the update times out if nothing moves any more, in seconds since 1970; None while the clock stands (6.3)."""
    progressing = held.get(conditions.PROGRESSING)
    waiting = strategy_of(at).takes_its_time(at)
    lingering = any(each.replicas and _is_ahead(each.scale_down_deadline, at.now) for each in at.roles.older)
    stands = progressing.get("reason") in {conditions.ABORTED, conditions.ROLLOUT_PAUSED, conditions.SET_AVAILABLE}
    if not progressing or at.progress.abort or waiting or lingering or stands or held.is_true(conditions.PAUSED):
        return None
    return epoch(progressing["lastUpdateTime"]) + at.spec.progress_deadline


def _is_ahead(moment: str | None, now: float) -> bool:
    return moment is not None and epoch(moment) > now


def timed_out(at: Situation, held: Conditions) -> bool:
    if held.reason(conditions.PROGRESSING) == conditions.TIMED_OUT:
        return True
    limit = deadline(at, held)
    return limit is not None and at.now > limit


# --- phase -------------------------------------------------------------------------------------------------------------


def phase_of(at: Situation, held: Conditions, status: Json) -> tuple[str, str]:
    """The first line of 6.4 that fits."""
    for each in held.as_list():
        if each.get("reason") in {conditions.ABORTED, conditions.TIMED_OUT}:
            return "Degraded", f"{each['reason']}: {each.get('message', '')}"
    if at.spec.paused:
        return "Paused", "manually paused"
    if at.progress.pauses:
        return "Paused", at.progress.pauses[0].reason
    traffic = held.get(conditions.TRAFFIC_SHIFTED).get("message")
    waits_for = f"waiting for traffic: {traffic}" if traffic else _unfinished(at, status)
    return ("Progressing", waits_for) if waits_for else ("Healthy", "")


def _unfinished(at: Situation, status: Json) -> str:
    updated, available = int(status.get("updatedReplicas", 0)), int(status.get("availableReplicas", 0))
    if restarts.pending(at.seen) and status.get("restartedAt") != at.spec.restart_at:
        return "rollout is restarting"
    if updated < at.spec.replicas:
        return "more replicas need to be updated"
    if available < updated:
        return "updated replicas are still becoming available"
    return strategy_of(at).unfinished(at, status)


def invalid_status(before: Json, *, problem: str, generation: int, now: str) -> dict[str, Any]:
    """The status of a Rollout that cannot be understood: all else is left as it was (1.4)."""
    held = Conditions(before.get("conditions") or (), now=now)
    if held.get(conditions.INVALID_SPEC).get("message") != problem:
        held.remove(conditions.INVALID_SPEC)
    held.put(conditions.INVALID_SPEC, status="True", reason="InvalidSpec", message=problem)
    return {
        **before,
        "conditions": held.as_list(),
        "phase": "Degraded",
        "message": f"InvalidSpec: {problem}",
        "observedGeneration": str(generation),
    }


def progress_deadline(at: Situation, status: Json) -> float | None:
    held = Conditions(status.get("conditions") or (), now=rfc3339(at.now))
    if held.reason(conditions.PROGRESSING) == conditions.TIMED_OUT:
        return None
    return deadline(at, held)
