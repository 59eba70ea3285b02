"""One thing that is wrong with an object, and its text exactly as Kubernetes renders a `field.Error`.

Rule of this package: pure functions of manifests. Wrong input becomes a `Problem`; nothing raises because of what a user wrote.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_UNSAID = object()  # `None` is a value that can be shown (null)


@dataclass(frozen=True, slots=True)
class Problem:
    """`field` is the path in the manifest, `kind` one of the API's words ("Invalid value", "Required value", ...)."""

    field: str
    kind: str
    detail: str = ""
    value: Any = _UNSAID

    def __str__(self) -> str:
        shown = () if self.value is _UNSAID else (_shown(self.value),)
        return ": ".join((self.field, self.kind, *shown, *((self.detail,) if self.detail else ())))


def invalid(field: str, value: Any, detail: str) -> Problem:
    return Problem(field, "Invalid value", detail, value)


def required(field: str, detail: str = "") -> Problem:
    return Problem(field, "Required value", detail)


def forbidden(field: str, detail: str) -> Problem:
    return Problem(field, "Forbidden", detail)


def internal(field: str, detail: str) -> Problem:
    return Problem(field, "Internal error", detail)


def duplicate(field: str, value: Any) -> Problem:
    return Problem(field, "Duplicate value", value=value)


def not_found(field: str, value: Any) -> Problem:
    return Problem(field, "Not found", value=value)


def unsupported(field: str, value: Any, supported: Iterable[str]) -> Problem:
    return Problem(field, "Unsupported value", f"supported values: {', '.join(_shown(name) for name in supported)}", value)


def negative(field: str, value: int | None) -> list[Problem]:
    return [invalid(field, value, "must be greater than or equal to 0")] if value is not None and value < 0 else []


def message(name: str, problem: Problem) -> str:
    """The text of the condition `InvalidSpec`."""
    return invalid_message(name, str(problem))


def invalid_message(name: str, why: str) -> str:
    """The same for what is no fault of a field."""
    return f"The Rollout {_shown(name)} is invalid: {why}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):  # YAML allows keys that are no text, and anchors that contain themselves
        return repr(value)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")  # as Go's encoder does
