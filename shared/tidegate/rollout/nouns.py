"""A Rollout's spec as frozen values: steps, strategies, limits. They decide nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]
NO_LIMIT = 2**31 - 1  # the peer's MaxInt32: a limit nobody set


@dataclass(frozen=True, slots=True)
class SetWeight:
    weight: int

    def __str__(self) -> str:
        return f"setWeight: {self.weight}"


@dataclass(frozen=True, slots=True)
class Pause:
    """`duration` in seconds; None waits for a person."""

    duration: float | None
    text: str = ""

    def __str__(self) -> str:
        return f"pause: {self.text}" if self.text else "pause"


@dataclass(frozen=True, slots=True)
class SetCanaryScale:
    """Exactly one form: `replicas`, `weight`, or neither for `matchTrafficWeight`."""

    replicas: int | None
    weight: int | None

    def __str__(self) -> str:
        if self.replicas is not None:
            return f"setCanaryScale{{replicas: {self.replicas}}}"
        if self.weight is not None:
            return f"setCanaryScale{{weight: {self.weight}}}"
        return "setCanaryScale{matchTrafficWeight: true}"


@dataclass(frozen=True, slots=True)
class Analysis:
    """A `RolloutAnalysis` as written: templates, args, dryRun, ... `starting_step` only matters in the background."""

    config: Json
    starting_step: int = 0

    def __str__(self) -> str:
        return "analysis"


@dataclass(frozen=True, slots=True)
class Experiment:
    config: Json

    def __str__(self) -> str:
        return "experiment"


@dataclass(frozen=True, slots=True)
class SetHeaderRoute:
    """No `match` removes the route."""

    name: str
    match: tuple[Json, ...]

    def __str__(self) -> str:
        return f"setHeaderRoute: {self.name}"


@dataclass(frozen=True, slots=True)
class SetMirrorRoute:
    name: str
    match: tuple[Json, ...]
    percentage: int | None

    def __str__(self) -> str:
        return f"setMirrorRoute: {self.name}"


@dataclass(frozen=True, slots=True)
class Plugin:
    name: str
    config: Any

    def __str__(self) -> str:
        return f"plugin: {self.name}"


Step = SetWeight | Pause | SetCanaryScale | Analysis | Experiment | SetHeaderRoute | SetMirrorRoute | Plugin


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """One traffic router: the key under `trafficRouting` (or the plugin's name) and what stands under it."""

    name: str
    config: Json


@dataclass(frozen=True, slots=True)
class Threshold:
    """`replicaProgressThreshold`: a step may proceed before every pod is available."""

    type: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """`entries`: what each entry of the plan asks for, first what decides when it is done. `steps_hash` changes with the steps: an
    edited plan restarts at its first step."""

    entries: tuple[tuple[Step, ...], ...] = ()
    steps_hash: str = ""
    max_surge: int | str | None = None
    max_unavailable: int | str | None = None
    canary_service: str = ""
    stable_service: str = ""
    ping_service: str = ""
    pong_service: str = ""
    routers: tuple[RouterConfig, ...] = ()
    traffic_routing: bool = False
    managed_routes: tuple[str, ...] = ()
    max_weight: int = 100
    analysis: Analysis | None = None
    scale_down_delay: int | None = None
    scale_down_delay_revisions: int = NO_LIMIT
    abort_scale_down_delay: int | None = None
    dynamic_stable_scale: bool = False
    min_pods: int | None = None
    threshold: Threshold | None = None
    canary_metadata: Json = field(default_factory=dict)
    stable_metadata: Json = field(default_factory=dict)
    anti_affinity: Json | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(entry[0] for entry in self.entries)

    def asked(self, *, until: int | None = None) -> tuple[Step, ...]:
        """All that the plan has asked for once it has come to step `until`, in its order; without it all that it ever will."""
        reached = self.entries if until is None else self.entries[: until + 1]
        return tuple(kind for entry in reached for kind in entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlueGreen:
    active_service: str
    preview_service: str = ""
    preview_replicas: int | None = None
    auto_promotion: bool = True
    auto_promotion_seconds: int = 0
    scale_down_delay: int | None = None
    scale_down_delay_revisions: int = NO_LIMIT
    abort_scale_down_delay: int | None = None
    max_unavailable: int | str | None = None
    pre_promotion: Analysis | None = None
    post_promotion: Analysis | None = None
    active_metadata: Json = field(default_factory=dict)
    preview_metadata: Json = field(default_factory=dict)
    anti_affinity: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What the user asked for. `replicas` is 1 where unset; `replicas_given` tells whether it has to be written back."""

    replicas: int
    replicas_given: bool
    selector: Json
    template: Json
    strategy: Canary | BlueGreen
    min_ready_seconds: int = 0
    revision_history_limit: int = 10
    paused: bool = False
    progress_deadline: int = 600
    progress_deadline_abort: bool = False
    rollback_window: int | None = None
    restart_at: str | None = None
    workload_scale_down: str = ""
    successful_runs_kept: int = 5
    unsuccessful_runs_kept: int = 5
