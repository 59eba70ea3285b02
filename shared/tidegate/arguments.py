"""Arguments on their way from templates and from those who use them into a run (`argo-behaviour.md` 7.2).

Rule of this file: pure. The planner makes runs for rollouts by it, `tidegate analyze` makes one on a laptop.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tidegate.errors import TidegateError

Argument = Mapping[str, Any]
Json = dict[str, Any]

TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_INDEX = re.compile(r"-?[0-9]+")
_PART = re.compile(r"\['([^']*)'\]|\[([^\]]*)\]|([^.\[\]]+)")


class ArgumentError(TidegateError):
    """An argument that is missing, contradicts another, or points at nothing; templates that do not make one run."""


def merged(lists: Iterable[Sequence[Argument]]) -> list[Json]:
    """Arguments of several templates as one list. The first value wins, an absent one is filled, two different ones contradict."""
    by_name: dict[str, Json] = {}
    for argument in (argument for arguments in lists for argument in arguments):
        name = argument["name"]
        known = by_name.setdefault(name, {"name": name})
        for field in ("value", "valueFrom"):
            given = argument.get(field)
            if given is None:
                continue
            if known.get(field) not in (None, given):
                raise ArgumentError(
                    f"Argument `{name}` specified multiple times with different values: '{known[field]}', '{given}'"
                )
            known[field] = given
    return list(by_name.values())


def overridden(template: Sequence[Argument], incoming: Sequence[Argument]) -> list[Json]:
    """The template's arguments with the caller's values. What the template does not name is ignored, as its users rely on."""
    given = {argument["name"]: argument for argument in incoming}
    resolved = []
    for argument in template:
        chosen: Argument = argument
        caller = given.get(argument["name"], {})
        if caller.get("value") is not None or caller.get("valueFrom") is not None:
            chosen = {field: caller[field] for field in ("name", "value", "valueFrom") if caller.get(field) is not None}
        if chosen.get("value") is None and chosen.get("valueFrom") is None:
            raise ArgumentError(f"args.{argument['name']} was not resolved")
        resolved.append(dict(chosen))
    return resolved


def tags_in(metric: Any) -> Iterator[str]:
    """What stands in the tags of any text of it, in their order: `args.NAME`, or what cannot be resolved."""
    if isinstance(metric, str):
        yield from (tag[1].strip() for tag in TAG.finditer(metric))
    elif isinstance(metric, Mapping):
        yield from (tag for pair in metric.items() for part in pair for tag in tags_in(part))
    elif isinstance(metric, list):
        yield from (tag for item in metric for tag in tags_in(item))


def field_value(rollout: Mapping[str, Any], path: str) -> str:
    """A primitive of the Rollout's JSON, as text: `status.canary.weights.canary.weight`, `metadata.labels['app']`."""
    here: Any = rollout
    for quoted, index, name in _PART.findall(path):
        part = quoted or index or name
        if isinstance(here, list):
            here = _element(here, part)
        elif isinstance(here, Mapping) and part in here:
            here = here[part]
        else:
            raise ArgumentError(f"invalid path {path} in rollout")
    if here is None or isinstance(here, list | Mapping):
        raise ArgumentError(f"path {path} in rollout must terminate in a primitive value")
    return str(here).lower() if isinstance(here, bool) else str(here)


def _element(items: list[Any], part: str) -> Any:
    if not _INDEX.fullmatch(part):
        raise ArgumentError(f"invalid index '{part}'")
    index = int(part)
    if not 0 <= index < len(items):
        raise ArgumentError(f"index {index} out of range")
    return items[index]
