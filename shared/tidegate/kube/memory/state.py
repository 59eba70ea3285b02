"""The server's side of `MemoryKube`: what a write does to the stored objects. Synchronous; its only inputs are arguments.

Stored objects are never changed in place: whoever holds one holds a snapshot.
"""

import secrets
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from tidegate.kube import kinds
from tidegate.kube.errors import AlreadyExists, Conflict, Invalid, NotFound
from tidegate.kube.kinds import Kind, Object, key_of
from tidegate.kube.memory.journal import Journal, copy_of
from tidegate.kube.memory.ownership import Owners, after_apply, after_update, conflicts
from tidegate.kube.store import Key

WITHOUT_STATUS: Final = frozenset(
    {
        kinds.ANALYSIS_RUN,  # their status is part of the main object (argo-behaviour.md 1.1)
        kinds.ANALYSIS_TEMPLATE,
        kinds.CLUSTER_ANALYSIS_TEMPLATE,
        kinds.EXPERIMENT,
        kinds.CONFIG_MAP,
        kinds.SECRET,
        kinds.EVENT,
        kinds.SERVICE_ACCOUNT,
        kinds.POD_TEMPLATE,
        kinds.ENDPOINT_SLICE,
    }
)
WITHOUT_GENERATION: Final = frozenset(
    {kinds.SERVICE, kinds.CONFIG_MAP, kinds.SECRET, kinds.EVENT, kinds.SERVICE_ACCOUNT, kinds.NAMESPACE}
)
_SERVER_OWNED: Final = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "generation", "resourceVersion")


