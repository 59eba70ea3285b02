"""What the status keeps about time and traffic: `status.duration` and `status.canary.weights` (`argo-behaviour.md` 1.3).

Rule of this file: pure. A manual pause is one without an end of its own: a person's time is told apart from the machine's (N43).
"""

from collections.abc import Mapping
from typing import Any

from tidegate.durations import epoch, rfc3339
from tidegate.rollout import Pause
from tidegate_planner import routing
from tidegate_planner.progress import CANARY_PAUSE
from tidegate_planner.situation import Situation
from tidegate_planner.targets import current_step

Json = Mapping[str, Any]


def duration(at: Situation) -> dict[str, Any]:
    """Counted from the moment the update was first seen; `finishedAt` and `completionStatus` stand once it ended."""
    same_update = at.seen.status.get("currentPodHash") == at.progress.current_hash
    retried = bool(at.seen.status.get("abort")) and not at.progress.abort
    told = dict(at.seen.status.get("duration") or {}) if same_update and not retried else {}
    told.setdefault("rolloutStartedAt", rfc3339(at.now))
    _count_manual_pause(at, told)
    outcome = _completion(at)
    if outcome and "completionStatus" not in told:
        told["completionStatus"] = outcome
        told["finishedAt"] = rfc3339(at.now)
    return told


def _count_manual_pause(at: Situation, told: dict[str, Any]) -> None:
    started = told.get("manualPauseStartedAt")
    if _pauses_by_hand(at):
        told.setdefault("manualPauseStartedAt", rfc3339(at.now))
    elif started:
        del told["manualPauseStartedAt"]
        total = told.get("totalManualPauseDurationSeconds") or 0
        told["totalManualPauseDurationSeconds"] = total + max(0, int(at.now - epoch(started)))


def _pauses_by_hand(at: Situation) -> bool:
    if at.progress.fully_promoted or at.progress.abort:
        return False
    step = current_step(at.progress, at.canary)
    endless = isinstance(step, Pause) and step.duration is None and at.progress.pause_for(CANARY_PAUSE) is not None
    return at.spec.paused or endless or at.progress.inconclusive


def _completion(at: Situation) -> str:
    if at.progress.abort:
        return "Aborted"
    if not at.progress.fully_promoted:
        return ""
    return "FastPromoted" if at.progress.promoted_because == "Full promotion requested" else "Promoted"


def weights(at: Situation) -> Json | None:
    """The split that the data plane was last seen to have; what is only asked for is not recorded."""
    if not at.canary.traffic_routing:
        return None
    before: Json | None = (at.seen.status.get("canary") or {}).get("weights")
    request, traffic = routing.wanted(at), at.seen.traffic
    if request is None or request.split is None or traffic is None or traffic.digest != request.digest:
        return before
    if traffic.state != "applied":
        return {**before, "verified": False} if before and traffic.verified is False else before
    split = request.split

    def side(destination: Any) -> dict[str, Any]:
        named = {"serviceName": destination.service} if destination.service else {}
        return {"weight": destination.weight, **named, "podTemplateHash": destination.hash}

    recorded: dict[str, Any] = {"canary": side(split.canary), "stable": side(split.stable)}
    return recorded if traffic.verified is None else {**recorded, "verified": traffic.verified}
