"""What every traffic router promises: one suite over all of them, in memory and on a real API server with the vendor's CRDs.

A new router adds a `Row`: what stands in the cluster before, and how a person would read the weights out of it.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.config import Settings
from tidegate.errors import KubeError
from tidegate.keys import FENCE, POD_TEMPLATE_HASH
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.errors import AlreadyExists, NotFound
from tidegate.kube.kinds import CRD, GRPC_ROUTE, HTTP_ROUTE, INGRESS, ROLLOUT, Kind
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, HeaderRoute, MirrorRoute, RouterReport, Split
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, shared_control_plane
from tidegate_shifter.leftovers import LEFTOVERS
from tidegate_shifter.release import Releases
from tidegate_shifter.router import Ask, Feature, Owner, Refused, Stale
from tidegate_shifter.routers import ROUTERS
from tidegate_shifter.routers.memory import MemoryRouter, Table

CRDS = Path(__file__).parents[1] / "data" / "crds"
ROLLOUTS = Path(__file__).parents[2] / "deploy" / "crds" / "argoproj.io_rollouts.yaml"
UID = "5d0d0c2e-0000-4000-8000-000000000001"


def split(canary: int, *, headers: tuple[str, ...] = (), mirrors: tuple[str, ...] = (), experiment: int = 0) -> Split:
    return Split(
        canary=Destination(weight=canary, service="canary", hash="new"),
        stable=Destination(weight=100 - canary - experiment, service="stable", hash="old"),
        additional=(Destination(weight=experiment, service="candidate", hash="try"),) if experiment else (),
        mirror_routes=tuple(MirrorRoute(name=name, match=({"path": {"prefix": "/"}},), percentage=5) for name in mirrors),
        header_routes=tuple(
            HeaderRoute(name=name, match=({"headerName": "X-Canary", "headerValue": {"exact": name}},)) for name in headers
        ),
        managed_routes=("first", "second"),
    )


# --- rows: one for each router ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """`weights` reads (canary, stable) wherever traffic is divided; `foreign` is all that is not the Rollout's to change."""

    router: str
    config: dict[str, Any]
    objects: tuple[tuple[Kind, dict[str, Any]], ...]
    missing: str
    """What a refusal names when `objects` are gone; "" where the router needs none of them."""
    weights: Callable[[dict[str, Any]], list[tuple[int, int]]]
    foreign: Callable[[dict[str, Any]], Any]
    managed: Callable[[dict[str, Any]], list[str]] = field(default=lambda _: [])
    crds: tuple[str, ...] = ()
    creates: tuple[tuple[Kind, str], ...] = ()
    """What the router writes, where it makes objects of its own, each for one Rollout."""
    lacks: frozenset[Feature] = frozenset()
    """What the router can do, but not with this kind of object."""
    added: str = ""
    """Where a path ends below which an object may hold more than its author wrote while traffic is divided, beside weights."""
    accept: Callable[[dict[str, Any]], dict[str, Any]] | None = field(default=None)
    """The status that the router's controller would write for this object, for routers that verify."""


def ref(name: str, weight: int, port: int = 80) -> dict[str, Any]:
    return {"group": "", "kind": "Service", "name": name, "port": port, "weight": weight}


PATHS = {"/": "shop", "/other": "other", "/lone": "lone"}


