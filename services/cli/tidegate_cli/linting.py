"""Everything that is wrong with a file's manifests, one line per mistake. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from tidegate.crd.generate import schemas
from tidegate.crd.strict import unknown_fields
from tidegate.keys import GROUP


def complaints(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """Objects of other groups are only looked up, as what a Rollout may refer to."""
    held = [dict(each) for each in documents]
    return [f"{_named(each)}: {text}" for each in held if _is_ours(each) for text in _complaints(each)]


def _complaints(manifest: dict[str, Any]) -> list[str]:
    kind = manifest.get("kind")
    if kind not in schemas():
        return [f"kind is {kind!r}; {GROUP} has {', '.join(sorted(schemas()))}"]
    return [f"unknown field {each}" for each in unknown_fields(manifest)]


def _is_ours(manifest: Mapping[str, Any]) -> bool:
    return str(manifest.get("apiVersion", "")).startswith(f"{GROUP}/")


def _named(manifest: Mapping[str, Any]) -> str:
    return f"{manifest.get('kind')}/{(manifest.get('metadata') or {}).get('name', '?')}"
