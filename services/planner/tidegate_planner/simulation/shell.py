"""The real shell on an API server in memory: caches, observer and applier put together as `composition` does it.

Rule of this file: nothing goes wrong here by itself. A test decides through `kube.before`/`kube.after`, the feeds (a view that
lags) and `sent.refuse`, and moves the clock by hand.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tidegate import keys
from tidegate.kube.cache import Cache
from tidegate.kube.kinds import (
    ANALYSIS_RUN,
    ANALYSIS_TEMPLATE,
    CLUSTER_ANALYSIS_TEMPLATE,
    EXPERIMENT,
    REPLICA_SET,
    ROLLOUT,
    SERVICE,
    Kind,
)
from tidegate.kube.memory import Call, Feed, MemoryKube
from tidegate.messages import Message
from tidegate_planner.apply import Applier
from tidegate_planner.memory import Memory
from tidegate_planner.observe import Observer
from tidegate_planner.outside import Outside
from tidegate_planner.plan import Action, Plan
from tidegate_planner.podlists import Pods
from tidegate_planner.readings import orphaned_in, owners_of
from tidegate_planner.router_objects import WatchedKinds
from tidegate_planner.seen import Seen
from tidegate_planner.simulation.scheduler import START
from tidegate_planner.workloads import slim_workload
from tidegate_planner.world import BY_OWNER, ORPHANS, Key, World

NAMESPACE = "default"
KINDS = (ROLLOUT, REPLICA_SET, SERVICE, ANALYSIS_RUN, ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE, EXPERIMENT)


class Sent:
    """A bus that keeps what it is given; `refuse` may raise instead."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.refuse: Callable[[Message], None] = lambda _message: None

    async def publish(self, message: Message, **_attributes: Any) -> None:
        self.refuse(message)
        self.messages.append(message)


class Shell:
    def __init__(self) -> None:
        self.now = START
        self.sent = Sent()
        self.kube = MemoryKube(clock=lambda: datetime.fromtimestamp(self.now, UTC))
        self.caches = {kind: self._cache(kind) for kind in KINDS}
        self.feeds: dict[Kind, Feed] = {kind: self.kube.feed(cache, kind) for kind, cache in self.caches.items()}
        self.world = World(
            rollouts=self.caches[ROLLOUT],
            replica_sets=self.caches[REPLICA_SET],
            services=self.caches[SERVICE],
            analysis_runs=self.caches[ANALYSIS_RUN],
            templates=self.caches[ANALYSIS_TEMPLATE],
            cluster_templates=self.caches[CLUSTER_ANALYSIS_TEMPLATE],
            experiments=self.caches[EXPERIMENT],
            workloads=WatchedKinds(self._workload_cache, lambda _: None),  # fed as soon as it is there
        )
        self.observer = Observer(self.world)
        self.pods = Pods(self.kube, clock=lambda: self.now)
        self.applier = Applier(
            kube=self.kube,
            bus=self.sent,
            world=self.world,
            rollouts=self.caches[ROLLOUT],
            replica_sets=self.caches[REPLICA_SET],
            experiments=self.caches[EXPERIMENT],
            outside=Outside(kube=self.kube, pods=self.pods),
            clock=lambda: self.now,
        )

    def put(self, kind: Kind, manifest: dict[str, Any]) -> dict[str, Any]:
        """What somebody else creates or changes, at once and past the hooks."""
        namespace = {"namespace": NAMESPACE} if kind.namespaced else {}
        return self.kube.put(kind, {**manifest, "metadata": {**namespace, **manifest["metadata"]}})

    def see(self, name: str = "web") -> Seen:
        seen = self.observer.see((NAMESPACE, name))
        assert seen is not None, f"{name} is not there"
        return seen

    def stored(self, kind: Kind, name: str = "web") -> dict[str, Any]:
        """What the API server holds, past every cache and without counting as a call."""
        found: list[dict[str, Any]] = [each for each in self.kube.snapshot(kind) if each["metadata"]["name"] == name]
        assert found, f"{kind} {name} is not stored"
        return found[0]

    async def apply(self, *actions: Action, seen: Seen | None = None, memory: Memory | None = None) -> None:
        """Actions alone, with the status as it is."""
        seen = seen or self.see()
        await self.applier.apply(seen, Plan(status=seen.status, actions=actions), memory or Memory(), lazy_for=0.0)

    @property
    def writes(self) -> list[tuple[str, str, str | None]]:
        """(verb, kind, subresource) of the requests that change something, in order."""
        return [(each.verb, each.kind.kind, each.subresource) for each in self.kube.calls if each.verb not in {"get", "list"}]

    def _workload_cache(self, kind: Kind) -> Cache:
        cache = Cache(self.kube, kind, slim=slim_workload)
        self.kube.feed(cache, kind)
        return cache

    def _cache(self, kind: Kind) -> Cache:
        cache = Cache(self.kube, kind, labels=keys.POD_TEMPLATE_HASH if kind == REPLICA_SET else None)
        cache.add_index(BY_OWNER, owners_of)
        if kind == REPLICA_SET:
            cache.add_index(ORPHANS, orphaned_in)
        return cache


__all__ = ["KINDS", "NAMESPACE", "Call", "Key", "Sent", "Shell"]
