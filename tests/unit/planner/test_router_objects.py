"""Router objects that a Rollout names must exist and lead to its Services (`argo-behaviour.md` 1.6); who is asked for them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tidegate.kube.cache import Cache
from tidegate.kube.errors import Forbidden
from tidegate.kube.kinds import (
    APP_MESH_VIRTUAL_ROUTER,
    APP_MESH_VIRTUAL_SERVICE,
    INGRESS,
    MAPPING,
    ROLLOUT,
    SERVICE,
    VIRTUAL_SERVICE,
    Kind,
)
from tidegate.kube.memory import MemoryKube
from tidegate.testing import a_rollout, a_service, eventually
from tidegate_planner.router_objects import Named, NotYet, Unreadable, WatchedKinds, keys_of, named_by
from tidegate_planner.simulation.shell import NAMESPACE, Shell

SIDES = {"stableService": "stable", "canaryService": "canary"}
NGINX = {"nginx": {"stableIngress": "main"}}


def routed(routing: Any) -> dict[str, Any]:
    return a_rollout(canary={**SIDES, "trafficRouting": routing})


def an_object(kind: Kind, name: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"namespace": NAMESPACE, "name": name}, "spec": spec}


def an_ingress(service: str) -> dict[str, Any]:
    paths = [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}]
    return an_object(INGRESS, "main", {"rules": [{"http": {"paths": paths}}]})


class Watcher:
    """The kinds watched on an API server in memory; `denied` ones may not be listed."""

    def __init__(self, kube: MemoryKube, *, namespace: str | None = None) -> None:
        self.caches: dict[Kind, Cache] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.denied: set[Kind] = set()
        self._kube = kube
        kube.before = self._refuse  # type: ignore[method-assign]
        self.objects = WatchedKinds(self._cache, self._begin, namespace=namespace)

    def _refuse(self, call: Any) -> None:
        if call.kind in self.denied:
            raise Forbidden(f"{call.kind} is forbidden", status=403)

    def _cache(self, kind: Kind) -> Cache:
        self.caches[kind] = Cache(self._kube, kind, optional=True)
        return self.caches[kind]

    def _begin(self, cache: Cache) -> None:
        self.tasks.append(asyncio.create_task(cache.run()))

    async def settled(self, find: Callable[[], Any]) -> Any:
        """The answer once it is more than "not yet"."""
        while True:
            try:
                return find()
            except NotYet:
                await asyncio.sleep(0.001)


@pytest.fixture
async def shell() -> AsyncIterator[tuple[Shell, Watcher]]:
    """The planner's own reading, with live watches of router objects."""
    shell = Shell()
    watcher = Watcher(shell.kube)
    shell.world.router_objects = watcher.objects
    for name in SIDES.values():
        shell.put(SERVICE, a_service(name, app="web"))
    yield shell, watcher
    for task in watcher.tasks:
        task.cancel()


async def problem(held: tuple[Shell, Watcher]) -> str:
    shell, watcher = held
    seen = await watcher.settled(shell.see)
    return (seen.problem or "").removeprefix('The Rollout "web" is invalid: spec.strategy.canary.trafficRouting.')


async def until(held: tuple[Shell, Watcher], holds: Callable[[str], bool]) -> str:
    """The watch brings a change a moment later."""
    return await eventually(lambda: problem(held), holds, what="another problem, or none")


async def test_a_missing_ingress_makes_the_spec_invalid_until_it_is_there_and_fits(shell: Any) -> None:
    shell[0].put(ROLLOUT, routed(NGINX))
    assert await problem(shell) == 'nginx.stableIngress: Invalid value: "main": ingress.networking.k8s.io "main" not found'
    shell[0].put(INGRESS, an_ingress("elsewhere"))
    text = await until(shell, lambda text: "not found" not in text)
    assert text == 'nginx.stableIngress: Invalid value: "main": ingress `main` has no rules using service stable backend'
    shell[0].put(INGRESS, an_ingress("stable"))
    assert await until(shell, lambda text: "no rules" not in text) == ""


async def test_the_route_of_a_virtual_service_must_lead_to_both_sides_and_its_namespace_may_be_another(shell: Any) -> None:
    shell[0].put(ROLLOUT, routed({"istio": {"virtualService": {"name": "vs.mesh", "routes": ["primary"]}}}))
    assert await problem(shell) == (
        'istio.virtualService.name: Invalid value: "vs": virtualservices.networking.istio.io "vs" not found'
    )
    route = {"name": "primary", "route": [{"destination": {"host": "stable"}}]}
    one_sided = an_object(VIRTUAL_SERVICE, "vs", {"http": [route]})
    one_sided["metadata"]["namespace"] = "mesh"
    shell[0].put(VIRTUAL_SERVICE, one_sided)
    text = await until(shell, lambda text: 'not found"' not in text and "istio.io" not in text)
    assert text.endswith("Istio VirtualService has invalid HTTP routes. Error: Canary Service 'canary' not found in route")