def gateway_route(matches: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Ours with a neighbour's backend in it, another team's, and one that names the stable Service alone."""
    rules = [
        {**matches("/"), "backendRefs": [ref("stable", 100), ref("canary", 0), ref("discovery", 7)]},
        {**matches("/other"), "backendRefs": [ref("other-stable", 60), ref("other-canary", 40)]},
        {**matches("/lone"), "backendRefs": [ref("stable", 1, 8080)]},
    ]
    metadata = {"name": "web", "annotations": {"team": "shop"}, "labels": {"app": "web"}}
    return {"metadata": metadata, "spec": {"parentRefs": [{"name": "edge"}], "rules": rules}}


def http_matches(path: str) -> dict[str, Any]:
    modifier = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "X-Path", "value": path}]}}
    return {"name": PATHS[path], "matches": [{"path": {"type": "PathPrefix", "value": path}}], "filters": [modifier]}


def grpc_matches(path: str) -> dict[str, Any]:
    return {"name": PATHS[path], "matches": [{"method": {"type": "Exact", "service": f"tidegate.{PATHS[path]}"}}]}


def gateway_weights(route: dict[str, Any]) -> list[tuple[int, int]]:
    """In percent of both: a stable alone has all, whatever its author had it weigh."""
    found = []
    for rule in route["spec"]["rules"]:
        weights = {each["name"]: each["weight"] for each in rule["backendRefs"]}
        if "stable" in weights:
            copied = rule.get("name", "").startswith(("first", "second"))
            total = 100 if copied or "candidate" in weights else weights.get("canary", 0) + weights["stable"]
            found.append((100 * weights.get("canary", 0) // total, 100 * weights["stable"] // total))
    return found


def gateway_managed(route: dict[str, Any]) -> list[str]:
    return [rule["name"] for rule in route["spec"]["rules"] if rule.get("name", "").startswith(("first", "second"))]


def gateway_foreign(route: dict[str, Any]) -> Any:
    left = deepcopy({key: route[key] for key in ("metadata", "spec")})
    rules = left["spec"]["rules"] = [
        rule for rule in left["spec"]["rules"] if not rule.get("name", "").startswith(("first", "second"))
    ]
    for rule in rules:
        rule["backendRefs"] = [each for each in rule["backendRefs"] if each["name"] not in ("stable", "canary")]
    labels = {key: text for key, text in left["metadata"]["labels"].items() if "rollouts.argoproj.io" not in key}
    annotations = left["metadata"]["annotations"].items()
    notes = {key: text for key, text in annotations if "tidegate.dev" not in key and "rollouts.argoproj.io" not in key}
    return labels, notes, left["spec"]


def gateway_acceptance(route: dict[str, Any]) -> dict[str, Any]:
    generation = route["metadata"]["generation"]
    known = {"status": "True", "reason": "Fine", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    conditions = [{"type": kind, "observedGeneration": generation, **known} for kind in ("Accepted", "ResolvedRefs")]
    return {"parents": [{"parentRef": {"name": "edge"}, "controllerName": "example.net/edge", "conditions": conditions}]}


def gateway_row(kind: Kind, config: dict[str, Any], route: dict[str, Any], *, lacks: frozenset[Feature] = frozenset()) -> Row:
    return Row(
        router="argoproj-labs/gatewayAPI",
        config=config,
        objects=((kind, route),),
        missing=f"{kind.kind} {{namespace}}/web",
        weights=gateway_weights,
        managed=gateway_managed,
        foreign=gateway_foreign,
        crds=(f"gateway.networking.k8s.io_{kind.plural}.yaml",),
        lacks=lacks,
        added="backendRefs",
        accept=gateway_acceptance,
    )


TCP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "tcproutes", "TCPRoute")
LONE_TCP_RULE = {"backendRefs": [ref("stable", 1), ref("discovery", 7)]}  # v1 admits one rule
TCP = {"metadata": gateway_route(http_matches)["metadata"], "spec": {"parentRefs": [{"name": "edge"}], "rules": [LONE_TCP_RULE]}}
ROWS = {
    "gateway-http": gateway_row(HTTP_ROUTE, {"httpRoute": "web"}, gateway_route(http_matches)),
    "gateway-grpc": gateway_row(
        GRPC_ROUTE,
        {"grpcRoutes": [{"name": "web", "useHeaderRoutes": True}]},
        gateway_route(grpc_matches),
        lacks=frozenset({Feature.MIRROR_ROUTES}),
    ),
    "gateway-tcp": gateway_row(
        TCP_ROUTE, {"tcpRoute": "web"}, TCP, lacks=frozenset({Feature.HEADER_ROUTES, Feature.MIRROR_ROUTES})
    ),
}


# Istio

VIRTUAL_SERVICE = Kind("networking.istio.io", "v1alpha3", "virtualservices", "VirtualService")
DESTINATION_RULE = Kind("networking.istio.io", "v1alpha3", "destinationrules", "DestinationRule")
RULE = {
    "metadata": {"name": "shop"},
    "spec": {"host": "shop", "subsets": [{"name": name, "labels": {"app": "web"}} for name in ("canary", "stable", "legacy")]},
}


def virtual_service(destination: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """A route of ours with a neighbour's backend in it, and another team's."""
    weights = {"stable": 100, "canary": 0, "discovery": 7}
    ours = [{"destination": destination(name), "weight": weight} for name, weight in weights.items()]
    other = [{"destination": {"host": "other-stable"}, "weight": 60}, {"destination": {"host": "other-canary"}, "weight": 40}]
    routes = [{"name": "shop", "route": ours, "timeout": "5s"}, {"name": "other", "route": other}]
    return {"metadata": {"name": "web", "annotations": {"team": "shop"}}, "spec": {"hosts": ["shop"], "http": routes}}


def istio_backend(route: dict[str, Any]) -> str:
    return route["destination"].get("subset") or route["destination"]["host"]


def istio_weights(obj: dict[str, Any]) -> list[tuple[int, int]]:
    found = {route["name"]: route["route"] for route in obj["spec"].get("http") or ()}
    weights = {istio_backend(each): each["weight"] for each in found.get("shop", ())}
    return [(weights["canary"], weights["stable"])] if weights else []


def istio_managed(obj: dict[str, Any]) -> list[str]:
    return [route["name"] for route in obj["spec"].get("http") or () if route["name"] in ("first", "second")]


def istio_foreign(obj: dict[str, Any]) -> Any:
    left = deepcopy(obj["spec"])
    left["http"] = [route for route in left.get("http") or () if route["name"] not in ("first", "second")]
    for route in left["http"]:
        route["route"] = [each for each in route["route"] if istio_backend(each) not in ("canary", "stable")]
    left["subsets"] = [each for each in left.get("subsets") or () if each["name"] not in ("canary", "stable")]
    annotations = (obj["metadata"].get("annotations") or {}).items()
    return left, {key: text for key, text in annotations if "tidegate.dev" not in key and "argoproj.io" not in key}


def istio_row(objects: tuple[tuple[Kind, dict[str, Any]], ...], config: dict[str, Any], missing: str) -> Row:
    return Row(
        router="istio",
        config={"virtualService": {"name": "web", "routes": ["shop"]}} | config,
        objects=objects,
        missing=missing,
        weights=istio_weights,
        managed=istio_managed,
        foreign=istio_foreign,
        crds=tuple(f"{kind.group}_{kind.plural}.yaml" for kind, _ in objects),
    )


SUBSET_NAMES = {"name": "shop", "canarySubsetName": "canary", "stableSubsetName": "stable"}
BY_HOST = virtual_service(lambda name: {"host": name})
BY_SUBSET = virtual_service(lambda name: {"host": "shop", "subset": name})
ROWS |= {
    "istio-host": istio_row(((VIRTUAL_SERVICE, BY_HOST),), {}, "VirtualService {namespace}/web"),
    "istio-subset": istio_row(
        ((VIRTUAL_SERVICE, BY_SUBSET), (DESTINATION_RULE, RULE)),
        {"destinationRule": SUBSET_NAMES},
        "DestinationRule {namespace}/shop",
    ),
}


# Ingresses: NGINX beside a stable one, ALB in it


def ingress(service: str, port: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    """A rule with a neighbour's path in it, and another team's."""
    ours = [(path, name) for path, name in (("/", service), ("/docs", "docs"))]
    hosts = {"app.local": ours, "other.local": [("/", "other")]}
    rules = [{"host": host, "http": {"paths": [ingress_path(*each, port) for each in paths]}} for host, paths in hosts.items()]
    return {"metadata": {"name": "main", "annotations": annotations | {"team": "shop"}}, "spec": {"rules": rules}}


def ingress_path(path: str, service: str, port: dict[str, Any]) -> dict[str, Any]:
    return {"path": path, "pathType": "Prefix", "backend": {"service": {"name": service, "port": port}}}


def nginx_weights(obj: dict[str, Any]) -> list[tuple[int, int]]:
    weight = int(obj["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"])
    return [(weight, 100 - weight)]


def without_ours(annotations: dict[str, str]) -> dict[str, str]:
    ours = ("tidegate.dev", "argoproj.io", "nginx.ingress.kubernetes.io/canary", "alb.ingress.kubernetes.io")
    return {key: text for key, text in annotations.items() if not key.startswith(ours) and "argoproj.io" not in key}


def nginx_foreign(obj: dict[str, Any]) -> Any:
    paths = [path for rule in obj["spec"]["rules"] for path in rule["http"]["paths"]]
    names = [path["backend"]["service"]["name"] for path in paths]
    return without_ours(obj["metadata"]["annotations"]), [name for name in names if name != "canary"]


ALB_ACTION = "alb.ingress.kubernetes.io/actions.stable"


def alb_weights(obj: dict[str, Any]) -> list[tuple[int, int]]:
    groups = json.loads(obj["metadata"]["annotations"][ALB_ACTION])["ForwardConfig"]["TargetGroups"]
    weights = {each["ServiceName"]: each["Weight"] for each in groups}
    return [(weights["canary"], weights["stable"])]


def alb_paths(obj: dict[str, Any]) -> list[list[str]]:
    return [[path["backend"]["service"]["name"] for path in rule["http"]["paths"]] for rule in obj["spec"]["rules"]]


def alb_managed(obj: dict[str, Any]) -> list[str]:
    """There as a path in every rule, as an action and as a condition."""
    kinds = {
        frozenset(name for name in paths if name in ("first", "second")) for paths in alb_paths(obj)
    } | {
        frozenset(key.rpartition(".")[2] for key in obj["metadata"]["annotations"] if key.startswith(stem) and key != ALB_ACTION)
        for stem in ("alb.ingress.kubernetes.io/actions.", "alb.ingress.kubernetes.io/conditions.")
    }  # fmt: skip
    (names,) = kinds
    return [name for name in alb_paths(obj)[0] if name in names]


def alb_foreign(obj: dict[str, Any]) -> Any:
    paths = [[name for name in names if name not in ("first", "second")] for names in alb_paths(obj)]
    return without_ours(obj["metadata"]["annotations"]), paths


MAIN = "Ingress {namespace}/main"
ROWS |= {
    "nginx": Row(
        router="nginx",
        config={"stableIngress": "main"},
        objects=((INGRESS, ingress("stable", {"number": 80}, {"kubernetes.io/ingress.class": "nginx"})),),
        creates=((INGRESS, "web-main-canary"),),
        missing=MAIN,
        weights=nginx_weights,
        foreign=nginx_foreign,
    ),
    "alb": Row(
        router="alb",
        config={"ingress": "main", "servicePort": 80},
        objects=((INGRESS, ingress("stable", {"name": "use-annotation"}, {"kubernetes.io/ingress.class": "alb"})),),
        missing=MAIN,
        weights=alb_weights,
        managed=alb_managed,
        foreign=alb_foreign,
        lacks=frozenset({Feature.VERIFICATION}),  # AWS is asked, not the object: tests/integration/shifter/test_asking_aws.py
    ),
}


# SMI and Traefik

TRAFFIC_SPLIT = Kind("split.smi-spec.io", "v1alpha1", "trafficsplits", "TrafficSplit")
TRAEFIK_SERVICE = Kind("traefik.io", "v1alpha1", "traefikservices", "TraefikService")


def smi_weights(obj: dict[str, Any]) -> list[tuple[int, int]]:
    weights = {each["service"]: int(each["weight"]) for each in obj["spec"]["backends"]}
    return [(weights["canary"], weights["stable"])]


def traefik_service(*entries: tuple[str, int]) -> dict[str, Any]:
    services = [{"name": name, "port": 80, "weight": weight} for name, weight in entries]
    weighted = {"services": services, "sticky": {"cookie": {"name": "shop"}}}
    return {"metadata": {"name": "web", "annotations": {"team": "shop"}}, "spec": {"weighted": weighted}}


def traefik_weights(obj: dict[str, Any]) -> list[tuple[int, int]]:
    weights = {each["name"]: each["weight"] for each in obj["spec"]["weighted"]["services"]}
    return [(weights["canary"], weights["stable"])]


def traefik_foreign(obj: dict[str, Any]) -> Any:
    left = deepcopy(obj["spec"]["weighted"])
    left["services"] = [each for each in left["services"] if each["name"] not in ("canary", "stable")]
    return without_ours(obj["metadata"]["annotations"]), left


ROWS |= {
    "smi": Row(
        router="smi",
        config={"rootService": "root"},
        objects=(),
        creates=((TRAFFIC_SPLIT, "web"),),
        missing="",
        weights=smi_weights,
        foreign=lambda obj: (obj["spec"]["service"], obj["metadata"]["ownerReferences"]),
        crds=("split.smi-spec.io_trafficsplits.yaml",),
    ),
    "traefik": Row(
        router="traefik",
        config={"weightedTraefikServiceName": "web"},
        objects=((TRAEFIK_SERVICE, traefik_service(("stable", 100), ("canary", 0), ("discovery", 7))),),
        missing="TraefikService {namespace}/web",
        weights=traefik_weights,
        foreign=traefik_foreign,
        crds=("traefik.io_traefikservices.yaml",),
    ),
}


# Ambassador, APISIX, App Mesh

MAPPING = Kind("getambassador.io", "v2", "mappings", "Mapping")
APISIX_ROUTE = Kind("apisix.apache.org", "v2", "apisixroutes", "ApisixRoute")
APP_MESH = {
    plural: Kind("appmesh.k8s.aws", "v1beta2", plural, kind)
    for plural, kind in (
        ("virtualservices", "VirtualService"),
        ("virtualrouters", "VirtualRouter"),
        ("virtualnodes", "VirtualNode"),
    )
}


def mapping_weights(obj: dict[str, Any]) -> list[tuple[int, int]]:
    weight = obj["spec"]["weight"]
    return [(weight, 100 - weight)]  # the Mapping without a weight gets the rest


def apisix_route() -> dict[str, Any]:
    weights = {"stable": 100, "canary": 0, "discovery": 7}
    backends = [{"serviceName": name, "servicePort": 80, "weight": weight} for name, weight in weights.items()]
    rules = [
        {"name": "web", "match": {"hosts": ["app.local"], "paths": ["/*"]}, "backends": backends, "priority": 3},
        {"name": "other", "match": {"paths": ["/other"]}, "backends": [{"serviceName": "other", "servicePort": 80}]},
    ]
    return {"metadata": {"name": "web", "annotations": {"team": "shop"}}, "spec": {"http": rules}}


def apisix_weights(obj: dict[str, Any]) -> list[tuple[int, int]]:
    weights = {each["serviceName"]: each["weight"] for each in obj["spec"]["http"][0]["backends"]}
    return [(weights["canary"], weights["stable"])]


def apisix_foreign(obj: dict[str, Any]) -> Any:
    rules = deepcopy(obj["spec"]["http"])
    rules[0]["backends"] = [each for each in rules[0]["backends"] if each["serviceName"] == "discovery"]
    return without_ours(obj["metadata"]["annotations"]), rules


def app_mesh_targets(*nodes: str) -> list[dict[str, Any]]:
    weights = {"stable": 100, "canary": 0}
    return [{"virtualNodeRef": {"name": name}, "weight": weights.get(name, 1)} for name in nodes]


def app_mesh_route(name: str, *nodes: str) -> dict[str, Any]:
    return {"name": name, "httpRoute": {"match": {"prefix": f"/{name}"}, "action": {"weightedTargets": app_mesh_targets(*nodes)}}}


def app_mesh_objects() -> Iterator[tuple[Kind, dict[str, Any]]]:
    """The VirtualService names the router, so it is only read."""
    routes = [app_mesh_route("shop", "stable", "canary", "discovery"), app_mesh_route("other", "other")]
    yield APP_MESH["virtualrouters"], {"metadata": {"name": "router"}, "spec": {"routes": routes}}
    for name in ("canary", "stable"):
        yield APP_MESH["virtualnodes"], {"metadata": {"name": name}, "spec": {"podSelector": {"matchLabels": {"app": "web"}}}}
    provider = {"virtualRouter": {"virtualRouterRef": {"name": "router"}}}
    yield APP_MESH["virtualservices"], {"metadata": {"name": "shop"}, "spec": {"provider": provider}}


def app_mesh_weights(obj: dict[str, Any]) -> list[tuple[int, int]]:
    routes = obj["spec"].get("routes") or ()
    held = [each["httpRoute"]["action"]["weightedTargets"] for each in routes if each["name"] == "shop"]
    weights = [{each["virtualNodeRef"]["name"]: each["weight"] for each in targets} for targets in held]
    return [(each["canary"], each["stable"]) for each in weights]


def app_mesh_foreign(obj: dict[str, Any]) -> Any:
    left = deepcopy(obj["spec"])
    for route in left.get("routes") or ():
        action = route["httpRoute"]["action"]
        action["weightedTargets"] = [
            each for each in action["weightedTargets"] if each["virtualNodeRef"]["name"] not in ("canary", "stable")
        ]
    left.get("podSelector", {}).get("matchLabels", {}).pop(POD_TEMPLATE_HASH, None)
    return without_ours(obj["metadata"].get("annotations") or {}), left


NODES = {f"{side}VirtualNodeRef": {"name": side} for side in ("canary", "stable")}
ROWS |= {
    "ambassador": Row(
        router="ambassador",
        config={"mappings": ["main"]},
        objects=(
            (MAPPING, {"metadata": {"name": "main"}, "spec": {"prefix": "/shop", "service": "stable:80", "timeout_ms": 4000}}),
        ),
        creates=((MAPPING, "main-canary"),),
        missing="Mapping {namespace}/main",
        weights=mapping_weights,
        foreign=lambda obj: {key: value for key, value in obj["spec"].items() if key != "weight"},
        crds=("getambassador.io_mappings.yaml",),
    ),
    "apisix": Row(
        router="apisix",
        config={"route": {"name": "web"}},
        objects=((APISIX_ROUTE, apisix_route()),),
        missing="ApisixRoute {namespace}/web",
        weights=apisix_weights,
        foreign=apisix_foreign,
        crds=("apisix.apache.org_apisixroutes.yaml",),
        lacks=frozenset({Feature.HEADER_ROUTES}),  # they are objects of their own: tests/unit/shifter/test_apisix.py
    ),
    "app-mesh": Row(
        router="appMesh",
        config={"virtualService": {"name": "shop"}, "virtualNodeGroup": NODES},
        objects=tuple(app_mesh_objects()),
        missing="VirtualService {namespace}/shop",
        weights=app_mesh_weights,
        foreign=app_mesh_foreign,
        crds=tuple(f"{kind.group}_{kind.plural}.yaml" for kind in APP_MESH.values()),
    ),
}


def test_every_router_of_the_registry_is_in_this_suite():
    assert {row.router for row in ROWS.values()} | {"tidegate/memory"} == set(ROUTERS)


HERE = "contract/test_routers.py::"
SHOWN_BY = {
    Feature.HEADER_ROUTES: HERE + "test_header_routes_are_there_while_asked_for_and_never_pile_up",
    Feature.MIRROR_ROUTES: HERE + "test_a_mirror_is_there_while_asked_for_and_takes_nothing_from_anybody",
    Feature.ADDITIONAL_DESTINATIONS: HERE
    + "test_an_experiments_service_is_named_before_it_has_weight_and_until_nobody_asks_for_it",
    Feature.MAX_WEIGHT: HERE + "test_weights_may_be_out_of_another_total_than_a_hundred",
    Feature.VERIFICATION: HERE + "test_it_is_verified_once_the_controller_has_seen_the_newest_state",
    Feature.STICKINESS: "unit/shifter/test_stickiness.py::test_users_keep_their_version_through_every_split_and_header_route",
}
"""For each router that has the feature; but for those:"""
SHOWN_ELSEWHERE = {
    (
        Feature.VERIFICATION,
        "alb",
    ): "integration/shifter/test_asking_aws.py::test_a_split_is_verified_when_aws_has_it_and_not_before",
    (
        Feature.HEADER_ROUTES,
        "apisix",
    ): "unit/shifter/test_apisix.py::test_a_header_route_is_one_priority_higher_and_leads_to_the_canary_alone",
}


@pytest.mark.parametrize("feature", Feature)
def test_every_yes_of_the_support_table_is_shown_by_a_test(feature):
    rows = {row.router for row in ROWS.values() if feature in supported(row.router) - row.lacks}
    elsewhere = {router: test for (of, router), test in SHOWN_ELSEWHERE.items() if of is feature}
    claimed = {router for router in ROUTERS if feature in supported(router)} - {"tidegate/memory"}
    assert (rows | elsewhere.keys(), rows & elsewhere.keys()) == (claimed, set())
    for test in (SHOWN_BY[feature], *elsewhere.values()):
        file, _, name = test.partition("::")
        assert f"def {name}(" in (Path(__file__).parents[1] / file).read_text(), test


def supported(router: str) -> frozenset[Feature]:
    return ROUTERS[router](MemoryKube()).supports


def gateway_shares(route: dict[str, Any]) -> list[tuple[int, int]]:
    rules = [{each["name"]: each["weight"] for each in rule["backendRefs"]} for rule in route["spec"]["rules"]]
    return [(each["canary"], each["canary"] + each["stable"]) for each in rules if "stable" in each]


def nginx_shares(obj: dict[str, Any]) -> list[tuple[int, int]]:
    held = obj["metadata"]["annotations"]
    weight, total = (held[f"nginx.ingress.kubernetes.io/{key}"] for key in ("canary-weight", "canary-weight-total"))
    return [(int(weight), int(total))]


TOTALS = {"argoproj-labs/gatewayAPI": gateway_shares, "nginx": nginx_shares}
"""For routers that know `maxTrafficWeight`: the canary's weight, and out of how much."""


# --- benches: a router with everything it needs ---------------------------------------------------------------------------


class Bench(Protocol):
    async def apply(self, split: Split, *, fence: int = 10, name: str = "web") -> RouterReport: ...

    async def observed(self, split: Split) -> RouterReport: ...

    async def additional(self, split: Split) -> Mapping[str, int]: ...

    async def weights(self) -> set[tuple[int, int]]: ...

    async def managed(self) -> list[str]: ...

    async def versions(self) -> Any:
        """Changes with every write."""
        ...

    async def remove(self) -> str:
        """Take away what the router writes to; returns what a refusal must name."""
        ...


@dataclass
class KubeBench:
    row: Row
    kube: Kube | MemoryKube
    namespace: str
    uid: str = UID
    before_write: list[Callable[[], Any]] = field(default_factory=list)

    def ask(self, split: Split, fence: int = 10, name: str = "web") -> Ask:
        owner = Owner(namespace=self.namespace, name=name, uid=self.uid)
        return Ask(owner=owner, fence=fence, split=split, config=self.row.config)

    async def apply(self, split, *, fence=10, name="web"):
        return await ROUTERS[self.row.router](Meddled(self)).apply(self.ask(split, fence, name))

    async def observed(self, split):
        return await ROUTERS[self.row.router](self.kube).observed(self.ask(split))

    async def additional(self, split):
        return await ROUTERS[self.row.router](self.kube).additional(self.ask(split))

    @property
    def written(self) -> list[tuple[Kind, str]]:
        return list(self.row.creates or ((kind, obj["metadata"]["name"]) for kind, obj in self.row.objects))

    async def authored(self) -> list[dict]:
        """What stood there before, whoever wrote to it since."""
        return [await self.kube.get(kind, self.namespace, obj["metadata"]["name"]) for kind, obj in self.row.objects]

    async def objects(self) -> list[dict]:
        return [await self.kube.get(kind, self.namespace, name) for kind, name in self.written]

    async def weights(self):
        return {pair for obj in await self.objects() for pair in self.row.weights(obj)}

    async def managed(self):
        return [name for obj in await self.objects() for name in self.row.managed(obj)]

    async def versions(self):
        return [obj["metadata"]["resourceVersion"] for obj in await self.objects()]

    async def remove(self):
        for kind, obj in self.row.objects:
            await self.kube.delete(kind, self.namespace, obj["metadata"]["name"])
        return self.row.missing.format(namespace=self.namespace)


class Meddled:
    """The bench's API; each function of `before_write` runs once just before a patch arrives."""

    def __init__(self, bench: KubeBench) -> None:
        self._bench = bench

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._bench.kube, verb)

    async def merge_patch(self, *arguments: Any, **options: Any) -> Any:
        if self._bench.before_write:
            await self._bench.before_write.pop(0)()
        return await self._bench.kube.merge_patch(*arguments, **options)


