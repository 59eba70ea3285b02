"""From the caches to what one decision sees. Reads, decides nothing.

Whatever depends only on the manifest (the parsed spec, the template's hash, what is wrong with it) is worked out once per
generation: a pass over an unchanged rollout then costs some lookups.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tidegate import keys
from tidegate.hashing import pod_template_hash
from tidegate.kube.kinds import DEPLOYMENT, POD_TEMPLATE, REPLICA_SET
from tidegate.kube.selectors import labels_match
from tidegate.rollout import BlueGreen, Canary, Experiment, Spec, selector_text, spec_of
from tidegate_planner.owned_experiments import experiment_of
from tidegate_planner.readings import (
    analyses_of,
    analysis_run_of,
    instance_of,
    listed,
    replica_set_of,
    service_names,
    service_of,
    was_injected,
    workload_of,
)
from tidegate_planner.router_objects import FoundObjects, Unreadable, found_for
from tidegate_planner.seen import ReplicaSet, Seen, Service
from tidegate_planner.templates import CLUSTER, NAMESPACED
from tidegate_planner.validation import References, invalid_message, message, problems
from tidegate_planner.workloads import reference_of, resolved, unresolvable
from tidegate_planner.world import BY_OWNER, ORPHANS, Key, World

Json = Mapping[str, Any]

WORKLOADS = {(each.group, each.kind): each for each in (DEPLOYMENT, REPLICA_SET, POD_TEMPLATE)}


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one generation of a manifest means. `references` are the versions of all else that validation looked at."""

    generation: int
    references: tuple[Any, ...]
    collision_count: int | None
    spec: Spec | None
    problem: str | None
    template_hash: str


@dataclass(frozen=True, slots=True)
class _Referred:
    """What `spec.workloadRef` leads to; `refusal` is why it leads nowhere."""

    workload: Json | None = None
    refusal: str | None = None


NOTHING_REFERRED = _Referred()


