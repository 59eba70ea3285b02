"""An Experiment's manifest as the Rollout that owns it sees it. Pure."""

from collections.abc import Mapping
from typing import Any

from tidegate import keys
from tidegate.rollout import number_in
from tidegate_planner.seen import Experiment, ExperimentPods

Json = Mapping[str, Any]


def experiment_of(manifest: Json) -> Experiment:
    """How it stands, and the pods that may get requests."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    pods = (
        ExperimentPods(
            name=each.get("name") or "",
            current=each.get("replicas") or 0,
            available=each.get("availableReplicas") or 0,
            service=each.get("serviceName") or "",
            hash=each.get("podTemplateHash") or "",
        )
        for each in status.get("templateStatuses") or ()
    )
    runs = status.get("analysisRuns") or ()
    return Experiment(
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=int(metadata["resourceVersion"]),
        phase=status.get("phase") or "",
        message=status.get("message") or "",
        hash=(metadata.get("labels") or {}).get(keys.POD_TEMPLATE_HASH, ""),
        created=metadata.get("creationTimestamp", ""),
        made_from=number_in(metadata.get("annotations") or {}, keys.MADE_FROM) or 0,
        terminate=bool((manifest.get("spec") or {}).get("terminate")),
        pods=tuple(pods),
        runs={each["name"]: (each.get("phase") or "", each.get("message") or "") for each in runs},
    )
