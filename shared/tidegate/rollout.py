"""The nouns of a Rollout: its spec as frozen values, read once per generation from a manifest that passed validation.

Rule of this file: it reads, it decides nothing. Defaults are those of `argo-behaviour.md` 1.2. Field names of the manifest
appear here and in the validation, nowhere else on the deciding side.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.durations import pause_duration
from tidegate.hashing import steps_hash
from tidegate.keys import REVISION

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


def spec_of(manifest: Json) -> Spec:
    """The spec of a Rollout that `validation.problems` found nothing wrong with."""
    spec = manifest["spec"]
    analysis = spec.get("analysis") or {}
    replicas = spec.get("replicas")
    return Spec(
        replicas=1 if replicas is None else replicas,
        replicas_given=replicas is not None,
        selector=spec.get("selector") or {},
        template=spec.get("template") or {},
        strategy=_strategy(spec["strategy"]),
        min_ready_seconds=spec.get("minReadySeconds") or 0,
        revision_history_limit=_given(spec.get("revisionHistoryLimit"), 10),
        paused=bool(spec.get("paused")),
        progress_deadline=_given(spec.get("progressDeadlineSeconds"), 600),
        progress_deadline_abort=bool(spec.get("progressDeadlineAbort")),
        rollback_window=(spec.get("rollbackWindow") or {}).get("revisions"),
        restart_at=spec.get("restartAt"),
        workload_scale_down=(spec.get("workloadRef") or {}).get("scaleDown") or "",
        successful_runs_kept=_given(analysis.get("successfulRunHistoryLimit"), 5),
        unsuccessful_runs_kept=_given(analysis.get("unsuccessfulRunHistoryLimit"), 5),
    )


def kinds_of(entry: Json) -> tuple[Step, ...]:
    """All that one entry of `canary.steps` asks for. The first decides when it is done (`argo-behaviour.md` 4), weights, scales and
    routes hold beside it."""
    found = [read(entry[kind]) for kind, read in _READERS.items() if entry.get(kind) is not None]
    return tuple(found) or (Plugin("", None),)


def _pause(pause: Json) -> Pause:
    duration = pause.get("duration")
    return Pause(None) if duration is None else Pause(pause_duration(duration), str(duration))


def _scale(scale: Json) -> SetCanaryScale:
    matching = bool(scale.get("matchTrafficWeight"))
    return SetCanaryScale(None, None) if matching else SetCanaryScale(scale.get("replicas"), scale.get("weight"))


def _mirror(route: Json) -> SetMirrorRoute:
    return SetMirrorRoute(route.get("name", ""), tuple(route.get("match") or ()), route.get("percentage"))


_READERS: Mapping[str, Callable[[Any], Step]] = {
    "pause": _pause,
    "setCanaryScale": _scale,
    "setWeight": SetWeight,
    "experiment": Experiment,
    "analysis": Analysis,
    "setHeaderRoute": lambda route: SetHeaderRoute(route.get("name", ""), tuple(route.get("match") or ())),
    "setMirrorRoute": _mirror,
    "plugin": lambda plugin: Plugin(plugin.get("name", ""), plugin.get("config")),
}


def revision_in(annotations: Mapping[str, str]) -> int:
    """Of a ReplicaSet its own, of a Rollout that of its wanted version; 0 where the annotation is missing or no number."""
    return number_in(annotations, REVISION) or 0


def number_in(annotations: Mapping[str, str], key: str) -> int | None:
    """A whole number; None where there is none, whatever a person wrote there instead."""
    text = annotations.get(key, "")
    return int(text) if text.isdecimal() else None


def selector_text(selector: Json) -> str:
    """A label selector in the form of `kubectl -l`, sorted, as the scale subresource needs it."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or ():
        key, operator, values = each.get("key", ""), each.get("operator"), ",".join(sorted(each.get("values") or ()))
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
        parts.append(forms.get(operator, key))
    return ",".join(sorted(parts))


def _strategy(strategy: Json) -> Canary | BlueGreen:
    if strategy.get("blueGreen") is not None:
        return _blue_green(strategy["blueGreen"])
    return _canary(strategy.get("canary") or {})


def _canary(canary: Json) -> Canary:
    routing = canary.get("trafficRouting")
    ping_pong = canary.get("pingPong") or {}
    threshold = canary.get("replicaProgressThreshold")
    steps: Sequence[Json] = canary.get("steps") or ()
    return Canary(
        entries=tuple(kinds_of(entry) for entry in steps),
        steps_hash=steps_hash(steps),
        max_surge=canary.get("maxSurge"),
        max_unavailable=canary.get("maxUnavailable"),
        canary_service=canary.get("canaryService") or "",
        stable_service=canary.get("stableService") or "",
        ping_service=ping_pong.get("pingService") or "",
        pong_service=ping_pong.get("pongService") or "",
        routers=_routers(routing or {}),
        traffic_routing=routing is not None,
        managed_routes=tuple(route["name"] for route in (routing or {}).get("managedRoutes") or ()),
        max_weight=_given((routing or {}).get("maxTrafficWeight"), 100),
        analysis=_analysis(canary.get("analysis")),
        scale_down_delay=canary.get("scaleDownDelaySeconds"),
        scale_down_delay_revisions=_given(canary.get("scaleDownDelayRevisionLimit"), NO_LIMIT),
        abort_scale_down_delay=canary.get("abortScaleDownDelaySeconds"),
        dynamic_stable_scale=bool(canary.get("dynamicStableScale")),
        min_pods=canary.get("minPodsPerReplicaSet"),
        threshold=Threshold(threshold.get("type", ""), threshold.get("value", 0)) if threshold else None,
        canary_metadata=canary.get("canaryMetadata") or {},
        stable_metadata=canary.get("stableMetadata") or {},
        anti_affinity=canary.get("antiAffinity"),
    )


def _routers(routing: Json) -> tuple[RouterConfig, ...]:
    """Every router configured, in a fixed order: built-in ones by name, then plugins by name."""
    not_routers = {"managedRoutes", "maxTrafficWeight", "plugins"}
    named = {name: config for name, config in routing.items() if name not in not_routers and config is not None}
    builtin = [RouterConfig(name, config) for name, config in sorted(named.items())]
    plugins = [RouterConfig(name, config or {}) for name, config in sorted((routing.get("plugins") or {}).items())]
    return (*builtin, *plugins)


def _blue_green(blue_green: Json) -> BlueGreen:
    return BlueGreen(
        active_service=blue_green.get("activeService") or "",
        preview_service=blue_green.get("previewService") or "",
        preview_replicas=blue_green.get("previewReplicaCount"),
        auto_promotion=_given(blue_green.get("autoPromotionEnabled"), True),
        auto_promotion_seconds=blue_green.get("autoPromotionSeconds") or 0,
        scale_down_delay=blue_green.get("scaleDownDelaySeconds"),
        scale_down_delay_revisions=_given(blue_green.get("scaleDownDelayRevisionLimit"), NO_LIMIT),
        abort_scale_down_delay=blue_green.get("abortScaleDownDelaySeconds"),
        max_unavailable=blue_green.get("maxUnavailable"),
        pre_promotion=_analysis(blue_green.get("prePromotionAnalysis")),
        post_promotion=_analysis(blue_green.get("postPromotionAnalysis")),
        active_metadata=blue_green.get("activeMetadata") or {},
        preview_metadata=blue_green.get("previewMetadata") or {},
        anti_affinity=blue_green.get("antiAffinity"),
    )


def _analysis(config: Json | None) -> Analysis | None:
    if not config:
        return None
    return Analysis(config, config.get("startingStep") or 0)


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value
