"""From the manifests in the caches to the plain values that a decision is made from; what an index needs, too.

Rule of this file: one manifest in, one value out. A Rollout's may be malformed wherever the CRD lets anything through.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from tidegate import keys
from tidegate.rollout import number_in, revision_in
from tidegate_planner.seen import AnalysisRun, ReplicaSet, Service, Workload
from tidegate_planner.workloads import TEMPLATE_TEXT

Json = Mapping[str, Any]

STATUS_READ = ("replicas", "readyReplicas", "availableReplicas", "observedGeneration", "conditions")
INJECTED_TERM = f'"key":"{keys.POD_TEMPLATE_HASH}"'.encode()


def instance_of(manifest: Json) -> str:
    """Which installation is asked to take care of it."""
    labels: Json = manifest["metadata"].get("labels") or {}
    return str(labels.get(keys.INSTANCE_ID, ""))


def service_names(manifest: Json) -> tuple[str, ...]:
    """The Services a manifest names; it may be malformed, so anything that is no name is passed over."""
    strategy = mapping(mapping(manifest.get("spec")).get("strategy"))
    canary, blue_green = mapping(strategy.get("canary")), mapping(strategy.get("blueGreen"))
    ping_pong = mapping(canary.get("pingPong"))
    named = (
        *(canary.get(each) for each in ("stableService", "canaryService")),
        *(blue_green.get(each) for each in ("activeService", "previewService")),
        *(ping_pong.get(each) for each in ("pingService", "pongService")),
    )
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str) and name))


def analyses_of(manifest: Json) -> list[Json]:
    """Every RolloutAnalysis in a manifest that may be malformed: background, steps, before and after promotion."""
    strategy = mapping(mapping(manifest.get("spec")).get("strategy"))
    canary, blue_green = mapping(strategy.get("canary")), mapping(strategy.get("blueGreen"))
    steps = [mapping(step).get("analysis") for step in listed(canary, "steps")]
    found = [canary.get("analysis"), *steps, blue_green.get("prePromotionAnalysis"), blue_green.get("postPromotionAnalysis")]
    return [each for each in found if isinstance(each, Mapping) and each]


def slim_replica_set(manifest: dict[str, Any]) -> dict[str, Any]:
    """For the cache: only what `replica_set_of` reads, the pod template as JSON text. Templates are most of what a planner holds,
    tenfold as Python objects, and are looked into only when a rollout's own hash is on none of its ReplicaSets."""
    spec, status = manifest["spec"], manifest.get("status") or {}
    kept = {field: spec[field] for field in ("minReadySeconds",) if field in spec}
    kept |= {"replicas": spec.get("replicas", 1), TEMPLATE_TEXT: orjson.dumps(spec.get("template") or {})}
    return {**manifest, "spec": kept, "status": {field: status[field] for field in STATUS_READ if field in status}}


def replica_set_of(manifest: Json, *, with_template: bool = True) -> ReplicaSet:
    metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    failures = (each for each in status.get("conditions") or () if each.get("type") == "ReplicaFailure")
    return ReplicaSet(
        name=metadata["name"],
        hash=labels.get(keys.POD_TEMPLATE_HASH, ""),
        uid=metadata["uid"],
        resource_version=int(metadata["resourceVersion"]),
        revision=revision_in(annotations),
        created=metadata.get("creationTimestamp", ""),
        replicas=spec.get("replicas", 1),
        current=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
        min_ready=spec.get("minReadySeconds") or 0,
        settled=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
        deleting=metadata.get("deletionTimestamp") is not None,
        generation=metadata.get("generation", 0),
        made_from=number_in(annotations, keys.MADE_FROM) or 0,
        annotations=annotations,
        labels=labels,
        template=_template(spec) if with_template else {},
        failure=next((each for each in failures if each.get("status") == "True"), None),
    )


def was_injected(manifest: Json) -> bool:
    """Whether something may have to be taken out again; asked for each ReplicaSet at each look, so without reading its template."""
    annotations = manifest["metadata"].get("annotations") or {}
    if keys.EPHEMERAL_METADATA in annotations or keys.PODS_BEHIND in annotations:
        return True
    return INJECTED_TERM in (manifest["spec"].get(TEMPLATE_TEXT) or b"")


def _template(spec: Json) -> Json:
    text = spec.get(TEMPLATE_TEXT)
    template: Json = orjson.loads(text) if text else spec.get("template") or {}
    return template


def workload_of(manifest: Json) -> Workload:
    metadata, annotations = manifest["metadata"], manifest["metadata"].get("annotations") or {}
    started_with = annotations.get(keys.HANDED_OVER, "")
    kind: str = manifest["kind"]
    return Workload(
        kind=kind,
        name=metadata["name"],
        generation=metadata.get("generation", 0),
        resource_version=int(metadata["resourceVersion"]),
        replicas=(manifest.get("spec") or {}).get("replicas", 1) if kind != "PodTemplate" else None,
        started_with=int(started_with) if started_with.isdigit() else None,
    )


def service_of(manifest: Json) -> Service:
    metadata = manifest["metadata"]
    return Service(
        name=metadata["name"],
        hash=(manifest["spec"].get("selector") or {}).get(keys.POD_TEMPLATE_HASH, ""),
        managed_by=(metadata.get("annotations") or {}).get(keys.MANAGED_BY, ""),
        resource_version=int(metadata["resourceVersion"]),
    )


def analysis_run_of(manifest: Json) -> AnalysisRun:
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    labels, spec = metadata.get("labels") or {}, manifest.get("spec") or {}
    index = labels.get(keys.STEP_INDEX, "")
    return AnalysisRun(
        name=metadata["name"],
        phase=status.get("phase") or "",
        uid=metadata.get("uid", ""),
        message=status.get("message") or "",
        hash=labels.get(keys.POD_TEMPLATE_HASH, ""),
        kind=labels.get(keys.ROLLOUT_TYPE, ""),
        step_index=int(index) if index.isdigit() else None,
        created=metadata.get("creationTimestamp", ""),
        spec=spec,
        terminate=bool(spec.get("terminate")),
    )


def owners_of(manifest: Json) -> Iterable[str]:
    """Index: the uid of the controlling owner."""
    return (each["uid"] for each in manifest["metadata"].get("ownerReferences") or () if each.get("controller"))


def orphaned_in(manifest: Json) -> Iterable[str]:
    """Index: the namespace, of objects without a controller."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    return () if any(each.get("controller") for each in owners) else (manifest["metadata"]["namespace"],)


def mapping(value: Any) -> Json:
    return value if isinstance(value, Mapping) else {}


def listed(value: Json, field_name: str) -> list[Any]:
    found = value.get(field_name)
    return found if isinstance(found, list) else []
