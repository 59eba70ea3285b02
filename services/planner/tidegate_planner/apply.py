"""Carries a plan out: the status first, then the actions in their order. Writes, decides nothing.

Every write is conditional on what it was decided from. A refused one ends the pass: the watch brings what refused it, and the
next decision is made from that. Nothing here is an error to a user.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import structlog

from tidegate.kube.errors import AlreadyExists, Conflict, Forbidden, NotFound, PreconditionFailed
from tidegate.kube.kinds import EXPERIMENT, ROLLOUT
from tidegate.kube.patches import merge_difference
from tidegate_planner import plan as plans
from tidegate_planner.asking import Asking, Sends
from tidegate_planner.memory import Memory
from tidegate_planner.outside import Outside
from tidegate_planner.plan import Action, Plan
from tidegate_planner.pods import waiting_containers
from tidegate_planner.replica_set_writes import ReplicaSetWrites
from tidegate_planner.seen import Seen
from tidegate_planner.world import World
from tidegate_planner.writing import Noted, Refused, Writes, note_namesake

Json = Mapping[str, Any]

log = structlog.get_logger(__name__)

LAZY_FIELDS = frozenset({"replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "HPAReplicas", "message"})
LAZY_CONDITIONS = frozenset({"Available"})
LOOK_AGAIN_AFTER = 5.0  # seconds between looks at pods that do not come up


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

    @cached_property
    def sets(self) -> ReplicaSetWrites:
        return ReplicaSetWrites(self.kube, self.world, self.replica_sets, self.clock)

    @cached_property
    def asking(self) -> Asking:
        return Asking(self.bus, self.clock)

    async def apply(self, seen: Seen, plan: Plan, memory: Memory, *, lazy_for: float) -> bool:
        """True if the status is left unwritten for now, because only counts differ that are about to change again."""
        memory.resend_at = None
        memory.version, memory.views = str(seen.resource_version), {each.name: each.made_from for each in seen.replica_sets}
        if not any(isinstance(each, plans.LookAtPods) for each in plan.actions):
            self.world.waiting.pop(seen.uid, None)  # what was found is about pods that nobody waits for any more
        try:
            postponed = await self._write_status(seen, plan, memory, lazy_for=lazy_for)
            if not postponed:
                self.world.tell_traffic(seen.uid, seen.traffic)
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
            case plans.SetDefaultReplicas() | plans.AnnotateRollout() | plans.ReadRollout():
                await self._on_rollout(seen, action, memory)
            case plans.ShiftTraffic():
                request = action.request.model_copy(update={"made_from": int(memory.version)})
                self.world.ask_traffic(seen.uid, request)
                await self.asking.ask(request, "traffic", request.digest, memory)
            case plans.AskStepPlugin():
                await self.asking.ask(action.request, f"step/{action.request.plugin}", action.request.id, memory)
            case plans.StartAnalysis() | plans.TerminateAnalysis() | plans.DeleteAnalysis():
                await self.asking.ask_for_run(seen.namespace, action, memory, rollout=seen.name)
            case plans.CreateExperiment() | plans.TerminateExperiment() | plans.DeleteExperiment():
                await self._change_experiment(seen, action)
            case plans.LookAtPods():
                await self._look_at_pods(seen, action.hash, memory)
            case plans.EvictPods() | plans.RelabelPod() | plans.ScaleWorkload():
                await self.outside.carry_out(seen, action)
            case _:
                await self.sets.carry_out(seen, action, memory)

    async def _on_rollout(self, seen: Seen, action: plans.RolloutAction, memory: Memory) -> None:
        match action:
            case plans.SetDefaultReplicas():
                await self._patch_rollout(seen, {"spec": {"replicas": action.replicas}}, memory)
            case plans.AnnotateRollout():
                await self._patch_rollout(seen, {"metadata": {"annotations": dict(action.annotations)}}, memory)
            case plans.ReadRollout():
                await self._read_rollout(seen, action)

    async def _read_rollout(self, seen: Seen, action: plans.ReadRollout) -> None:
        """A view that the Rollout itself has not reached is nobody's (a hand's, another cluster's): it would hold it for ever."""
        found = await self.kube.get(ROLLOUT, seen.namespace, seen.name)
        self.rollouts.note_write(found)
        version = int(found["metadata"]["resourceVersion"])
        self.world.asked_from[seen.uid] = min(version, self.world.asked_from.get(seen.uid, 0))
        for name in (name for name, view in action.views.items() if view > version):
            await self.sets.correct_view(seen.namespace, name, action.views[name], version)
        raise Refused(f"other planners have seen more of the rollout than version {seen.resource_version}")

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

    async def _patch_rollout(self, seen: Seen, patch: dict[str, Any], memory: Memory, *, subresource: str | None = None) -> None:
        """Conditional on what was seen, or on our own last write: what is in the cache by now may be somebody's newer word."""
        written = await self.kube.merge_patch(
            ROLLOUT, seen.namespace, seen.name, patch, subresource=subresource, resource_version=memory.version
        )
        memory.version = written["metadata"]["resourceVersion"]
        self.rollouts.note_write(written)

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
            await note_namesake(self.kube, self.world, seen, EXPERIMENT, action.manifest["metadata"]["name"], self.experiments)


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
