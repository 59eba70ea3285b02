"""ReplicaSets as a plan wants them: each write with a precondition on what it was decided from, and on nothing else.

What it was decided from is also the Rollout. So each write leaves behind which version of it that was, and holds only while nobody
wrote from another one: a planner whose view of the Rollout is old would else undo what followed from a newer one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from tidegate import keys
from tidegate.kube.errors import AlreadyExists, Forbidden, Invalid
from tidegate.kube.kinds import REPLICA_SET
from tidegate.kube.patches import pointer
from tidegate.rollout import number_in
from tidegate_planner import plan as plans
from tidegate_planner.memory import Memory
from tidegate_planner.seen import Seen
from tidegate_planner.world import World
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

    async def carry_out(self, seen: Seen, action: plans.ReplicaSetAction | plans.ConfirmReplicaSet, memory: Memory) -> None:
        match action:
            case plans.CreateReplicaSet():
                await self._create(seen, action, memory)
            case plans.ScaleReplicaSet():
                await self.scale(seen.namespace, action, memory)
            case plans.ChangeTemplate():
                await self._change_template(seen, action, memory)
            case plans.ConfirmReplicaSet():
                await self._confirm(seen, action, memory)
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
            created = await self.kube.create(REPLICA_SET, _with_view(action.manifest, memory.version))
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

    async def scale(self, namespace: str, action: plans.ScaleReplicaSet, memory: Memory | None = None) -> None:
        """A `test` on the one field it was decided from: its resourceVersion changes with every pod that becomes ready. `memory` is
        that of a Rollout's pass; an experiment's ReplicaSets are nobody's view of one."""
        operations: list[dict[str, Any]] = [{"op": "test", "path": "/spec/replicas", "value": action.before}]
        annotations = action.annotations
        if memory is not None:
            operations += _same_view(action.name, memory)
            annotations = {**annotations, keys.MADE_FROM: memory.version}
        if action.after != action.before:
            operations.append({"op": "replace", "path": "/spec/replicas", "value": action.after})
        if action.min_ready is not None:
            operations.append({"op": "add", "path": "/spec/minReadySeconds", "value": action.min_ready})
        operations += self._annotating(namespace, action.name, annotations)
        await self._patch(namespace, action.name, operations, memory)

    async def _change_template(self, seen: Seen, action: plans.ChangeTemplate, memory: Memory) -> None:
        """Its generation changes with its spec and with nothing else."""
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/generation", "value": action.generation},
            *_same_view(action.name, memory),
            {"op": "add", "path": "/spec/template/metadata", "value": action.metadata},
            {"op": "add", "path": "/spec/template/spec/affinity", "value": action.affinity},  # null is none, and no error
        ]
        annotations = {**action.annotations, keys.MADE_FROM: memory.version}
        operations += self._annotating(seen.namespace, action.name, annotations)
        await self._patch(seen.namespace, action.name, operations, memory)

    async def _confirm(self, seen: Seen, action: plans.ConfirmReplicaSet, memory: Memory) -> None:
        """A patch that only tests changes nothing, not even the resourceVersion."""
        generation = {"op": "test", "path": "/metadata/generation", "value": action.generation}
        await self._patch(seen.namespace, action.name, [generation, *_same_view(action.name, memory)])

    async def correct_view(self, namespace: str, name: str, before: int, after: int) -> None:
        path = pointer("metadata", "annotations", keys.MADE_FROM)
        test = {"op": "test", "path": path, "value": str(before)}
        await self._patch(namespace, name, [test, {"op": "replace", "path": path, "value": str(after)}])

    async def _patch(self, namespace: str, name: str, operations: list[dict[str, Any]], memory: Memory | None = None) -> None:
        written = await self.kube.json_patch(REPLICA_SET, namespace, name, operations)
        if memory is not None:
            memory.views[name] = number_in(written["metadata"]["annotations"], keys.MADE_FROM) or 0
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
        """Conditional on the uid: a namesake created meanwhile is not ours to claim. What it was written from is no view of the
        Rollout that it belongs to now."""
        patch = {"metadata": {"uid": uid, "ownerReferences": owners, "annotations": {keys.MADE_FROM: None}}}
        self.cache.note_write(await self.kube.merge_patch(REPLICA_SET, seen.namespace, name, patch))


def _same_view(name: str, memory: Memory) -> list[dict[str, Any]]:
    """Nobody has written it from another version of the Rollout than the one that this pass has seen there. One that carries none
    is the peer's, or of an earlier release: its first write here has nothing to go by."""
    view = memory.views.get(name)
    return [{"op": "test", "path": pointer("metadata", "annotations", keys.MADE_FROM), "value": str(view)}] if view else []


def _with_view(manifest: Json, version: str) -> dict[str, Any]:
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "annotations": {**metadata["annotations"], keys.MADE_FROM: version}}}