@dataclass
class MemoryBench:
    router: MemoryRouter = field(default_factory=MemoryRouter)

    def ask(self, split: Split, fence: int = 10, name: str = "web") -> Ask:
        return Ask(owner=Owner(namespace="here", name=name, uid=UID), fence=fence, split=split, config={"table": "web"})

    async def apply(self, split, *, fence=10, name="web"):
        return await self.router.apply(self.ask(split, fence, name))

    async def observed(self, split):
        return await self.router.observed(self.ask(split))

    async def additional(self, split):
        return await self.router.additional(self.ask(split))

    async def weights(self):
        return {(each.canary.weight, each.stable.weight) for each in self.router.tables["web"].splits.values()}

    async def managed(self):
        return [route.name for each in self.router.tables["web"].splits.values() for route in each.header_routes]

    async def versions(self):
        return self.router.tables["web"].writes

    async def remove(self):
        del self.router.tables["web"]
        return "Table here/web"


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with shared_control_plane() as running:
        yield running


@contextlib.asynccontextmanager
async def in_this_process(_request: pytest.FixtureRequest, _row: None) -> AsyncIterator[Bench]:
    bench = MemoryBench()
    bench.router.tables["web"] = Table()
    yield bench


@contextlib.asynccontextmanager
async def in_memory(_request: pytest.FixtureRequest, row: Row) -> AsyncIterator[Bench]:
    yield await with_its_objects(await as_written(row))


