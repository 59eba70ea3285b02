"""The phase and message a client shows: what the status says, unless the status is known to lag (`argo-behaviour.md` 6.4).

Without these overrides `tidegate set image` followed by `tidegate status` would report the *old* revision's Healthy.
Pure.
"""

from collections.abc import Mapping
from typing import Any

from tidegate.keys import WORKLOAD_GENERATION

UNOBSERVED = "waiting for rollout spec update to be observed"
HEALTHY, PROGRESSING, PAUSED, DEGRADED = "Healthy", "Progressing", "Paused", "Degraded"


def phase_and_message(rollout: Mapping[str, Any], workload: Mapping[str, Any] | None = None) -> tuple[str, str]:
    """`workload`: what `spec.workloadRef` names, where it was looked up; the Rollout's own annotation follows it a moment later."""
    status = rollout.get("status") or {}
    if not _is_observed(rollout):
        return PROGRESSING, UNOBSERVED
    if _lags_behind_workload(rollout, workload):
        return PROGRESSING, "waiting for rollout spec update to be observed for the reference workload"
    if status.get("controllerPause") and not status.get("pauseConditions"):
        return PROGRESSING, "waiting for rollout to unpause"
    return status.get("phase") or PROGRESSING, status.get("message") or ""


def _is_observed(rollout: Mapping[str, Any]) -> bool:
    """A text that is no number, or a larger one, counts as observed: older controllers wrote hashes there."""
    observed = (rollout.get("status") or {}).get("observedGeneration")
    if not observed:
        return False
    try:
        return int(observed) >= int(rollout["metadata"].get("generation") or 0)
    except ValueError:
        return True


def _lags_behind_workload(rollout: Mapping[str, Any], workload: Mapping[str, Any] | None) -> bool:
    """Of a workload that makes the spec invalid no generation is ever acted on, so that there is nothing to wait for."""
    status = rollout.get("status") or {}
    invalid = any(each.get("type") == "InvalidSpec" for each in status.get("conditions") or ())
    if not (rollout.get("spec") or {}).get("workloadRef") or invalid:
        return False
    noted = (rollout["metadata"].get("annotations") or {}).get(WORKLOAD_GENERATION)
    newest = str(workload["metadata"].get("generation")) if workload is not None else noted
    return any(each and status.get("workloadObservedGeneration") != each for each in (noted, newest))
