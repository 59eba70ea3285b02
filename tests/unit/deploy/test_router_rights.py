"""What each router is granted is what it uses, no more and no less: each is played in memory, its requests compared with its role.

The base's rights are held to the real API server's audit log by tests/integration/rights; this is the cheap half for the others,
whose objects no test cluster has controllers for.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.kube.kinds import INGRESS, Kind
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, HeaderRoute, Split
from tidegate_cli.local.identities import rbac_manifests
from tidegate_shifter.router import Ask, Owner
from tidegate_shifter.routers import ROUTERS, ambassador, apisix, app_mesh, gateway_api, istio, traefik

DEPLOY = Path(__file__).parents[3] / "deploy"
FOLDER = DEPLOY / "rbac" / "routers"
ACCOUNT = {"kind": "ServiceAccount", "name": "tidegate-traffic-shifter", "namespace": "tidegate-system"}
VERBS = {"merge_patch": "patch", "json_patch": "patch", "apply": "patch"}
OWNS = ("argoproj.io", "rollouts/finalizers", "update")
"""Asked for by the admission plugin OwnerReferencesPermissionEnforcement, of whoever makes an object that blocks its owner."""

Right = tuple[str, str, str]
"""API group, resource, verb."""


# --- a small scene for each router --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """The router's configuration, and what stands in the namespace before."""

    config: dict[str, Any]
    objects: tuple[tuple[Kind, str, dict[str, Any]], ...] = ()


SIDES = ("stable", "canary")
INGRESS_RULES = {
    "rules": [{"http": {"paths": [{"path": "/", "backend": {"service": {"name": "stable", "port": {"number": 80}}}}]}}]
}
NODES = {f"{side}VirtualNodeRef": {"name": side} for side in SIDES}
NODE_ROUTE = {
    "name": "r",
    "httpRoute": {"action": {"weightedTargets": [{"virtualNodeRef": {"name": each}, "weight": 1} for each in SIDES]}},
}
SUBSETS = {"name": "rule", "canarySubsetName": "canary", "stableSubsetName": "stable"}


def gateway_scene() -> Scene:
    """Routes of each family, by name and by label."""
    spec = {"rules": [{"backendRefs": [{"name": each, "port": 80, "weight": 1} for each in SIDES]}]}
    families = gateway_api.FAMILIES
    named = {f"{family}Route": "web" for family in families}
    selected = {f"{family}RouteSelector": {"matchLabels": {"by": "label"}} for family in families}
    return Scene({**named, **selected}, tuple((kinds[-1], "web", spec) for kinds in families.values()))


SCENES = {
    gateway_api.NAME: gateway_scene(),
    "istio": Scene(
        {"virtualService": {"name": "web"}, "destinationRule": SUBSETS},
        (
            (
                istio.VIRTUAL_SERVICE,
                "web",
                {"http": [{"route": [{"destination": {"host": "web", "subset": each}, "weight": 50} for each in SIDES]}]},
            ),
            (istio.DESTINATION_RULE, "rule", {"host": "web", "subsets": [{"name": each} for each in SIDES]}),
        ),
    ),
    "nginx": Scene({"stableIngress": "main"}, ((INGRESS, "main", INGRESS_RULES),)),
    "alb": Scene({"ingress": "main", "servicePort": 80}, ((INGRESS, "main", INGRESS_RULES),)),
    "smi": Scene({}),
    "traefik": Scene(
        {"weightedTraefikServiceName": "web"},
        ((traefik.TRAEFIK_SERVICE, "web", {"weighted": {"services": [{"name": each, "weight": 1} for each in SIDES]}}),),
    ),
    "ambassador": Scene({"mappings": ["main"]}, ((ambassador.MAPPING, "main", {"prefix": "/", "service": "stable:80"}),)),
    "apisix": Scene(
        {"route": {"name": "web"}},
        ((apisix.APISIX_ROUTE, "web", {"http": [{"name": "web", "backends": [{"serviceName": each} for each in SIDES]}]}),),
    ),
    "appMesh": Scene(
        {"virtualService": {"name": "web"}, "virtualNodeGroup": NODES},
        (
            (app_mesh.VIRTUAL_SERVICE, "web", {"provider": {"virtualRouter": {"virtualRouterRef": {"name": "router"}}}}),
            (app_mesh.VIRTUAL_ROUTER, "router", {"routes": [NODE_ROUTE]}),
            *((app_mesh.VIRTUAL_NODE, each, {}) for each in SIDES),
        ),
    ),
}


def splits() -> Iterator[Split]:
    """A share with a header route, more without, all, none: what is created is changed, and deleted where it is not kept."""
    header = HeaderRoute(name="first", match=({"headerName": "X-Canary", "headerValue": {"exact": "yes"}},))
    for weight, headers in ((20, (header,)), (50, ()), (100, ()), (0, ())):
        canary = Destination(weight=weight, service="canary", hash="new")
        stable = Destination(weight=100 - weight, service="stable", hash="old")
        yield Split(canary=canary, stable=stable, header_routes=headers, managed_routes=("first",))