async def as_written(row: Row) -> KubeBench:
    """In memory, the objects as their authors wrote them."""
    kube = MemoryKube()
    for kind, obj in row.objects:
        await kube.create(kind, in_namespace(deepcopy(obj), "here"))
    return KubeBench(row, kube, "here")


async def with_its_objects(bench: KubeBench) -> KubeBench:
    """A router that makes its objects is met when it has made them; one of them does so with the first share only."""
    if bench.row.creates:
        await bench.apply(split(2), fence=0)
    return bench


@contextlib.asynccontextmanager
async def on_an_api_server(request: pytest.FixtureRequest, row: Row) -> AsyncIterator[Bench]:
    control_plane = request.getfixturevalue("control_plane")
    async with Kube(load(control_plane.kubeconfig), user_agent="tidegate-contract/1") as kube:
        for name in row.crds:
            with contextlib.suppress(AlreadyExists):
                await kube.create(CRD, yaml.safe_load((CRDS / name).read_text()))
        namespace = create_namespace(control_plane)
        for kind in {kind for kind, _ in (*row.objects, *row.creates)}:
            await until_served(kube, kind)
        for kind, obj in row.objects:
            await kube.create(kind, in_namespace(obj, namespace))
        uid = await rollout(kube, namespace)
        yield await with_its_objects(KubeBench(row, kube, namespace, uid))


