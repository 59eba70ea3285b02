"""From the caches to what one decision sees. Reads, decides nothing.

Whatever depends only on the manifest (the parsed spec, the template's hash, what is wrong with it) is worked out once per
generation: a pass over an unchanged rollout then costs some lookups.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson

from tidegate import keys
from tidegate.hashing import pod_template_hash
from tidegate.kube.kinds import DEPLOYMENT, POD_TEMPLATE, REPLICA_SET
from tidegate.kube.selectors import labels_match
from tidegate.plugins import Plugins
from tidegate.rollout import BlueGreen, Canary, Experiment, Spec, selector_text, spec_of
from tidegate_planner.owned_experiments import experiment_of
from tidegate_planner.router_objects import FoundObjects, Nowhere, RouterObjects, Unreadable, found_for
from tidegate_planner.seen import AnalysisRun, ReplicaSet, Seen, Service, Traffic, WaitingContainer, Workload
from tidegate_planner.step_calls import Answer
from tidegate_planner.templates import CLUSTER, NAMESPACED
from tidegate_planner.validation import References, invalid_message, message, problems
from tidegate_planner.workloads import reference_of, resolved, unresolvable

Json = Mapping[str, Any]
Key = tuple[str, str]

INJECTED_TERM = f'"key":"{keys.POD_TEMPLATE_HASH}"'.encode()
WORKLOADS = {(each.group, each.kind): each for each in (DEPLOYMENT, REPLICA_SET, POD_TEMPLATE)}
BY_OWNER, ORPHANS = "owner", "orphans"
TEMPLATE_TEXT = "templateText"
STATUS_READ = ("replicas", "readyReplicas", "availableReplicas", "observedGeneration", "conditions")


class Objects(Protocol):
    """The part of `tidegate.kube.cache.Cache` that is read here."""

    def get(self, namespace: str | None, name: str) -> dict[str, Any] | None: ...

    def by_index(self, index: str, key: str) -> list[dict[str, Any]]: ...


@dataclass(kw_only=True)
class World:
    """The caches, and what is in no object: `traffic` holds the last `traffic.applied` per rollout uid.

    `fences` are the highest per uid that any request carried; `least_fence` is the version at which the caches were first whole:
    no request of an earlier life of this process, or of another one until then, can have carried a higher one. `instance`: only
    Rollouts with this instance id are looked at, with "" those that carry none (`argo-behaviour.md` 14).
    `step_plugins`: those that are registered, None where nobody knows. `step_answers`: per uid, the last word of each plugin.
    `refusals`: uid of an experiment -> template -> what the API server said to its ReplicaSet or Service.
    """

    rollouts: Objects
    replica_sets: Objects
    services: Objects
    analysis_runs: Objects
    templates: Objects
    cluster_templates: Objects
    experiments: Objects
    router_objects: RouterObjects = field(default_factory=Nowhere)
    workloads: RouterObjects = field(default_factory=Nowhere)
    instance: str = ""
    fences: dict[str, int] = field(default_factory=dict)
    least_fence: int = 0
    traffic: dict[str, Traffic] = field(default_factory=dict)
    waiting: dict[str, tuple[WaitingContainer, ...]] = field(default_factory=dict)
    taken_names: dict[str, frozenset[str]] = field(default_factory=dict)
    create_errors: dict[str, dict[str, str]] = field(default_factory=dict)
    step_plugins: Plugins | None = None
    step_answers: dict[str, dict[str, Answer]] = field(default_factory=dict)
    refusals: dict[str, dict[str, str]] = field(default_factory=dict)

    def hear_traffic(self, uid: str, told: Traffic) -> None:
        """A late answer to an earlier request says where the traffic was, not where it is: the newest request's counts."""
        held = self.traffic.get(uid)
        if held is None or told.fence >= held.fence:
            self.traffic[uid] = told
        self.fences[uid] = max(told.fence, self.fences.get(uid, 0))


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

    def forget(self, uid: str) -> None:
        self._readings.pop(uid, None)
        self._world.traffic.pop(uid, None)
        self._world.waiting.pop(uid, None)
        self._world.fences.pop(uid, None)
        self._world.taken_names.pop(uid, None)
        self._world.create_errors.pop(uid, None)
        self._world.step_answers.pop(uid, None)

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
        owned = [replica_set_of(each, with_template=looked_into or _was_injected(each)) for each in held]
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
            least_fence=max(self._world.least_fence, self._world.fences.get(uid, 0)),
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
        return reading

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
        named = [reference for analysis in analyses_of(manifest) for reference in _listed(analysis, "templates")]
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
        waiting.extend(_listed((held or {}).get("spec") or {}, "templates"))
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


