"""Who owns which field: server-side apply for the in-memory API. Pure.

Simpler than the server's in one way: a list is one field, owned and replaced whole, as it is in a custom resource that says nothing
else. (The server merges a Pod's containers by name.)
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

Path = tuple[str, ...]

_UNOWNED: Final = frozenset(
    {("apiVersion",), ("kind",)}
    | {("metadata", name) for name in ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp")}
)


@dataclass(frozen=True, slots=True)
class Owners:
    """Managers by field. `appliers` have applied it; the `updater` was the last to write it in another way."""

    appliers: Mapping[Path, frozenset[str]] = field(default_factory=dict)
    updater: Mapping[Path, str] = field(default_factory=dict)


def owned_fields(obj: Mapping[str, Any], prefix: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The leaves of an object, but for those that identify it."""
    for key, value in obj.items():
        path = (*prefix, key)
        if path in _UNOWNED:
            continue
        if isinstance(value, Mapping) and value:
            yield from owned_fields(value, path)
        else:
            yield path, value


def after_update(owners: Owners, old: Mapping[str, Any], new: Mapping[str, Any], manager: str) -> Owners:
    """A plain write takes the fields it changed."""
    before, after = dict(owned_fields(old)), dict(owned_fields(new))
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    appliers = {path: who for path, who in owners.appliers.items() if path not in changed}
    updater = {path: who for path, who in owners.updater.items() if path in after}
    return Owners(appliers, updater | {path: manager for path in changed if path in after})


def conflicts(live: Mapping[str, Any], owners: Owners, config: Mapping[str, Any], manager: str) -> list[str]:
    """The fields that `config` would take from another manager, in the server's words."""
    held = dict(owned_fields(live))
    texts = []
    for path, value in owned_fields(config):
        others = set(owners.appliers.get(path, ())) | ({owners.updater[path]} if path in owners.updater else set())
        if path in held and held[path] != value and others - {manager}:
            texts.append(f'conflict with "{min(others - {manager})}": .{".".join(path)}')
    return texts


def after_apply(live: Mapping[str, Any], owners: Owners, config: Mapping[str, Any], manager: str) -> tuple[dict[str, Any], Owners]:
    """The object and its owners once `config` is forced: what the manager no longer names is dropped, if nobody else owns it."""
    result: dict[str, Any] = deepcopy(dict(live))
    held, wanted = dict(owned_fields(live)), dict(owned_fields(config))
    appliers, updater = dict(owners.appliers), dict(owners.updater)
    for path in [path for path, who in appliers.items() if manager in who and path not in wanted]:
        appliers[path] -= {manager}
        if not appliers[path]:
            del appliers[path]
            if path not in updater:
                _drop(result, path)
    for path, value in wanted.items():
        same = path in held and held[path] == value
        appliers[path] = (appliers.get(path, frozenset()) if same else frozenset()) | {manager}
        if not same:
            updater.pop(path, None)
        _set(result, path, deepcopy(value))
    return result, Owners(appliers, updater)


def _set(obj: dict[str, Any], path: Path, value: Any) -> None:
    for part in path[:-1]:
        inner = obj.get(part)
        if not isinstance(inner, dict):
            inner = obj[part] = {}
        obj = inner
    obj[path[-1]] = value


def _drop(obj: dict[str, Any], path: Path) -> None:
    for part in path[:-1]:
        inner = obj.get(part)
        if not isinstance(inner, dict):
            return
        obj = inner
    obj.pop(path[-1], None)
