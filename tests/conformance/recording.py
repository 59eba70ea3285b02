"""What happens to the objects of one namespace, in order, without what differs from run to run: times, versions, hashes.

The shape is the one of the peer's recordings, so that `points` reads both:
    sequence  "Kind/name" -> the object's states, each only if it differs from the one before; "DELETED" where it went
    final     "Kind/name" -> what is there in the end
    events    [kind, type, reason, message] of the core Events about Rollouts and their children
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Self

from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.kube.cache import Cache, Listener
from tidegate.kube.client import Kube
from tidegate.kube.kinds import ANALYSIS_RUN, EVENT, EXPERIMENT, INGRESS, REPLICA_SET, ROLLOUT, SERVICE, Kind, Object
from tidegate.kube.store import ChangeType

VIRTUAL_SERVICE = Kind("networking.istio.io", "v1alpha3", "virtualservices", "VirtualService")
DESTINATION_RULE = Kind("networking.istio.io", "v1alpha3", "destinationrules", "DestinationRule")
TRAFFIC_SPLIT = Kind("split.smi-spec.io", "v1alpha1", "trafficsplits", "TrafficSplit")
TRAEFIK_SERVICE = Kind("traefik.io", "v1alpha1", "traefikservices", "TraefikService")
FOREIGN = (VIRTUAL_SERVICE, DESTINATION_RULE, TRAFFIC_SPLIT, TRAEFIK_SERVICE)
WATCHED = (ROLLOUT, REPLICA_SET, SERVICE, ANALYSIS_RUN, EXPERIMENT, INGRESS, EVENT, *FOREIGN)

PASSING = frozenset(
    {
        "abortedAt", "completedAt", "creationTimestamp", "finishedAt", "generation", "lastTransitionTime", "lastUpdateTime",
        "managedFields", "manualPauseStartedAt", "ownerReferences", "resourceVersion", "resumeAt", "rolloutStartedAt", "startTime",
        "startedAt", "uid",
    }
)  # fmt: skip
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

Key = tuple[str, str]


class Film:
    """The recording of one namespace."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.objects: dict[Key, Object] = {}
        self.changed = asyncio.Event()
        self.changes = 0
        self._sequence: dict[Key, list[Any]] = {}
        self._events: list[list[str]] = []
        self._hashes: list[str] = []

    def take(self, kind: Kind, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        key = (kind.kind, name)
        if new is None:
            self.objects.pop(key, None)
            self._sequence.setdefault(key, []).append("DELETED")
        elif kind == EVENT:
            self._take_event(new)
        else:
            self.objects[key] = new
            self._take_state(key, new)
        self.changes += 1
        self.changed.set()

    def developed(self) -> dict[str, Any]:
        final = {key: _whole(each) for key, each in self.objects.items()}
        told = [list(each) for each in dict.fromkeys(tuple(each) for each in self._normal(self._events))]
        return {
            "sequence": {self._normal("/".join(key)): self._normal(states) for key, states in self._sequence.items()},
            "final": {self._normal("/".join(key)): self._normal(each) for key, each in final.items()},
            "events": told,
        }

    def _take_event(self, event: Object) -> None:
        about = event["involvedObject"].get("kind", "")
        if about in {"Rollout", "AnalysisRun", "Experiment"}:
            self._events.append([about, event.get("type", ""), event.get("reason", ""), event.get("message", "")])

    def _take_state(self, key: Key, obj: Object) -> None:
        hash_label = (obj["metadata"].get("labels") or {}).get(POD_TEMPLATE_HASH)
        if key[0] == REPLICA_SET.kind and hash_label and hash_label not in self._hashes:
            self._hashes.append(hash_label)
        state = STATES.get(key[0], _spec)(obj)
        states = self._sequence.setdefault(key, [])
        if not states or states[-1] != state:
            states.append(state)

    def _normal(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._normal(each) for key, each in value.items() if key not in PASSING}
        if isinstance(value, list):
            return [self._normal(each) for each in value]
        if not isinstance(value, str):
            return value
        text = _TIME.sub("<time>", value)
        for number, each in enumerate(self._hashes, start=1):
            text = text.replace(each, f"<hash{number}>")
        return text.replace(self.namespace, "<ns>")


def _whole(obj: Object) -> Object:
    labelling = {field: obj["metadata"].get(field) for field in ("annotations", "labels")}
    return {"spec": obj.get("spec"), "status": obj.get("status"), **labelling}


def _spec(obj: Object) -> Object:
    return {"spec": obj.get("spec")}


def _rollout(obj: Object) -> Object:
    return {"annotations": obj["metadata"].get("annotations") or {}, "status": obj.get("status") or {}}


def _replica_set(obj: Object) -> Object:
    return {"replicas": obj["spec"].get("replicas")}


def _service(obj: Object) -> Object:
    return {"selector": obj["spec"].get("selector")}


def _ingress(obj: Object) -> Object:
    return {"annotations": obj["metadata"].get("annotations"), "spec": obj["spec"]}


STATES: Mapping[str, Callable[[Object], Object]] = {
    "Rollout": _rollout,
    "ReplicaSet": _replica_set,
    "Service": _service,
    "Ingress": _ingress,
}


class Camera:
    """One watch per kind for all namespaces that are filmed."""

    def __init__(self, kube: Kube) -> None:
        self._films: dict[str, Film] = {}
        self._caches = [Cache(kube, kind) for kind in WATCHED]
        for cache in self._caches:
            cache.on_change(self._taker(cache.kind))
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(cache.run()) for cache in self._caches]
        for cache in self._caches:
            await cache.synced.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def film(self, namespace: str) -> Film:
        return self._films.setdefault(namespace, Film(namespace))

    def _taker(self, kind: Kind) -> Listener:
        def take(_type: ChangeType, old: Object | None, new: Object | None) -> None:
            film = self._films.get((new or old or {})["metadata"].get("namespace", ""))
            if film is not None:
                film.take(kind, old, new)

        return take
