"""The ReplicaSets of a modelled cluster with their controller, their kubelets and their pods.

Rule of this file: it knows Kubernetes and no rollouts. A write carries a precondition and raises `RefusedError` when it no longer
holds.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate import keys
from tidegate.durations import rfc3339
from tidegate_planner.plan import ChangeTemplate, RelabelPod, ScaleReplicaSet
from tidegate_planner.seen import Pod as SeenPod
from tidegate_planner.seen import ReplicaSet, WaitingContainer
from tidegate_planner.simulation.objects import OTHER_SETS, SETS, Book, Json, Owned, Pod, RefusedError
from tidegate_planner.simulation.scenario import PodBehaviour, version_of
from tidegate_planner.simulation.scheduler import Scheduler

DEPLOYMENT_REVISION = "deployment.kubernetes.io/revision"
CONTROLLER_DELAY = 0.02  # kube-controller-manager takes some 20 ms from a changed ReplicaSet to its pods


class ReplicaSets(Book):
    def __init__(self, clock: Scheduler, behaviours: Mapping[str, PodBehaviour], capacity: int | None) -> None:
        super().__init__(clock)
        self.sets: dict[str, Owned] = {}
        self.taken_names: frozenset[str] = frozenset()
        self._behaviours = behaviours
        self._capacity = capacity
        self._calm = False

    @property
    def rollouts_own_sets(self) -> list[ReplicaSet]:
        """Without those of its experiments and of a Deployment."""
        return [each.seen for each in self.sets.values() if is_rollouts_own(each.seen)]

    def create_set(self, manifest: Json, *, made_from: int = 0) -> ReplicaSet:
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
            made_from=made_from,
        )
        behaviour = self._behaviours.get(version_of(spec["template"]), PodBehaviour())
        self.sets[name] = Owned(seen, behaviour)
        self.clock.after(CONTROLLER_DELAY, lambda: self.reconcile(name))
        return self._told(_kind_of(seen), name, seen)

    def scale_set(self, change: ScaleReplicaSet, *, view: int = 0, made_from: int = 0) -> ReplicaSet:
        """A JSON patch with `test` on /spec/replicas and on the annotation which says what it was written from."""
        name, before, after = change.name, change.before, change.after
        owned = self._of_view(name, view)
        if owned.seen.replicas != before:
            raise RefusedError(f"{name} has {owned.seen.replicas}, not {before}")
        held = {**owned.seen.annotations, **change.annotations}
        kept = {key: value for key, value in held.items() if value is not None}
        fields: dict[str, Any] = {"replicas": after, "annotations": kept, "revision": int(kept.get(keys.REVISION, 0))}
        fields["made_from"] = made_from
        if change.min_ready is not None:
            fields["min_ready"] = change.min_ready
        if after != before or change.min_ready is not None:
            fields |= {"settled": False, "generation": owned.seen.generation + 1}
            self.clock.after(CONTROLLER_DELAY, lambda: self.reconcile(name))
        return self._put_set(owned, **fields)

    def change_template(self, change: ChangeTemplate, *, view: int, made_from: int) -> ReplicaSet:
        """The same with `test` on /metadata/generation."""
        owned = self._of_generation(change.name, change.generation, view)
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
            made_from=made_from,
        )

    def confirm_set(self, name: str, generation: int, *, view: int) -> None:
        """A JSON patch of nothing but `test`s."""
        self._of_generation(name, generation, view)

    def _of_generation(self, name: str, generation: int, view: int) -> Owned:
        owned = self._of_view(name, view)
        if owned.seen.generation != generation:
            raise RefusedError(f"{name} is not of generation {generation}")
        return owned

    def _of_view(self, name: str, view: int) -> Owned:
        owned = self.sets.get(name)
        if owned is None:
            raise RefusedError(f"{name} is gone")
        if view and owned.seen.made_from != view:
            raise RefusedError(f"{name} was written from version {owned.seen.made_from} of the Rollout, not {view}")
        return owned

    def delete_set(self, name: str, *, uid: str | None = None, resource_version: int | None = None) -> None:
        owned = self.sets.get(name)
        if owned is None or uid not in (None, owned.seen.uid) or resource_version not in (None, owned.seen.resource_version):
            raise RefusedError(f"{name} is gone or changed")
        del self.sets[name]
        self.version += 1
        self._told(_kind_of(owned.seen), name, None)
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
        return self._told(_kind_of(owned.seen), owned.seen.name, owned.seen)

    def _has_room(self) -> bool:
        running = sum(1 for owned in self.sets.values() for pod in owned.pods if pod.scheduled)
        return self._capacity is None or running < self._capacity

    def _use_freed_room(self) -> None:
        for name, owned in self.sets.items():
            for pod in owned.pods:
                if not pod.scheduled and self._has_room():
                    self._start(name, owned, pod, 0)


def is_rollouts_own(held: ReplicaSet) -> bool:
    return keys.EXPERIMENT_NAME not in held.annotations and not is_deployments(held)


def is_deployments(held: ReplicaSet) -> bool:
    return DEPLOYMENT_REVISION in held.annotations


def _kind_of(held: ReplicaSet) -> str:
    return OTHER_SETS if is_deployments(held) else SETS


def _without_hash(template: Json) -> dict[str, Any]:
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != keys.POD_TEMPLATE_HASH}
    return {**template, "metadata": {**metadata, "labels": labels}}
