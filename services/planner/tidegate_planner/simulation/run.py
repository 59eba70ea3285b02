"""One run: a scenario played against the planner's `decide`, judged at every step, until nothing moves any more.

Rule of this file: it wires the models together and counts writes; what may not happen is in `invariants`, what people do in
`people`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tidegate.durations import pause_duration
from tidegate_planner.decide import decide
from tidegate_planner.plan import (
    Action,
    AskStepPlugin,
    DeleteAnalysis,
    Plan,
    ScaleReplicaSet,
    ShiftTraffic,
    StartAnalysis,
    TerminateAnalysis,
)
from tidegate_planner.seen import Seen, Traffic
from tidegate_planner.simulation import invariants
from tidegate_planner.simulation.experimenter import Experimenter
from tidegate_planner.simulation.ledger import Ledger
from tidegate_planner.simulation.model import Cluster
from tidegate_planner.simulation.objects import DEPLOYMENTS, OTHER_SETS, ROLLOUTS, SERVICES, SETS, WATCHED, RefusedError
from tidegate_planner.simulation.peers import Analyzer, StepPlugins, TrafficShifter
from tidegate_planner.simulation.people import People
from tidegate_planner.simulation.process import Decision, PlannerProcess
from tidegate_planner.simulation.scenario import Edit, Faults, Scenario
from tidegate_planner.simulation.scheduler import START, Scheduler
from tidegate_planner.simulation.takeover import Takeover, check_handover
from tidegate_planner.step_calls import Answer

WATCH_SECONDS, STALE_SECONDS, MESSAGE_SECONDS, LATE_SECONDS = 0.004, 3.0, 0.003, 6.0
RESYNC_SECONDS = 30.0
BAD_DAY_SECONDS = 60.0
LONGEST_WAIT = 3600.0
Listener = Callable[[float, str], None]


@dataclass(slots=True)
class Run:
    """`listener` is told, with the time, of everything worth a line in a story."""

    scenario: Scenario
    listener: Listener | None = None
    watches_status: Callable[["Run"], None] | None = None
    decide: Decision = decide
    faults: Faults = field(init=False)
    clock: Scheduler = field(init=False)
    cluster: Cluster = field(init=False)
    shifter: TrafficShifter = field(init=False)
    analyzer: Analyzer = field(init=False)
    plugins: StepPlugins = field(init=False)
    experimenter: Experimenter = field(init=False)
    planners: list[PlannerProcess] = field(init=False)
    people: People = field(init=False)
    ledger: Ledger = field(default_factory=Ledger)
    takeover: Takeover | None = None
    held_status: invariants.Json = field(default_factory=dict)
    acting: bool = False
    writes: int = 0
    passes: int = 0
    last_write: float = START

    def __post_init__(self) -> None:
        scenario, faults = self.scenario, self.scenario.faults
        self.faults = faults
        self.clock = Scheduler(scenario.seed)
        self.cluster = Cluster(
            self.clock, scenario.manifest, scenario.behaviours, capacity=faults.capacity, workload=scenario.workload
        )
        if scenario.workload is not None:
            self.takeover = Takeover(floor=sum(each.seen.available for each in self.cluster.deployments_sets))
        self.shifter = TrafficShifter(self.clock, self.cluster, faults.shifter, self._traffic_told)
        self.analyzer = Analyzer(self.clock, self.cluster, scenario.verdicts, scenario.analysis_seconds, scenario.lasting)
        self.plugins = StepPlugins(self.clock, scenario.plugin_phases, scenario.plugin_seconds, self._plugin_told)
        self.experimenter = Experimenter(self.clock, self.cluster, self.shifter, self.analyzer, self._log, scenario.adds_ports)
        names = [f"planner-{number}" for number in range(faults.planners)]
        self.planners = [PlannerProcess(name, self.clock, self.cluster, self, self.decide) for name in names]
        self.cluster.watchers.append(self._changed)
        self.people = People(self.cluster, self.shifter, self.planners)
        for edit in scenario.edits:
            self.clock.at(START + edit.at, lambda edit=edit: self._edit(edit))  # type: ignore[misc]
        self._resync()

    # --- time ----------------------------------------------------------------------------------------------------------

    def play(self, *, judged: bool = True) -> None:
        """To the last edit, then until nothing was written for longer than anything could be waited for; then judge the end."""
        last_edit = START + max((edit.at for edit in self.scenario.edits), default=0.0)
        self.clock.run(last_edit)
        self.clock.at(last_edit + BAD_DAY_SECONDS, self._calm_down)
        patience = self._patience()
        while self.clock.now < max(last_edit, self.last_write) + patience:
            if self.clock.now - last_edit > LONGEST_WAIT:
                raise invariants.BrokenError("I1", f"still writing {LONGEST_WAIT:.0f} s after the last change")
            self.clock.run(self.clock.now + RESYNC_SECONDS)
        if judged:
            self._judge_the_end(self.clock.now - last_edit)

    def _patience(self) -> float:
        """Longer than any deadline, pause, delay, analysis or person of this scenario takes, and three resyncs on top."""
        spec = self.cluster.rollout.manifest["spec"]
        (strategy,) = spec["strategy"].values()
        given = [step["pause"].get("duration") for step in strategy.get("steps") or () if "pause" in step]
        pauses = [pause_duration(each) for each in given if each is not None]
        delays = [strategy.get(f"{name}Seconds") or 30 for name in ("scaleDownDelay", "abortScaleDownDelay", "autoPromotion")]
        longest = max([spec.get("progressDeadlineSeconds", 600), self.scenario.auto_promote or 0, *pauses, *delays])
        return float(longest) + self.scenario.analysis_seconds + BAD_DAY_SECONDS + 3 * RESYNC_SECONDS

    def _calm_down(self) -> None:
        """Nothing is lost for ever: what was promised for the end is promised once messages arrive again."""
        self.faults = replace(self.faults, lost=0.0, stale=0.0, late=0.0, doubled=0.0)
        self.cluster.calm_down()

    def _resync(self) -> None:
        """The slow timer that finds what no message announced. It is the only thing that never fails."""
        for planner in self.planners:
            for kind in WATCHED:
                planner.catch_up(kind, len(self.cluster.changes[kind]))
            planner.wake()
        self.clock.after(RESYNC_SECONDS, self._resync)

    def _judge_the_end(self, waited: float) -> None:
        rollout, sets = self.cluster.read_rollout, self.cluster.rollouts_own_sets
        invariants.check_rest(rollout.status, rollout.generation, waited)
        invariants.check_revisions(sets)
        again = sum(edit.kind in {"retry", "steps", "image"} for edit in self.scenario.edits)
        invariants.check_experiments(self.cluster.experiments, 1 + again)
        if rollout.problem is None:
            invariants.check_pods({"manifest": rollout.manifest, "status": rollout.status}, sets, self.cluster.pods())
            invariants.check_revision(rollout.annotations, sets, rollout.status.get("currentPodHash", ""))
        if self.takeover is not None:
            self.takeover.check_end(rollout, sets, self.cluster.deployment)

    # --- what the cluster tells ----------------------------------------------------------------------------------------

    def _changed(self, kind: str, position: int) -> None:
        chance, faults = self.clock.stream("watch"), self.faults
        for planner in self.planners if kind != OTHER_SETS else ():
            delay = WATCH_SECONDS if chance.random() >= faults.stale else chance.uniform(0.1, STALE_SECONDS)
            silent = chance.random() < faults.lost
            self.clock.after(delay, lambda planner=planner, silent=silent: self._deliver(planner, kind, position, silent=silent))  # type: ignore[misc]
        self._enter(kind)
        if kind == ROLLOUTS:
            self._rollout_changed()

    def _enter(self, kind: str) -> None:
        """In the ledger, with who did it: a planner, unless somebody is acting right now."""
        _, changed = self.cluster.changes[kind][-1]
        if kind == ROLLOUTS:
            before, self.held_status = self.held_status, changed.status
            self.ledger.status_changed(before, changed.status, by_planner=not self.acting)
        elif kind == SETS and changed is not None:
            self.ledger.set_changed(changed)
        elif kind == SERVICES:
            self.ledger.service_changed(changed)
        if self.takeover is not None:
            self._enter_takeover(self.takeover, kind, changed)

    def _enter_takeover(self, takeover: Takeover, kind: str, changed: Any) -> None:
        if kind in {SETS, OTHER_SETS, ROLLOUTS}:
            if kind == SETS and changed is not None:
                takeover.set_changed(changed)
            takeover.look((each.seen for each in self.cluster.sets.values()), self.cluster.rollout)
        elif kind == DEPLOYMENTS and changed is not None:
            takeover.resized(changed["spec"]["replicas"])

    def _deliver(self, planner: PlannerProcess, kind: str, position: int, *, silent: bool) -> None:
        if planner.catch_up(kind, position) and not silent:
            planner.wake()

    def _rollout_changed(self) -> None:
        status, patience = self.cluster.rollout.status, self.scenario.auto_promote
        pauses = status.get("pauseConditions")
        if patience is not None and pauses:
            self.clock.after(patience, lambda: self._promote_if_still(pauses))
        if self.watches_status is not None:
            self.watches_status(self)

    def _promote_if_still(self, pauses: object) -> None:
        if self.cluster.rollout.status.get("pauseConditions") == pauses:
            self._edit(Edit(at=0, kind="promote"))

    def _traffic_told(self, traffic: Traffic) -> None:
        self._log(f"shifter: {traffic.state} {self.shifter.weights() or ''}")
        for planner in self.planners:
            self._message(lambda planner=planner: self._hear_traffic(planner, traffic))  # type: ignore[misc]

    def _hear_traffic(self, planner: PlannerProcess, traffic: Traffic) -> None:
        if traffic.overrules(planner.traffic):
            planner.traffic = traffic
        planner.wake()

    def _plugin_told(self, plugin: str, answer: Answer) -> None:
        self._log(f"plugin {plugin}: {answer.phase} {answer.message}".rstrip())
        for planner in self.planners:
            self._message(lambda planner=planner: self._hear_plugin(planner, plugin, answer))  # type: ignore[misc]

    def _hear_plugin(self, planner: PlannerProcess, plugin: str, answer: Answer) -> None:
        planner.step_answers[plugin] = answer
        planner.wake()

    def _message(self, arrive: Callable[[], None]) -> None:
        """The bus: a message may be lost, doubled, or come after later ones."""
        chance, faults = self.clock.stream("bus"), self.faults
        if chance.random() < faults.lost:
            return
        late = chance.random() < faults.late
        self.clock.after(chance.uniform(0.1, LATE_SECONDS) if late else MESSAGE_SECONDS, arrive)
        if chance.random() < faults.doubled:
            self.clock.after(chance.uniform(0.1, LATE_SECONDS), arrive)

    # --- what the planners do ------------------------------------------------------------------------------------------

    def shift(self, action: ShiftTraffic) -> None:
        """The stream keeps the last request, so that every planner hears of it, a new one too."""
        for planner in self.planners:
            self.clock.after(MESSAGE_SECONDS, lambda planner=planner: planner.asked(action.request))  # type: ignore[misc]
        self._message(lambda: self.shifter.hear(action.request))

    def start_analysis(self, action: StartAnalysis) -> None:
        self._message(lambda: self.analyzer.start(action.manifest))

    def end_analysis(self, action: TerminateAnalysis) -> None:
        self._message(lambda: self.analyzer.terminate(action.name))

    def delete_analysis(self, action: DeleteAnalysis) -> None:
        self._message(lambda: self.analyzer.delete(action.name, action.uid))

    def ask_plugin(self, action: AskStepPlugin) -> None:
        self._message(lambda: self.plugins.hear(action.request))

    def decided(self, seen: Seen, plan: Plan) -> None:
        self.passes += 1
        invariants.check_decision(seen, plan, self.clock.now)
        check_handover(seen, plan)

    def wrote(self, planner: PlannerProcess, seen: Seen, what: str, action: Action | None) -> bool:
        self.writes += 1
        self.last_write = self.clock.now
        status = self.cluster.rollout.status
        self._log(f"{planner.name}: {what if action else _told(status)}")
        sets = self.cluster.rollouts_own_sets
        invariants.check_templates(sets)
        if len(self.planners) == 1:
            invariants.check_revisions(sets)
        if isinstance(action, ScaleReplicaSet) and seen.spec is not None and seen.spec.replicas > 0:
            invariants.check_served(self.shifter.weights(), action)
            invariants.check_stable_service(seen, self._stable_choice(), sets, action, self.clock.now)
        dies = self.writes in self.scenario.faults.crashes
        if dies:
            self._log(f"{planner.name}: dies")
        return dies

    def _stable_choice(self) -> str:
        """What a canary's stable Service chooses; "" where there is none."""
        canary = self.cluster.rollout.manifest["spec"]["strategy"].get("canary") or {}
        service = self.cluster.services.get(canary.get("stableService") or "")
        return service.hash if service else ""

    def refused(self, planner: PlannerProcess, error: RefusedError) -> None:
        self._log(f"{planner.name}: refused: {error}")

    def _edit(self, edit: Edit) -> None:
        self._log(f"user: {edit.kind} {'' if edit.value is None else edit.value}".rstrip())
        self.ledger.somebody_acted()
        if self.takeover is not None:
            self.takeover.edited(edit.kind)
        self.acting = True
        self.people.do(edit)
        self.acting = False

    def _log(self, text: str) -> None:
        if self.listener is not None:
            self.listener(self.clock.now - START, text)


def _told(status: invariants.Json) -> str:
    told = ("currentPodHash", "stableRS", "currentStepIndex", "abort", "promoteFull", "controllerPause")
    steering = [f"{name}={status[name]}" for name in told if status.get(name) not in (None, False)]
    words = [f"status {status.get('phase')}", status.get("message", ""), *steering]
    pauses = [each["reason"] for each in status.get("pauseConditions") or ()]
    counts = "/".join(str(status.get(name, 0)) for name in ("replicas", "updatedReplicas", "availableReplicas"))
    return " ".join([*(word for word in words if word), *pauses, f"pods {counts}"])
