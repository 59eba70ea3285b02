"""What each router is granted is what it uses, no more and no less: each is played in memory, its requests compared with its role.

The base's rights are held to the real API server's audit log by tests/integration/rights; this is the cheap half for the others,
whose objects no test cluster has controllers for.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.config import Settings
from tidegate.kube.cache import Cache
from tidegate.kube.kinds import (
    APP_MESH_VIRTUAL_ROUTER,
    APP_MESH_VIRTUAL_SERVICE,
    DESTINATION_RULE,
    HTTP_ROUTE,
    INGRESS,
    MAPPING,
    TARGET_GROUP_BINDING,
    VIRTUAL_SERVICE,
    Kind,
    Object,
)
from tidegate.kube.memory import MemoryKube
from tidegate.kube.watch import WatchEvent
from tidegate.messages import Destination, HeaderRoute, MirrorRoute, ServiceTarget, Split
from tidegate_cli.local.identities import rbac_manifests
from tidegate_planner.router_objects import NotYet, WatchedKinds, found_for
from tidegate_shifter import gateway_features
from tidegate_shifter.leftovers import LEFTOVERS
from tidegate_shifter.release import Releases
from tidegate_shifter.router import Ask, Owner
from tidegate_shifter.routers import ROUTERS, apisix, app_mesh, gateway_api, traefik
from tidegate_shifter.target_groups import TargetGroups

DEPLOY = Path(__file__).parents[3] / "deploy"
FOLDER = DEPLOY / "rbac" / "routers"
SERVICES = ("traffic-shifter", "planner")
PREFIXES = {"traffic-shifter": "tidegate-traffic-shifter-", "planner": "tidegate-planner-router-"}
VERBS = {"merge_patch": "patch", "json_patch": "patch", "apply": "patch"}
OWNS = ("argoproj.io", "rollouts/finalizers", "update")
"""Asked for by the admission plugin OwnerReferencesPermissionEnforcement, of whoever makes an object that blocks its owner."""

LOOKED_AT = {"alb", "ambassador", "app-mesh", "istio", "nginx"}
"""Routers whose objects the planner judges a spec by (`argo-behaviour.md` 1.6)."""

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
    """Routes of each family, by name and by label; the HTTPRoute that is named is Linkerd's."""
    spec = {"rules": [{"backendRefs": [{"name": each, "port": 80, "weight": 1} for each in SIDES]}]}
    families = gateway_api.FAMILIES
    named = {f"{family}Route": "web" for family in families}
    selected = {f"{family}RouteSelector": {"matchLabels": {"by": "label"}} for family in families}
    routes = [(kinds[-1], "web", spec) for kinds in families.values()]
    gateway = (gateway_features.GATEWAY, "edge", {"gatewayClassName": "edges"})
    ours = (HTTP_ROUTE, "labelled", {**spec, "parentRefs": [{"name": "edge"}]})
    return Scene({**named, **selected}, (*routes, ours, gateway))


def traefik_scene(kind: Kind) -> Scene:
    services = [{"name": each, "weight": 1} for each in SIDES]
    return Scene({"weightedTraefikServiceName": "web"}, ((kind, "web", {"weighted": {"services": services}}),))


SCENES = {
    gateway_api.NAME: gateway_scene(),
    "istio": Scene(
        {"virtualService": {"name": "web"}, "destinationRule": SUBSETS},
        (
            (
                VIRTUAL_SERVICE,
                "web",
                {"http": [{"route": [{"destination": {"host": "web", "subset": each}, "weight": 50} for each in SIDES]}]},
            ),
            (DESTINATION_RULE, "rule", {"host": "web", "subsets": [{"name": each} for each in SIDES]}),
        ),
    ),
    "nginx": Scene({"stableIngress": "main"}, ((INGRESS, "main", INGRESS_RULES),)),
    "alb": Scene({"ingress": "main", "servicePort": 80}, ((INGRESS, "main", INGRESS_RULES),)),
    "smi": Scene({}),
    "traefik": traefik_scene(traefik.TRAEFIK_SERVICE),
    "ambassador": Scene({"mappings": ["main"]}, ((MAPPING, "main", {"prefix": "/", "service": "stable:80"}),)),
    "apisix": Scene(
        {"route": {"name": "web"}},
        ((apisix.APISIX_ROUTE, "web", {"http": [{"name": "web", "backends": [{"serviceName": each} for each in SIDES]}]}),),
    ),
    "appMesh": Scene(
        {"virtualService": {"name": "web"}, "virtualNodeGroup": NODES},
        (
            (APP_MESH_VIRTUAL_SERVICE, "web", {"provider": {"virtualRouter": {"virtualRouterRef": {"name": "router"}}}}),
            (APP_MESH_VIRTUAL_ROUTER, "router", {"routes": [NODE_ROUTE]}),
            *((app_mesh.VIRTUAL_NODE, each, {}) for each in SIDES),
        ),
    ),
}