async def used(router: str) -> set[Right]:
    kube, scene = MemoryKube(), SCENES[router]
    for kind, name, spec in scene.objects:
        kube.put(kind, {"metadata": {"namespace": "shop", "name": name, "labels": {"by": "label"}}, "spec": spec})
    owner = Owner(namespace="shop", name="web", uid="5d0d0c2e-0000-4000-8000-000000000001")
    for fence, split in enumerate(splits()):
        ask = Ask(owner=owner, fence=fence, split=split, config=scene.config)
        await ROUTERS[router](kube).apply(ask)
        await ROUTERS[router](kube).observed(ask)
    requests = {(call.kind.group, call.kind.plural, VERBS.get(call.verb, call.verb)) for call in kube.calls}
    return requests | ({OWNS} if any("blockOwnerDeletion" in str(call.body) for call in kube.calls) else set())


# --- the files ----------------------------------------------------------------------------------------------------------


def folder_of(router: str) -> str:
    """Named like the router's module."""
    return ROUTERS[router].__module__.rpartition(".")[2].replace("_", "-")


def documents(folder: str) -> tuple[dict[str, Any], dict[str, Any]]:
    role, binding = yaml.safe_load_all((FOLDER / folder / "role.yaml").read_text())
    return role, binding


def kustomized(folder: Path, *, overlay: str, component: str) -> list[dict[str, Any]]:
    """The overlay with a component added to it, as docs/install.md describes it."""
    original = DEPLOY / "overlays" / overlay
    (folder / "nats.conf").write_bytes((DEPLOY / "overlays" / "ha" / "nats.conf").read_bytes())
    document = yaml.safe_load((original / "kustomization.yaml").read_text())
    document["resources"] = [os.path.relpath(original / each, folder.resolve()) for each in document["resources"]]
    document["components"] = [os.path.relpath(original / component, folder.resolve())]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    command = [str(Path(sys.executable).parent / "kubectl"), "kustomize", str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    return list(yaml.safe_load_all(ran.stdout))


def router_roles(manifests: list[dict[str, Any]], kind: str = "ClusterRole") -> set[str]:
    prefix = "tidegate-traffic-shifter-"
    names = {each["metadata"]["name"] for each in manifests if each["kind"] == kind}
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


# --- the promises -------------------------------------------------------------------------------------------------------


def test_every_router_that_writes_to_a_cluster_has_a_scene_and_a_role() -> None:
    assert set(SCENES) == set(ROUTERS) - {"tidegate/memory"}
    assert {folder_of(router) for router in SCENES} == {each.parent.name for each in FOLDER.glob("*/role.yaml")}


@pytest.mark.parametrize("router", SCENES)
async def test_a_router_is_granted_what_it_uses_and_nothing_else(router: str) -> None:
    role, _ = documents(folder_of(router))
    rights = [
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]
    assert len(rights) == len(set(rights))
    needed = await used(router)
    assert needed - set(rights) == set(), "used, and refused: grant it in the router's role.yaml"
    assert set(rights) - needed == set(), "granted, and never used: take it out, or play the path that needs it"


@pytest.mark.parametrize("router", SCENES)
def test_a_routers_role_is_bound_to_the_traffic_shifter_and_nobody_else(router: str) -> None:
    name = f"tidegate-traffic-shifter-{folder_of(router)}"
    role, binding = documents(folder_of(router))
    assert (role["metadata"]["name"], binding["metadata"]["name"], binding["roleRef"]["name"]) == (name, name, name)
    assert binding["subjects"] == [ACCOUNT]


def test_an_overlay_takes_one_router_or_all_of_them_on_top_of_the_base(tmp_path: Path) -> None:
    one = kustomized(tmp_path, overlay="ha", component="../../rbac/routers/istio")
    assert router_roles(one) == {"gateway-api", "istio"}
    every = kustomized(tmp_path, overlay="ha", component="../../rbac/routers")
    assert router_roles(every) == {folder_of(router) for router in SCENES}


def test_a_routers_rights_end_at_the_namespace_that_is_served(tmp_path: Path) -> None:
    manifests = kustomized(tmp_path, overlay="namespaced", component="../../rbac/routers")
    assert router_roles(manifests) == set()
    assert router_roles(manifests, "Role") == {folder_of(router) for router in SCENES}
    bindings = [each for each in manifests if each["kind"] == "RoleBinding"]
    assert {each["roleRef"]["name"] for each in bindings} >= {f"tidegate-traffic-shifter-{folder_of(router)}" for router in SCENES}
    assert {each["roleRef"]["kind"] for each in bindings} == {"Role"}


def test_services_on_a_developers_machine_may_use_every_router() -> None:
    assert router_roles(rbac_manifests()) == {folder_of(router) for router in SCENES}