def instance_of(manifest: Json) -> str:
    """Which installation is asked to take care of it."""
    labels: Json = manifest["metadata"].get("labels") or {}
    return str(labels.get(keys.INSTANCE_ID, ""))


def service_names(manifest: Json) -> tuple[str, ...]:
    """The Services a manifest names; it may be malformed, so anything that is no name is passed over."""
    strategy = _mapping(_mapping(manifest.get("spec")).get("strategy"))
    canary, blue_green = _mapping(strategy.get("canary")), _mapping(strategy.get("blueGreen"))
    ping_pong = _mapping(canary.get("pingPong"))
    named = (
        *(canary.get(each) for each in ("stableService", "canaryService")),
        *(blue_green.get(each) for each in ("activeService", "previewService")),
        *(ping_pong.get(each) for each in ("pingService", "pongService")),
    )
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str) and name))


def analyses_of(manifest: Json) -> list[Json]:
    """Every RolloutAnalysis in a manifest that may be malformed: background, steps, before and after promotion."""
    strategy = _mapping(_mapping(manifest.get("spec")).get("strategy"))
    canary, blue_green = _mapping(strategy.get("canary")), _mapping(strategy.get("blueGreen"))
    steps = [_mapping(step).get("analysis") for step in _listed(canary, "steps")]
    found = [canary.get("analysis"), *steps, blue_green.get("prePromotionAnalysis"), blue_green.get("postPromotionAnalysis")]
    return [each for each in found if isinstance(each, Mapping) and each]


def slim_replica_set(manifest: dict[str, Any]) -> dict[str, Any]:
    """For the cache: only what `replica_set_of` reads, the pod template as JSON text. Templates are most of what a planner holds,
    tenfold as Python objects, and are looked into only when a rollout's own hash is on none of its ReplicaSets."""
    spec, status = manifest["spec"], manifest.get("status") or {}
    kept = {"replicas": spec.get("replicas", 1), TEMPLATE_TEXT: orjson.dumps(spec.get("template") or {})}
    return {**manifest, "spec": kept, "status": {field: status[field] for field in STATUS_READ if field in status}}


def replica_set_of(manifest: Json, *, with_template: bool = True) -> ReplicaSet:
    metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    revision = annotations.get(keys.REVISION, "")
    failures = (each for each in status.get("conditions") or () if each.get("type") == "ReplicaFailure")
    return ReplicaSet(
        name=metadata["name"],
        hash=labels.get(keys.POD_TEMPLATE_HASH, ""),
        uid=metadata["uid"],
        resource_version=int(metadata["resourceVersion"]),
        revision=int(revision) if revision.isdigit() else 0,
        created=metadata.get("creationTimestamp", ""),
        replicas=spec.get("replicas", 1),
        current=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
        settled=status.get("observedGeneration", 0) >= metadata.get("generation", 0),
        deleting=metadata.get("deletionTimestamp") is not None,
        generation=metadata.get("generation", 0),
        annotations=annotations,
        labels=labels,
        template=_template(spec) if with_template else {},
        failure=next((each for each in failures if each.get("status") == "True"), None),
    )


def _injects(spec: Spec | None) -> bool:
    """Whether a strategy puts anything into its pods, so that their templates have to be looked into."""
    if spec is None:
        return False
    strategy = spec.strategy
    if isinstance(strategy, BlueGreen):
        return bool(strategy.active_metadata or strategy.preview_metadata or strategy.anti_affinity)
    return bool(strategy.stable_metadata or strategy.canary_metadata or strategy.anti_affinity)


def _was_injected(manifest: Json) -> bool:
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


def _generation(workload: Json | None) -> str:
    """Changes with what a workload asks for, not with its pods."""
    return "" if workload is None else f"{workload['metadata']['uid']}/{workload['metadata'].get('generation')}"


def _version(manifest: Json | None) -> str:
    return "" if manifest is None else manifest["metadata"]["resourceVersion"]


def _mapping(value: Any) -> Json:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Json, field_name: str) -> list[Any]:
    found = value.get(field_name)
    return found if isinstance(found, list) else []
