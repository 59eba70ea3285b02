"""Carries a plan out: the status first, then the actions in their order. Writes, decides nothing.

Every write is conditional on what it was decided from. A refused one ends the pass: the watch brings what refused it, and the
next decision is made from that. Nothing here is an error to a user.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from tidegate.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from tidegate.kube.kinds import EXPERIMENT, REPLICA_SET, ROLLOUT, Kind
from tidegate.kube.patches import merge_difference, pointer
from tidegate.messages import AnalysisRequested, Message
from tidegate_planner import plan as plans
from tidegate_planner.observe import World
from tidegate_planner.outside import Outside
from tidegate_planner.plan import Action, Plan
from tidegate_planner.pods import Lists, waiting_containers
from tidegate_planner.seen import Seen

Json = Mapping[str, Any]

log = structlog.get_logger(__name__)

LAZY_FIELDS = frozenset({"replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "HPAReplicas", "message"})
LAZY_CONDITIONS = frozenset({"Available"})
CREATE_AGAIN_AFTER = 10.0  # seconds between attempts at a ReplicaSet that the API server refuses (a quota, a policy)
LOOK_AGAIN_AFTER = 5.0  # seconds between looks at pods that do not come up
RESEND_AFTER = 5.0  # seconds after which an unanswered request to another service is sent again


class Writes(Lists, Protocol):
    """The part of `tidegate.kube.client.Kube` that is used here."""

    async def create(self, kind: Kind, obj: dict[str, Any]) -> dict[str, Any]: ...

    async def get(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any]: ...

    async def delete(
        self, kind: Kind, namespace: str | None, name: str, *, uid: str | None = None, resource_version: str | None = None
    ) -> dict[str, Any]: ...

    async def merge_patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: dict[str, Any],
        *,
        subresource: str | None = None,
        resource_version: str | None = None,
    ) -> dict[str, Any]: ...

    async def json_patch(
        self, kind: Kind, namespace: str | None, name: str, operations: list[dict[str, Any]], *, subresource: str | None = None
    ) -> dict[str, Any]: ...


class Sends(Protocol):
    """The part of `tidegate.bus.Bus` that is used here."""

    async def publish(self, message: Message) -> object: ...


class Noted(Protocol):
    """A cache that takes the answers to our own writes, so that the next decision does not run on an older view."""

    def note_write(self, obj: dict[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Asked:
    """The last request on a topic: what it asked for, and when."""

    content: str
    at: float


@dataclass(slots=True)
class Memory:
    """What one rollout's shell remembers between passes. Losing it costs a repeated message, nothing else.

    `resend_at`: when something that the last pass asked for in vain is due again. `refused`: template hash -> when the API server
    last refused its ReplicaSet. `version`: the Rollout's as the pass saw it, or as its own last write left it.
    """

    asked: dict[str, Asked] = field(default_factory=dict)
    resend_at: float | None = None
    refused: dict[str, float] = field(default_factory=dict)
    lazy_since: float | None = None
    looked_at: float = 0.0
    version: str = ""


class Refused(Exception):  # noqa: N818 - a fact, not an error: the world is not what the plan was made from
    """A precondition did not hold; wait for the watch."""


@dataclass(frozen=True, kw_only=True)
class Applier:
    kube: Writes
    bus: Sends
    world: World
    rollouts: Noted
    replica_sets: Noted
    experiments: Noted
    outside: Outside
    clock: Callable[[], float]

    async def apply(self, seen: Seen, plan: Plan, memory: Memory, *, lazy_for: float) -> bool:
        """True if the status is left unwritten for now, because only counts differ that are about to change again."""
        memory.resend_at = None
        memory.version = str(seen.resource_version)
        if not any(isinstance(each, plans.LookAtPods) for each in plan.actions):
            self.world.waiting.pop(seen.uid, None)  # what was found is about pods that nobody waits for any more
        try:
            postponed = await self._write_status(seen, plan, memory, lazy_for=lazy_for)
            lanes = (self._drive(seen, lane, memory) for lane in _lanes(plan.actions))
            ends = await asyncio.gather(*lanes, return_exceptions=True)
            for error in (end for end in ends if end is not None):
                raise error
        except (Conflict, PreconditionFailed, NotFound) as error:
            raise Refused(str(error)) from error
        renewed = None if seen.pods is None else self.outside.pods.look_again_at(seen.uid)
        if renewed is not None:
            memory.resend_at = min(renewed, memory.resend_at or renewed)
        return postponed

    async def _drive(self, seen: Seen, actions: Sequence[Action], memory: Memory) -> None:
        for action in actions:
            await self._carry_out(seen, action, memory)

    async def _write_status(self, seen: Seen, plan: Plan, memory: Memory, *, lazy_for: float) -> bool:
        patch = merge_difference(seen.status, plan.status)
        if not patch:
            memory.lazy_since = None
            return False
        if is_lazy(seen.status, plan.status):
            now = self.clock()
            memory.lazy_since = memory.lazy_since or now
            if now < memory.lazy_since + lazy_for:
                return True
        memory.lazy_since = None
        await self._patch_rollout(seen, {"status": patch}, memory, subresource="status")
        return False

    async def _carry_out(self, seen: Seen, action: Action, memory: Memory) -> None:
        match action:
            case plans.SetDefaultReplicas():
                await self._patch_rollout(seen, {"spec": {"replicas": action.replicas}}, memory)
            case plans.AnnotateRollout():
                await self._patch_rollout(seen, {"metadata": {"annotations": dict(action.annotations)}}, memory)
            case plans.ShiftTraffic():
                await self._ask(action.request, "traffic", action.request.digest, memory)
            case plans.AskStepPlugin():
                await self._ask(action.request, f"step/{action.request.plugin}", action.request.id, memory)
            case plans.StartAnalysis() | plans.TerminateAnalysis() | plans.DeleteAnalysis():
                await self.ask_for_run(seen.namespace, action, memory, rollout=seen.name)
            case plans.CreateExperiment() | plans.TerminateExperiment() | plans.DeleteExperiment():
                await self._change_experiment(seen, action)
            case plans.LookAtPods():
                await self._look_at_pods(seen, action.hash, memory)
            case plans.EvictPods() | plans.RelabelPod() | plans.ScaleWorkload():
                await self.outside.carry_out(seen, action)
            case _:
                await self._change_replica_set(seen, action, memory)

    async def _look_at_pods(self, seen: Seen, template_hash: str, memory: Memory) -> None:
        """Pods are in no cache, for nearly nobody asks; news of them lead to another pass at once."""
        now, due = self.clock(), memory.looked_at + LOOK_AGAIN_AFTER
        if now >= due:
            try:
                found = await waiting_containers(self.kube, seen, template_hash)
            except Forbidden as error:  # an older role: nothing else of the rollout may wait for this
                log.warning("pods not looked at", namespace=seen.namespace, rollout=seen.name, error=str(error))
                found = ()
            memory.looked_at, self.world.waiting[seen.uid] = now, found
            due = now if found != seen.waiting else now + LOOK_AGAIN_AFTER
        memory.resend_at = min(due, memory.resend_at or due)

    async def _change_replica_set(self, seen: Seen, action: plans.ReplicaSetAction, memory: Memory) -> None:
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

    async def _patch_rollout(self, seen: Seen, patch: dict[str, Any], memory: Memory, *, subresource: str | None = None) -> None:
        """Conditional on what was seen, or on our own last write: what is in the cache by now may be somebody's newer word."""
        written = await self.kube.merge_patch(
            ROLLOUT, seen.namespace, seen.name, patch, subresource=subresource, resource_version=memory.version
        )
        memory.version = written["metadata"]["resourceVersion"]
        self.rollouts.note_write(written)

    async def _create(self, seen: Seen, action: plans.CreateReplicaSet, memory: Memory) -> None:
        errors = self.world.create_errors
        due = memory.refused.get(action.hash, 0.0) + CREATE_AGAIN_AFTER
        if self.clock() < due:
            memory.resend_at = min(due, memory.resend_at or due)
            return
        try:
            created = await self.kube.create(REPLICA_SET, dict(action.manifest))
        except AlreadyExists:
            await self._note_namesake(seen, REPLICA_SET, action.manifest["metadata"]["name"], self.replica_sets)
            return
        except (Invalid, Forbidden) as error:
            memory.refused = {action.hash: self.clock()}
            errors[seen.uid] = {**errors.get(seen.uid, {}), action.hash: str(error)}
            log.warning("replica set refused", namespace=seen.namespace, rollout=seen.name, error=str(error))
            raise
        errors.pop(seen.uid, None)
        self.replica_sets.note_write(created)

    async def _change_experiment(self, seen: Seen, action: plans.ExperimentAction) -> None:
        """By uid: a namesake is not ours to end or to delete."""
        match action:
            case plans.CreateExperiment():
                await self._create_experiment(seen, action)
            case plans.TerminateExperiment():
                patch = {"metadata": {"uid": action.uid}, "spec": {"terminate": True}}
                self.experiments.note_write(await self.kube.merge_patch(EXPERIMENT, seen.namespace, action.name, patch))
            case plans.DeleteExperiment():
                await self.kube.delete(EXPERIMENT, seen.namespace, action.name, uid=action.uid)

    async def _create_experiment(self, seen: Seen, action: plans.CreateExperiment) -> None:
        try:
            self.experiments.note_write(await self.kube.create(EXPERIMENT, dict(action.manifest)))
        except AlreadyExists:
            await self._note_namesake(seen, EXPERIMENT, action.manifest["metadata"]["name"], self.experiments)

    async def _note_namesake(self, seen: Seen, kind: Kind, name: str, cache: Noted) -> None:
        """Ours, and the cache was behind; or somebody else's, and the next name must differ (`argo-behaviour.md` 2.3, 10)."""
        found = await self.kube.get(kind, seen.namespace, name)
        owners = found["metadata"].get("ownerReferences") or ()
        if any(each.get("uid") == seen.uid for each in owners):
            cache.note_write(found)
        else:
            taken = self.world.taken_names
            taken[seen.uid] = taken.get(seen.uid, frozenset()) | {name}
        raise Refused(f"{kind.kind} {name} exists")

    async def scale(self, namespace: str, action: plans.ScaleReplicaSet) -> None:
        """A `test` on the one field it was decided from: its resourceVersion changes with every pod that becomes ready."""
        operations: list[dict[str, Any]] = [{"op": "test", "path": "/spec/replicas", "value": action.before}]
        if action.after != action.before:
            operations.append({"op": "replace", "path": "/spec/replicas", "value": action.after})
        operations += self._annotating(namespace, action.name, action.annotations)
        written = await self.kube.json_patch(REPLICA_SET, namespace, action.name, operations)
        self.replica_sets.note_write(written)

    async def _change_template(self, seen: Seen, action: plans.ChangeTemplate) -> None:
        """Its generation changes with its spec and with nothing else."""
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/metadata/generation", "value": action.generation},
            {"op": "add", "path": "/spec/template/metadata", "value": action.metadata},
            {"op": "add", "path": "/spec/template/spec/affinity", "value": action.affinity},  # null is none, and no error
        ]
        operations += self._annotating(seen.namespace, action.name, action.annotations)
        written = await self.kube.json_patch(REPLICA_SET, seen.namespace, action.name, operations)
        self.replica_sets.note_write(written)

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
        self.replica_sets.note_write(await self.kube.merge_patch(REPLICA_SET, seen.namespace, name, patch))

    async def ask_for_run(self, namespace: str, action: plans.AnalysisAction, memory: Memory, **owner: str) -> None:
        """`owner`: the `rollout` or the `experiment` that the run belongs to."""
        fields: dict[str, Any] = {"namespace": namespace, **owner}
        match action:
            case plans.StartAnalysis():
                fields |= {"name": action.manifest["metadata"]["name"], "manifest": dict(action.manifest)}
            case plans.TerminateAnalysis():
                fields |= {"name": action.name, "terminate": True}
            case plans.DeleteAnalysis():
                fields |= {"name": action.name, "delete": action.uid}
        request = AnalysisRequested.model_validate(fields)
        await self._ask(request, f"analysis/{request.name}", type(action).__name__, memory)

    async def _ask(self, message: Message, topic: str, content: str, memory: Memory) -> None:
        """Send a request once, and again only when nothing came of it for a while.

        What counts is the last request on its topic: traffic asked to go there, and back within the same seconds, must go back.
        """
        now = self.clock()
        asked = memory.asked.get(topic)
        if asked is None or asked.content != content or now >= asked.at + RESEND_AFTER:
            await self.bus.publish(message)
            memory.asked = {each: held for each, held in memory.asked.items() if now < held.at + RESEND_AFTER}
            asked = memory.asked[topic] = Asked(content, now)
        memory.resend_at = min(asked.at + RESEND_AFTER, memory.resend_at or float("inf"))


def _lanes(actions: Sequence[Action]) -> tuple[Sequence[Action], ...]:
    """What may go on side by side: the Rollout and messages in one lane, ReplicaSets in the other, each lane in its order.

    A refused shrinking so keeps what should have grown in its place from growing: the surge is never exceeded.
    """
    sets = [action for action in actions if isinstance(action, plans.ReplicaSetAction)]
    rest = [action for action in actions if not isinstance(action, plans.ReplicaSetAction)]
    return tuple(lane for lane in (rest, sets) if lane)


def is_lazy(before: Json, after: Json) -> bool:
    """Whether only counts and what follows from them differ. While pods come and go they change several times a second;
    written at once they would be half of all writes of a rollout, and nobody decides by them but the autoscaler."""
    if not before.get("phase"):
        return False
    keys_changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    if not keys_changed <= LAZY_FIELDS | {"conditions"}:
        return False
    return _essence(before.get("conditions") or ()) == _essence(after.get("conditions") or ())


def _essence(conditions: Any) -> set[tuple[str, str, str]]:
    return {(each["type"], each["status"], each.get("reason", "")) for each in conditions if each["type"] not in LAZY_CONDITIONS}
