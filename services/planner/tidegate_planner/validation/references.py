"""Objects that a Rollout names must exist and fit (`argo-behaviour.md` 1.6): Services here, templates and routers beside.

The peer looks everything up before it compares anything, so what is missing comes before what does not fit.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.keys import MANAGED_BY, POD_TEMPLATE_HASH
from tidegate_planner.validation.analyses import missing_templates, template_problems
from tidegate_planner.validation.problem import Problem, invalid
from tidegate_planner.validation.routers import missing_router_objects, router_problems
from tidegate_planner.validation.shapes import as_map

Json = Mapping[str, Any]
Found = Mapping[str, Mapping[str, Any] | None]
"""Manifests by the name the Rollout uses. None: looked for and missing. A name that is not in the map was not looked for."""


@dataclass(frozen=True, slots=True)
class References:
    """What was found for the names in a Rollout. VirtualServices are kept by the name as written, which may be `name.namespace`."""

    services: Found = field(default_factory=dict)
    analysis_templates: Found = field(default_factory=dict)
    cluster_analysis_templates: Found = field(default_factory=dict)
    ingresses: Found = field(default_factory=dict)
    virtual_services: Found = field(default_factory=dict)
    ambassador_mappings: Found = field(default_factory=dict)
    app_mesh_virtual_services: Found = field(default_factory=dict)
    app_mesh_virtual_routers: Found = field(default_factory=dict)
    """By the name of the VirtualService that leads to them."""
    step_plugins: Collection[str] | None = None
    """Names that are registered; None where that is not known."""
    workload_resolved: bool = False
    """`spec.template` was read from the workload of `workloadRef`."""


def reference_problems(rollout: Json, references: References) -> Iterator[Problem]:
    spec = rollout["spec"]
    strategy = spec.get("strategy", {})
    routing = strategy.get("canary", {}).get("trafficRouting", {})
    named = list(_services(strategy))
    labels_known = references.workload_resolved or "workloadRef" not in spec
    for name, path in named:
        if references.services.get(name, {}) is None:
            yield invalid(path, name, f'service "{name}" not found')
    templates = (references.analysis_templates, references.cluster_analysis_templates)
    yield from missing_templates(strategy, *templates)
    yield from missing_router_objects(routing, references)
    for name, path in named:
        service = references.services.get(name)
        if service is not None:
            yield from _service(rollout, name, service, path, labels_known=labels_known)
    yield from template_problems(strategy, *templates)
    yield from router_problems(strategy.get("canary", {}), references)
    yield from _unknown_plugins(strategy.get("canary", {}), references.step_plugins)


def _unknown_plugins(canary: Json, registered: Collection[str] | None) -> Iterator[Problem]:
    for index, step in enumerate(canary.get("steps", ())):
        name = step.get("plugin", {}).get("name", "")
        if registered is not None and "plugin" in step and name not in registered:
            known = ", ".join(sorted(registered)) or "none"
            yield invalid(f"spec.strategy.steps[{index}].plugin.name", name, f"step plugin is not registered; known: {known}")


def _services(strategy: Json) -> Iterator[tuple[str, str]]:
    blue_green, canary = strategy.get("blueGreen"), strategy.get("canary", {})
    if blue_green is not None:
        places = [(blue_green, "blueGreen", "activeService"), (blue_green, "blueGreen", "previewService")]
    else:
        ping_pong = canary.get("pingPong", {})
        places = [(canary, "canary", "stableService"), (canary, "canary", "canaryService")]
        places += [(ping_pong, "canary.pingPong", name) for name in ("pingService", "pongService")]
    for holder, path, name in places:
        if holder.get(name):
            yield holder[name], f"spec.strategy.{path}.{name}"


def _service(rollout: Json, name: str, service: Json, path: str, *, labels_known: bool) -> Iterator[Problem]:
    spec = rollout["spec"]
    labels = spec.get("template", {}).get("metadata", {}).get("labels", {})
    own = _own_labels(spec.get("strategy", {}), path)
    selector = as_map(as_map(service.get("spec")).get("selector"))
    for key in sorted(selector, key=str) if labels_known else ():
        if key != POD_TEMPLATE_HASH and selector[key] not in (labels.get(key), own.get(key)):
            yield invalid(path, name, f'Service "{name}" has unmatch label "{key}" in rollout')
    manager = as_map(as_map(service.get("metadata")).get("annotations")).get(MANAGED_BY)
    if manager is not None and manager != rollout.get("metadata", {}).get("name", ""):
        yield invalid(path, name, f'Service "{name}" is managed by another Rollout')


def _own_labels(strategy: Json, path: str) -> Mapping[str, str]:
    """Labels that the pods behind this Service carry besides the template's: `canaryMetadata` and its like."""
    side, name = path.split(".")[2], path.rpartition(".")[2]
    metadata = strategy.get(side, {}).get(name.replace("Service", "Metadata"), {})
    labels: Mapping[str, str] = metadata.get("labels", {})
    return labels
