"""Objects of one kind, by key and by index. Pure: no clock, no I/O, no tasks.

It never goes backwards. An object older than the one held, or older than what the watch has already told (its `progress`), is
refused: the answer to our own write may overtake the watch or be overtaken by it, and a deleted object must not return as a ghost.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tidegate.kube.kinds import Object, key_of, version_of

Key = tuple[str, str]
IndexKeys = Callable[[Object], Iterable[str]]
ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True)
class Change:
    """What became different. `old` is None for ADDED, `new` for DELETED."""

    type: ChangeType
    old: Object | None
    new: Object | None


class Store:
    """Callers share the objects they get and must not change them."""

    def __init__(self) -> None:
        self.progress = 0
        self._objects: dict[Key, Object] = {}
        self._keys_of: dict[str, IndexKeys] = {}
        self._indexes: dict[str, dict[str, dict[Key, Object]]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Object]:
        return iter(self._objects.values())

    def get(self, namespace: str | None, name: str) -> Object | None:
        return self._objects.get((namespace or "", name))

    def by_index(self, index: str, key: str) -> list[Object]:
        return list(self._indexes[index].get(key, {}).values())

    def add_index(self, name: str, keys_of: IndexKeys) -> None:
        self._keys_of[name] = keys_of
        self._indexes[name] = {}
        for key, obj in self._objects.items():
            self._enter(name, key, obj)

    def told(self, obj: Object) -> Change | None:
        """The watch reports an added or modified object."""
        self.progress = max(self.progress, version_of(obj))
        return self._put(obj)

    def told_deleted(self, obj: Object) -> Change | None:
        """The watch reports a deletion, or that an object left the selector; `obj` carries the deletion's own version."""
        self.progress = max(self.progress, version_of(obj))
        held = self._objects.get(key_of(obj))
        if held is None or version_of(held) > version_of(obj):
            return None  # unknown, or a namesake created since
        return self._remove(key_of(obj))

    def told_progress(self, version: int) -> None:
        """A bookmark: everything up to `version` has been told."""
        self.progress = max(self.progress, version)

    def written(self, obj: Object) -> Change | None:
        """The answer to our own write. If the watch is past it and no such object is held, it has been deleted since."""
        if key_of(obj) not in self._objects and version_of(obj) <= self.progress:
            return None
        return self._put(obj)

    def listed(self, items: Collection[Object], version: int) -> list[Change]:
        """A whole list at `version`: what it lacks is gone, unless it was written after the list was read.

        Lists are read from a quorum, so one older than our progress means that etcd was restored from a backup: then it is
        believed as it is, or the store would wait for versions that come back only after days.
        """
        restored = version < self.progress
        changes = [self._put(obj, whatever=restored) for obj in items]
        seen = {key_of(obj) for obj in items}
        gone = [key for key, held in self._objects.items() if key not in seen and (restored or version_of(held) <= version)]
        changes += [self._remove(key) for key in gone]
        self.progress = version
        return [change for change in changes if change is not None]

    def emptied(self) -> list[Change]:
        """The kind itself does not exist (any more)."""
        return [self._remove(key) for key in list(self._objects)]

    def _put(self, obj: Object, *, whatever: bool = False) -> Change | None:
        key = key_of(obj)
        old = self._objects.get(key)
        if old is not None and (version_of(old) == version_of(obj) or (version_of(old) > version_of(obj) and not whatever)):
            return None
        if old is not None:
            self._leave(key, old)
        self._objects[key] = obj
        for name in self._indexes:
            self._enter(name, key, obj)
        return Change("ADDED" if old is None else "MODIFIED", old, obj)

    def _remove(self, key: Key) -> Change:
        old = self._objects.pop(key)
        self._leave(key, old)
        return Change("DELETED", old, None)

    def _enter(self, name: str, key: Key, obj: Object) -> None:
        for value in self._keys_of[name](obj):
            self._indexes[name].setdefault(value, {})[key] = obj

    def _leave(self, key: Key, obj: Object) -> None:
        for name, keys_of in self._keys_of.items():
            index = self._indexes[name]
            for value in keys_of(obj):
                if entries := index.get(value):
                    entries.pop(key, None)
                    if not entries:
                        del index[value]  # else ten thousand finished runs leave ten thousand empty keys
