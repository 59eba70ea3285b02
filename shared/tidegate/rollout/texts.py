"""What annotations and selectors of a Rollout and its ReplicaSets say, and how they are written."""

from collections.abc import Mapping

from tidegate.keys import REVISION
from tidegate.rollout.nouns import Json


def revision_in(annotations: Mapping[str, str]) -> int:
    """Of a ReplicaSet its own, of a Rollout that of its wanted version; 0 where the annotation is missing or no number."""
    return number_in(annotations, REVISION) or 0


def number_in(annotations: Mapping[str, str], key: str) -> int | None:
    """A whole number of at most 64 bits; None where there is none, whatever a person wrote there instead."""
    text = annotations.get(key, "")
    return int(text) if text.isdecimal() and len(text) < 20 else None


def selector_text(selector: Json) -> str:
    """A label selector in the form of `kubectl -l`, sorted, as the scale subresource needs it."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for each in selector.get("matchExpressions") or ():
        key, operator, values = each.get("key", ""), each.get("operator"), ",".join(sorted(each.get("values") or ()))
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
        parts.append(forms.get(operator, key))
    return ",".join(sorted(parts))
