"""Objects that a router makes for one Rollout: they carry it as their controller, and go with it. Pure."""

from typing import Any

from tidegate.keys import API_VERSION
from tidegate.kube.kinds import ROLLOUT, Object
from tidegate_shifter.router import Owner


def controller_reference(owner: Owner) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": ROLLOUT.kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_controlled_by(manifest: Object, owner: Owner) -> bool:
    references = manifest["metadata"].get("ownerReferences") or ()
    return any(each.get("controller") and each.get("uid") == owner.uid for each in references)