async def test_a_mapping_that_has_a_weight_of_its_own_is_refused(shell: Any) -> None:
    shell[0].put(ROLLOUT, routed({"ambassador": {"mappings": ["main"]}}))
    assert 'mappings.getambassador.io "main" not found' in await problem(shell)
    shell[0].put(MAPPING, an_object(MAPPING, "main", {"prefix": "/", "service": "stable", "weight": 3}))
    text = await until(shell, lambda text: "not found" not in text)
    assert text.endswith('Ambassador mapping "main" can not define weight')


async def test_app_mesh_is_followed_from_the_virtual_service_to_its_router(shell: Any) -> None:
    shell[0].put(ROLLOUT, routed({"appMesh": {"virtualService": {"name": "vs"}}}))
    assert 'virtualservices.appmesh.k8s.aws "vs" not found' in await problem(shell)
    leads_to = {"provider": {"virtualRouter": {"virtualRouterRef": {"name": "router"}}}}
    shell[0].put(APP_MESH_VIRTUAL_SERVICE, an_object(APP_MESH_VIRTUAL_SERVICE, "vs", leads_to))
    await until(shell, lambda text: 'virtualrouters.appmesh.k8s.aws "vs" not found' in text)
    route = {"name": "r", "httpRoute": {"action": {"weightedTargets": [{}, {}, {}]}}}
    shell[0].put(APP_MESH_VIRTUAL_ROUTER, an_object(APP_MESH_VIRTUAL_ROUTER, "router", {"routes": [route]}))
    text = await until(shell, lambda text: "not found" not in text)
    assert text.endswith("Invalid number of weightedTargets (3) for AppMesh virtual-router router and route r, expected 2")


# --- who is asked, and when ----------------------------------------------------------------------------------------------


async def test_a_kind_is_asked_for_once_a_rollout_names_it_and_until_then_nothing_is_decided(shell: Any) -> None:
    shell[0].put(ROLLOUT, a_rollout(canary=SIDES))
    assert shell[0].see().problem is None
    assert shell[1].caches == {}
    shell[0].put(ROLLOUT, routed(NGINX))
    with pytest.raises(NotYet):
        shell[0].see()
    await problem(shell)
    assert set(shell[1].caches) == {INGRESS}


async def test_what_may_not_be_read_is_not_judged_and_judged_once_it_may(shell: Any) -> None:
    shell[1].denied = {INGRESS}
    shell[0].put(ROLLOUT, routed(NGINX))
    assert await problem(shell) == ""
    shell[1].denied = set()
    await shell[1].caches[INGRESS].synced.wait()
    assert "not found" in await problem(shell)


async def test_a_planner_of_one_namespace_asks_for_nothing_elsewhere() -> None:
    watcher = Watcher(MemoryKube(), namespace="shop")
    with pytest.raises(Unreadable):
        watcher.objects.find(VIRTUAL_SERVICE, "mesh", "vs")
    assert watcher.caches == {}


NAMED = [
    pytest.param({"alb": {"ingress": "a", "ingresses": ["b"]}, "nginx": {"stableIngress": "n"}}, [(INGRESS, "a"), (INGRESS, "b")]),
    pytest.param({"istio": {"virtualServices": [{"name": "one"}, {"name": 2}, None]}}, [(VIRTUAL_SERVICE, "one")]),
    pytest.param({"istio": "nonsense", "nginx": {"stableIngresses": "main"}, "appMesh": {"virtualService": []}}, []),
    pytest.param({"traefik": {"weightedTraefikServiceName": "t"}, "smi": {}, "plugins": {"x/y": {}}}, []),
]


@pytest.mark.parametrize(("routing", "expected"), NAMED)
def test_names_are_taken_from_any_manifest_however_malformed(routing: Any, expected: Any) -> None:
    rollout = {"metadata": {"namespace": "shop"}, "spec": {"strategy": {"canary": {"trafficRouting": routing}}}}
    assert [(each.kind, each.name) for each in named_by(rollout)] == expected


def test_a_virtual_router_is_found_by_whoever_names_any_in_its_namespace() -> None:
    rollout = {
        "metadata": {"namespace": "shop"},
        "spec": {"strategy": {"canary": {"trafficRouting": {"appMesh": {"virtualService": {"name": "vs"}}}}}},
    }
    changed = {"metadata": {"namespace": "shop", "name": "router"}}
    assert {named.key for named in named_by(rollout)} & set(keys_of(changed, APP_MESH_VIRTUAL_ROUTER))
    assert Named(INGRESS, "shop", "main").key in keys_of({"metadata": {"namespace": "shop", "name": "main"}}, INGRESS)