async def rollout(kube: Kube, namespace: str) -> str:
    """The owner: the garbage collector takes what belongs to nobody."""
    with contextlib.suppress(AlreadyExists):
        await kube.create(CRD, yaml.safe_load(ROLLOUTS.read_text()))
    await until_served(kube, ROLLOUT)
    made = await kube.create(ROLLOUT, in_namespace({"metadata": {"name": "web"}, "spec": {}}, namespace))
    return str(made["metadata"]["uid"])


def in_namespace(obj: dict[str, Any], namespace: str) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


async def until_served(kube: Kube, kind: Kind) -> None:
    async with asyncio.timeout(300):
        while True:
            with contextlib.suppress(NotFound):
                await kube.list(kind)
                return
            await asyncio.sleep(0.1)


def benches(*needed: Feature, memory: bool = True, fits: Callable[[Row], bool] = lambda _: True) -> list[Any]:
    """Every router that has the features, wherever it can run."""
    params = [pytest.param((in_this_process, None), id="memory")] if memory else []
    for name, row in ROWS.items():
        if fits(row) and set(needed) <= supported(row.router) - row.lacks:
            params.append(pytest.param((in_memory, row), id=name))
            params.append(pytest.param((on_an_api_server, row), id=f"{name}-api-server", marks=pytest.mark.integration))
    return params


