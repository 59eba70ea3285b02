"""What the status keeps about time: `status.duration` (`argo-behaviour.md` 1.3).

Rule of this file: pure. A manual pause is one without an end of its own: a person's time is told apart from the machine's (N43).
"""

from collections.abc import Mapping
from typing import Any

from tidegate.durations import epoch, rfc3339
from tidegate_planner.progress import BACK_TO_STABLE, FAST_ROLLBACK, FULL_PROMOTION, INCONCLUSIVE_EXPERIMENT, WITHIN_WINDOW
from tidegate_planner.situation import Situation, goes_back
from tidegate_planner.strategies import strategy_of

Json = Mapping[str, Any]

FAST = "FastRolledBack"
COMPLETIONS = {FULL_PROMOTION: "FastPromoted", FAST_ROLLBACK: FAST, WITHIN_WINDOW: FAST, BACK_TO_STABLE: FAST}


def duration(at: Situation) -> dict[str, Any]:
    """Counted from the moment the update was first seen; `finishedAt` and `completionStatus` stand once it ended.

    An abort that was lifted, by a retry or by a full promotion, is the end of one attempt and the beginning of another. One that
    came when all was over ended nothing.
    """
    same_update = at.seen.status.get("currentPodHash") == at.progress.current_hash
    was_over = at.seen.status.get("stableRS") == at.progress.current_hash
    lifted = (at.was_retried or bool(at.seen.status.get("abort"))) and not at.progress.abort and not was_over
    told = dict(at.seen.status.get("duration") or {}) if same_update and not lifted else {}
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
    inconclusive = at.progress.inconclusive or at.progress.pause_for(INCONCLUSIVE_EXPERIMENT) is not None
    return at.spec.paused or inconclusive or strategy_of(at).waits_for_person(at)


def _completion(at: Situation) -> str:
    if at.progress.abort:
        return "Aborted"
    if not at.progress.fully_promoted:
        return ""
    before = next((each for each in at.seen.replica_sets if each.hash == at.seen.status.get("stableRS")), None)
    walked = "RolledBack" if goes_back(at.roles.new, before) else "Promoted"
    return COMPLETIONS.get(at.progress.promoted_because, walked)
