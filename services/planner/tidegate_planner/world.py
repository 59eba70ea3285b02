"""What the shell of the planner knows: the caches, and what is in no object. Holds, reads nothing and decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tidegate.messages import TrafficRequested
from tidegate.plugins import Plugins
from tidegate_planner.router_objects import Nowhere, RouterObjects
from tidegate_planner.seen import Traffic, WaitingContainer, once_asked, once_told
from tidegate_planner.step_calls import Answer

Json = Mapping[str, Any]
Key = tuple[str, str]

BY_OWNER, ORPHANS = "owner", "orphans"


class Objects(Protocol):
    """The part of `tidegate.kube.cache.Cache` that is read here."""

    def get(self, namespace: str | None, name: str) -> dict[str, Any] | None: ...

    def by_index(self, index: str, key: str) -> list[dict[str, Any]]: ...


@dataclass(kw_only=True)
class World:
    """The caches, and what is in no object: `traffic` holds the last `traffic.applied` per rollout uid.

    `fences` are the highest per uid that any request carried; `least_fence` is the version at which the caches were first whole:
    no request of an earlier life of this process, or of another one until then, can have carried a higher one. `instance`: only
    Rollouts with this instance id are looked at, with "" those that carry none (`argo-behaviour.md` 14).
    `asked_from`: per uid, the newest version of the Rollout that a request for traffic was made from.
    `step_plugins`: those that are registered, None where nobody knows. `step_answers`: per uid, the last word of each plugin.
    `refusals`: uid of an experiment -> template -> what the API server said to its ReplicaSet or Service.
    """

    rollouts: Objects
    replica_sets: Objects
    services: Objects
    analysis_runs: Objects
    templates: Objects
    cluster_templates: Objects
    experiments: Objects
    router_objects: RouterObjects = field(default_factory=Nowhere)
    workloads: RouterObjects = field(default_factory=Nowhere)
    instance: str = ""
    fences: dict[str, int] = field(default_factory=dict)
    least_fence: int = 0
    asked_from: dict[str, int] = field(default_factory=dict)
    traffic: dict[str, Traffic] = field(default_factory=dict)
    waiting: dict[str, tuple[WaitingContainer, ...]] = field(default_factory=dict)
    taken_names: dict[str, frozenset[str]] = field(default_factory=dict)
    create_errors: dict[str, dict[str, str]] = field(default_factory=dict)
    step_plugins: Plugins | None = None
    step_answers: dict[str, dict[str, Answer]] = field(default_factory=dict)
    refusals: dict[str, dict[str, str]] = field(default_factory=dict)

    def ask_traffic(self, uid: str, request: TrafficRequested) -> None:
        """By this process or another: what was answered before is no news of it."""
        self.traffic[uid] = once_asked(self.traffic.get(uid), digest=request.digest, fence=request.fence)
        self.asked_from[uid] = max(request.made_from, self.asked_from.get(uid, 0))

    def tell_traffic(self, uid: str, told: Traffic | None) -> None:
        held = once_told(self.traffic.get(uid), told)
        if held is not None:
            self.traffic[uid] = held

    def hear_traffic(self, uid: str, told: Traffic) -> None:
        if told.overrules(self.traffic.get(uid)):
            self.traffic[uid] = told
        self.fences[uid] = max(told.fence, self.fences.get(uid, 0))
