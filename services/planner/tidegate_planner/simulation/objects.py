"""What the modelled cluster holds, and what its kinds have in common: versions that only rise, and changes that are told.

Rule of this file: values and the book of changes; how an object comes to be changed is in `model` and `replica_sets`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tidegate.rollout import Spec
from tidegate_planner.seen import ReplicaSet, Workload
from tidegate_planner.simulation.scenario import PodBehaviour
from tidegate_planner.simulation.scheduler import Scheduler

Json = Mapping[str, Any]
Watcher = Callable[[str, int], None]
"""Told of a kind and the number of its changes so far."""

Told = TypeVar("Told")

ROLLOUTS, SETS, SERVICES, RUNS, EXPERIMENTS = "Rollout", "ReplicaSet", "Service", "AnalysisRun", "Experiment"
DEPLOYMENTS = "Deployment"
WATCHED = (ROLLOUTS, SETS, SERVICES, RUNS, EXPERIMENTS, DEPLOYMENTS)
OTHER_SETS = "ReplicaSet of a Deployment"
"""No planner watches these: they do not carry the label that its ReplicaSets do."""


class RefusedError(Exception):
    """409: the object is not, or no longer, what the write was decided from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One version of the object, with its manifest already read; one with `workloadRef` is read with its workload (`readings`)."""

    manifest: Json
    spec: Spec | None
    problem: str | None
    template_hash: str
    generation: int
    resource_version: int
    annotations: Json
    status: Json
    templates: Mapping[tuple[str, str], Json]
    workload: Workload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One version of the object. `manifest` has no status: that is written apart, though the API server has it in one."""

    manifest: Json
    uid: str
    resource_version: int
    status: Json = field(default_factory=dict)


@dataclass(slots=True)
class Pod:
    """`ready_at` None: it is not going to be. `scheduled` False: it waits for room on a node."""

    name: str
    created: float
    template: Json
    ready_at: float | None = None
    scheduled: bool = True
    crashes: int = 0


@dataclass(slots=True)
class Owned:
    """A ReplicaSet with what its controller knows; `seen` is its public face."""

    seen: ReplicaSet
    behaviour: PodBehaviour
    pods: list[Pod] = field(default_factory=list)


class Book:
    """Every change gets the next version and is told to whoever watches that kind."""

    def __init__(self, clock: Scheduler) -> None:
        self.clock = clock
        self.version = 100
        self.changes: dict[str, list[tuple[str, Any]]] = {kind: [] for kind in (*WATCHED, OTHER_SETS)}
        self.watchers: list[Watcher] = []

    def _told(self, kind: str, name: str, seen: Told) -> Told:
        self.changes[kind].append((name, seen))
        for watcher in self.watchers:
            watcher(kind, len(self.changes[kind]))
        return seen