@pytest.fixture(params=benches())
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    opened, row = request.param
    async with opened(request, row) as ready:
        yield ready


kube_only = pytest.mark.parametrize("bench", benches(memory=False), indirect=True)
with_header_routes = pytest.mark.parametrize("bench", benches(Feature.HEADER_ROUTES), indirect=True)


# --- the promises ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("canary", [0, 1, 33, 99, 100])
async def test_the_weights_are_exactly_those_asked_for(bench, canary):
    report = await bench.apply(split(canary))
    assert await bench.weights() == {(canary, 100 - canary)}
    assert (report.weight, report.state) == (canary, "applied")


async def test_any_sequence_of_splits_ends_with_the_last_one(bench):
    for fence, canary in enumerate((20, 60, 5, 100, 0, 40)):
        await bench.apply(split(canary), fence=fence)
    assert await bench.weights() == {(40, 60)}


async def test_asking_again_writes_nothing(bench):
    await bench.apply(split(20))
    before = await bench.versions()
    report = await bench.apply(split(20), fence=11)
    assert await bench.versions() == before
    assert report.weight == 20


async def test_looking_writes_nothing_and_sees_what_is_there(bench):
    await bench.apply(split(20))
    before = await bench.versions()
    report = await bench.observed(split(50))
    assert await bench.versions() == before
    assert (report.weight, report.state) == (20, "pending")


async def test_an_older_decision_is_dropped_with_both_numbers_told(bench):
    await bench.apply(split(40), fence=30)
    before = await bench.versions()
    with pytest.raises(Stale, match=r"30.*20"):
        await bench.apply(split(80), fence=20)
    assert await bench.versions() == before
    assert await bench.weights() == {(40, 60)}


async def test_the_same_decision_may_be_carried_out_twice(bench):
    await bench.apply(split(40), fence=30)
    await bench.apply(split(50), fence=30)
    assert await bench.weights() == {(50, 50)}


@pytest.mark.parametrize("bench", benches(fits=lambda row: bool(row.missing)), indirect=True)
async def test_a_missing_object_is_refused_by_kind_namespace_and_name(bench):
    named = await bench.remove()
    with pytest.raises(Refused) as refused:
        await bench.apply(split(20))
    assert named in str(refused.value)
    assert not refused.value.lasting


@with_header_routes
async def test_header_routes_are_there_while_asked_for_and_never_pile_up(bench):
    for _ in range(3):
        await bench.apply(split(20, headers=("first", "second")))
    once = await bench.managed()
    assert {name.partition("-")[0] for name in once} == {"first", "second"}
    assert len(once) == len(set(once))
    before = await bench.versions()
    await bench.apply(split(20, headers=("first", "second")))
    assert (await bench.managed(), await bench.versions()) == (once, before)
    await bench.apply(split(20, headers=("second",)))
    assert {name.partition("-")[0] for name in await bench.managed()} == {"second"}
    await bench.apply(split(0))
    assert await bench.managed() == []