class Observer:
    """Makes a `Seen` for a key; keeps the readings of manifests by uid."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._readings: dict[str, _Reading] = {}
        self._former: dict[str, Canary] = {}

    def forget(self, uid: str) -> None:
        self._readings.pop(uid, None)
        self._former.pop(uid, None)
        self._world.traffic.pop(uid, None)
        self._world.waiting.pop(uid, None)
        self._world.fences.pop(uid, None)
        self._world.asked_from.pop(uid, None)
        self._world.taken_names.pop(uid, None)
        self._world.create_errors.pop(uid, None)
        self._world.step_answers.pop(uid, None)

    def is_gone(self, key: Key) -> bool:
        return self._world.rollouts.get(*key) is None

    def see(self, key: Key) -> Seen | None:
        """None when the rollout is gone, going, or another instance's. Raises `NotYet`."""
        manifest = self._world.rollouts.get(*key)
        if manifest is None or manifest["metadata"].get("deletionTimestamp") or instance_of(manifest) != self._world.instance:
            return None
        metadata = manifest["metadata"]
        uid, namespace = metadata["uid"], metadata["namespace"]
        referred = self._referred(manifest)
        reading = self._read(manifest, uid, referred)
        spec, status = reading.spec, manifest.get("status") or {}
        held = self._world.replica_sets.by_index(BY_OWNER, uid)
        known = any((each["metadata"].get("labels") or {}).get(keys.POD_TEMPLATE_HASH) == reading.template_hash for each in held)
        looked_into = not known or _injects(spec) or _copies_templates(spec, status)
        owned = [replica_set_of(each, with_template=looked_into or was_injected(each)) for each in held]
        selector = selector_text(spec.selector) if spec else ""
        seen = Seen(
            namespace=namespace,
            name=metadata["name"],
            uid=uid,
            generation=metadata["generation"],
            resource_version=int(metadata["resourceVersion"]),
            annotations=metadata.get("annotations") or {},
            labels=metadata.get("labels") or {},
            status=status,
            manifest=manifest,
            spec=spec,
            problem=reading.problem,
            template_hash=reading.template_hash,
            replica_sets=tuple(each for each in owned if not selector or labels_match(selector, each.labels)),
            orphans=self._orphans(namespace, selector),
            strangers=tuple(each for each in owned if selector and not labels_match(selector, each.labels)),
            services=self._services(namespace, spec),
            workload=None if referred.workload is None else workload_of(referred.workload),
            traffic=self._world.traffic.get(uid),
            analysis_runs=tuple(analysis_run_of(each) for each in self._world.analysis_runs.by_index(BY_OWNER, uid)),
            experiments=tuple(experiment_of(each) for each in self._world.experiments.by_index(BY_OWNER, uid)),
            templates=self._templates(namespace, manifest) if analyses_of(manifest) else {},
            waiting=self._world.waiting.get(uid, ()),
            taken_names=self._world.taken_names.get(uid, frozenset()),
            create_errors=self._world.create_errors.get(uid, {}),
            step_answers=dict(self._world.step_answers.get(uid, {})),
            disabled_plugins=frozenset(name for name, enabled in (self._world.step_plugins or {}).items() if not enabled),
            former_plan=self._former_plan(uid, spec, status),
            least_fence=max(self._world.least_fence, self._world.fences.get(uid, 0)),
            asked_from=self._world.asked_from.get(uid, 0),
        )
        self._world.fences[uid] = seen.fence
        return seen

    def _referred(self, manifest: Json) -> _Referred:
        """The workload that it takes its pods from, or why it cannot."""
        reference = reference_of(manifest)
        if reference is None:
            return NOTHING_REFERRED
        try:
            kind = WORKLOADS.get((reference.group, reference.kind))
            found = self._world.workloads.find(kind, manifest["metadata"]["namespace"], reference.name) if kind else None
        except Unreadable as error:
            return _Referred(None, f"the workload cannot be read: {error}")
        refusal = unresolvable(manifest, reference, found)
        return _Referred(found if refusal is None else None, refusal)

    def _read(self, manifest: Json, uid: str, referred: _Referred) -> _Reading:
        metadata, status = manifest["metadata"], manifest.get("status") or {}
        collisions = status.get("collisionCount")
        routing = found_for(manifest, self._world.router_objects)
        references = self._references(manifest, routing)
        looked_up = (references.services, references.analysis_templates, references.cluster_analysis_templates)
        wishes = (str((metadata.get("annotations") or {}).get(key)) for key in keys.WISHES)  # no part of the generation
        looked_at = (_version(each) for group in looked_up for each in group.values())
        versions = (_generation(referred.workload), referred.refusal, *looked_at, *routing.versions(), *wishes)
        held = self._readings.get(uid)
        wanted = (metadata["generation"], versions, collisions)
        if held is not None and (held.generation, held.references, held.collision_count) == wanted:
            return held
        workload, refusal = referred.workload, referred.refusal
        problem = None if refusal is None else invalid_message(metadata["name"], refusal)
        spec = None
        if problem is None:
            whole = manifest if workload is None else resolved(manifest, workload)
            found = problems(whole, replace(references, workload_resolved=workload is not None))
            problem = message(metadata["name"], found[0]) if found else None
            spec = None if found else spec_of(whole)
        template_hash = "" if spec is None else pod_template_hash(spec.template, collisions)
        reading = _Reading(metadata["generation"], versions, collisions, spec, problem, template_hash)
        self._readings[uid] = reading
        former = held.spec.strategy if held is not None and held.spec is not None else None
        if isinstance(former, Canary) and former.steps_hash == status.get("currentStepHash"):
            self._former[uid] = former
        return reading

    def _former_plan(self, uid: str, spec: Spec | None, status: Json) -> Canary | None:
        """The plan that the status is still of, while an edit of it has not been decided upon."""
        former, present = self._former.get(uid), spec.strategy if spec else None
        if former is None or not isinstance(present, Canary):
            return None
        if former.steps_hash == status.get("currentStepHash") != present.steps_hash:
            return former
        del self._former[uid]
        return None

    def _references(self, manifest: Json, routing: FoundObjects) -> References:
        namespace = manifest["metadata"]["namespace"]
        templates = self._looked_up_templates(namespace, manifest)
        return References(
            services={name: self._world.services.get(namespace, name) for name in service_names(manifest)},
            analysis_templates={name: held for (kind, name), held in templates.items() if kind == NAMESPACED},
            cluster_analysis_templates={name: held for (kind, name), held in templates.items() if kind == CLUSTER},
            step_plugins=self._world.step_plugins,
            ingresses=routing.ingresses,
            virtual_services=routing.virtual_services,
            ambassador_mappings=routing.mappings,
            app_mesh_virtual_services=routing.app_mesh_virtual_services,
            app_mesh_virtual_routers=routing.app_mesh_virtual_routers,
        )

    def _templates(self, namespace: str, manifest: Json) -> dict[tuple[str, str], Json]:
        return {key: held for key, held in self._looked_up_templates(namespace, manifest).items() if held is not None}

    def _looked_up_templates(self, namespace: str, manifest: Json) -> dict[tuple[str, str], Json | None]:
        named = [reference for analysis in analyses_of(manifest) for reference in listed(analysis, "templates")]
        return looked_up_templates(self._world, namespace, named)

    def _orphans(self, namespace: str, selector: str) -> tuple[ReplicaSet, ...]:
        """Those of no controller that the selector matches; there are none on nearly every day."""
        if not selector:
            return ()
        found = (replica_set_of(each) for each in self._world.replica_sets.by_index(ORPHANS, namespace))
        return tuple(each for each in found if not each.deleting and labels_match(selector, each.labels))

    def _services(self, namespace: str, spec: Spec | None) -> dict[str, Service]:
        if spec is None:
            return {}
        strategy = spec.strategy
        if isinstance(strategy, BlueGreen):
            names = {strategy.active_service, strategy.preview_service}
        else:
            names = {strategy.stable_service, strategy.canary_service, strategy.ping_service, strategy.pong_service}
        held = {name: self._world.services.get(namespace, name) for name in names - {""}}
        return {name: service_of(each) for name, each in held.items() if each is not None}


