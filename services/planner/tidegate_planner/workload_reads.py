"""A workload that this planner's own view lags behind on, read for the decision that would be made from it.

The Rollout's status is guarded by the version that it was decided from, the template of another object by nothing: of two planners
the one that had not yet heard of a new template gave the old one back its pods, and the other took them again, for as long as the
watch was late. What has been acted on stands in `status.workloadObservedGeneration`, so whoever knows less than that asks.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from tidegate.kube.errors import NotFound
from tidegate.kube.kinds import DEPLOYMENT, POD_TEMPLATE, REPLICA_SET, Kind, Object
from tidegate_planner.seen import Seen
from tidegate_planner.workloads import acted_on_later
from tidegate_planner.writing import Refused

KINDS = {kind.kind: kind for kind in (DEPLOYMENT, REPLICA_SET, POD_TEMPLATE)}


class Reads(Protocol):
    """The part of `tidegate.kube.client.Kube` that is used here."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any]: ...


class Noted(Protocol):
    def note_write(self, kind: Kind, obj: Object) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Workloads:
    """`further` looks at whatever else the decision needs."""

    kube: Reads
    views: Noted
    further: Callable[[Seen, float], Awaitable[Seen]]

    async def look(self, seen: Seen, now: float) -> Seen:
        """The same view, if it is not known to be old. Raises Refused; the view is then put right, and that wakes."""
        held = seen.workload
        if held is not None and acted_on_later(seen.status, held.generation):
            kind = KINDS[held.kind]
            try:
                found = await self.kube.get(kind, seen.namespace, held.name)
            except NotFound:
                raise Refused(f"{kind} {held.name} is gone") from None
            if found["metadata"].get("generation", 0) != held.generation:
                self.views.note_write(kind, found)
                raise Refused(f"{kind} {held.name} is newer than what was seen of it")
        return await self.further(seen, now)
