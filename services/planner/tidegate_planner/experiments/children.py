"""What an experiment consists of: a ReplicaSet per template, Services in front of some (`argo-behaviour.md` 10).

Rule of this file: pure. Names follow from the experiment's and the template's, so that a child is created if absent, never twice.

A Service of an experiment is made and removed here and not by the traffic-shifter, although that one writes Services: it is a part
of the Experiment as its ReplicaSets are, chosen once and never switched, needed before any router is asked and kept until the last
pod is gone. The shifter changes selectors of Services that people made; no object has two writers.
"""

from collections.abc import Mapping
from typing import Any

from tidegate import keys
from tidegate.durations import epoch, rfc3339
from tidegate.hashing import pod_template_hash
from tidegate_planner.experiments.assess import Standing
from tidegate_planner.experiments.plan import Action, CreateReplicaSet, CreateService, DeleteService
from tidegate_planner.experiments.runs import owner_reference
from tidegate_planner.experiments.seen import Seen
from tidegate_planner.experiments.spec import Spec, Template
from tidegate_planner.plan import ScaleReplicaSet
from tidegate_planner.seen import ReplicaSet

Json = Mapping[str, Any]


def actions(seen: Seen, spec: Spec, standing: Standing, now: float) -> list[Action]:
    """In the templates' order, the Service of each before anything is taken from its pods and after they were asked for."""
    wanted: list[Action] = []
    for template in spec.templates:
        held = seen.replica_sets.get(template.name)
        if held is None:
            may_begin = not standing.ending and template.name not in seen.refusals
            wanted += [CreateReplicaSet(template=template.name, manifest=replica_set(seen, template))] if may_begin else []
        elif standing.ended:
            wanted += _dismissed(seen, spec, held, now)
        else:
            wanted += _kept(template, held)
        wanted += _service_actions(seen, template, held, standing)
    return wanted


def _kept(template: Template, held: ReplicaSet) -> list[Action]:
    if held.replicas == template.replicas and held.scale_down_deadline is None:
        return []
    return [_scaled(held, template.replicas, None)]


def _dismissed(seen: Seen, spec: Spec, held: ReplicaSet, now: float) -> list[Action]:
    """After the delay, and not while a router still sends them requests (N15)."""
    if held.replicas == 0 or held.deleting:
        return []
    if held.scale_down_deadline is None and spec.scale_down_delay > 0:
        return [_scaled(held, held.replicas, rfc3339(now + spec.scale_down_delay))]
    over = held.scale_down_deadline is None or now >= epoch(held.scale_down_deadline)
    return [_scaled(held, 0, None)] if over and held.hash not in seen.in_traffic else []


def _scaled(held: ReplicaSet, size: int, deadline: str | None) -> ScaleReplicaSet:
    changed = {keys.SCALE_DOWN_DEADLINE: deadline} if deadline or held.scale_down_deadline else {}
    return ScaleReplicaSet(name=held.name, hash=held.hash, before=held.replicas, after=size, annotations=changed)


def _service_actions(seen: Seen, template: Template, held: ReplicaSet | None, standing: Standing) -> list[Action]:
    service = seen.services.get(template.name)
    if service is not None:
        gone = held is None or (held.replicas == 0 and held.current == 0)
        return [DeleteService(name=service.name, uid=service.uid)] if standing.ended and gone else []
    if template.service is None or held is None or standing.ending or template.name in seen.refusals:
        return []
    ports = _ports(template)
    name = template.service or held.name
    return [CreateService(template=template.name, manifest=_service(seen, template, held, name, ports))] if ports else []


# --- manifests ---------------------------------------------------------------------------------------------------------


def replica_set(seen: Seen, template: Template) -> dict[str, Any]:
    """With all it needs from the first moment. Its hash is that of the template and of the name, so that the pods of two equal
    templates, or of two experiments with the same one, can be told apart by it."""
    name = f"{seen.name}-{template.name}"
    pod = {**template.template, "metadata": dict(template.template.get("metadata") or {})}
    labels = _own_labels(template)
    chosen = pod_template_hash({"name": name, "template": {**pod, "metadata": {**pod["metadata"], "labels": labels}}})
    pod["metadata"]["labels"] = {**labels, keys.POD_TEMPLATE_HASH: chosen}
    matched = {**(template.selector.get("matchLabels") or {}), keys.POD_TEMPLATE_HASH: chosen}
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": seen.namespace,
            "labels": pod["metadata"]["labels"],
            "annotations": _annotations(seen, template),
            "ownerReferences": [owner_reference(seen)],
        },
        "spec": {
            "replicas": template.replicas,
            **({"minReadySeconds": template.min_ready_seconds} if template.min_ready_seconds else {}),
            "selector": {**template.selector, "matchLabels": matched},
            "template": pod,
        },
    }


def _own_labels(template: Template) -> dict[str, str]:
    """Without the hash that a template copied from a rollout's ReplicaSet brings along."""
    labels = (template.template.get("metadata") or {}).get("labels") or {}
    return {key: value for key, value in labels.items() if key != keys.POD_TEMPLATE_HASH}


def _service(seen: Seen, template: Template, held: ReplicaSet, name: str, ports: list[Json]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": name,
            "namespace": seen.namespace,
            "annotations": _annotations(seen, template),
            "ownerReferences": [owner_reference(seen)],
        },
        "spec": {"selector": {**_own_labels(template), keys.POD_TEMPLATE_HASH: held.hash}, "ports": ports},
    }


def _ports(template: Template) -> list[Json]:
    """Those of the containers; several need names, so one without gets its number's."""
    found = [port for each in (template.template.get("spec") or {}).get("containers") or () for port in each.get("ports") or ()]
    ports: list[Json] = []
    for port in found:
        number = port["containerPort"]
        name = port.get("name") or (f"port-{number}-{(port.get('protocol') or 'TCP').lower()}" if len(found) > 1 else "")
        protocol = {"protocol": port["protocol"]} if port.get("protocol") else {}
        ports.append({"port": number, "targetPort": number, **protocol, **({"name": name} if name else {})})
    return ports


def _annotations(seen: Seen, template: Template) -> dict[str, str]:
    return {keys.EXPERIMENT_NAME: seen.name, keys.EXPERIMENT_TEMPLATE_NAME: template.name}
