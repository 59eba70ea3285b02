"""One planner process in the simulation: its caches, its wake-ups, and the writes of one plan, any of which may be its last.

Rule of this file: it does to a `Plan` what the real shell does, and nothing else: status first and only if changed, then the
actions in order, each with its precondition; the first refusal ends the pass.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from tidegate.messages import TrafficRequested
from tidegate_planner.decide import decide
from tidegate_planner.plan import (
    Action,
    AnalysisAction,
    AnnotateRollout,
    AskStepPlugin,
    ChangeTemplate,
    ConfirmReplicaSet,
    CreateExperiment,
    CreateReplicaSet,
    DeleteAnalysis,
    DeleteExperiment,
    DeleteReplicaSet,
    EvictPods,
    ExperimentAction,
    LookAtPods,
    Plan,
    ReadRollout,
    RelabelPod,
    RolloutAction,
    ScaleReplicaSet,
    ScaleWorkload,
    SetDefaultReplicas,
    ShiftTraffic,
    StartAnalysis,
    TerminateAnalysis,
    TerminateExperiment,
)
from tidegate_planner.podneeds import needs_pods, with_pods
from tidegate_planner.seen import Seen, Traffic, WaitingContainer, once_asked, once_told
from tidegate_planner.simulation.model import Cluster
from tidegate_planner.simulation.objects import DEPLOYMENTS, ROLLOUTS, SETS, WATCHED, RefusedError, Rollout
from tidegate_planner.simulation.readings import seen_of
from tidegate_planner.simulation.scheduler import Scheduler
from tidegate_planner.step_calls import Answer
from tidegate_planner.workloads import acted_on_later

Decision = Callable[[Seen, float], Plan]
PASS_DELAY, WRITE_SECONDS, RESTART_SECONDS, LOOK_SECONDS = 0.002, 0.004, 2.0, 5.0


class Surroundings(Protocol):
    """What the process reaches besides the API server, and who looks over its shoulder."""

    def shift(self, action: ShiftTraffic) -> None: ...
    def start_analysis(self, action: StartAnalysis) -> None: ...
    def end_analysis(self, action: TerminateAnalysis) -> None: ...
    def delete_analysis(self, action: DeleteAnalysis) -> None: ...
    def ask_plugin(self, action: AskStepPlugin) -> None: ...
    def decided(self, seen: Seen, plan: Plan) -> None: ...
    def wrote(self, planner: "PlannerProcess", seen: Seen, what: str, action: Action | None) -> bool:
        """After each write; True when the process dies now."""
        ...

    def refused(self, planner: "PlannerProcess", error: RefusedError) -> None: ...


@dataclass(slots=True)
class Cache:
    """What one process knows of one kind: the objects, and how far into the kind's changes it has been told."""

    objects: dict[str, Any]
    position: int


