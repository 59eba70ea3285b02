"""Unknown fields of a manifest, for `tidegate lint`.

The API server drops an unknown field without a word unless the client asks for strict validation, and a misspelt `setWieght`
is then an empty step. Inside pod specs, plugin configurations and other free places nothing is known, so nothing is reported.
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from tidegate.crd.generate import schemas
from tidegate.crd.schema import PRESERVE
from tidegate.errors import UnknownName


def unknown_fields(manifest: dict[str, Any]) -> list[str]:
    """One line per unknown field: its path and, if one is near, the name that was probably meant."""
    kind = str(manifest.get("kind", ""))
    if kind not in schemas():
        raise UnknownName("kind", kind, schemas())
    known = schemas()[kind]["properties"]
    own = {name: value for name, value in manifest.items() if name != "metadata"}  # the API server's to check
    return list(_unknown(own, {"type": "object", "properties": known}, ""))


def _unknown(value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unknown(item, schema.get("items", {}), f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from _unknown_child(name, child, schema, f"{path}.{name}".removeprefix("."))


def _unknown_child(name: str, value: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    properties: dict[str, Any] = schema.get("properties", {})
    if name in properties:
        yield from _unknown(value, properties[name], path)
    elif "additionalProperties" in schema:
        yield from _unknown(value, schema["additionalProperties"], path)
    elif schema.get("type") == "object" and PRESERVE not in schema:
        yield path + _suggestion(name, properties)


def _suggestion(name: str, known: Iterable[str]) -> str:
    by_lower = {candidate.lower(): candidate for candidate in known}  # `bluegreen` is as near to blueGreen as can be
    near = get_close_matches(name.lower(), by_lower, n=1)
    return f" (did you mean {by_lower[near[0]]}?)" if near else ""
