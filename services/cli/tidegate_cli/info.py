"""What a person or a machine is shown of a rollout: the nouns of the tree, and nothing about how they are drawn.

Field names become the camelCase names of the peer's `RolloutInfo` (`argo-behaviour.md` 13), so that tools which read that
JSON can read ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    name: str
    namespace: str = ""
    uid: str = ""
    creation_timestamp: str | None = None
    resource_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodInfo:
    object_meta: Meta
    status: str
    icon: str
    ready: str
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSetInfo:
    object_meta: Meta
    status: str
    icon: str
    revision: int
    hash: str
    stable: bool = False
    canary: bool = False
    active: bool = False
    preview: bool = False
    ping: bool = False
    pong: bool = False
    replicas: int = 0
    available: int = 0
    template: str = ""
    scale_down_deadline: str = ""
    images: tuple[str, ...] = ()
    pods: tuple[PodInfo, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        return tuple(role for role in ("stable", "canary", "active", "preview", "ping", "pong") if getattr(self, role))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInfo:
    object_meta: Meta
    status: str
    icon: str
    metric_name: str
    started_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRunInfo:
    object_meta: Meta
    status: str
    icon: str
    revision: int
    message: str = ""
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    error: int = 0
    jobs: tuple[JobInfo, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentInfo:
    object_meta: Meta
    status: str
    icon: str
    revision: int
    message: str = ""
    replica_sets: tuple[ReplicaSetInfo, ...] = ()
    analysis_runs: tuple[AnalysisRunInfo, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerInfo:
    name: str
    image: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficInfo:
    """Traffic that is not where it was asked to go: pending or failed, with the router and what it waits for."""

    state: str
    message: str
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginCallInfo:
    """What a step plugin was asked in this update, and what came of it. `step` counts from 1."""

    step: int
    name: str
    operation: str
    status: str
    icon: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutInfo:
    """`step`, `set_weight` and `actual_weight` are texts, "" for blue-green, as the peer's clients expect. `traffic` and
    `plugin_calls` are ours."""

    object_meta: Meta
    status: str
    message: str
    icon: str
    strategy: str
    step: str = ""
    set_weight: str = ""
    actual_weight: str = ""
    desired: int = 0
    current: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    restarted_at: str = ""
    generation: str = ""
    replica_sets: tuple[ReplicaSetInfo, ...] = ()
    experiments: tuple[ExperimentInfo, ...] = ()
    analysis_runs: tuple[AnalysisRunInfo, ...] = ()
    containers: tuple[ContainerInfo, ...] = ()
    init_containers: tuple[ContainerInfo, ...] = ()
    steps: tuple[Mapping[str, Any], ...] = ()
    traffic: TrafficInfo | None = None
    plugin_calls: tuple[PluginCallInfo, ...] = ()

    @property
    def revisions(self) -> tuple[int, ...]:
        """Newest first, of everything that carries one."""
        everything: tuple[ReplicaSetInfo | ExperimentInfo | AnalysisRunInfo, ...]
        everything = (*self.replica_sets, *self.experiments, *self.analysis_runs)
        return tuple(sorted({each.revision for each in everything}, reverse=True))


Tree = RolloutInfo | ExperimentInfo
"""What is shown as a tree."""


def as_json(value: object) -> Any:
    """Dataclasses as objects with camelCase names, tuples as lists; everything else as it is."""
    if is_dataclass(value) and not isinstance(value, type):
        return {_camel(field.name): as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [as_json(each) for each in value]
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
