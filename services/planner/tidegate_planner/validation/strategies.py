"""Rules for the two strategies (`argo-behaviour.md` 1.5), in the peer's order. Its paths leave out `canary` and `blueGreen`."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate_planner.replicas import DEFAULT_SURGE, DEFAULT_UNAVAILABLE, share
from tidegate_planner.validation.problem import Problem, invalid, required
from tidegate_planner.validation.steps import step_problems

Json = Mapping[str, Any]
_PATH = "spec.strategy"
_SAME = "This rollout uses the same service for the {} services, but two different services are required."
_UNIT = "must be a number of pods (1) or a percentage (25%)"


def strategy_problems(spec: Json) -> Iterator[Problem]:
    strategy = spec.get("strategy", {})
    canary, blue_green = strategy.get("canary"), strategy.get("blueGreen")
    if canary is None and blue_green is None:
        text = "Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'"
        yield required(f"{_PATH}.strategy", text)
    elif canary is None:
        yield from _blue_green(spec, blue_green)
    elif blue_green is None:
        yield from _canary(canary)
    else:
        yield invalid(f"{_PATH}.strategy", "blueGreen: true canary: true", "Multiple Strategies can not be listed")


def _blue_green(spec: Json, blue_green: Json) -> Iterator[Problem]:
    active = blue_green.get("activeService", "")
    if active == blue_green.get("previewService", ""):
        yield invalid(f"{_PATH}.activeService", active, _SAME.format("active and preview"))
    limit = blue_green.get("scaleDownDelayRevisionLimit")
    if limit is not None and spec.get("revisionHistoryLimit", 10) < limit:
        text = "This rollout's revision history limit can not be smaller than the rollout's scale down limit"
        yield invalid(f"{_PATH}.scaleDownDelayRevisionLimit", limit, text)
    yield from _amount(f"{_PATH}.blueGreen.maxUnavailable", blue_green.get("maxUnavailable", 0))
    yield from _anti_affinity(blue_green)


def _amount(place: str, value: Any) -> Iterator[Problem]:
    try:
        share(value, of=100, rounded_up=True)
    except ValueError:
        yield invalid(place, value, _UNIT)


def _canary(canary: Json) -> Iterator[Problem]:
    yield from _budget(canary)
    stable, other = canary.get("stableService", ""), canary.get("canaryService", "")
    if stable and stable == other:
        yield invalid(f"{_PATH}.stableService", stable, _SAME.format("stable and canary"))
    if "pingPong" in canary:
        yield from _ping_pong(canary["pingPong"], canary.get("trafficRouting"))
    if _needs_both_services(canary):
        text = "Canary service and Stable service must to be set to use Traffic Routing"
        yield from (invalid(f"{_PATH}.{name}", "", text) for name in ("stableService", "canaryService") if not canary.get(name))
    yield from _only_with_routing(canary)
    yield from step_problems(canary, _PATH)
    yield from _anti_affinity(canary)


def _budget(canary: Json) -> Iterator[Problem]:
    parts = []
    for name, default in (("maxSurge", DEFAULT_SURGE), ("maxUnavailable", DEFAULT_UNAVAILABLE)):
        value = canary.get(name, default)
        try:
            parts.append(share(value, of=100, rounded_up=True))
        except ValueError:
            yield invalid(f"{_PATH}.canary.{name}", value, _UNIT)
    if parts == [0, 0]:
        yield invalid(f"{_PATH}.maxSurge", canary["maxSurge"], "MaxSurge and MaxUnavailable both can not be zero")


def _ping_pong(ping_pong: Json, routing: Json | None) -> Iterator[Problem]:
    ping, pong, place = ping_pong.get("pingService", ""), ping_pong.get("pongService", ""), f"{_PATH}.pingPong"
    if routing is not None and not ("alb" in routing or "istio" in routing or routing.get("plugins")):
        text = "Ping-pong feature works with the ALB, Istio, and plugin-based traffic routers only"
        yield invalid(f"{_PATH}.trafficRouting.alb", None, text)
    text = "Ping service and Pong service must to be set to use Ping-Pong feature"
    if not ping:
        yield invalid(f"{place}.pingService", ping, text)
    if not pong:
        yield invalid(f"{place}.pongService", pong, text)
    if ping == pong:
        yield invalid(f"{place}.pingService", ping, _SAME.format("ping and pong"))
    if routing is not None and "alb" in routing and not routing["alb"].get("rootService"):
        text = "Root service field is required for the configuration with ALB and ping-pong feature enabled"
        yield invalid(f"{_PATH}.trafficRouting.alb.rootService", "", text)


def _needs_both_services(canary: Json) -> bool:
    routing, ping_pong = canary.get("trafficRouting", {}), "pingPong" in canary
    return (
        any(name in routing for name in ("smi", "apisix", "ambassador", "nginx", "appMesh", "traefik"))
        or ("alb" in routing and not ping_pong)
        or ("istio" in routing and "destinationRule" not in routing["istio"] and not ping_pong)
    )


def _only_with_routing(canary: Json) -> Iterator[Problem]:
    routing, delay, dynamic = (
        canary.get("trafficRouting"),
        canary.get("scaleDownDelaySeconds"),
        canary.get("dynamicStableScale", False),
    )
    if routing is None:
        if delay is not None:
            text = "Canary scaleDownDelaySeconds can only be used with traffic routing"
            yield invalid(f"{_PATH}.scaleDownDelaySeconds", delay, text)
        if dynamic:
            yield invalid(f"{_PATH}.dynamicStableScale", dynamic, "Canary dynamicStableScale can only be used with traffic routing")
        return
    if dynamic and delay is not None:
        text = "Canary dynamicStableScale cannot be used with scaleDownDelaySeconds"
        yield invalid(f"{_PATH}.dynamicStableScale", dynamic, text)
    if "maxTrafficWeight" in routing and not ("nginx" in routing or routing.get("plugins")):
        text = "Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins"
        yield invalid(f"{_PATH}.trafficRouting.maxTrafficWeight", routing["maxTrafficWeight"], text)


def _anti_affinity(strategy: Json) -> Iterator[Problem]:
    if "antiAffinity" not in strategy:
        return
    place, affinity = f"{_PATH}.antiAffinity", strategy["antiAffinity"]
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution")
    required_one = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if (preferred is None) == (required_one is None):
        given = "true" if preferred is not None else "false"
        shown = (
            f"antiAffinity.PreferredDuringSchedulingIgnoredDuringExecution: {given} "
            f"antiAffinity.RequiredDuringSchedulingIgnoredDuringExecution: {given}"
        )
        yield invalid(place, shown, "AntiAffinity must have exactly one strategy listed")
    if preferred is not None and not 1 <= preferred.get("weight", 0) <= 100:
        yield invalid(f"{place}.weight", preferred.get("weight", 0), "AntiAffinity weight must be between 1-100")
