"""The fence: which decision an object was last changed for. Pure.

A request carries the highest resourceVersion among the objects its decision was made from (DESIGN.md 3). Whatever the shifter
changes carries that number, and a request with a lower one is dropped, so a late redelivery cannot move traffic backwards.

**One entry per Rollout.** Two Rollouts may share an HTTPRoute or a VirtualService (each in its own rules). Their fences come from
different objects and say nothing about each other: the one that was idle for an hour has the lower number and is right all
the same. An entry also names the Rollout's uid: objects restored into another cluster keep their annotations, but resourceVersions
there begin anew, and a fence of five million from the old cluster would block every request of the new one.

**Written only along with another change.** Raising it alone would write every Service and route on every pass of the planner,
wake every ingress controller, and be a difference for GitOps tools, all for a number. What that leaves open: request 10 asks for X,
request 20 for Y, request 30 for X again; if 30 overtakes 20 it finds X in place, writes nothing, and the object still says 10 when
20 arrives. So the object is not the only memory. The bus keeps the newest request and the newest answer of each rollout, for
all replicas and across restarts, and `handling.py` carries out the newest and drops what is older than the newest answer. A
request is acknowledged only after its answer was stored, so either the answer to 30 is there when 20 comes, or 30 itself will
come again and win by the entry that 20 left. The object's entry is for what the bus cannot promise: a replica that stalls between
reading and writing, and the loss of every stream. Where both fail at once the planner's next request heals it, as any drift.
"""

from collections.abc import Mapping
from typing import Any

from tidegate.keys import FENCE
from tidegate_shifter.router import Owner

Manifest = dict[str, Any]


def entries(text: str | None) -> dict[str, str]:
    """`a=1,b=2` as a dictionary. Kubernetes names and uids contain neither `=` nor `,`, so nothing needs escaping.

    What someone else wrote there and cannot be read counts as absent: a garbled fence must not stop traffic for good.
    """
    pairs = (part.partition("=") for part in (text or "").split(","))
    return {key: value for key, found, value in pairs if found and key and value}


def entries_text(held: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(held.items()))


def annotation_of(manifest: Mapping[str, Any], key: str) -> str | None:
    found: str | None = (manifest.get("metadata", {}).get("annotations") or {}).get(key)
    return found


def fence_on(manifest: Mapping[str, Any], owner: Owner) -> int:
    """The fence of the last change made for this Rollout; 0 where there is none."""
    uid, _, number = entries(annotation_of(manifest, FENCE)).get(str(owner), "").rpartition("/")
    return int(number) if uid == owner.uid and number.isascii() and number.isdigit() else 0


def with_fence(manifest: Manifest, owner: Owner, fence: int) -> Manifest:
    held = entries(annotation_of(manifest, FENCE)) | {str(owner): f"{owner.uid}/{fence}"}
    return with_annotation(manifest, FENCE, entries_text(held))


def with_annotation(manifest: Manifest, key: str, value: str | None) -> Manifest:
    """A copy with the annotation set, or without it where `value` is None or empty."""
    return _with_metadata(manifest, "annotations", key, value)


def with_label(manifest: Manifest, key: str, value: str | None) -> Manifest:
    return _with_metadata(manifest, "labels", key, value)


def _with_metadata(manifest: Manifest, field: str, key: str, value: str | None) -> Manifest:
    metadata = manifest.get("metadata", {})
    held = {name: text for name, text in (metadata.get(field) or {}).items() if name != key}
    if value:
        held[key] = value
    elif key not in (metadata.get(field) or {}):
        return manifest
    return {**manifest, "metadata": {**metadata, field: held}}
