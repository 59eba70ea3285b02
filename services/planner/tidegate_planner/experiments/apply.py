"""Carries out what was decided about an experiment: the status first, then the actions in their order. Writes, decides nothing.

As for rollouts every write is conditional on what it was decided from; ReplicaSets are scaled and AnalysisRuns asked for by the
very same code. An Experiment has no status subresource: its status is written into the object, under its resourceVersion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from tidegate.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, PreconditionFailed
from tidegate.kube.kinds import EXPERIMENT, REPLICA_SET, SERVICE, Kind
from tidegate.kube.patches import merge_difference
from tidegate_planner import plan as plans
from tidegate_planner.apply import Applier as RolloutApplier
from tidegate_planner.experiments import plan as own
from tidegate_planner.experiments.plan import Action, Plan
from tidegate_planner.experiments.seen import Seen
from tidegate_planner.memory import Memory
from tidegate_planner.writing import Noted, Refused

Json = Mapping[str, Any]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Applier:
    """`shared` does what is the same for rollouts."""

    shared: RolloutApplier
    services: Noted

    async def apply(self, seen: Seen, plan: Plan, memory: Memory, *, lazy_for: float) -> bool:  # noqa: ARG002 - few writes, all told
        """Never postpones a status."""
        memory.resend_at = None
        try:
            await self._write_status(seen, plan)
            for action in plan.actions:
                await self._carry_out(seen, action, memory)
        except (Conflict, PreconditionFailed, NotFound) as error:
            raise Refused(str(error)) from error
        return False

    async def _write_status(self, seen: Seen, plan: Plan) -> None:
        patch = merge_difference(seen.status, plan.status)
        if patch:
            written = await self.shared.kube.merge_patch(
                EXPERIMENT, seen.namespace, seen.name, {"status": patch}, resource_version=str(seen.resource_version)
            )
            self.shared.experiments.note_write(written)

    async def _carry_out(self, seen: Seen, action: Action, memory: Memory) -> None:
        match action:
            case plans.ScaleReplicaSet():
                await self.shared.sets.scale(seen.namespace, action)
            case own.CreateReplicaSet():
                await self._create(seen, REPLICA_SET, action, self.shared.replica_sets)
            case own.CreateService():
                await self._create(seen, SERVICE, action, self.services)
            case own.DeleteService():
                await self.shared.kube.delete(SERVICE, seen.namespace, action.name, uid=action.uid)
            case plans.StartAnalysis() | plans.TerminateAnalysis():
                await self.shared.asking.ask_for_run(seen.namespace, action, memory, experiment=seen.name)

    async def _create(self, seen: Seen, kind: Kind, action: own.CreateReplicaSet | own.CreateService, cache: Noted) -> None:
        """A refusal fails the template at once, as with the peer: an experiment that waits for a quota measures nothing."""
        name = action.manifest["metadata"]["name"]
        try:
            cache.note_write(await self.shared.kube.create(kind, dict(action.manifest)))
        except AlreadyExists:
            found = await self.shared.kube.get(kind, seen.namespace, name)
            owners = found["metadata"].get("ownerReferences") or ()
            if not any(each.get("uid") == seen.uid for each in owners):
                self._refuse(seen, kind, action, f"{kind.kind} {name} exists and does not belong to this experiment")
            cache.note_write(found)
            raise Refused(f"{kind.kind} {name} exists") from None
        except (Invalid, Forbidden) as error:
            self._refuse(seen, kind, action, str(error))

    def _refuse(self, seen: Seen, kind: Kind, action: own.CreateReplicaSet | own.CreateService, because: str) -> None:
        """Known to the next pass, which comes at once."""
        what = kind.kind if kind == REPLICA_SET else f"{kind.kind} {action.manifest['metadata']['name']}"
        refusal = f"Failed to create {what} for template '{action.template}': {because}"
        refusals = self.shared.world.refusals
        refusals[seen.uid] = {**refusals.get(seen.uid, {}), action.template: refusal}
        log.warning("child of an experiment refused", namespace=seen.namespace, experiment=seen.name, error=refusal)
        raise Refused(refusal)
