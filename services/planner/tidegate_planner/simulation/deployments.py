"""The Deployment that a Rollout takes its pods from, with a simple deployment-controller: one pod more while it replaces them, and
none less.

Rule of this file: it knows Kubernetes and no rollouts. Its ReplicaSets and pods are of the same make as the Rollout's, and share
the nodes with them.
"""

from collections.abc import Mapping
from typing import Any

from tidegate import keys
from tidegate.hashing import pod_template_hash
from tidegate_planner.plan import ScaleReplicaSet, ScaleWorkload
from tidegate_planner.simulation.objects import DEPLOYMENTS, OTHER_SETS, Json, Owned, RefusedError, Told
from tidegate_planner.simulation.replica_sets import CONTROLLER_DELAY, DEPLOYMENT_REVISION, ReplicaSets, is_deployments
from tidegate_planner.simulation.scenario import PodBehaviour
from tidegate_planner.simulation.scheduler import Scheduler

NAME = "web"
SURGE = 1


class Deployments(ReplicaSets):
    """There is one at most."""

    def __init__(self, clock: Scheduler, behaviours: Mapping[str, PodBehaviour], capacity: int | None) -> None:
        super().__init__(clock, behaviours, capacity)
        self.deployment: Json | None = None
        self._due = False

    @property
    def deployments(self) -> dict[str, Json]:
        return {} if self.deployment is None else {NAME: self.deployment}

    @property
    def deployments_sets(self) -> list[Owned]:
        return [each for each in self.sets.values() if is_deployments(each.seen)]

    def create_deployment(self, *, replicas: int, template: Json) -> None:
        self.version += 1
        metadata = {"name": NAME, "uid": f"uid-{self.version}", "annotations": {}}
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "app"}}, "template": template}
        self.deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
        self._put_deployment()

    def settle_deployment(self) -> None:
        """It has long been there: all its pods that have room serve."""
        self._replace_pods()
        for owned in self.deployments_sets:
            self.reconcile(owned.seen.name)
            for pod in owned.pods:
                pod.ready_at = self.clock.now - owned.seen.min_ready if pod.scheduled else None
            self._count(owned)

    def edit_deployment(self, **fields: Any) -> None:
        """What kubectl does; where nothing is left to edit it says so and nothing happens."""
        held = self.deployment
        if held is not None and {**held["spec"], **fields} != held["spec"]:
            self.deployment = {**held, "spec": {**held["spec"], **fields}}
            self._put_deployment()

    def scale_deployment(self, change: ScaleWorkload) -> None:
        """A JSON patch with `test` on /spec/replicas."""
        held = self.deployment
        if held is None or held["spec"]["replicas"] != change.before:
            raise RefusedError(f"the Deployment has {held['spec']['replicas'] if held else 'gone'}, not {change.before}")
        if change.started_with is not None:
            noted = {**held["metadata"]["annotations"], keys.HANDED_OVER: str(change.started_with)}
            self.deployment = {**held, "metadata": {**held["metadata"], "annotations": noted}}
        self.edit_deployment(replicas=change.after)

    def delete_deployment(self) -> None:
        """Its ReplicaSets go with it."""
        if self.deployment is not None:
            self.version += 1
            self.deployment = None
            self._told(DEPLOYMENTS, NAME, None)
            for owned in self.deployments_sets:
                self.delete_set(owned.seen.name)

    def _put_deployment(self) -> None:
        held = self.deployment
        if held is None:
            return
        self.version += 1
        metadata = held["metadata"]
        raised = {"resourceVersion": str(self.version), "generation": metadata.get("generation", 0) + 1}
        self.deployment = {**held, "metadata": {**metadata, **raised}}
        self._told(DEPLOYMENTS, NAME, self.deployment)
        self._look_soon()

    def _told(self, kind: str, name: str, seen: Told) -> Told:
        if kind == OTHER_SETS:
            self._look_soon()
        return super()._told(kind, name, seen)

    def _look_soon(self) -> None:
        if not self._due:
            self._due = True
            self.clock.after(CONTROLLER_DELAY, self._replace_pods)

    def _replace_pods(self) -> None:
        self._due = False
        if self.deployment is None:
            return
        wanted, newest = self.deployment["spec"]["replicas"], self._newest(self.deployment["spec"]["template"])
        older = [each for each in self.deployments_sets if each is not newest]
        room = max(0, wanted + SURGE - newest.seen.replicas - sum(each.seen.replicas for each in older))
        self._resize(newest, min(wanted, newest.seen.replicas + room))
        spare = sum(_serving(each) for each in (newest, *older)) - wanted
        for each in older:
            gone = min(_serving(each), max(0, spare))
            spare -= gone
            self._resize(each, _serving(each) - gone)

    def _newest(self, template: Json) -> Owned:
        digest = pod_template_hash(template)
        name = f"{NAME}-{digest}"
        if name not in self.sets:
            labels = {keys.POD_TEMPLATE_HASH: f"of-{NAME}-{digest}"}
            metadata = {"name": name, "labels": labels, "annotations": {DEPLOYMENT_REVISION: "1"}}
            self.create_set({"metadata": metadata, "spec": {"replicas": 0, "template": template}})
        return self.sets[name]

    def _resize(self, owned: Owned, after: int) -> None:
        if owned.seen.replicas != after:
            seen = owned.seen
            self.scale_set(ScaleReplicaSet(name=seen.name, hash=seen.hash, before=seen.replicas, after=after))


def _serving(owned: Owned) -> int:
    return min(owned.seen.available, owned.seen.replicas)
