"""The two patch formats of the API: merge patch (RFC 7396) and JSON patch (RFC 6902). Pure; arguments are never changed.

`merge_difference` and `pointer` are for the writers of patches, the rest for the in-memory API and for previews.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

_MISSING: Final = object()


class PatchFailed(ValueError):  # noqa: N818 - the fact, as the other errors of this package
    """An operation can't be carried out, or a `test` does not hold."""


def pointer(*parts: str | int) -> str:
    """A JSON pointer, as in `pointer("metadata", "annotations", "a/b")` -> `/metadata/annotations/a~1b`."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in parts)


def merged(target: Any, patch: Any) -> Any:
    """`target` after a merge patch: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, Mapping):
        return deepcopy(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def merge_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The smallest merge patch that turns `old` into `new`; empty if they are equal. A null in `new` counts as absent."""
    patch: dict[str, Any] = {key: None for key, value in old.items() if value is not None and new.get(key) is None}
    for key, value in new.items():
        before = old.get(key, _MISSING)
        if value is None or value == before:
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            patch[key] = merge_difference(before, value)
        else:
            patch[key] = value
    return patch


def json_patched(target: Any, operations: Sequence[Mapping[str, Any]]) -> Any:
    """`target` after all operations, or PatchFailed and none of them."""
    document = {"": deepcopy(target)}  # a parent for the root, so that the path "" needs no case of its own
    for operation in operations:
        _carry_out(document, operation)
    return document[""]


def _carry_out(document: Any, operation: Mapping[str, Any]) -> None:
    op, path = operation.get("op"), str(operation.get("path", ""))
    match op:
        case "add":
            _add(document, path, deepcopy(operation.get("value")))
        case "remove":
            _remove(document, path)
        case "replace":
            _remove(document, path, keep_slot=True)
            _put(document, path, deepcopy(operation.get("value")))
        case "move":
            _add(document, path, _remove(document, str(operation["from"])))
        case "copy":
            _add(document, path, deepcopy(_value(document, str(operation["from"]))))
        case "test":
            if _value(document, path) != operation.get("value"):
                raise PatchFailed(f"testing value {path} failed")
        case _:
            raise PatchFailed(f"unknown operation {op!r}; known: add, copy, move, remove, replace, test")


def _parent(document: Any, path: str) -> tuple[Any, str]:
    if path and not path.startswith("/"):
        raise PatchFailed(f"path {path!r} must be empty or begin with '/'")
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")]
    for part in parents:
        document = _child(document, part, path)
    return document, last


def _child(container: Any, part: str, path: str) -> Any:
    if isinstance(container, dict) and part in container:
        return container[part]
    if isinstance(container, list):
        return container[_index(container, part, path)]
    raise PatchFailed(f"path {path!r} does not exist")


def _index(container: list[Any], part: str, path: str) -> int:
    if not part.isdecimal() or int(part) >= len(container):
        raise PatchFailed(f"path {path!r} does not exist")
    return int(part)


def _value(document: Any, path: str) -> Any:
    container, last = _parent(document, path)
    return _child(container, last, path)


def _add(document: Any, path: str, value: Any) -> None:
    container, last = _parent(document, path)
    if isinstance(container, list):
        at = len(container) if last == "-" or last == str(len(container)) else _index(container, last, path)
        container.insert(at, value)
    elif isinstance(container, dict):
        container[last] = value
    else:
        raise PatchFailed(f"path {path!r} does not exist")


def _put(document: Any, path: str, value: Any) -> None:
    container, last = _parent(document, path)
    container[int(last) if isinstance(container, list) else last] = value


def _remove(document: Any, path: str, *, keep_slot: bool = False) -> Any:
    container, last = _parent(document, path)
    value = _child(container, last, path)
    if not keep_slot:
        del container[int(last) if isinstance(container, list) else last]
    return value
