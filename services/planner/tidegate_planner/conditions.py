"""The conditions of a Rollout (`argo-behaviour.md` 6.5) and the progress deadline (6.3).

Rule of this file: a condition is rewritten only when its status or reason changes, so that its times tell when something
happened; Progressing alone also moves its `lastUpdateTime` on every bit of progress, because the deadline counts from there.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

AVAILABLE, PROGRESSING, PAUSED, COMPLETED, HEALTHY = "Available", "Progressing", "Paused", "Completed", "Healthy"
REPLICA_FAILURE, INVALID_SPEC = "ReplicaFailure", "InvalidSpec"
TRAFFIC_SHIFTED = "TrafficShifted"

ABORTED, TIMED_OUT = "RolloutAborted", "ProgressDeadlineExceeded"
ROLLOUT_PAUSED, RESUMED, RETRY = "RolloutPaused", "RolloutResumed", "RolloutRetry"
NEW_SET_CREATED, SET_FOUND, SET_UPDATED = "NewReplicaSetCreated", "FoundNewReplicaSet", "ReplicaSetUpdated"
SET_AVAILABLE, SET_NOT_AVAILABLE = "NewReplicaSetAvailable", "ReplicaSetNotAvailable"
CREATE_ERROR = "ReplicaSetCreateError"
TRAFFIC_PENDING, TRAFFIC_FAILED = "TrafficPending", "TrafficFailed"


class Conditions:
    """The list in the status, with one condition per type. `now` is RFC 3339. Untouched conditions keep place and times."""

    def __init__(self, before: Sequence[Json], *, now: str) -> None:
        self._now = now
        self._held: dict[str, Json] = {each["type"]: each for each in before}

    def get(self, kind: str) -> Json:
        return self._held.get(kind) or {}

    def reason(self, kind: str) -> str:
        return self.get(kind).get("reason") or ""

    def is_true(self, kind: str) -> bool:
        return self.get(kind).get("status") == "True"

    def put(self, kind: str, *, status: str, reason: str, message: str, touch: bool = False) -> bool:
        """True if status or reason changed. `touch` also renews the message and `lastUpdateTime` of an unchanged one."""
        held = self.get(kind)
        same = bool(held) and held.get("status") == status and held.get("reason") == reason
        if same and not touch:
            return False
        turned = held.get("status") != status
        self._held[kind] = {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": self._now if turned else held.get("lastTransitionTime", self._now),
            "lastUpdateTime": self._now,
        }
        return not same

    def remove(self, kind: str) -> None:
        self._held.pop(kind, None)

    def as_list(self) -> list[Json]:
        return list(self._held.values())


def made_progress(before: Json, after: Json) -> bool:
    """Between two statuses (6.3): pods of the new version changed, old ones went, or the plan moved on. Readiness: `relapses`."""

    def number(status: Json, field: str) -> int:
        return int(status.get(field) or 0)

    def old(status: Json) -> int:
        return number(status, "replicas") - number(status, "updatedReplicas")

    steering = ("stableRS", "currentStepIndex", "currentStepHash", "currentPodHash")
    return (
        any(before.get(field) != after.get(field) for field in steering)
        or number(before, "updatedReplicas") != number(after, "updatedReplicas")
        or old(after) < old(before)
        or (before.get("blueGreen") or {}) != (after.get("blueGreen") or {})
    )
