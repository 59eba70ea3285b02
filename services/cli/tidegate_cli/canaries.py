"""Where a canary stands: its step, the weight its steps ask for, and the weight it has (`argo-behaviour.md` 13). Pure."""

from collections.abc import Mapping, Sequence
from typing import Any


def steps_of(rollout: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    canary = _strategy(rollout).get("canary") or {}
    return canary.get("steps") or ()


def step_index(rollout: Mapping[str, Any]) -> int:
    """The step being worked on; an absent index is step 0. Equal to the number of steps when none is left."""
    index = (rollout.get("status") or {}).get("currentStepIndex")
    return min(int(index or 0), len(steps_of(rollout)))


def step_text(rollout: Mapping[str, Any]) -> str:
    total = len(steps_of(rollout))
    return f"{step_index(rollout)}/{total}" if total else ""


def max_weight(rollout: Mapping[str, Any]) -> int:
    canary = _strategy(rollout).get("canary") or {}
    return int((canary.get("trafficRouting") or {}).get("maxTrafficWeight") or 100)


def asked_weight(rollout: Mapping[str, Any]) -> int:
    """The last setWeight at or before the current step: 0 before the first one and after an abort."""
    if (rollout.get("status") or {}).get("abort"):
        return 0
    steps, index = steps_of(rollout), step_index(rollout)
    if index >= len(steps):
        return max_weight(rollout)
    weights = [step["setWeight"] for step in steps[: index + 1] if step.get("setWeight") is not None]
    return int(weights[-1]) if weights else 0


def actual_weight(rollout: Mapping[str, Any], *, canary_available: int) -> int:
    """Routed traffic as recorded in the status; without a router, the canary's share of the pods that can answer."""
    status = rollout.get("status") or {}
    if step_index(rollout) >= len(steps_of(rollout)):
        return max_weight(rollout)
    if (_strategy(rollout).get("canary") or {}).get("trafficRouting"):
        weights = (status.get("canary") or {}).get("weights") or {}
        return int((weights.get("canary") or {}).get("weight") or 0)
    available = int(status.get("availableReplicas") or 0)
    return canary_available * max_weight(rollout) // available if available else 0


def _strategy(rollout: Mapping[str, Any]) -> Mapping[str, Any]:
    return (rollout.get("spec") or {}).get("strategy") or {}