@pytest.mark.parametrize("bench", benches(Feature.MIRROR_ROUTES, memory=False), indirect=True)
async def test_a_mirror_is_there_while_asked_for_and_takes_nothing_from_anybody(bench):
    for _ in range(2):
        await bench.apply(split(20, mirrors=("first",)))
    once = await bench.managed()
    assert {name.partition("-")[0] for name in once} == {"first"}
    assert len(once) == len(set(once))
    assert "mirror" in str(await bench.objects()).lower()
    assert await bench.weights() == {(20, 80)}
    await bench.apply(split(20))
    assert "mirror" not in str(await bench.objects()).lower()


@pytest.mark.parametrize("bench", benches(Feature.MAX_WEIGHT, memory=False), indirect=True)
async def test_weights_may_be_out_of_another_total_than_a_hundred(bench):
    sides = {"canary": Destination(weight=5, service="canary"), "stable": Destination(weight=995, service="stable")}
    report = await bench.apply(Split(**sides, max_weight=1000))
    assert (report.weight, report.state) == (5, "applied")
    assert {pair for obj in await bench.objects() for pair in TOTALS[bench.row.router](obj)} == {(5, 1000)}


@pytest.mark.parametrize("bench", benches(Feature.ADDITIONAL_DESTINATIONS), indirect=True)
async def test_an_experiments_service_is_named_before_it_has_weight_and_until_nobody_asks_for_it(bench):
    """What a restarted shifter goes by: read off the objects, whatever is asked for now."""
    known = Destination(weight=0, service="candidate", hash="try")
    coming = split(20).model_copy(update={"additional": (known,)})
    seen = []
    for fence, asked in enumerate((split(20), coming, split(20, experiment=5), coming, split(0))):
        await bench.apply(asked, fence=fence)
        seen.append(await bench.additional(split(0)))
        assert await bench.weights() == {(asked.canary.weight, asked.stable.weight)}
    assert seen == [{}, {"candidate": 0}, {"candidate": 5}, {"candidate": 0}, {}]


@kube_only
async def test_what_is_not_the_rollouts_stays_as_it_is(bench):
    before = [bench.row.foreign(obj) for obj in await bench.objects()]
    for fence, asked in enumerate((split(20, headers=("first",)), split(60, headers=("first", "second")), split(100), split(0))):
        await bench.apply(asked, fence=fence)
        assert [bench.row.foreign(obj) for obj in await bench.objects()] == before


@kube_only
async def test_a_write_of_someone_else_in_between_is_seen_and_kept(bench):
    kind, name = bench.written[0]

    async def annotate() -> None:
        await bench.kube.merge_patch(kind, bench.namespace, name, {"metadata": {"annotations": {"gitops": "synced"}}})

    bench.before_write += [annotate]
    report = await bench.apply(split(20))
    assert report.state == "applied"
    assert await bench.weights() == {(20, 80)}
    assert (await bench.objects())[0]["metadata"]["annotations"]["gitops"] == "synced"


@kube_only
async def test_a_newer_decision_that_slips_in_between_wins(bench):
    async def overtake() -> None:
        await bench.apply(split(70), fence=30)

    bench.before_write += [overtake]
    with pytest.raises(Stale):
        await bench.apply(split(20), fence=20)
    assert await bench.weights() == {(70, 30)}


@pytest.mark.parametrize("bench", benches(memory=False, fits=lambda row: not row.creates), indirect=True)
async def test_fences_of_two_rollouts_on_one_object_do_not_meet(bench):
    await bench.apply(split(40), fence=5000, name="busy")
    await bench.apply(split(30), fence=100, name="idle")
    assert await bench.weights() == {(30, 70)}
    assert {part.partition("=")[0] for part in fence_of((await bench.objects())[0]).split(",")} == {
        f"{bench.namespace}/busy",
        f"{bench.namespace}/idle",
    }


def fence_of(obj: dict[str, Any]) -> str:
    return obj["metadata"]["annotations"][FENCE]


@pytest.mark.parametrize("bench", benches(Feature.VERIFICATION, memory=False), indirect=True)
async def test_it_is_verified_once_the_controller_has_seen_the_newest_state(bench):
    async def controllers_look() -> None:
        for (kind, _), obj in zip(bench.row.objects, await bench.objects(), strict=True):
            patch = {"status": bench.row.accept(obj)}
            await bench.kube.merge_patch(kind, bench.namespace, obj["metadata"]["name"], patch, subresource="status")

    assert (await bench.apply(split(20))).verified is None
    await controllers_look()
    assert (await bench.observed(split(20))).verified is True
    moved = await bench.apply(split(40))
    assert (moved.verified, moved.state, moved.weight) == (False, "pending", 40)
    await controllers_look()
    seen = await bench.observed(split(40))
    assert (seen.verified, seen.state) == (True, "applied")


@kube_only
async def test_a_refusal_of_the_api_server_comes_through_as_it_is(bench):
    async def refuse() -> None:
        raise KubeError("admission webhook said no", status=403)

    bench.before_write += [refuse]
    with pytest.raises(KubeError, match="admission webhook said no"):
        await bench.apply(split(20))


# --- any sequence -----------------------------------------------------------------------------------------------------------

ROUTES = st.sampled_from([(), ("first",), ("second",), ("first", "second")])
ASKED = st.builds(
    lambda canary, headers, mirrors, experiment: (canary, headers, tuple(sorted({*mirrors} - {*headers})), experiment),
    st.integers(0, 90), ROUTES, ROUTES, st.sampled_from([0, 0, 5]),
)  # fmt: skip
EDITS = st.sampled_from(["annotated", "applied again", "set back"])