class PlannerProcess:
    def __init__(self, name: str, clock: Scheduler, cluster: Cluster, around: Surroundings, decide: Decision = decide) -> None:
        self.name = name
        self._decide = decide
        self.traffic: Traffic | None = None
        self.asked_from = 0
        self.step_answers: dict[str, Answer] = {}
        self.waiting: tuple[WaitingContainer, ...] = ()
        self._clock, self._cluster, self._around = clock, cluster, around
        self._caches: dict[str, Cache] = {}
        self._due = self._writing = False
        self._life = 0
        self._timer: float | None = None
        self._version, self._views = 0, dict[str, int]()
        self.start()

    def start(self) -> None:
        """A new process: fresh lists, and every rollout looked at once."""
        self._caches = {kind: Cache({}, 0) for kind in WATCHED}
        for kind in self._caches:
            self.catch_up(kind, len(self._cluster.changes[kind]))
        self._life += 1
        self._due = self._writing = False
        self._timer = None
        self.wake()

    def catch_up(self, kind: str, position: int) -> bool:
        """The watch tells changes in order. An object that we know newer from our own write is left as it is."""
        cache, changes = self._caches[kind], self._cluster.changes[kind]
        told = changes[cache.position : position]
        for name, seen in told:
            held = cache.objects.get(name)
            if seen is None:
                cache.objects.pop(name, None)
            elif held is None or _version(seen) >= _version(held):
                cache.objects[name] = seen
        cache.position = max(cache.position, position)
        return bool(told)

    def wake(self) -> None:
        if not self._due:
            self._due = True
            life = self._life
            self._clock.after(PASS_DELAY, lambda: self._pass(life))

    def asked(self, request: TrafficRequested) -> None:
        self.traffic = once_asked(self.traffic, digest=request.digest, fence=request.fence)
        self.asked_from = max(request.made_from, self.asked_from)

    def see(self) -> Seen:
        objects = {kind: cache.objects for kind, cache in self._caches.items()}
        rollout = self._cluster.readings.read(objects[ROLLOUTS]["app"], objects[DEPLOYMENTS])
        seen = seen_of(rollout, objects, self.traffic, self.step_answers, self._cluster.taken_names)
        return replace(seen, waiting=self.waiting, asked_from=self.asked_from)

    def _look_at_workload(self) -> Seen:
        """As `workload_reads` does."""
        for name, deployment in self._cluster.deployments.items():
            self._note(DEPLOYMENTS, name, deployment)
        return self.see()

    def _pass(self, life: int) -> None:
        if life != self._life or self._writing:
            return
        self._due = False
        seen = self.see()
        if seen.workload is not None and acted_on_later(seen.status, seen.workload.generation):
            seen = self._look_at_workload()
        if needs_pods(seen, self._clock.now):
            seen = with_pods(seen, self._cluster.pods())
        plan = self._decide(seen, self._clock.now)
        self._around.decided(seen, plan)
        if not any(isinstance(action, LookAtPods) for action in plan.actions):
            self.waiting = ()
        if plan.wake_at is not None:
            self._set_timer(plan.wake_at)
        self._writing = True
        self._version, self._views = seen.resource_version, {each.name: each.made_from for each in seen.replica_sets}
        self._write(seen, plan, _writes(seen, plan), life)

    def _set_timer(self, moment: float) -> None:
        """Never closer than 50 ms: a limit that must be exceeded is not yet over at its own moment."""
        if self._timer is not None and self._clock.now < self._timer <= moment:
            return
        self._timer, life = moment, self._life
        self._clock.at(max(moment, self._clock.now + 0.05), lambda: self.wake() if life == self._life else None)

    def _write(self, seen: Seen, plan: Plan, waiting: list[Action | None], life: int) -> None:
        if life != self._life:
            return
        if None not in waiting:
            self.traffic = once_told(self.traffic, seen.traffic)
        if not waiting:
            self._end()
            return
        action, rest = waiting[0], waiting[1:]
        try:
            what = self._carry_out(plan, action)
        except RefusedError as error:
            self._around.refused(self, error)
            self._end()
            return
        if what and self._around.wrote(self, seen, what, action):
            self._life += 1
            self._clock.after(RESTART_SECONDS, self.start)
            return
        self._clock.after(WRITE_SECONDS, lambda: self._write(seen, plan, rest, life))

    def _end(self) -> None:
        self._writing = False
        if self._due:
            life = self._life
            self._clock.after(PASS_DELAY, lambda: self._pass(life))

    def _carry_out(self, plan: Plan, action: Action | None) -> str:
        """What was written, for the story; "" for a message or a question, which is no write."""
        cluster = self._cluster
        match action:
            case None:
                self._note_rollout(cluster.put_status(plan.status, resource_version=self._version))
                return "status"
            case SetDefaultReplicas() | AnnotateRollout() | ReadRollout():
                return self._on_rollout(action)
            case ConfirmReplicaSet():
                cluster.confirm_set(action.name, action.generation, view=self._views[action.name])
                return ""
            case EvictPods():
                gone = action.pods[: action.at_most]
                for pod in gone:
                    cluster.evict(pod.name)
                return f"evict {', '.join(pod.name for pod in gone)}"
            case RelabelPod():
                cluster.relabel(action)
                return f"relabel {action.pod.name}"
            case ScaleWorkload():
                cluster.scale_deployment(action)
                return f"scale the Deployment {action.before} -> {action.after}"
            case ShiftTraffic() | AskStepPlugin() | StartAnalysis() | TerminateAnalysis() | DeleteAnalysis() | LookAtPods():
                self._send(action)
                return ""
            case _:
                return self._write_set(action)

    def _on_rollout(self, action: RolloutAction) -> str:
        match action:
            case SetDefaultReplicas():
                self._note_rollout(self._cluster.default_replicas(action.replicas))
                return f"spec.replicas {action.replicas}"
            case AnnotateRollout():
                self._note_rollout(self._cluster.annotate(action.annotations, resource_version=self._version))
                return f"annotations {dict(action.annotations)}"
            case ReadRollout():
                self._note_rollout(self._cluster.rollout)
                self.asked_from = min(self.asked_from, self._version)
                self._due = True
                raise RefusedError("others have seen more of the rollout")

    def _write_set(self, action: Action) -> str:
        cluster = self._cluster
        match action:
            case CreateReplicaSet():
                created = cluster.create_set(action.manifest, made_from=self._version)
                self._note(SETS, created.name, created)
                return f"create {created.name} with {created.replicas}"
            case ScaleReplicaSet():
                scaled = cluster.scale_set(action, view=self._views[action.name], made_from=self._version)
                self._views[action.name] = self._version
                self._note(SETS, scaled.name, scaled)
                return f"scale {action.name} {action.before} -> {action.after} {dict(action.annotations) or ''}"
            case DeleteReplicaSet():
                cluster.delete_set(action.name, uid=action.uid, resource_version=action.resource_version)
                self._caches[SETS].objects.pop(action.name, None)
                return f"delete {action.name}"
            case CreateExperiment() | TerminateExperiment() | DeleteExperiment():
                return self._change_experiment(action)
            case ChangeTemplate():
                changed = cluster.change_template(action, view=self._views[action.name], made_from=self._version)
                self._views[action.name] = self._version
                self._note(SETS, changed.name, changed)
                return f"template of {action.name}"
            case _:
                raise AssertionError(f"the modelled cluster has no ReplicaSets to claim or to let go, yet {action} was asked for")

    def _change_experiment(self, action: ExperimentAction) -> str:
        match action:
            case CreateExperiment():
                self._cluster.create_experiment(action.manifest)
                return f"create experiment {action.manifest['metadata']['name']}"
            case TerminateExperiment():
                self._cluster.end_experiment(action.name)
                return f"end experiment {action.name}"
            case DeleteExperiment():
                self._cluster.delete_experiment(action.name, uid=action.uid)
                return f"delete experiment {action.name}"

    def _look(self, action: LookAtPods) -> None:
        """Every few seconds, and again at once when there is news; what was found is forgotten with the question."""
        found = self._cluster.waiting(action.hash)
        if found != self.waiting:
            self.waiting = found
            self.wake()
        self._set_timer(self._clock.now + LOOK_SECONDS)

    def _send(self, action: ShiftTraffic | AskStepPlugin | AnalysisAction | LookAtPods) -> None:
        match action:
            case LookAtPods():
                self._look(action)
            case ShiftTraffic():
                request = action.request.model_copy(update={"made_from": self._version})
                self.asked(request)
                self._around.shift(replace(action, request=request))
            case AskStepPlugin():
                self._around.ask_plugin(action)
            case StartAnalysis():
                self._around.start_analysis(action)
            case TerminateAnalysis():
                self._around.end_analysis(action)
            case DeleteAnalysis():
                self._around.delete_analysis(action)

    def _note_rollout(self, written: Rollout) -> None:
        self._version = written.resource_version
        self._note(ROLLOUTS, "app", written)

    def _note(self, kind: str, name: str, written: Any) -> None:
        """Read your own writes: the answer goes into the cache at once."""
        self._caches[kind].objects[name] = written


def _writes(seen: Seen, plan: Plan) -> list[Action | None]:
    """None stands for the status."""
    status: list[Action | None] = [None] if plan.status != seen.status else []
    return [*status, *plan.actions]


def _version(seen: Any) -> int:
    """A Deployment is held as its manifest."""
    return int(seen["metadata"]["resourceVersion"] if isinstance(seen, dict) else getattr(seen, "resource_version", 0))
