"""Arguments of an analysis: where their values come from, and how they get into a metric (`argo-behaviour.md` 7.2).

Pure: Secrets are named here and fetched elsewhere; their values come back as an argument.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.errors import TidegateError

Argument = Mapping[str, Any]
Json = dict[str, Any]

# What an unresolved argument makes of a run's message.
UNRESOLVED = "Unable to resolve metric arguments: "
HIDDEN = "*****"
_TAG = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_INDEX = re.compile(r"-?[0-9]+")


class ArgumentError(TidegateError):
    """An argument that is missing, contradicts another, or points at nothing."""


@dataclass(frozen=True, slots=True)
class SecretKey:
    name: str
    key: str


# -- before the run is made: templates, and those who use them


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


def field_value(rollout: Mapping[str, Any], path: str) -> str:
    """A primitive of the Rollout's JSON: `status.canary.weights.canary.weight`, `spec.template.spec.containers[0].image`."""
    here: Any = rollout
    for part in (part for part in re.split(r"[.\[\]]", path) if part):
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


# -- in the run


def needed_secrets(arguments: Sequence[Argument]) -> dict[str, SecretKey]:
    """Argument name -> the Secret key it waits for, in the run's own namespace."""
    needed = {}
    for argument in arguments:
        reference = (argument.get("valueFrom") or {}).get("secretKeyRef")
        if reference:
            needed[argument["name"]] = SecretKey(reference["name"], reference["key"])
    return needed


def secret_value(secret: Mapping[str, bytes | str], wanted: SecretKey) -> str:
    """A value out of a Secret's decoded data."""
    if wanted.key not in secret:
        raise ArgumentError(f"key '{wanted.key}' does not exist in secret '{wanted.name}'")
    value = secret[wanted.key]
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def values(arguments: Sequence[Argument], secrets: Mapping[str, str] | None = None) -> dict[str, str]:
    """Argument name -> text. `secrets` holds the values of those in `needed_secrets`."""
    resolved: dict[str, str] = {}
    for argument in arguments:
        name = argument["name"]
        if secrets is not None and name in secrets:
            resolved[name] = secrets[name]
        elif argument.get("value") is not None:
            resolved[name] = str(argument["value"])
        else:
            raise ArgumentError(f'argument "{name}" was not supplied')
    return resolved


def substituted(metric: Any, resolved: Mapping[str, str]) -> Any:
    """The metric with every `{{args.NAME}}` replaced, in any text of it; what is replaced stays text.

    The peer does this on the metric's JSON text and quotes the value, which comes to the same: no argument can add a field.
    """
    if isinstance(metric, str):
        return _TAG.sub(lambda tag: _argument(tag[1], resolved), metric)
    if isinstance(metric, list):
        return [substituted(item, resolved) for item in metric]
    if isinstance(metric, Mapping):
        return {substituted(key, resolved): substituted(item, resolved) for key, item in metric.items()}
    return metric


def _argument(tag: str, resolved: Mapping[str, str]) -> str:
    name = tag.strip()
    if name.startswith("args.") and name[len("args.") :] in resolved:
        return resolved[name[len("args.") :]]
    raise ArgumentError(f"failed to resolve {{{{{name}}}}}")


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Text for messages and logs, with the value of every Secret hidden; longest first, so that no rest of one shows."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
