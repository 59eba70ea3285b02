"""A modelled cluster: one Rollout, its ReplicaSets, pods, Services and AnalysisRuns, and the Deployment that it may refer to, with
the API server's rules for writing them.

Rule of this file: it knows Kubernetes and no rollouts. A write carries a precondition and raises `RefusedError` when it no longer
holds; every change gets a new resourceVersion and is told to whoever watches that kind.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate import keys
from tidegate.hashing import pod_template_hash
from tidegate.rollout import spec_of
from tidegate_planner.owned_experiments import experiment_of
from tidegate_planner.seen import AnalysisRun, Service
from tidegate_planner.simulation.deployments import Deployments
from tidegate_planner.simulation.objects import (
    EXPERIMENTS,
    ROLLOUTS,
    RUNS,
    SERVICES,
    Experiment,
    Json,
    RefusedError,
    Rollout,
)
from tidegate_planner.simulation.readings import Readings
from tidegate_planner.simulation.scenario import PodBehaviour, pod_template, services_named_in, templates_named_in
from tidegate_planner.simulation.scheduler import Scheduler


class Cluster(Deployments):
    def __init__(
        self,
        clock: Scheduler,
        manifest: Json,
        behaviours: Mapping[str, PodBehaviour],
        *,
        capacity: int | None = None,
        workload: int | None = None,
    ) -> None:
        super().__init__(clock, behaviours, capacity)
        self.readings = Readings()
        self.services: dict[str, Service] = {}
        self.runs: dict[str, AnalysisRun] = {}
        self.experiments: dict[str, Experiment] = {}
        self.rollout = self._read(manifest, generation=1, annotations=manifest["metadata"].get("annotations") or {}, status={})
        self._told(ROLLOUTS, "app", self.rollout)
        for name in services_named_in(manifest["spec"]["strategy"]):
            self.put_service(Service(name=name, hash="", managed_by=""))
        if workload is not None:
            self.create_deployment(replicas=workload, template=pod_template("v1"))
            self.settle_deployment()

    # --- the Rollout ---------------------------------------------------------------------------------------------------

    @property
    def read_rollout(self) -> Rollout:
        """With the template of its workload."""
        return self.readings.read(self.rollout, self.deployments)

    def _read(self, manifest: Json, *, generation: int, annotations: Json, status: Json, problem: str | None = None) -> Rollout:
        self.version += 1
        spec = spec_of(manifest) if problem is None and "template" in manifest["spec"] else None
        return Rollout(
            manifest=manifest,
            spec=spec,
            problem=problem,
            template_hash=_hash_in(manifest, status),
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
            fields["template_hash"] = _hash_in(self.rollout.manifest, status)
        return self._changed(**fields)

    def _changed(self, **fields: Any) -> Rollout:
        self.version += 1
        self.rollout = replace(self.rollout, resource_version=self.version, **fields)
        return self._told(ROLLOUTS, "app", self.rollout)

    def _expect(self, resource_version: int) -> None:
        if resource_version != self.rollout.resource_version:
            raise RefusedError(f"the Rollout is at {self.rollout.resource_version}, not {resource_version}")

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


def _hash_in(manifest: Json, status: Json) -> str:
    """Where the template is a workload's it is not known from here."""
    template = manifest["spec"].get("template")
    return "" if template is None else pod_template_hash(template, status.get("collisionCount"))