ALSO = {"traefik": [traefik_scene(traefik.OLDER)]}
"""What takes a scene of its own."""


def splits() -> Iterator[Split]:
    """A share with a header and a mirror route, more without, all, none: what is made is changed, and deleted if not kept."""
    header = HeaderRoute(name="first", match=({"headerName": "X-Canary", "headerValue": {"exact": "yes"}},))
    mirror = MirrorRoute(name="second", match=({"path": {"prefix": "/"}},))
    for weight, headers in ((20, (header,)), (50, ()), (100, ()), (0, ())):
        canary = Destination(weight=weight, service="canary", hash="new")
        stable = Destination(weight=100 - weight, service="stable", hash="old")
        mirrors = (mirror,) if headers else ()
        yield Split(canary=canary, stable=stable, header_routes=headers, mirror_routes=mirrors, managed_routes=("first", "second"))


def kube_of(scene: Scene) -> MemoryKube:
    kube = MemoryKube()
    for kind, name, spec in scene.objects:
        kube.put(kind, {"metadata": {"namespace": "shop", "name": name, "labels": {"by": "label"}}, "spec": spec})
    return kube


async def used(router: str) -> set[Right]:
    played = [await used_in(scene, router) for scene in (SCENES[router], *ALSO.get(router, ()))]
    return set().union(*played)


async def used_in(scene: Scene, router: str) -> set[Right]:
    kube = kube_of(scene)
    owner = Owner(namespace="shop", name="web", uid="5d0d0c2e-0000-4000-8000-000000000001")
    for fence, split in enumerate(splits()):
        ask = Ask(owner=owner, fence=fence, split=split, config=scene.config)
        await ROUTERS[router](kube).apply(ask)
        await ROUTERS[router](kube).observed(ask)
    if router == "alb":
        await ask_for_target_groups(kube, owner)
    if router == "ambassador":
        await kube.delete(MAPPING, "shop", "main")
        kube.calls.pop()  # by somebody else
        await ROUTERS[router](kube).apply(ask)
    if router in LEFTOVERS:
        await Releases(kube, Settings()).sweep_routes(LEFTOVERS[router])
    requests = {(call.kind.group, call.kind.plural, VERBS.get(call.verb, call.verb)) for call in kube.calls}
    requests -= {("", "services", "get"), ("argoproj.io", "rollouts", "get")}  # the base's
    return requests | ({OWNS} if any("blockOwnerDeletion" in str(call.body) for call in kube.calls) else set())


class Asked:
    """Answers a cache, and keeps what it was asked for."""

    def __init__(self, kube: MemoryKube) -> None:
        self._kube, self.rights = kube, set[Right]()

    async def list(self, kind: Kind, namespace: str | None = None, labels: str | None = None) -> tuple[list[Object], str]:
        self.rights.add((kind.group, kind.plural, "list"))
        return await self._kube.list(kind, namespace, labels)

    def watch(self, kind: Kind, *scope: str | None, **options: Any) -> AsyncGenerator[WatchEvent, None]:
        self.rights.add((kind.group, kind.plural, "watch"))
        return self._kube.watch(kind, *scope, **options)


async def read_by_planner(router: str) -> set[Right]:
    """What the planner asks for while it judges a Rollout that uses this router."""
    scene = SCENES[router]
    asked, tasks = Asked(kube_of(scene)), set[asyncio.Task[None]]()
    objects = WatchedKinds(lambda kind: Cache(asked, kind), lambda cache: tasks.add(asyncio.create_task(cache.run())))
    routing = {"plugins": {router: scene.config}} if "/" in router else {router: scene.config}
    rollout = {"metadata": {"namespace": "shop"}, "spec": {"strategy": {"canary": {"trafficRouting": routing}}}}
    while True:
        try:
            found_for(rollout, objects)
            break
        except NotYet:
            await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    return asked.rights


# --- the files ----------------------------------------------------------------------------------------------------------


async def ask_for_target_groups(kube: MemoryKube, owner: Owner) -> None:
    spec = {"targetGroupARN": "arn", "targetType": "ip", "serviceRef": {"name": "stable", "port": 80}}
    kube.put(TARGET_GROUP_BINDING, {"metadata": {"namespace": "shop", "name": "b"}, "spec": spec})
    await TargetGroups(kube, NobodyRegistered()).report([ServiceTarget(service="stable", hash="old")], owner)  # type: ignore[arg-type]


class NobodyRegistered:
    """AWS, in the one respect that is asked for here."""

    async def targets(self, _arn: str) -> set[tuple[str, int]]:
        return set()


def folder_of(router: str) -> str:
    """Named like the router's module."""
    return ROUTERS[router].__module__.rpartition(".")[2].replace("_", "-")


