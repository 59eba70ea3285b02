"""What is compared of a recording, as named points in four families. Pure.

    end    the final status, its conditions and weights, the ReplicaSets, each run's phase
    route  what Services and router objects said, one after the other
    said   each Event that is there at all: how many differs, since the peer's client drops those beyond 25 per object
    path   the steps, phases, weights and sizes on the way

Both sides leave out the leading zero of sizes and steps: the peer creates a ReplicaSet empty and scales it then, and writes its
first status in two parts; we do both in one. Annotations of our own on objects of others are not compared.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tidegate.keys import REVISION

Json = Mapping[str, Any]
Points = dict[str, Any]
STATUS = (
    "phase", "message", "currentPodHash", "stableRS", "currentStepIndex", "replicas", "updatedReplicas", "availableReplicas",
    "abort", "promoteFull", "pauseConditions",
)  # fmt: skip
INTERNAL = frozenset({"RolloutAddedToInformer"})  # an Event about the peer's own cache
SIZES = frozenset({"ScalingReplicaSet"})  # its numbers are the path's, and depend on which pod is ready first


def points_of(recording: Json) -> Points:
    found = {**_end(recording["final"]), **_path(recording["sequence"]), **_route(recording["sequence"])}
    told = [event for event in recording["events"] if event[2] not in INTERNAL]
    return found | {f"said/{text}": True for event in told for text in _said(*event)}


def _said(about: str, kind: str, reason: str, message: str) -> list[str]:
    """An Event as up to two points, so that one that is missing can be named."""
    headline = f"{about} {kind} {reason}"
    return [headline] if reason in SIZES else [headline, f"{headline}: {message}"]


def _end(final: Json) -> Points:
    rollout = final.get("Rollout/app") or {}
    status = rollout.get("status") or {}
    found: Points = {f"end/{field}": status.get(field) or None for field in STATUS}
    conditions = status.get("conditions") or ()
    found["end/conditions"] = _set([each["type"], each["status"], each.get("reason"), each.get("message")] for each in conditions)
    found["end/weights"] = (status.get("canary") or {}).get("weights")
    found["end/blueGreen"] = status.get("blueGreen") or None
    found["end/revision"] = (rollout.get("annotations") or {}).get(REVISION)
    sets = (each for key, each in final.items() if key.startswith("ReplicaSet/"))
    found["end/replicasets"] = _set([str((each["annotations"] or {}).get(REVISION)), each["spec"].get("replicas")] for each in sets)
    for key, each in final.items():
        if key.startswith(("AnalysisRun/", "Experiment/")):
            held = each.get("status") or {}
            found[f"end/{key}"] = [held.get("phase"), held.get("message")]
    return found


def _path(sequence: Json) -> Points:
    statuses = [each["status"] for each in sequence.get("Rollout/app") or () if isinstance(each, Mapping)]
    canaries = [(each.get("canary") or {}).get("weights") for each in statuses]
    phases = _changes([each.get("phase") for each in statuses if each.get("phase")])
    found: Points = {
        "path/steps": _without_first_zero(_changes([each.get("currentStepIndex") for each in statuses])),
        "path/phases": [phase for phase in phases if phase != "Progressing"],
        "path/weights": _changes([(each.get("canary") or {}).get("weight") for each in canaries if each]),
    }
    for key, states in sequence.items():
        if key.startswith("ReplicaSet/"):
            found[f"path/{key}"] = _without_first_zero(_changes([_of(each, "replicas") for each in states]))
    return found


ROUTED: Mapping[str, Callable[[Any], Any]] = {
    "Service": lambda state: _of(state, "selector"),
    "Ingress": lambda state: _without_ours(_of(state, "annotations") or {}),
    **{kind: lambda state: _of(state, "spec") for kind in ("VirtualService", "DestinationRule", "TrafficSplit", "TraefikService")},
}


def _route(sequence: Json) -> Points:
    kinds = {key: key.partition("/")[0] for key in sequence}
    routed = {key: ROUTED[kind] for key, kind in kinds.items() if kind in ROUTED}
    return {f"route/{key}": _changes([part(each) for each in sequence[key]]) for key, part in routed.items()}


def agreed(recordings: list[Points]) -> Points:
    """The points on which several recordings of one scenario agree: what differs from run to run promises nothing."""
    first, *others = recordings
    return {name: value for name, value in first.items() if all(name in each and each[name] == value for each in others)}


def differing(golden: Points, ours: Points) -> list[str]:
    """Names of the points that differ. What we say beyond the peer is no difference."""
    return [name for name, value in golden.items() if ours.get(name) != value]


def _without_ours(annotations: Any) -> Any:
    if not isinstance(annotations, Mapping):
        return annotations
    return {key: value for key, value in annotations.items() if not key.startswith("tidegate.dev/")}


def _of(state: Any, field: str) -> Any:
    """A part of a state; "DELETED" stays what it is."""
    return state.get(field) if isinstance(state, Mapping) else state


def _changes(values: list[Any]) -> list[Any]:
    known = [each for each in values if each is not None]
    return [each for number, each in enumerate(known) if number == 0 or each != known[number - 1]]


def _without_first_zero(values: list[Any]) -> list[Any]:
    return values[1:] if values[:1] == [0] else values


def _set(values: Any) -> list[Any]:
    unique = {repr(list(each)): list(each) for each in values}
    return [unique[key] for key in sorted(unique)]
