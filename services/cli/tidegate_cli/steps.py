"""One step of a canary plan in a few words, as the peer's event `RolloutStepCompleted` prints it (`argo-behaviour.md` 4). Pure."""

from collections.abc import Mapping
from typing import Any

KINDS = ("pause", "setCanaryScale", "setWeight", "experiment", "analysis", "setHeaderRoute", "setMirrorRoute", "plugin")
"""If one entry holds several kinds, the first of these decides."""


def step_words(step: Mapping[str, Any]) -> str:
    kind = next((each for each in KINDS if step.get(each) is not None), "")
    value = step.get(kind)
    match kind:
        case "setWeight":
            return f"setWeight: {value}"
        case "pause":
            duration = (value or {}).get("duration")
            return "pause" if duration is None else f"pause: {_with_unit(duration)}"
        case "setCanaryScale":
            field, amount = next(iter((value or {}).items()), ("", ""))
            return f"setCanaryScale{{{field}: {str(amount).lower()}}}"
        case "setHeaderRoute" | "setMirrorRoute" | "plugin":
            return f"{kind}: {(value or {}).get('name', '')}"
        case _:
            return kind or "unknown step"


def _with_unit(duration: object) -> str:
    text = str(duration)
    return f"{text}s" if text.isdecimal() else text
