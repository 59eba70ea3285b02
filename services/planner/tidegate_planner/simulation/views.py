"""Views made by hand, for tests of single decisions: a rollout of `app` at some version, its ReplicaSets and its status.

Rule of this file: values with defaults that are a calm, finished rollout; a test names only what matters to it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate import keys
from tidegate.durations import rfc3339
from tidegate.hashing import pod_template_hash, steps_hash
from tidegate.rollout import spec_of
from tidegate_planner.seen import ReplicaSet, Seen, Service
from tidegate_planner.simulation.scenario import pod_template, templates_named_in
from tidegate_planner.simulation.scheduler import START

Json = Mapping[str, Any]
NOW = START


def hash_of(version: str) -> str:
    return pod_template_hash(pod_template(version))


def a_set(version: str, replicas: int, available: int | None = None, *, revision: int = 1, **fields: Any) -> ReplicaSet:
    """All pods there and available, unless `available` says otherwise."""
    serving = replicas if available is None else available
    annotations = {keys.REVISION: str(revision), keys.DESIRED_REPLICAS: "4", **fields.pop("annotations", {})}
    whole: dict[str, Any] = {
        "name": f"app-{hash_of(version)}",
        "hash": hash_of(version),
        "uid": f"uid-{version}",
        "resource_version": 10 + revision,
        "revision": revision,
        "created": rfc3339(NOW - 1000 + revision),
        "replicas": replicas,
        "current": replicas,
        "ready": serving,
        "available": serving,
        "annotations": annotations,
        "template": pod_template(version),
        **fields,
    }
    return ReplicaSet(**whole)


def a_status(new: str, stable: str, step: int | None, steps: Sequence[Any] | None = (), **fields: Any) -> dict[str, Any]:
    """What steers, and conditions of an update that made progress just now. `steps` None: of a strategy without steps."""
    progressing = {
        "type": "Progressing",
        "status": "True",
        "reason": "ReplicaSetUpdated",
        "message": "",
        "lastUpdateTime": rfc3339(NOW),
        "lastTransitionTime": rfc3339(NOW),
    }
    status: dict[str, Any] = {
        "currentPodHash": hash_of(new),
        "stableRS": hash_of(stable),
        "currentStepHash": "" if steps is None else steps_hash(steps),
        "conditions": [progressing],
        **fields,
    }
    return status if step is None else {**status, "currentStepIndex": step}


def services_on(**versions: str) -> dict[str, Service]:
    """Service name -> the version it chooses, "" for one that was never adopted."""
    return {
        name: Service(name=name, hash=hash_of(version) if version else "", managed_by="app" if version else "")
        for name, version in versions.items()
    }


def a_view(
    version: str,
    *sets: ReplicaSet,
    status: Json | None = None,
    canary: Json | None = None,
    blue_green: Json | None = None,
    spec: Json | None = None,
    **fields: Any,
) -> Seen:
    """Of a Rollout of four replicas that wants `version`: a canary, or `blue_green`. `spec` is laid over the manifest."""
    manifest = {
        "metadata": {"name": "app"},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "app"}},
            "template": pod_template(version),
            "strategy": {"canary": {**(canary or {})}} if blue_green is None else {"blueGreen": {**blue_green}},
            **(spec or {}),
        },
    }
    revision = max((each.revision for each in sets), default=0)
    whole: dict[str, Any] = {
        "namespace": "default",
        "name": "app",
        "uid": "uid-app",
        "generation": 2,
        "resource_version": 20,
        "annotations": {keys.REVISION: str(revision)} if revision else {},
        "labels": {},
        "status": status or {},
        "manifest": manifest,
        "spec": spec_of(manifest),
        "template_hash": hash_of(version),
        "replica_sets": sets,
        "templates": templates_named_in(manifest["spec"]["strategy"]),
        **fields,
    }
    return Seen(**whole)
