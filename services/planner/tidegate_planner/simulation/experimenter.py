"""The experiments of a simulated rollout: the planner's own decision about them, carried out on the modelled cluster.

Rule of this file: it does to an experiment's `Plan` what `experiments/apply.py` does. Its view is never stale and it never dies:
what is played is how a Rollout and its experiments get along, and how an experiment gets along with its pods and runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate import keys
from tidegate_planner import plan as plans
from tidegate_planner.experiments import plan as own
from tidegate_planner.experiments.decide import decide
from tidegate_planner.experiments.seen import Seen, Service
from tidegate_planner.experiments.spec import spec_of
from tidegate_planner.seen import AnalysisRun
from tidegate_planner.simulation import invariants
from tidegate_planner.simulation.model import Cluster
from tidegate_planner.simulation.peers import Analyzer, TrafficShifter
from tidegate_planner.simulation.scheduler import Scheduler

Json = Mapping[str, Any]

LOOK_SECONDS = 0.006


@dataclass(slots=True)
class Experimenter:
    """`log` is told what is worth a line in a story."""

    clock: Scheduler
    cluster: Cluster
    shifter: TrafficShifter
    analyzer: Analyzer
    log: Callable[[str], None]
    adds_ports: bool
    services: dict[tuple[str, str], Service] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    due: bool = False

    def __post_init__(self) -> None:
        self.cluster.watchers.append(lambda _kind, _position: self.wake())

    def wake(self) -> None:
        if not self.due and self.cluster.experiments:
            self.due = True
            self.clock.after(LOOK_SECONDS, self._look)

    def see(self, name: str) -> Seen:
        held = self.cluster.experiments[name]
        metadata = held.manifest["metadata"]
        sets = [each.seen for each in self.cluster.sets.values() if each.seen.annotations.get(keys.EXPERIMENT_NAME) == name]
        return Seen(
            namespace="default",
            name=name,
            uid=held.uid,
            resource_version=held.resource_version,
            annotations=metadata["annotations"],
            labels=metadata["labels"],
            status=held.status,
            manifest=held.manifest,
            spec=spec_of(_with_ports(held.manifest) if self.adds_ports else held.manifest),
            replica_sets={each.annotations[keys.EXPERIMENT_TEMPLATE_NAME]: each for each in sets},
            services={template: each for (owner, template), each in self.services.items() if owner == name},
            runs=tuple(self._runs(name)),
            templates=self.cluster.rollout.templates,
            in_traffic=self._in_traffic(),
        )

    def _runs(self, name: str) -> list[AnalysisRun]:
        return [run for run in self.cluster.runs.values() if self.owners.get(run.name) == name]

    def _in_traffic(self) -> frozenset[str]:
        weights = (self.cluster.rollout.status.get("canary") or {}).get("weights") or {}
        return frozenset(each["podTemplateHash"] for each in weights.get("additional") or ())

    def _look(self) -> None:
        self.due = False
        for name in list(self.cluster.experiments):
            seen = self.see(name)
            plan = decide(seen, self.clock.now)
            if plan.status != seen.status:
                self.cluster.put_experiment_status(name, plan.status)
                self.log(f"experiment {name}: {plan.status['phase']} {plan.status.get('message', '')}".rstrip())
            for action in plan.actions:
                self._carry_out(seen, action)
            if plan.wake_at is not None:
                self.clock.at(max(plan.wake_at, self.clock.now + 0.05), self.wake)

    def _carry_out(self, seen: Seen, action: own.Action) -> None:
        match action:
            case own.CreateReplicaSet():
                self.cluster.create_set(action.manifest)
            case plans.ScaleReplicaSet():
                invariants.check_served(self.shifter.weights(), action)
                self.cluster.scale_set(action)
            case own.CreateService():
                self._create_service(seen, action.template, action.manifest)
            case own.DeleteService():
                kept = {place: each for place, each in self.services.items() if each.name != action.name}
                self.services = kept
                self.wake()
            case plans.StartAnalysis():
                self.owners[action.manifest["metadata"]["name"]] = seen.name
                self.analyzer.start(action.manifest)
            case plans.TerminateAnalysis():
                self.analyzer.terminate(action.name)

    def _create_service(self, seen: Seen, template: str, manifest: Any) -> None:
        metadata, selector = manifest["metadata"], manifest["spec"]["selector"]
        made = Service(name=metadata["name"], uid=f"uid-{metadata['name']}", hash=selector[keys.POD_TEMPLATE_HASH])
        self.services[seen.name, template] = made
        self.wake()


def _with_ports(manifest: Json) -> Json:
    """Containers that name a port, as those of a service do: without one there is no Service, and so no share of the traffic."""

    def listening(template: Json) -> Json:
        pod = template["template"]
        containers = [{**each, "ports": [{"containerPort": 8080}]} for each in pod["spec"]["containers"]]
        return {**template, "template": {**pod, "spec": {**pod["spec"], "containers": containers}}}

    spec = manifest["spec"]
    return {**manifest, "spec": {**spec, "templates": [listening(each) for each in spec["templates"]]}}
