"""The objects of traffic routers that Rollouts name, as far as a spec is judged by them (`argo-behaviour.md` 1.6).

The planner reads them itself: to ask the traffic-shifter would make every first revision wait for an answer. A kind is watched from
the moment when a Rollout names it, so a cluster without Istio is never asked for VirtualServices, and an installation without
nginx needs no right on Ingresses (deploy/rbac/routers). What may not be read is not judged here; the shifter then says what it met.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from tidegate.kube.cache import Cache
from tidegate.kube.kinds import APP_MESH_VIRTUAL_ROUTER, APP_MESH_VIRTUAL_SERVICE, INGRESS, MAPPING, VIRTUAL_SERVICE, Kind, Object
from tidegate_planner.validation.shapes import as_list, as_map

Json = Mapping[str, Any]


class NotYet(Exception):  # noqa: N818 - a fact, not an error
    """A kind that a Rollout names is being listed for the first time; what depends on it waits."""


class Unreadable(Exception):  # noqa: N818 - a fact, not an error
    """Whether the object exists cannot be found out: no right, or outside of what this planner serves."""


class RouterObjects(Protocol):
    def find(self, kind: Kind, namespace: str, name: str) -> Json | None:
        """None where it does not exist. Raises NotYet and Unreadable."""
        ...


class Nowhere:
    """For whoever judges a spec without a cluster around it."""

    def find(self, kind: Kind, namespace: str, name: str) -> Json | None:
        raise Unreadable(f"{kind} {namespace}/{name}")


class WatchedKinds:
    """One cache per kind that was asked for, begun with the first question. `begin` runs it beside everything else."""

    def __init__(self, cache_of: Callable[[Kind], Cache], begin: Callable[[Cache], None], *, namespace: str | None = None) -> None:
        self._cache_of, self._begin, self._namespace = cache_of, begin, namespace
        self._caches: dict[Kind, Cache] = {}

    def find(self, kind: Kind, namespace: str, name: str) -> Json | None:
        if self._namespace not in (None, namespace):
            raise Unreadable(f"{kind} {namespace}/{name} is outside of namespace {self._namespace}")
        cache = self._caches.get(kind)
        if cache is None:
            cache = self._caches[kind] = self._cache_of(kind)
            self._begin(cache)
        if cache.synced.is_set():
            return cache.get(namespace, name)
        if cache.trouble is not None:
            raise Unreadable(f"{kind}: {cache.trouble}")
        raise NotYet(str(kind))

    def note_write(self, kind: Kind, obj: Object) -> None:
        """What the API server has just told, ahead of the watch."""
        self._caches[kind].note_write(obj)


@dataclass(frozen=True, slots=True)
class Named:
    """An object that a Rollout names; `written` is how. An empty `name` is any of that kind: it is led to by another object."""

    kind: Kind
    namespace: str
    name: str
    written: str = ""

    @property
    def key(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


def named_by(rollout: Json) -> Iterator[Named]:
    """Of a manifest that may be malformed: what is no name is passed over."""
    namespace = rollout["metadata"]["namespace"]
    canary = as_map(as_map(as_map(rollout.get("spec")).get("strategy")).get("canary"))
    routing = as_map(canary.get("trafficRouting"))
    for name in _ingresses(routing):
        yield Named(INGRESS, namespace, name, name)
    for written in _virtual_services(as_map(routing.get("istio"))):
        name, _, elsewhere = written.partition(".")
        yield Named(VIRTUAL_SERVICE, elsewhere or namespace, name, written)
    for name in _names(as_list(as_map(routing.get("ambassador")).get("mappings"))):
        yield Named(MAPPING, namespace, name, name)
    for name in _names([as_map(as_map(routing.get("appMesh")).get("virtualService")).get("name")]):
        yield Named(APP_MESH_VIRTUAL_SERVICE, namespace, name, name)
        yield Named(APP_MESH_VIRTUAL_ROUTER, namespace, "", name)


def keys_of(manifest: Object, kind: Kind) -> tuple[str, str]:
    """Under which keys of `Named` the Rollouts are found that an object matters to."""
    metadata = manifest["metadata"]
    return Named(kind, metadata["namespace"], metadata["name"]).key, Named(kind, metadata["namespace"], "").key


def slim(manifest: Object) -> Object:
    """For the cache: annotations and status of routers are large, and nobody here reads them."""
    metadata = {field: manifest["metadata"][field] for field in ("namespace", "name", "resourceVersion")}
    return {"metadata": metadata, "spec": manifest.get("spec") or {}}


@dataclass(slots=True)
class FoundObjects:
    """By the name the Rollout uses, None for what is missing; what cannot be read is left out."""

    ingresses: dict[str, Json | None] = field(default_factory=dict)
    virtual_services: dict[str, Json | None] = field(default_factory=dict)
    mappings: dict[str, Json | None] = field(default_factory=dict)
    app_mesh_virtual_services: dict[str, Json | None] = field(default_factory=dict)
    app_mesh_virtual_routers: dict[str, Json | None] = field(default_factory=dict)

    def versions(self) -> tuple[str, ...]:
        groups = (
            self.ingresses, self.virtual_services, self.mappings, self.app_mesh_virtual_services, self.app_mesh_virtual_routers
        )  # fmt: skip
        held = (each for group in groups for each in group.values())
        return tuple("" if each is None else each["metadata"]["resourceVersion"] for each in held)


def found_for(rollout: Json, objects: RouterObjects) -> FoundObjects:
    found = FoundObjects()
    places = {
        INGRESS: found.ingresses,
        VIRTUAL_SERVICE: found.virtual_services,
        MAPPING: found.mappings,
        APP_MESH_VIRTUAL_SERVICE: found.app_mesh_virtual_services,
        APP_MESH_VIRTUAL_ROUTER: found.app_mesh_virtual_routers,
    }
    for named in named_by(rollout):
        namespace, name = named.namespace, named.name
        if not name:
            namespace, name = _router_behind(found.app_mesh_virtual_services.get(named.written), namespace)
        if name:
            with suppress(Unreadable):
                places[named.kind][named.written] = objects.find(named.kind, namespace, name)
    return found


def _router_behind(virtual_service: Json | None, namespace: str) -> tuple[str, str]:
    """Namespace and name of the VirtualRouter that an App Mesh VirtualService leads to."""
    provider = as_map(as_map(as_map(virtual_service).get("spec")).get("provider"))
    reference = as_map(as_map(provider.get("virtualRouter")).get("virtualRouterRef"))
    return str(reference.get("namespace") or namespace), str(reference.get("name") or "")


def _ingresses(routing: Json) -> Iterator[str]:
    """With `alb` set, `nginx` is not looked up (as with the peer)."""
    router, one, many = ("alb", "ingress", "ingresses") if "alb" in routing else ("nginx", "stableIngress", "stableIngresses")
    config = as_map(routing.get(router))
    yield from _names([config.get(one), *as_list(config.get(many))])


def _virtual_services(istio: Json) -> Iterator[str]:
    several = as_list(istio.get("virtualServices"))
    yield from _names([as_map(each).get("name") for each in several or [istio.get("virtualService")]])


def _names(values: list[Any]) -> Iterator[str]:
    yield from (value for value in values if isinstance(value, str) and value)
