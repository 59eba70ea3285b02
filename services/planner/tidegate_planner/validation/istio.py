"""A VirtualService must have routes that lead to the canary and to the stable version (`argo-behaviour.md` 1.6 and 9.3)."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate_planner.validation.problem import Problem, invalid
from tidegate_planner.validation.shapes import as_list, as_map

Json = Mapping[str, Any]


def virtual_service_problems(canary: Json, reference: Json, manifest: Json, path: str) -> Iterator[Problem]:
    """At most one complaint per protocol, as with the peer: the first route that is wrong."""
    name, spec = reference.get("name", "").partition(".")[0], as_map(manifest.get("spec"))
    if not any(isinstance(spec.get(kind), list) for kind in ("http", "tls", "tcp")):
        yield invalid(path, name, "Unable to get any of the HTTP, TCP or TLS routes for the Istio VirtualService")
    for kind in ("http", "tls", "tcp"):
        if not isinstance(spec.get(kind), list):
            continue
        if not all(isinstance(route, Mapping) for route in spec[kind]):
            yield invalid(path, name, f"Unable to get {kind.upper()} routes for Istio VirtualService")
            continue
        complaint = _complaint(canary, reference, kind, spec[kind])
        if complaint:
            yield invalid(path, name, f"Istio VirtualService has invalid {kind.upper()} routes. Error: {complaint}")


def _complaint(canary: Json, reference: Json, kind: str, routes: list[Json]) -> str | None:
    field = "routes" if kind == "http" else f"{kind}Routes"
    asked = reference.get(field, ())
    managed = [each.get("name") for each in canary["trafficRouting"].get("managedRoutes", ())]
    own = [route for route in routes if route.get("name") not in managed] if kind == "http" else routes
    if not asked and len(own) > 1:
        where = f"spec.strategy.canary.trafficRouting.istio.virtualService.{field}"
        return f"spec.{kind}[] should be set in VirtualService and it must have exactly one route when omitting {where}"
    chosen = [own[:1]] if not asked else [_matching(kind, each, routes) for each in asked]
    for each, found in zip(asked or [None], chosen, strict=True):
        if not found and kind == "http" and asked:
            return f"HTTP Route '{each}' is not found in the defined Virtual Service."
        if not found and asked:
            return f"No matching {kind.upper()} routes found in the defined Virtual Service."
    destinations = (_missing_destination(canary, route) for found in chosen for route in found)
    return next((complaint for complaint in destinations if complaint), None)


def _matching(kind: str, asked: Any, routes: list[Json]) -> list[Json]:
    if kind == "http":
        return [route for route in routes if route.get("name") == asked][:1]
    return [route for route in routes if _matches(kind, as_map(asked), route)]


def _matches(kind: str, asked: Json, route: Json) -> bool:
    """TLS and TCP routes have no names: one port, and for TLS exactly the given hosts."""
    matches = [as_map(match) for match in as_list(route.get("match"))]
    ports = [match.get("port", 0) for match in matches] or [0]
    hosts = {str(host) for match in matches for host in as_list(match.get("sniHosts"))}
    wanted = {str(host) for host in as_list(asked.get("sniHosts"))}
    return all(port == asked.get("port", 0) for port in ports) and (kind == "tcp" or hosts == wanted)


def _missing_destination(canary: Json, route: Json) -> str | None:
    targets = [as_map(as_map(each).get("destination")) for each in as_list(route.get("route"))]
    rule = canary["trafficRouting"]["istio"].get("destinationRule")
    if rule is not None:
        for side, name in (("Canary", rule.get("canarySubsetName", "")), ("Stable", rule.get("stableSubsetName", ""))):
            if not name or name not in [target.get("subset") for target in targets]:
                return f"{side} DestinationRule subset '{name}' not found in route"
        return None
    hosts = [str(target.get("host", "")).partition(".")[0] for target in targets]
    for side, name in _sides(canary):
        if not name or name not in hosts:
            return f"{side} Service '{name}' not found in route"
    return None


def _sides(canary: Json) -> tuple[tuple[str, str], tuple[str, str]]:
    """Ping and pong stand in when the two usual services are not named; before the first promotion pong is stable."""
    other, stable, ping_pong = canary.get("canaryService", ""), canary.get("stableService", ""), canary.get("pingPong", {})
    if not other and not stable:
        other, stable = ping_pong.get("pingService", ""), ping_pong.get("pongService", "")
    return ("Canary", other), ("Stable", stable)
