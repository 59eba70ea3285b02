"""Writes to what a rollout does not own: single pods of its ReplicaSets, and the Deployment whose pods it takes over.

Each is conditional on what was seen, like every write (`apply`). A pod that is gone meanwhile is no refusal: an eviction leads
there anyway, and the next list tells.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from tidegate import keys
from tidegate.kube.errors import Conflict, NotFound, TooManyRequests
from tidegate.kube.kinds import DEPLOYMENT, POD, Kind
from tidegate.kube.patches import pointer
from tidegate_planner.plan import EvictPods, RelabelPod, ScaleWorkload
from tidegate_planner.podlists import Pods
from tidegate_planner.seen import Seen

log = structlog.get_logger(__name__)

REFUSALS_TAKEN = 3  # evictions that a disruption budget may refuse before the rest waits for the next look


class Writes(Protocol):
    """The part of `tidegate.kube.client.Kube` that is used here."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any]: ...

    async def merge_patch(self, kind: Kind, namespace: str | None, name: str, patch: dict[str, Any]) -> dict[str, Any]: ...

    async def json_patch(
        self, kind: Kind, namespace: str | None, name: str, operations: list[dict[str, Any]]
    ) -> dict[str, Any]: ...

    async def create_subresource(
        self, kind: Kind, namespace: str | None, name: str, subresource: str, body: dict[str, Any]
    ) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class Outside:
    kube: Writes
    pods: Pods

    async def carry_out(self, seen: Seen, action: EvictPods | RelabelPod | ScaleWorkload) -> None:
        match action:
            case EvictPods():
                await self._evict(seen, action)
            case RelabelPod():
                await self._relabel(seen, action)
            case ScaleWorkload():
                await self._scale_workload(seen, action)

    async def _scale_workload(self, seen: Seen, action: ScaleWorkload) -> None:
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/spec/replicas", "value": action.before},
            {"op": "replace", "path": "/spec/replicas", "value": action.after},
        ]
        if action.started_with is not None:
            held = await self.kube.get(DEPLOYMENT, seen.namespace, action.name)
            if held["metadata"].get("annotations") is None:
                version = held["metadata"]["resourceVersion"]  # or somebody's first annotation would be lost
                operations.append({"op": "test", "path": "/metadata/resourceVersion", "value": version})
                operations.append({"op": "add", "path": "/metadata/annotations", "value": {}})
            path = pointer("metadata", "annotations", keys.HANDED_OVER)
            operations.append({"op": "add", "path": path, "value": str(action.started_with)})
        await self.kube.json_patch(DEPLOYMENT, seen.namespace, action.name, operations)

    async def _evict(self, seen: Seen, action: EvictPods) -> None:
        """A namesake of a pod that is gone is another pod. After some refusals the budget is taken at its word for the others."""
        left, refusals = action.at_most, 0
        for pod in action.pods:
            if left == 0 or refusals == REFUSALS_TAKEN:
                break
            eviction = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": pod.name, "namespace": seen.namespace},
                "deleteOptions": {"preconditions": {"uid": pod.uid}},
            }
            try:
                await self.kube.create_subresource(POD, seen.namespace, pod.name, "eviction", eviction)
            except TooManyRequests as error:
                refusals += 1
                log.info("eviction refused for now", namespace=seen.namespace, pod=pod.name, reason=str(error))
                continue
            except (NotFound, Conflict):
                log.debug("a pod to be evicted is gone", namespace=seen.namespace, pod=pod.name)
            self.pods.note_gone(seen.uid, pod.uid)
            left -= 1

    async def _relabel(self, seen: Seen, action: RelabelPod) -> None:
        metadata = {"uid": action.pod.uid, "labels": dict(action.labels), "annotations": dict(action.annotations)}
        try:
            written = await self.kube.merge_patch(POD, seen.namespace, action.pod.name, {"metadata": metadata})
        except (NotFound, Conflict):
            self.pods.note_gone(seen.uid, action.pod.uid)
        else:
            self.pods.note(seen.uid, written)
