"""What the planner looks at when it decides: one rollout and everything around it, as plain values.

Rule of this file: values only. `observe` fills them from the caches, the simulation from its model, tests by hand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from tidegate import keys
from tidegate.rollout import Canary, Spec
from tidegate_planner.replicas import Count
from tidegate_planner.step_calls import Answer

Json = Mapping[str, Any]


def record_in(annotations: Json, key: str) -> Json:
    """The JSON map that an annotation holds. What nobody can read is taken for none: it is not ours then."""
    try:
        found = orjson.loads(annotations[key]) if annotations.get(key) else {}
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSet:
    """A ReplicaSet that belongs to the rollout. `revision` is 0 where the annotation is missing or unreadable."""

    name: str
    hash: str
    uid: str = ""
    resource_version: int = 0
    revision: int = 0
    created: str = ""
    replicas: int = 0
    current: int = 0
    ready: int = 0
    available: int = 0
    min_ready: int = 0
    settled: bool = True  # its controller has seen the latest spec
    deleting: bool = False
    annotations: Json = field(default_factory=dict)
    labels: Json = field(default_factory=dict)
    template: Json = field(default_factory=dict)
    generation: int = 0
    made_from: int = 0  # the version of the Rollout that it was last written from, 0 where nobody has said so
    failure: Json | None = None  # its ReplicaFailure condition, while it is True

    @property
    def count(self) -> Count:
        return Count(self.replicas, self.available)

    @property
    def scale_down_deadline(self) -> str | None:
        return self.annotations.get(keys.SCALE_DOWN_DEADLINE) or None

    @property
    def never_stable(self) -> bool:
        """A newer revision took its place before it was promoted."""
        return keys.NEVER_STABLE in self.annotations

    @property
    def put_in(self) -> Json:
        """Labels and annotations that a controller has put on top of its template (11.4)."""
        return record_in(self.annotations, keys.EPHEMERAL_METADATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A Service that the rollout names. `hash` is "" until its selector chooses one ReplicaSet."""

    name: str
    hash: str
    managed_by: str
    resource_version: int = 0


ASKED = "asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The traffic-shifter's last word: the request of this `digest` is `applied`, `pending` or `failed`; or it was `asked` and not
    answered yet.

    `message` says which router, and what it waits for; `status` are fields that routers give to the Rollout's status. `fence` is
    the request's, which orders answers as it orders requests. `told`: this planner has had it in the status; where it is missing
    there since, another has heard of the same request that it is done.
    """

    digest: str
    state: str
    fence: int = 0
    verified: bool | None = None
    message: str = ""
    status: Json = field(default_factory=dict)
    told: bool = field(default=False, compare=False)

    def overrules(self, held: "Traffic | None") -> bool:
        """A late answer says where the traffic was, not where it is: the newest request's counts, and of that that it is done."""
        if held is None or self.fence != held.fence:
            return held is None or self.fence > held.fence
        return self.digest != held.digest or held.state != "applied"


def once_asked(held: Traffic | None, *, digest: str, fence: int) -> Traffic:
    """What is known of the traffic once this was asked for: nothing, if something else was answered last. That answer must not
    count again when the wish goes back to it, for the request in between may have been obeyed (N15)."""
    if held is not None and (held.digest == digest or fence < held.fence):
        return held
    return Traffic(digest=digest, state=ASKED, fence=fence)


