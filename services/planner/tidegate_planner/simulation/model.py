"""A modelled cluster: one Rollout, its ReplicaSets, pods, Services and AnalysisRuns, with the API server's rules for writing them.

Rule of this file: it knows Kubernetes and no rollouts. A write carries a precondition and raises `RefusedError` when it no longer
holds; every change gets a new resourceVersion and is told to whoever watches that kind.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from tidegate import keys
from tidegate.durations import rfc3339
from tidegate.hashing import pod_template_hash
from tidegate.rollout import Spec, spec_of
from tidegate_planner.owned_experiments import experiment_of
from tidegate_planner.plan import ChangeTemplate, RelabelPod, ScaleReplicaSet
from tidegate_planner.seen import AnalysisRun, ReplicaSet, Service, WaitingContainer
from tidegate_planner.seen import Pod as SeenPod
from tidegate_planner.simulation.scenario import PodBehaviour, services_named_in, templates_named_in, version_of
from tidegate_planner.simulation.scheduler import Scheduler

Json = Mapping[str, Any]
Watcher = Callable[[str, int], None]
"""Told of a kind and the number of its changes so far."""

Told = TypeVar("Told")

ROLLOUTS, SETS, SERVICES, RUNS, EXPERIMENTS = "Rollout", "ReplicaSet", "Service", "AnalysisRun", "Experiment"
CONTROLLER_DELAY = 0.02  # kube-controller-manager takes some 20 ms from a changed ReplicaSet to its pods


class RefusedError(Exception):
    """409: the object is not, or no longer, what the write was decided from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One version of the object, with its manifest already read."""

    manifest: Json
    spec: Spec | None
    problem: str | None
    template_hash: str
    generation: int
    resource_version: int
    annotations: Json
    status: Json
    templates: Mapping[tuple[str, str], Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One version of the object. `manifest` has no status: that is written apart, though the API server has it in one."""

    manifest: Json
    uid: str
    resource_version: int
    status: Json = field(default_factory=dict)


@dataclass(slots=True)
class Pod:
    """`ready_at` None: it is not going to be. `scheduled` False: it waits for room on a node."""

    name: str
    created: float
    template: Json
    ready_at: float | None = None
    scheduled: bool = True
    crashes: int = 0


@dataclass(slots=True)
class Owned:
    """A ReplicaSet with what its controller knows; `seen` is its public face."""

    seen: ReplicaSet
    behaviour: PodBehaviour
    pods: list[Pod] = field(default_factory=list)