def documents(folder: str, service: str) -> list[dict[str, Any]]:
    """Role and binding of a service; nothing where the router asks nothing of it."""
    found = list(yaml.safe_load_all((FOLDER / folder / "role.yaml").read_text()))
    return [each for each in found if each["metadata"]["name"] == f"{PREFIXES[service]}{folder}"]


def rights_in(folder: str, service: str) -> list[Right]:
    roles = [each for each in documents(folder, service) if each["kind"] == "ClusterRole"]
    return [
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


def kustomized(folder: Path, *, overlay: str, component: str) -> list[dict[str, Any]]:
    """The overlay with a component added to it, as docs/install.md describes it."""
    original = DEPLOY / "overlays" / overlay
    (folder / "nats.conf").write_bytes((DEPLOY / "overlays" / "ha" / "nats.conf").read_bytes())
    document = yaml.safe_load((original / "kustomization.yaml").read_text())
    document["resources"] = [os.path.relpath(original / each, folder.resolve()) for each in document["resources"]]
    document["components"] = [os.path.relpath(original / component, folder.resolve())]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    command = [str(Path(sys.executable).parent / "kubectl"), "kustomize", str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return list(yaml.safe_load_all(ran.stdout))


def router_roles(manifests: list[dict[str, Any]], kind: str = "ClusterRole", *, service: str = "traffic-shifter") -> set[str]:
    prefix = PREFIXES[service]
    names = {each["metadata"]["name"] for each in manifests if each["kind"] == kind}
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


# --- the promises -------------------------------------------------------------------------------------------------------


def test_every_router_that_writes_to_a_cluster_has_a_scene_and_a_role() -> None:
    assert set(SCENES) == set(ROUTERS) - {"tidegate/memory"}
    assert {folder_of(router) for router in SCENES} == {each.parent.name for each in FOLDER.glob("*/role.yaml")}


@pytest.mark.parametrize("router", SCENES)
async def test_a_router_is_granted_what_it_uses_and_nothing_else(router: str) -> None:
    rights = rights_in(folder_of(router), "traffic-shifter")
    assert len(rights) == len(set(rights))
    needed = await used(router)
    assert needed - set(rights) == set(), "used, and refused: grant it in the router's role.yaml"
    assert set(rights) - needed == set(), "granted, and never used: take it out, or play the path that needs it"


@pytest.mark.parametrize("router", SCENES)
async def test_the_planner_may_look_at_what_it_judges_a_spec_by_and_at_nothing_else(router: str) -> None:
    rights = rights_in(folder_of(router), "planner")
    assert len(rights) == len(set(rights))
    assert set(rights) == await read_by_planner(router)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("router", SCENES)
def test_a_routers_role_is_bound_to_the_service_it_is_named_for_and_nobody_else(router: str, service: str) -> None:
    account = {"kind": "ServiceAccount", "name": f"tidegate-{service}", "namespace": "tidegate-system"}
    found = documents(folder_of(router), service)
    assert [each["kind"] for each in found] in ([], ["ClusterRole", "ClusterRoleBinding"])
    for binding in found[1:]:
        assert binding["roleRef"]["name"] == found[0]["metadata"]["name"]
        assert binding["subjects"] == [account]


@pytest.mark.parametrize("folder", sorted(each.parent.name for each in FOLDER.glob("*/role.yaml")))
def test_a_routers_file_holds_the_roles_of_these_two_services_and_no_others(folder: str) -> None:
    named = {each["metadata"]["name"] for each in yaml.safe_load_all((FOLDER / folder / "role.yaml").read_text())}
    assert named <= {f"{PREFIXES[service]}{folder}" for service in SERVICES}


def test_an_overlay_takes_one_router_or_all_of_them_on_top_of_the_base(tmp_path: Path) -> None:
    one = kustomized(tmp_path, overlay="ha", component="../../rbac/routers/istio")
    assert router_roles(one) == {"gateway-api", "istio"}
    assert router_roles(one, service="planner") == {"istio"}
    every = kustomized(tmp_path, overlay="ha", component="../../rbac/routers")
    assert router_roles(every) == {folder_of(router) for router in SCENES}


def test_a_routers_rights_end_at_the_namespace_that_is_served(tmp_path: Path) -> None:
    manifests = kustomized(tmp_path, overlay="namespaced", component="../../rbac/routers")
    assert router_roles(manifests) == router_roles(manifests, service="planner") == set()
    assert router_roles(manifests, "Role", service="planner") == LOOKED_AT
    assert router_roles(manifests, "Role") == {folder_of(router) for router in SCENES}
    bindings = [each for each in manifests if each["kind"] == "RoleBinding"]
    assert {each["roleRef"]["name"] for each in bindings} >= {f"tidegate-traffic-shifter-{folder_of(router)}" for router in SCENES}
    assert {each["roleRef"]["kind"] for each in bindings} == {"Role"}


def test_services_on_a_developers_machine_may_use_every_router() -> None:
    assert router_roles(rbac_manifests()) == {folder_of(router) for router in SCENES}