def once_told(held: Traffic | None, told: Traffic | None) -> Traffic | None:
    """What is known once the status says `told`: the same, unless there has been news meanwhile, which is not told yet."""
    return replace(told, told=True) if told is not None and held is told else held


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisRun:
    """A run that the rollout owns."""

    name: str
    phase: str
    uid: str = ""
    message: str = ""
    hash: str = ""
    kind: str = ""
    step_index: int | None = None
    created: str = ""
    spec: Json = field(default_factory=dict)
    terminate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod of one of the rollout's ReplicaSets; `owner` is that one's uid."""

    name: str
    uid: str
    owner: str
    created: str
    ready: bool = True
    deleting: bool = False
    labels: Json = field(default_factory=dict)
    annotations: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What `spec.workloadRef` names. `replicas` is None for a PodTemplate; `started_with`: how many pods it had before the Rollout
    began to take them over, None as long as nobody has."""

    kind: str
    name: str
    generation: int
    resource_version: int = 0
    replicas: int | None = None
    started_with: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingContainer:
    """A container that is kept from running, as the kubelet says. Known only where the owner asked for `fail-fast`."""

    pod: str
    container: str
    reason: str
    message: str = ""
    restarts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentPods:
    """One template of an experiment: how many pods it has and how many of them serve, and the Service in front of them, "" without
    one."""

    name: str
    current: int = 0
    available: int = 0
    service: str = ""
    hash: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment that the rollout owns. `runs`: its analyses by name, as (phase, message)."""

    name: str
    uid: str = ""
    resource_version: int = 0
    phase: str = ""
    message: str = ""
    hash: str = ""
    created: str = ""
    terminate: bool = False
    made_from: int = 0
    pods: tuple[ExperimentPods, ...] = ()
    runs: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything one decision is made from.

    `spec` is None when `problem` tells what is wrong with the manifest (the whole text of the InvalidSpec condition).
    `orphans` match the selector and have no controller; `strangers` have this one and match no more. `taken_names` are names of
    ReplicaSets and Experiments that exist but are not ours or not equal: the next hash or number must differ (`argo-behaviour.md`
    2.3, 10). `create_errors` maps a hash to the API server's refusal of its ReplicaSet. `step_answers`: the last word of each
    plugin about this rollout. `pods` is None as long as nobody needs to know them (`podneeds`). `former_plan`: the plan that the
    status is of, while the spec holds an edited one that nothing was decided upon yet.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: int
    annotations: Json
    labels: Json
    status: Json
    manifest: Json
    spec: Spec | None
    problem: str | None = None
    template_hash: str = ""
    replica_sets: tuple[ReplicaSet, ...] = ()
    orphans: tuple[ReplicaSet, ...] = ()
    strangers: tuple[ReplicaSet, ...] = ()
    services: Mapping[str, Service] = field(default_factory=dict)
    workload: Workload | None = None
    pods: tuple[Pod, ...] | None = None
    traffic: Traffic | None = None
    analysis_runs: tuple[AnalysisRun, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    templates: Mapping[tuple[str, str], Json] = field(default_factory=dict)
    waiting: tuple[WaitingContainer, ...] = ()
    taken_names: frozenset[str] = frozenset()
    create_errors: Mapping[str, str] = field(default_factory=dict)
    least_fence: int = 0
    asked_from: int = 0
    step_answers: Mapping[str, Answer] = field(default_factory=dict)
    disabled_plugins: frozenset[str] = frozenset()
    former_plan: Canary | None = None

    @property
    def newer_views(self) -> Mapping[str, int]:
        """ReplicaSets that were written from a newer version of the Rollout than this one, and which. Another planner saw more."""
        return {each.name: each.made_from for each in self.replica_sets if each.made_from > self.resource_version}

    @property
    def is_behind(self) -> bool:
        """Another planner has acted on a newer version of the Rollout: wrote a ReplicaSet from it, or asked for traffic."""
        return bool(self.newer_views) or self.asked_from > self.resource_version

    @property
    def fence(self) -> int:
        """The highest resourceVersion this was read at (DESIGN.md 3): orders traffic requests, survives every restart.

        `least_fence` keeps it from falling when the object that carried the highest one is deleted.
        """
        sets = max((each.resource_version for each in self.replica_sets), default=0)
        services = max((each.resource_version for each in self.services.values()), default=0)
        experiments = max((each.resource_version for each in self.experiments), default=0)
        workload = self.workload.resource_version if self.workload else 0
        return max(self.resource_version, sets, services, workload, experiments, self.least_fence)
