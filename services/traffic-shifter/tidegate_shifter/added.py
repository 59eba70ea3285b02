"""What of a shared object only we put there, so that a finished rollout leaves the object as it was found (N46). Pure.

One entry per Rollout, like the fence: `<namespace>/<rollout>=<what>+<what>`: backends, the rules of managed routes, and what stable
weighed while nothing was divided.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tidegate_shifter.fence import Manifest, annotation_of, entries, entries_text, with_annotation
from tidegate_shifter.router import Owner

ADDED: Final = "tidegate.dev/added-backends"
MANAGED_RULES: Final = "tidegate.dev/managed-rules"
RESTING_WEIGHTS: Final = "tidegate.dev/resting-weights"


def added_by(owner: Owner, manifest: Mapping[str, Any], *, key: str = ADDED) -> set[str]:
    return set(filter(None, entries(annotation_of(manifest, key)).get(str(owner), "").split("+")))


def with_added(manifest: Manifest, owner: Owner, names: Iterable[str], *, key: str = ADDED) -> Manifest:
    held = {name: text for name, text in entries(annotation_of(manifest, key)).items() if name != str(owner)}
    if present := "+".join(sorted(names)):
        held[str(owner)] = present
    return with_annotation(manifest, key, entries_text(held))