def able(asked: tuple[int, tuple[str, ...], tuple[str, ...], int], row: Row) -> Split:
    """The split without what the router of this row cannot do."""
    canary, headers, mirrors, experiment = asked
    supports = supported(row.router) - row.lacks
    return split(
        canary,
        headers=headers if Feature.HEADER_ROUTES in supports else (),
        mirrors=mirrors if Feature.MIRROR_ROUTES in supports else (),
        experiment=experiment if Feature.ADDITIONAL_DESTINATIONS in supports else 0,
    )


class Author:
    """Whoever else writes the objects of a row: people, and GitOps tools."""

    def __init__(self, bench: KubeBench) -> None:
        self.bench = bench
        self.notes: dict[str, str] = {}
        self.before = {obj["metadata"]["name"]: deepcopy(obj["spec"]) for _, obj in bench.row.objects}

    async def edits(self, how: str, number: int) -> None:
        for kind, obj in self.bench.row.objects:
            found = await self.bench.kube.get(kind, self.bench.namespace, obj["metadata"]["name"])
            match how:
                case "annotated":
                    self.notes[f"note-{number}"] = "x"
                    found["metadata"].setdefault("annotations", {})[f"note-{number}"] = "x"
                case "applied again":
                    found["spec"] = deepcopy(obj["spec"])
                case _:
                    found["spec"] = deepcopy(self.before[obj["metadata"]["name"]])
            self.bench.kube.put(kind, found)

    async def remembers(self) -> None:
        """How the objects are: they may be set back to it."""
        for kind, obj in self.bench.row.objects:
            found = await self.bench.kube.get(kind, self.bench.namespace, obj["metadata"]["name"])
            self.before[obj["metadata"]["name"]] = found["spec"]

    async def foreign(self) -> list[Any]:
        """All that is not the Rollout's, without this author's own notes."""
        found = []
        for kind, obj in self.bench.row.objects:
            live = await self.bench.kube.get(kind, self.bench.namespace, obj["metadata"]["name"])
            annotations = live["metadata"].get("annotations") or {}
            assert {key: annotations.get(key) for key in self.notes} == self.notes
            live["metadata"]["annotations"] = {key: text for key, text in annotations.items() if key not in self.notes}
            rest = live["spec"] if self.bench.row.creates else self.bench.row.foreign(live)
            found.append((live["metadata"].get("labels"), rest))
        return found


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
@given(st.lists(st.one_of(ASKED, EDITS), max_size=7), ASKED)
@settings(max_examples=40)
def test_any_sequence_of_splits_routes_aborts_and_edits_of_others_ends_with_what_was_asked_last(row, sequence, last):
    """And with all of it over, nothing is left but what its author wrote. A new router is covered by its row."""

    async def played() -> None:
        bench = await as_written(row)
        await bench.apply(split(2), fence=0)
        await bench.apply(split(0), fence=1)
        author = Author(bench)
        untouched = await author.foreign()
        for fence, each in enumerate([*sequence, last], start=2):
            if isinstance(each, str):
                await author.edits(each, fence)
                continue
            await bench.apply(able(each, row), fence=fence)
            if not each[-1]:  # who brings an experiment's backend back, later, makes it theirs
                await author.remembers()
        asked = able(last, row)
        assert await bench.weights() == {(asked.canary.weight, asked.stable.weight)}
        named = {each.name for each in (*asked.header_routes, *asked.mirror_routes)}
        assert {name.partition("-")[0] for name in await bench.managed()} == named
        versions = await bench.versions()
        assert (await bench.apply(asked, fence=98)).state == "applied"
        assert await bench.versions() == versions
        await bench.apply(split(0), fence=99)  # an abort: at once, whatever there was
        assert await bench.weights() == {(0, 100)}
        assert await bench.managed() == []
        assert await author.foreign() == untouched

    asyncio.run(played())


def differences(wrote: Any, live: Any, path: str = "") -> list[str]:
    """Where an object is not as its author wrote it. What the author did not write cannot differ: so GitOps tools compare."""
    if isinstance(wrote, dict) and isinstance(live, dict):
        return [found for key, value in wrote.items() for found in differences(value, live.get(key), f"{path}.{key}")]
    if isinstance(wrote, list) and isinstance(live, list) and len(wrote) == len(live):
        return [found for at, value in enumerate(wrote) for found in differences(value, live[at], path)]
    return [] if wrote == live else [path]


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_an_author_who_applies_the_manifest_again_finds_only_weights_changed_during_and_nothing_after(row):
    """GW#208, GW#203: a lasting difference has GitOps tools and us overwrite one another for ever."""
    bench = await as_written(row)

    async def differing() -> set[str]:
        live = await bench.authored()
        return {each for (_, wrote), found in zip(row.objects, live, strict=True) for each in differences(wrote, found)}

    for fence, canary in enumerate((0, 20, 100)):
        await bench.apply(split(canary), fence=fence)
        during = {each for each in await differing() if not each.endswith((".weight", f".{row.added}"))}
        assert during == set()
    await bench.apply(split(0), fence=3)
    assert await differing() == set()


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_a_rollout_deleted_in_the_middle_leaves_no_hash_of_its_pods_and_nothing_of_others_changed(row):
    """Its ReplicaSets went along: whatever still chose their pods would lead nowhere. App Mesh is left, as in the peer."""
    bench = await as_written(row)
    before = [row.foreign(each) for each in await bench.authored()]
    await bench.apply(split(34, headers=("first",) if Feature.HEADER_ROUTES in ROUTERS[row.router].supports else ()))
    for leftover in LEFTOVERS.values():
        await Releases(bench.kube, Settings()).sweep_routes(leftover)
    found = await bench.authored()
    assert [row.foreign(each) for each in found] == before
    if row.router != "appMesh":
        assert POD_TEMPLATE_HASH not in str(found)
    if row.router == "alb":
        assert alb_managed(found[0]) == []
        (group,) = json.loads(found[0]["metadata"]["annotations"][ALB_ACTION])["ForwardConfig"]["TargetGroups"]
        assert (group["ServiceName"], group["Weight"]) == ("stable", 100)
