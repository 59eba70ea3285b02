"""Which backends of a shared object only we put there, so that a finished rollout leaves the object as it was found (N46). Pure.

One entry per Rollout, like the fence: `<namespace>/<rollout>=<backend>+<backend>`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tidegate_shifter.fence import Manifest, annotation_of, entries, entries_text, with_annotation
from tidegate_shifter.router import Owner

ADDED: Final = "tidegate.dev/added-backends"


def added_by(owner: Owner, manifest: Mapping[str, Any]) -> set[str]:
    return set(filter(None, entries(annotation_of(manifest, ADDED)).get(str(owner), "").split("+")))


def with_added(manifest: Manifest, owner: Owner, names: Iterable[str]) -> Manifest:
    held = {key: text for key, text in entries(annotation_of(manifest, ADDED)).items() if key != str(owner)}
    if present := "+".join(sorted(names)):
        held[str(owner)] = present
    return with_annotation(manifest, ADDED, entries_text(held))
