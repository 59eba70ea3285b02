"""ReplicaSets as a plan wants them: each write with a precondition on what it was decided from, and on nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from tidegate.kube.errors import AlreadyExists, Forbidden, Invalid
from tidegate.kube.kinds import REPLICA_SET
from tidegate.kube.patches import pointer
from tidegate_planner import plan as plans
from tidegate_planner.memory import Memory
from tidegate_planner.observe import World
from tidegate_planner.seen import Seen
from tidegate_planner.writing import Noted, Writes, note_namesake

Json = Mapping[str, Any]

log = structlog.get_logger(__name__)

CREATE_AGAIN_AFTER = 10.0  # seconds between attempts at a ReplicaSet that the API server refuses (a quota, a policy)


@dataclass(frozen=True, slots=True)
class ReplicaSetWrites:
    kube: Writes
    world: World
    cache: Noted
    clock: Callable[[], float]

    async def carry_out(self, seen: Seen, action: plans.ReplicaSetAction, memory: Memory) -> None:
        match action:
            case plans.CreateReplicaSet():
                await self._create(seen, action, memory)
            case plans.ScaleReplicaSet():
                await self.scale(seen.namespace, action)
            case plans.ChangeTemplate():
                await self._change_template(seen, action)
            case plans.DeleteReplicaSet():
                version = str(action.resource_version)
                await self.kube.delete(REPLICA_SET, seen.namespace, action.name, uid=action.uid, resource_version=version)
            case plans.AdoptReplicaSet():
                await self._set_owners(seen, action.name, action.uid, [action.owner])
            case plans.ReleaseReplicaSet():
                held = self.world.replica_sets.get(seen.namespace, action.name) or {"metadata": {}}
                owners = held["metadata"].get("ownerReferences") or ()
                await self._set_owners(seen, action.name, action.uid, [each for each in owners if each["uid"] != action.owner_uid])

    async def _create(self, seen: Seen, action: plans.CreateReplicaSet, memory: Memory) -> None:
        errors = self.world.create_errors
        due = memory.refused.get(action.hash, 0.0) + CREATE_AGAIN_AFTER
        if self.clock() < due:
            memory.resend_at = min(due, memory.resend_at or due)
            return
        try:
            created = await self.kube.create(REPLICA_SET, dict(action.manifest))
        except AlreadyExists:
            await note_namesake(self.kube, self.world, seen, REPLICA_SET, action.manifest["metadata"]["name"], self.cache)
            return
        except (Invalid, Forbidden) as error:
            memory.refused = {action.hash: self.clock()}
            errors[seen.uid] = {**errors.get(seen.uid, {}), action.hash: str(error)}
            log.warning("replica set refused", namespace=seen.namespace, rollout=seen.name, error=str(error))
            raise
        errors.pop(seen.uid, None)
        self.cache.note_write(created)

    async def scale(self, namespace: str, action: plans.ScaleReplicaSet) -> None:
        """A `test` on the one field it was decided from: its resourceVersion changes with every pod that becomes ready."""
        operations: list[dict[str, Any]] = [{"op": "test", "path": "/spec/replicas", "value": action.before}]
        if action.after != action.before:
            operations.append({"op": "replace", "path": "/spec/replicas", "value": action.after})
        if action.min_ready is not None:
            operations.append({"op": "add", "path": "/spec/minReadySeconds", "value": action.min_ready})
        operations += self._annotating(namespace, action.name, action.annotations)
        written = await self.kube.json_patch(REPLICA_SET, namespace, action.name, operations)
        self.cache.note_write(written)

    async def _change_template(self, seen: Seen, action: plans.ChangeTemplate) -> None:
        """Its generation changes with its spec and with nothing else."""
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/generation", "value": action.generation},
            {"op": "add", "path": "/spec/template/metadata", "value": action.metadata},
            {"op": "add", "path": "/spec/template/spec/affinity", "value": action.affinity},  # null is none, and no error
        ]
        operations += self._annotating(seen.namespace, action.name, action.annotations)
        written = await self.kube.json_patch(REPLICA_SET, seen.namespace, action.name, operations)
        self.cache.note_write(written)

    def _annotating(self, namespace: str, name: str, annotations: Mapping[str, str | None]) -> list[dict[str, Any]]:
        held = self.world.replica_sets.get(namespace, name) or {"metadata": {}}
        present = held["metadata"].get("annotations")
        operations: list[dict[str, Any]] = []
        if annotations and present is None:
            operations.append({"op": "add", "path": "/metadata/annotations", "value": {}})
        for key, value in annotations.items():
            path = pointer("metadata", "annotations", key)
            if value is not None:
                operations.append({"op": "add", "path": path, "value": value})
            elif key in (present or {}):
                operations.append({"op": "remove", "path": path})
        return operations

    async def _set_owners(self, seen: Seen, name: str, uid: str, owners: list[Json]) -> None:
        """Conditional on the uid: a namesake created meanwhile is not ours to claim."""
        patch = {"metadata": {"uid": uid, "ownerReferences": owners}}
        self.cache.note_write(await self.kube.merge_patch(REPLICA_SET, seen.namespace, name, patch))