def looked_up_templates(world: World, namespace: str, named: Iterable[Any]) -> dict[tuple[str, str], Json | None]:
    """Every analysis template that is named, nested ones included; None for one that does not exist."""
    found: dict[tuple[str, str], Json | None] = {}
    waiting = list(named)
    while waiting:
        reference = waiting.pop()
        if not isinstance(reference, Mapping):
            continue
        name = reference.get("templateName")
        cluster = bool(reference.get("clusterScope"))
        key = (CLUSTER if cluster else NAMESPACED, name)
        if not isinstance(name, str) or key in found:
            continue
        held = world.cluster_templates.get(None, name) if cluster else world.templates.get(namespace, name)
        found[key[0], name] = held
        waiting.extend(listed((held or {}).get("spec") or {}, "templates"))
    return found


def _copies_templates(spec: Spec | None, status: Json) -> bool:
    """Whether an experiment step of an update under way may want to copy a ReplicaSet's template."""
    under_way = status.get("stableRS") != status.get("currentPodHash")
    return (
        under_way
        and spec is not None
        and isinstance(spec.strategy, Canary)
        and any(isinstance(step, Experiment) for step in spec.strategy.steps)
    )


def _injects(spec: Spec | None) -> bool:
    """Whether a strategy puts anything into its pods, so that their templates have to be looked into."""
    if spec is None:
        return False
    strategy = spec.strategy
    if isinstance(strategy, BlueGreen):
        return bool(strategy.active_metadata or strategy.preview_metadata or strategy.anti_affinity)
    return bool(strategy.stable_metadata or strategy.canary_metadata or strategy.anti_affinity)


def _generation(workload: Json | None) -> str:
    """Changes with what a workload asks for, not with its pods."""
    return "" if workload is None else f"{workload['metadata']['uid']}/{workload['metadata'].get('generation')}"


def _version(manifest: Json | None) -> str:
    return "" if manifest is None else manifest["metadata"]["resourceVersion"]
