"""JSON types of the fields that the rules read, checked before any rule runs.

`cleaned` returns a copy in which every known field has its declared type: nulls and wrong types are left out (each wrong one is a
`Problem`), so that a rule may index without asking. Fields come in declared order, maps in key order, as Go prints them.
Fields that are not declared pass through: the API server prunes or refuses what it does not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate_planner.validation.problem import Problem, invalid


@dataclass(frozen=True, slots=True)
class Scalar:
    types: tuple[type, ...]
    right: str
    zero: Any


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    of: "Shape"


@dataclass(frozen=True, slots=True)
class Entries:
    """A map whose keys are the user's."""

    of: "Shape"


@dataclass(frozen=True, slots=True)
class Fields:
    """A map whose keys are the API's."""

    known: Mapping[str, "Shape"]


@dataclass(frozen=True, slots=True)
class Anything:
    """Free content; only its presence matters here."""


Shape = Scalar | Items | Entries | Fields | Anything

TEXT = Scalar((str,), "must be text", "")
FLAG = Scalar((bool,), "must be true or false", False)
WHOLE = Scalar((int,), "must be a whole number", 0)
INT32 = range(-(2**31), 2**31)
WHOLE_OR_TEXT = Scalar((int, str), "must be a whole number or text", 0)
QUANTITY = Scalar((int, float, str), "must be a number or text such as 500m or 1Gi", 0)
ANYTHING = Anything()


def fields(**known: Shape) -> Fields:
    return Fields(known)


def cleaned(shape: Shape, value: Any, path: str, found: list[Problem]) -> Any:
    """None if `value` is absent, null or of a wrong type; the wrong ones are appended to `found`."""
    if value is None:
        return None
    match shape:
        case Anything():
            return value
        case Scalar():
            return _scalar(shape, value, path, found)
        case Items(of=item):
            if not isinstance(value, list):
                return _refused(value, path, found, "must be a list")
            return [_element(item, each, f"{path}[{index}]", found) for index, each in enumerate(value)]
        case Entries() | Fields():
            if not isinstance(value, Mapping):
                return _refused(value, path, found, "must be a map of names to values")
            return _entries(shape.of, value, path, found) if isinstance(shape, Entries) else _fields(shape, value, path, found)


def as_map(value: Any) -> Mapping[str, Any]:
    """For manifests of other kinds, of which no type is promised: what is no map has no fields."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _scalar(shape: Scalar, value: Any, path: str, found: list[Problem]) -> Any:
    if not isinstance(value, shape.types) or (isinstance(value, bool) and bool not in shape.types):
        return _refused(value, path, found, shape.right)
    if isinstance(value, int) and shape is not QUANTITY and value not in INT32:
        return _refused(value, path, found, f"must be between {INT32.start} and {INT32.stop - 1}")
    return value


def _element(shape: Shape, value: Any, path: str, found: list[Problem]) -> Any:
    """A list keeps its length, or the paths of later problems would be wrong; null decodes to the zero value."""
    kept = cleaned(shape, value, path, found)
    if kept is not None:
        return kept
    return shape.zero if isinstance(shape, Scalar) else [] if isinstance(shape, Items) else {}


def _entries(shape: Shape, value: Mapping[Any, Any], path: str, found: list[Problem]) -> dict[str, Any]:
    found += [
        invalid(path, key, "must be text, as every name in a map; put it in quotes") for key in value if not isinstance(key, str)
    ]
    return {
        key: _element(shape, value[key], f"{path}[{key}]", found) for key in sorted(key for key in value if isinstance(key, str))
    }


def _fields(shape: Fields, value: Mapping[Any, Any], path: str, found: list[Problem]) -> dict[str, Any]:
    kept = {name: cleaned(inner, value.get(name), f"{path}.{name}" if path else name, found) for name, inner in shape.known.items()}
    others = {name: value[name] for name in value if name not in shape.known}
    return {name: each for name, each in {**kept, **others}.items() if each is not None}


def _refused(value: Any, path: str, found: list[Problem], right: str) -> None:
    found.append(invalid(path, value, right))


def has_any_of(routing: Mapping[str, Any] | None, *routers: str) -> bool:
    """A router counts when it is written down, even empty; plugins only when there is one."""
    return routing is not None and any(routing.get(name) if name == "plugins" else name in routing for name in routers)