class Cluster:
    def __init__(
        self, clock: Scheduler, manifest: Json, behaviours: Mapping[str, PodBehaviour], capacity: int | None = None
    ) -> None:
        self.clock = clock
        self.version = 100
        self.sets: dict[str, Owned] = {}
        self.services: dict[str, Service] = {}
        self.runs: dict[str, AnalysisRun] = {}
        self.experiments: dict[str, Experiment] = {}
        self.taken_names: frozenset[str] = frozenset()
        self.changes: dict[str, list[tuple[str, Any]]] = {ROLLOUTS: [], SETS: [], SERVICES: [], RUNS: [], EXPERIMENTS: []}
        self.watchers: list[Watcher] = []
        self._behaviours = behaviours
        self._capacity = capacity
        self._calm = False
        self.rollout = self._read(manifest, generation=1, annotations=manifest["metadata"].get("annotations") or {}, status={})
        self._told(ROLLOUTS, "app", self.rollout)
        for name in services_named_in(manifest["spec"]["strategy"]):
            self.put_service(Service(name=name, hash="", managed_by=""))

    # --- the Rollout ---------------------------------------------------------------------------------------------------

    def _read(self, manifest: Json, *, generation: int, annotations: Json, status: Json, problem: str | None = None) -> Rollout:
        self.version += 1
        spec = None if problem else spec_of(manifest)
        collisions = status.get("collisionCount")
        return Rollout(
            manifest=manifest,
            spec=spec,
            problem=problem,
            template_hash=pod_template_hash(manifest["spec"]["template"], collisions),
            generation=generation,
            resource_version=self.version,
            annotations=annotations,
            status=status,
            templates=templates_named_in(manifest["spec"]["strategy"]),
        )

    def edit_spec(self, *, problem: str | None = None, **fields: Any) -> Rollout:
        """What kubectl does: no precondition, a new generation if anything differs."""
        held = self.rollout
        manifest = {**held.manifest, "spec": {**held.manifest["spec"], **fields}}
        if manifest == held.manifest and problem == held.problem:
            return held
        self.rollout = self._read(
            manifest, generation=held.generation + 1, annotations=held.annotations, status=held.status, problem=problem
        )
        return self._told(ROLLOUTS, "app", self.rollout)

    def default_replicas(self, replicas: int) -> Rollout:
        if "replicas" in self.rollout.manifest["spec"]:
            raise RefusedError("spec.replicas is set by now")
        return self.edit_spec(replicas=replicas)

    def annotate(self, annotations: Json, *, resource_version: int) -> Rollout:
        self._expect(resource_version)
        return self._changed(annotations={**self.rollout.annotations, **annotations})

    def put_status(self, status: Json, *, resource_version: int) -> Rollout:
        self._expect(resource_version)
        return self.patch_status(status)

    def patch_status(self, status: Json) -> Rollout:
        """The whole status without a precondition, which is what a person's merge patch comes to."""
        fields: dict[str, Any] = {"status": status}
        if status.get("collisionCount") != self.rollout.status.get("collisionCount"):
            fields["template_hash"] = pod_template_hash(self.rollout.manifest["spec"]["template"], status.get("collisionCount"))
        return self._changed(**fields)

    def _changed(self, **fields: Any) -> Rollout:
        self.version += 1
        self.rollout = replace(self.rollout, resource_version=self.version, **fields)
        return self._told(ROLLOUTS, "app", self.rollout)

    def _expect(self, resource_version: int) -> None:
        if resource_version != self.rollout.resource_version:
            raise RefusedError(f"the Rollout is at {self.rollout.resource_version}, not {resource_version}")

    # --- ReplicaSets ---------------------------------------------------------------------------------------------------

    @property
    def rollouts_own_sets(self) -> list[ReplicaSet]:
        """Without those of its experiments."""
        return [each.seen for each in self.sets.values() if is_rollouts_own(each.seen)]

    def create_set(self, manifest: Json) -> ReplicaSet:
        metadata, spec = manifest["metadata"], manifest["spec"]
        name = metadata["name"]
        if name in self.sets or name in self.taken_names:
            raise RefusedError(f"ReplicaSet {name} exists")
        self.version += 1
        seen = ReplicaSet(
            name=name,
            hash=metadata["labels"][keys.POD_TEMPLATE_HASH],
            uid=f"uid-{self.version}",
            resource_version=self.version,
            revision=int(metadata["annotations"].get(keys.REVISION, 0)),
            created=rfc3339(self.clock.now),
            replicas=spec["replicas"],
            min_ready=spec.get("minReadySeconds") or 0,
            settled=False,
            annotations=metadata["annotations"],
            labels=metadata["labels"],
            template=_without_hash(spec["template"]),
            generation=1,
        )
        behaviour = self._behaviours.get(version_of(spec["template"]), PodBehaviour())
        self.sets[name] = Owned(seen, behaviour)
        self.clock.after(CONTROLLER_DELAY, lambda: self.reconcile(name))
        return self._told(SETS, name, seen)

    def scale_set(self, change: ScaleReplicaSet) -> ReplicaSet:
        """A JSON patch with `test` on /spec/replicas."""
        name, before, after = change.name, change.before, change.after
        owned = self.sets.get(name)
        if owned is None or owned.seen.replicas != before:
            raise RefusedError(f"{name} has {owned.seen.replicas if owned else 'gone'}, not {before}")
        held = {**owned.seen.annotations, **change.annotations}
        kept = {key: value for key, value in held.items() if value is not None}
        fields: dict[str, Any] = {"replicas": after, "annotations": kept, "revision": int(kept.get(keys.REVISION, 0))}
        if change.min_ready is not None:
            fields["min_ready"] = change.min_ready
        if after != before or change.min_ready is not None:
            fields |= {"settled": False, "generation": owned.seen.generation + 1}
            self.clock.after(CONTROLLER_DELAY, lambda: self.reconcile(name))
        return self._put_set(owned, **fields)

    def change_template(self, change: ChangeTemplate) -> ReplicaSet:
        """A JSON patch with `test` on /metadata/generation."""
        owned = self.sets.get(change.name)
        if owned is None or owned.seen.generation != change.generation:
            raise RefusedError(f"{change.name} is not of generation {change.generation}")
        held = {**owned.seen.annotations, **change.annotations}
        spec = {**owned.seen.template["spec"], "affinity": change.affinity}
        template = {"metadata": change.metadata, "spec": {key: value for key, value in spec.items() if value is not None}}
        self.clock.after(CONTROLLER_DELAY, lambda: self.reconcile(change.name))
        return self._put_set(
            owned,
            annotations={key: value for key, value in held.items() if value is not None},
            template=template,
            generation=owned.seen.generation + 1,
            settled=False,
        )

    def delete_set(self, name: str, *, uid: str | None = None, resource_version: int | None = None) -> None:
        owned = self.sets.get(name)
        if owned is None or uid not in (None, owned.seen.uid) or resource_version not in (None, owned.seen.resource_version):
            raise RefusedError(f"{name} is gone or changed")
        del self.sets[name]
        self.version += 1
        self._told(SETS, name, None)
        self._use_freed_room()

    def reconcile(self, name: str) -> None:
        """The ReplicaSet controller: as many pods as asked for, those that serve least going first; then its status."""
        owned = self.sets.get(name)
        if owned is None:
            return
        missing = owned.seen.replicas - len(owned.pods)
        if missing < 0:
            owned.pods.sort(key=lambda pod: (pod.ready_at is None, pod.ready_at or 0))
            del owned.pods[missing:]
            self._use_freed_room()
        for number in range(missing):
            self.version += 1
            pod = Pod(f"{name}-{self.version}", self.clock.now, owned.seen.template, scheduled=False)
            owned.pods.append(pod)
            if self._has_room():
                self._start(name, owned, pod, number)
        self._count(owned, settled=True)

    def kill_pods(self, name: str, count: int) -> None:
        """They die and are replaced, as after the loss of a node."""
        owned = self.sets.get(name)
        if owned is not None:
            del owned.pods[:count]
            self._count(owned)
            self.clock.after(CONTROLLER_DELAY, lambda: self.reconcile(name))

    def break_pods(self, version: str) -> None:
        """What they depend on is gone: none of this version serves any more, nor ever will."""
        self._behaviours = {**self._behaviours, version: PodBehaviour(ready_after=None)}
        for owned in self.sets.values():
            if version_of(owned.seen.template) == version:
                owned.behaviour = self._behaviours[version]
                for pod in owned.pods:
                    pod.ready_at = None
                self._count(owned)

    def calm_down(self) -> None:
        """Who crashed once more now stays down: counts that change for ever would be no end to judge."""
        self._calm = True

    def mend_pods(self, version: str) -> None:
        """New pods of this version come up; those that wait go on waiting."""
        self._behaviours = {**self._behaviours, version: PodBehaviour()}
        for owned in self.sets.values():
            if version_of(owned.seen.template) == version:
                owned.behaviour = self._behaviours[version]

    def waiting(self, template_hash: str) -> tuple[WaitingContainer, ...]:
        """What the kubelets say of the pods of one version."""
        return tuple(
            WaitingContainer(pod=f"{name}-{number}", container="app", reason=owned.behaviour.waits_with, restarts=pod.crashes)
            for name, owned in self.sets.items()
            for number, pod in enumerate(owned.pods)
            if owned.seen.hash == template_hash and owned.behaviour.waits_with
            if pod.scheduled and (pod.ready_at is None or pod.ready_at > self.clock.now)
        )

    def pods(self) -> tuple[SeenPod, ...]:
        """As a list of them from the API server would be: never behind."""
        return tuple(
            SeenPod(
                name=pod.name,
                uid=pod.name,
                owner=owned.seen.uid,
                created=rfc3339(pod.created),
                ready=pod.ready_at is not None and pod.ready_at <= self.clock.now,
                labels=(pod.template.get("metadata") or {}).get("labels") or {},
                annotations=(pod.template.get("metadata") or {}).get("annotations") or {},
            )
            for owned in self.sets.values()
            for pod in owned.pods
        )

    def evict(self, name: str) -> None:
        """It ends, and is replaced."""
        for owned in self.sets.values():
            if any(pod.name == name for pod in owned.pods):
                owned.pods = [pod for pod in owned.pods if pod.name != name]
                self.clock.after(CONTROLLER_DELAY, lambda owned=owned: self.reconcile(owned.seen.name))  # type: ignore[misc]

    def relabel(self, change: RelabelPod) -> None:
        for pod in (pod for owned in self.sets.values() for pod in owned.pods if pod.name == change.pod.name):
            metadata = dict(pod.template.get("metadata") or {})
            for kind, values in (("labels", change.labels), ("annotations", change.annotations)):
                held = {**(metadata.get(kind) or {}), **values}
                metadata[kind] = {key: value for key, value in held.items() if value is not None}
            pod.template = {**pod.template, "metadata": metadata}

    def _start(self, name: str, owned: Owned, pod: Pod, number: int) -> None:
        pod.scheduled, behaviour = True, owned.behaviour
        if behaviour.ready_after is None:
            return
        pod.ready_at = self.clock.now + behaviour.ready_after + number * behaviour.spread
        for moment in (pod.ready_at, pod.ready_at + owned.seen.min_ready):
            self.clock.at(moment, lambda: self._count(owned))
        if behaviour.crash_every is not None:
            self.clock.at(pod.ready_at + behaviour.crash_every, lambda: self._crash(name, owned, pod))

    def _crash(self, name: str, owned: Owned, pod: Pod) -> None:
        if self.sets.get(name) is owned and any(pod is each for each in owned.pods):
            if self._calm:
                pod.ready_at = None
                self._count(owned)
                return
            pod.ready_at, pod.crashes = None, pod.crashes + 1
            self._count(owned)
            self._start(name, owned, pod, 0)

    def _count(self, owned: Owned, *, settled: bool | None = None) -> None:
        now, seen = self.clock.now, owned.seen
        if self.sets.get(seen.name) is not owned:
            return
        ready = sum(1 for pod in owned.pods if pod.ready_at is not None and pod.ready_at <= now)
        available = sum(1 for pod in owned.pods if pod.ready_at is not None and pod.ready_at + seen.min_ready <= now)
        counts = (len(owned.pods), ready, available, seen.settled if settled is None else settled)
        if counts != (seen.current, seen.ready, seen.available, seen.settled):
            self._put_set(owned, current=counts[0], ready=ready, available=available, settled=counts[3])

    def _put_set(self, owned: Owned, **fields: Any) -> ReplicaSet:
        self.version += 1
        owned.seen = replace(owned.seen, resource_version=self.version, **fields)
        return self._told(SETS, owned.seen.name, owned.seen)

    def _has_room(self) -> bool:
        running = sum(1 for owned in self.sets.values() for pod in owned.pods if pod.scheduled)
        return self._capacity is None or running < self._capacity

    def _use_freed_room(self) -> None:
        for name, owned in self.sets.items():
            for pod in owned.pods:
                if not pod.scheduled and self._has_room():
                    self._start(name, owned, pod, 0)

    # --- Services and AnalysisRuns -------------------------------------------------------------------------------------

    def put_service(self, service: Service) -> None:
        held = self.services.get(service.name)
        if held is None or (held.hash, held.managed_by) != (service.hash, service.managed_by):
            self.version += 1
            self.services[service.name] = replace(service, resource_version=self.version)
            self._told(SERVICES, service.name, self.services[service.name])

    def put_run(self, run: AnalysisRun) -> None:
        self.version += 1
        self.runs[run.name] = run
        self._told(RUNS, run.name, run)

    def delete_run(self, name: str) -> None:
        self.version += 1
        del self.runs[name]
        self._told(RUNS, name, None)

    # --- Experiments ---------------------------------------------------------------------------------------------------

    def create_experiment(self, manifest: Json) -> None:
        name = manifest["metadata"]["name"]
        if name in self.experiments:
            raise RefusedError(f"Experiment {name} exists")
        self._put_experiment(name, manifest=manifest, uid=f"uid-{name}-{self.version}", status={})

    def delete_experiment(self, name: str, *, uid: str) -> None:
        """Its ReplicaSets go with it."""
        held = self.experiments.get(name)
        if held is None or held.uid != uid:
            raise RefusedError(f"Experiment {name} is gone")
        del self.experiments[name]
        self.version += 1
        self._told(EXPERIMENTS, name, None)
        for each in [each.seen for each in self.sets.values() if each.seen.annotations.get(keys.EXPERIMENT_NAME) == name]:
            self.delete_set(each.name)

    def end_experiment(self, name: str) -> None:
        held = self.experiments.get(name)
        if held is None:
            raise RefusedError(f"Experiment {name} is gone")
        self._put_experiment(name, manifest={**held.manifest, "spec": {**held.manifest["spec"], "terminate": True}})

    def put_experiment_status(self, name: str, status: Json) -> None:
        self._put_experiment(name, status=status)

    def _put_experiment(self, name: str, **fields: Any) -> None:
        self.version += 1
        held = self.experiments.get(name)
        version = {"resource_version": self.version, **fields}
        self.experiments[name] = replace(held, **version) if held else Experiment(**version)
        written = self.experiments[name]
        identity = {"uid": written.uid, "resourceVersion": str(self.version)}
        whole = {**written.manifest, "metadata": {**written.manifest["metadata"], **identity}, "status": written.status}
        self._told(EXPERIMENTS, name, experiment_of(whole))

    def _told(self, kind: str, name: str, seen: Told) -> Told:
        self.changes[kind].append((name, seen))
        for watcher in self.watchers:
            watcher(kind, len(self.changes[kind]))
        return seen


def is_rollouts_own(held: ReplicaSet) -> bool:
    return keys.EXPERIMENT_NAME not in held.annotations


def _without_hash(template: Json) -> dict[str, Any]:
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != keys.POD_TEMPLATE_HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}