class State:
    """All objects of one cluster."""

    def __init__(self, *, clock: Callable[[], datetime], without_status: Iterable[Kind]) -> None:
        self.journal = Journal()
        self._clock = clock
        self._without_status = frozenset(without_status)
        self._objects: dict[tuple[str, str], dict[Key, Object]] = {}
        self._owners: dict[str, Owners] = {}
        self._born = 0

    def now(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    def has_status(self, kind: Kind) -> bool:
        return kind not in self._without_status

    def of(self, kind: Kind) -> dict[Key, Object]:
        """Versions of one resource share their objects, as on the server; nothing is converted."""
        return self._objects.setdefault((kind.group, kind.plural), {})

    def stored(self, kind: Kind, namespace: str | None, name: str) -> Object:
        kind.path(namespace, name)  # refuses what the real path would refuse
        found = self.of(kind).get((namespace or "", name))
        if found is None:
            raise NotFound(f'{kind} "{name}" not found', status=404, reason="NotFound")
        return found

    def create(self, kind: Kind, obj: Object, manager: str) -> Object:
        new = copy_of({"apiVersion": kind.api_version, "kind": kind.kind, **obj})
        metadata = new["metadata"]
        if metadata.get("resourceVersion"):
            raise Invalid("resourceVersion must not be set on objects to be created", status=400, reason="BadRequest")
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + secrets.token_hex(3)[:5]
        kind.path(metadata.get("namespace", "") if kind.namespaced else None, metadata.get("name", ""))
        if key_of(new) in self.of(kind):
            raise AlreadyExists(f'{kind} "{metadata["name"]}" already exists', status=409, reason="AlreadyExists")
        if self.has_status(kind):
            new.pop("status", None)
        self._born += 1
        metadata |= {"uid": f"{self._born:08x}-0000-4000-8000-000000000000", "creationTimestamp": self.now()}
        if kind not in WITHOUT_GENERATION:
            metadata["generation"] = 1
        self._owners[metadata["uid"]] = after_update(Owners(), {}, new, manager)
        return self._record(kind, None, new)

    def update(self, kind: Kind, old: Object, changed: Object, *, subresource: str | None, manager: str) -> Object:
        """Store `changed` in place of `old`, as far as the (sub)resource lets it; the same content keeps the same version."""
        new = self._admitted(kind, old, changed, subresource)
        metadata = new["metadata"]
        if new == old:
            return old
        if kind not in WITHOUT_GENERATION and self._specified(kind, new) != self._specified(kind, old):
            metadata["generation"] += 1
        uid = metadata["uid"]
        self._owners[uid] = after_update(self._owners[uid], old, new, manager)
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self._remove(kind, new, cascade=True)
            return new
        return self._record(kind, old, new)

    def delete(self, kind: Kind, old: Object, *, cascade: bool) -> Object | None:
        """None if it is gone; the object, marked, if finalizers hold it."""
        if not old["metadata"].get("finalizers"):
            self._remove(kind, old, cascade=cascade)
            return None
        if old["metadata"].get("deletionTimestamp"):
            return old
        new = copy_of(old)
        new["metadata"] |= {"deletionTimestamp": self.now(), "deletionGracePeriodSeconds": 0}
        if "generation" in new["metadata"]:
            new["metadata"]["generation"] += 1
        return self._record(kind, old, new)

    def apply(self, kind: Kind, config: Object, manager: str, *, force: bool, subresource: str | None) -> Object:
        old = self.of(kind).get(key_of(config))
        if old is None:
            if subresource is not None:
                raise NotFound(f'{kind} "{config["metadata"]["name"]}" not found', status=404, reason="NotFound")
            created = self.create(kind, config, manager)
            _, self._owners[created["metadata"]["uid"]] = after_apply(created, Owners(), config, manager)
            return created
        require(old, resource_version=config["metadata"].get("resourceVersion"))
        owners = self._owners[old["metadata"]["uid"]]
        taken = conflicts(old, owners, config, manager)
        if taken and not force:
            raise Conflict(f"Apply failed with {len(taken)} conflicts: {'; '.join(taken)}", status=409, reason="Conflict")
        new, owners = after_apply(old, owners, config, manager)
        saved = self.update(kind, old, new, subresource=subresource, manager=manager)
        self._owners[old["metadata"]["uid"]] = owners
        return saved

    def _admitted(self, kind: Kind, old: Object, changed: Object, subresource: str | None) -> Object:
        if subresource not in (None, "status") or (subresource == "status" and not self.has_status(kind)):
            raise NotFound("the server could not find the requested resource", status=404, reason="NotFound")
        metadata = changed["metadata"]
        require(old, uid=metadata.get("uid"), resource_version=metadata.get("resourceVersion"))
        if subresource == "status":
            new = copy_of(old)
            _replace(new, "status", changed.get("status"))
            return new
        new = copy_of(changed)
        if self.has_status(kind):
            _replace(new, "status", old.get("status"))
        for name in _SERVER_OWNED:
            _replace(new["metadata"], name, old["metadata"].get(name))
        return new

    def _specified(self, kind: Kind, obj: Object) -> Object:
        """What a generation counts changes of. Without a status subresource, the status is content like any other."""
        ignored = {"metadata", "status"} if self.has_status(kind) else {"metadata"}
        return {key: value for key, value in obj.items() if key not in ignored}

    def _record(self, kind: Kind, old: Object | None, new: Object) -> Object:
        self.journal.version += 1
        new["metadata"]["resourceVersion"] = str(self.journal.version)
        self.of(kind)[key_of(new)] = new
        self.journal.enter(kind, old, new)
        return new

    def _remove(self, kind: Kind, old: Object, *, cascade: bool) -> None:
        self.journal.version += 1
        self.of(kind).pop(key_of(old))
        self._owners.pop(old["metadata"]["uid"])
        self.journal.enter(kind, old, None)
        if cascade:
            self._collect(old["metadata"]["uid"])

    def _collect(self, uid: str) -> None:
        """The garbage collector, without its delay: dependents go when their last owner has."""
        for (group, plural), objects in list(self._objects.items()):
            for obj in list(objects.values()):
                owners = obj["metadata"].get("ownerReferences") or ()
                if any(owner["uid"] == uid for owner in owners) and not any(owner["uid"] in self._owners for owner in owners):
                    version = obj["apiVersion"].rpartition("/")[2]
                    self.delete(Kind(group, version, plural, obj["kind"]), obj, cascade=True)


def require(stored: Object, *, uid: str | None = None, resource_version: str | None = None) -> None:
    """The preconditions of a write."""
    held = stored["metadata"]
    if (uid is not None and uid != held["uid"]) or (resource_version is not None and resource_version != held["resourceVersion"]):
        text = f'Operation cannot be fulfilled on "{held["name"]}": the object has been modified or replaced'
        raise Conflict(text, status=409, reason="Conflict")


def _replace(fields: dict[str, Any], name: str, value: Any) -> None:
    fields.pop(name, None)
    if value is not None:
        fields[name] = value
