"""Arguments of a run: where their values come from, and how they get into a metric (`argo-behaviour.md` 7.2).

How the run got them is in `tidegate.arguments`. Pure: Secrets are named here and fetched elsewhere.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

from tidegate.arguments import TAG, ArgumentError

Argument = Mapping[str, Any]

# What an unresolved argument makes of a run's message.
UNRESOLVED = "Unable to resolve metric arguments: "
HIDDEN = "*****"


@dataclass(frozen=True, slots=True)
class SecretKey:
    name: str
    key: str


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
        return TAG.sub(lambda tag: _argument(tag[1], resolved), metric)
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
    spelled = {way for secret in secrets if secret for way in _spelled(secret)}
    for way in sorted(spelled, key=len, reverse=True):
        text = text.replace(way, HIDDEN)
    return text


def _spelled(secret: str) -> set[str]:
    """As it stands in a text, in a URL, in a form and in JSON."""
    return {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), json.dumps(secret)[1:-1]}
