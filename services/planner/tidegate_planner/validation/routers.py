"""Objects of traffic routers that a Rollout names: they exist and lead to its Services (`argo-behaviour.md` 1.6).

As with the peer, TraefikService, ApisixRoute, TrafficSplit, DestinationRule and plugin configuration are not looked at up front.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from tidegate_planner.validation.istio import virtual_service_problems
from tidegate_planner.validation.problem import Problem, internal, invalid
from tidegate_planner.validation.shapes import as_list, as_map

Json = Mapping[str, Any]
Found = Mapping[str, Mapping[str, Any] | None]
_PATH = "spec.strategy.canary.trafficRouting"


class RouterObjects(Protocol):
    """The part of `References` that concerns routers."""

    @property
    def ingresses(self) -> Found: ...
    @property
    def virtual_services(self) -> Found: ...
    @property
    def ambassador_mappings(self) -> Found: ...
    @property
    def app_mesh_virtual_services(self) -> Found: ...
    @property
    def app_mesh_virtual_routers(self) -> Found: ...


def missing_router_objects(routing: Json, found: RouterObjects) -> Iterator[Problem]:
    yield from _one_way_only(routing)
    for name, path in _ingresses(routing):
        if found.ingresses.get(name, {}) is None:
            yield invalid(path, name, f'ingress.networking.k8s.io "{name}" not found')
    for service, path in virtual_services(routing):
        written = service.get("name", "")
        if found.virtual_services.get(written, {}) is None:
            name = written.partition(".")[0]
            yield invalid(path, name, f'virtualservices.networking.istio.io "{name}" not found')
    if "ambassador" in routing:
        yield from _missing_mappings(routing["ambassador"].get("mappings", ()), found)
    if "appMesh" in routing:
        yield from _missing_app_mesh(routing["appMesh"].get("virtualService"), found)


def _one_way_only(routing: Json) -> Iterator[Problem]:
    for router, one, many in (("alb", "ingress", "ingresses"), ("nginx", "stableIngress", "stableIngresses")):
        if router not in routing or (router == "nginx" and "alb" in routing):
            continue
        single, several = bool(routing[router].get(one)), bool(routing[router].get(many))
        if single == several:
            pair = f"Either {one[0].upper() + one[1:]} or {many[0].upper() + many[1:]} must be configured."
            yield internal(f"{_PATH}.{router}", f"{pair} {'Both' if single else 'Neither'} are configured.")
    if "istio" in routing and ("virtualService" in routing["istio"]) == bool(routing["istio"].get("virtualServices")):
        yield internal(f"{_PATH}.istio", "either VirtualService or VirtualServices must be configured")


def _ingresses(routing: Json) -> Iterator[tuple[str, str]]:
    """With `alb` set, `nginx` is not looked up (as with the peer)."""
    router, one, many = ("alb", "ingress", "ingresses") if "alb" in routing else ("nginx", "stableIngress", "stableIngresses")
    config = routing.get(router, {})
    if config.get(one):
        yield config[one], f"{_PATH}.{router}.{one}"
    for name in config.get(many, ()):
        yield name, f"{_PATH}.{router}.{many}"


def virtual_services(routing: Json) -> Iterator[tuple[Json, str]]:
    istio = routing.get("istio", {})
    several = istio.get("virtualServices", ())
    if several:
        yield from ((service, f"{_PATH}.istio.virtualServices.name") for service in several)
    elif "virtualService" in istio:
        yield istio["virtualService"], f"{_PATH}.istio.virtualService.name"


def _missing_mappings(names: Any, found: RouterObjects) -> Iterator[Problem]:
    path = f"{_PATH}.ambassador.mappings"
    if not names:
        yield invalid(path, None, "must provide at least one mapping")
    for name in names:
        if found.ambassador_mappings.get(name, {}) is None:
            yield invalid(path, name, f'mappings.getambassador.io "{name}" not found')


def _missing_app_mesh(service: Json | None, found: RouterObjects) -> Iterator[Problem]:
    path = f"{_PATH}.appmesh.virtualService"  # the peer's spelling
    if service is None:
        yield invalid(path, None, "must provide virtual-service")
        return
    name = service.get("name", "")
    for kind, objects in (("virtualservices", found.app_mesh_virtual_services), ("virtualrouters", found.app_mesh_virtual_routers)):
        if objects.get(name, {}) is None:
            yield invalid(path, name, f'{kind}.appmesh.k8s.aws "{name}" not found')


def router_problems(canary: Json, found: RouterObjects) -> Iterator[Problem]:
    routing = canary.get("trafficRouting", {})
    for name, path in _ingresses(routing):
        ingress = found.ingresses.get(name)
        service = routing.get("alb", {}).get("rootService") or canary.get("stableService", "")
        if ingress is not None and service not in _backends(ingress):
            yield invalid(path, name, f"ingress `{name}` has no rules using service {service} backend")
    for service, path in virtual_services(routing):
        manifest = found.virtual_services.get(service.get("name", ""))
        if manifest is not None:
            yield from virtual_service_problems(canary, service, manifest, path)
    for name in routing.get("ambassador", {}).get("mappings", ()):
        if as_map(as_map(found.ambassador_mappings.get(name)).get("spec")).get("weight"):
            yield invalid("spec.weight", name, f'Ambassador mapping "{name}" can not define weight')
    if "appMesh" in routing:
        router = found.app_mesh_virtual_routers.get(routing["appMesh"].get("virtualService", {}).get("name", ""))
        if router is not None:
            yield from _virtual_router(router)


def _backends(ingress: Json) -> set[str]:
    """Both spellings of a backend: networking.k8s.io/v1 and the older v1beta1."""
    rules = [as_map(as_map(rule).get("http")) for rule in as_list(as_map(ingress.get("spec")).get("rules"))]
    backends = [as_map(as_map(path).get("backend")) for rule in rules for path in as_list(rule.get("paths"))]
    return {str(backend.get("serviceName") or as_map(backend.get("service")).get("name")) for backend in backends}


def _virtual_router(router: Json) -> Iterator[Problem]:
    name = str(as_map(router.get("metadata")).get("name", ""))
    routes = as_list(as_map(router.get("spec")).get("routes"))
    if not routes:
        yield invalid("spec.routes", name, f"No routes defined for AppMesh virtual-router {name}")
    for index, route in enumerate(map(as_map, routes)):
        kind = next((kind for kind in ("httpRoute", "http2Route", "tcpRoute", "grpcRoute") if kind in route), "httpRoute")
        path = f"spec.routes[{index}].{kind}.action.weightedTargets"
        count = len(as_list(as_map(as_map(route.get(kind)).get("action")).get("weightedTargets")))
        if count != 2:
            where = f"AppMesh virtual-router {name} and route {route.get('name', '')}"
            yield invalid(path, name, f"Invalid number of weightedTargets ({count}) for {where}, expected 2")
