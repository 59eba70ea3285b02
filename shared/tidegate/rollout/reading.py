"""From a manifest that passed validation to its nouns, with the defaults of `argo-behaviour.md` 1.2."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidegate.durations import pause_duration
from tidegate.hashing import steps_hash
from tidegate.rollout.nouns import (
    NO_LIMIT,
    Analysis,
    BlueGreen,
    Canary,
    Experiment,
    Json,
    Pause,
    Plugin,
    RouterConfig,
    SetCanaryScale,
    SetHeaderRoute,
    SetMirrorRoute,
    SetWeight,
    Spec,
    Step,
    Threshold,
)


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
