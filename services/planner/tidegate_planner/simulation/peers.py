"""Whom a planner asks: models of the traffic-shifter, of the analyzer and of step plugins.

Rule of this file: they obey requests as the real ones promise to (fenced, repeatable), late, failing or never as the scenario
says, and know nothing of steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tidegate import keys
from tidegate.durations import rfc3339
from tidegate.messages import Split, StepRequested, TrafficRequested
from tidegate_planner.seen import AnalysisRun, Service, Traffic
from tidegate_planner.simulation.model import Cluster
from tidegate_planner.simulation.scenario import Shifter
from tidegate_planner.simulation.scheduler import Scheduler
from tidegate_planner.step_calls import Answer

APPLY_SECONDS: Mapping[str, float] = {"prompt": 0.05, "slow": 8.0, "failing": 0.05, "partial": 0.05, "unverified": 0.05}
FAILURES_IN_A_ROW = 3
RETRY_SECONDS = 4.0
MESSAGES: Mapping[str, str] = {
    "Failed": 'Metric "m" assessed Failed due to failed (1) > failureLimit (0)',
    "Error": 'Metric "m" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4)',
}


@dataclass(slots=True)
class TrafficShifter:
    """`split` is what the data plane really does now. It applies desired state: the newest request it has heard, one at a time.

    A `partial` one gets the Services done and then fails for a while; an `unverified` one waits long for the data plane to move.
    """

    clock: Scheduler
    cluster: Cluster
    kind: Shifter
    tell: Callable[[Traffic], None]
    split: Split | None = None
    fence: int = -1
    failures_left: int = FAILURES_IN_A_ROW
    newest: TrafficRequested | None = None
    busy: bool = False

    def hear(self, request: TrafficRequested) -> None:
        known = self.newest.fence if self.newest else self.fence
        if self.kind == "dead" or request.fence < known:
            return
        self.newest = request
        if not self.busy:
            self.busy = True
            self.clock.after(APPLY_SECONDS[self.kind], self._apply)

    def _apply(self, *, verified: bool = False) -> None:
        request = self.newest
        if request is None:
            return
        if self.kind in {"failing", "partial"} and self.failures_left > 0:
            self.failures_left -= 1
            if self.kind == "partial":
                self._move_services(request)
            self.tell(Traffic(digest=request.digest, fence=request.fence, state="failed", message="the router refused"))
            self.clock.after(RETRY_SECONDS, self._apply)
            return
        if self.kind == "unverified" and not verified:
            self.tell(Traffic(digest=request.digest, fence=request.fence, state="pending", verified=False))
            self.clock.after(RETRY_SECONDS, lambda: self._apply(verified=True))
            return
        self.failures_left = FAILURES_IN_A_ROW
        self.fence, self.newest, self.busy = request.fence, None, False
        self.split = request.split or self.split
        self._move_services(request)
        done = Traffic(digest=request.digest, fence=request.fence, state="applied", verified=True if verified else None)
        self.tell(done)

    def _move_services(self, request: TrafficRequested) -> None:
        for target in request.services:
            self.cluster.put_service(Service(name=target.service, hash=target.hash, managed_by="app"))

    def weights(self) -> dict[str, int]:
        """Share of the traffic by ReplicaSet hash, through the Services where the split names them. The active one has it all."""
        active = self.cluster.rollout.manifest["spec"]["strategy"].get("blueGreen", {}).get("activeService")
        if active is not None:
            chosen = self.cluster.services[active].hash
            return {chosen: 100} if chosen else {}
        if self.split is None:
            return {}
        shares: dict[str, int] = {}
        for side in (self.split.canary, self.split.stable, *self.split.additional):
            service = self.cluster.services.get(side.service or "")
            chosen = service.hash if service else side.hash
            shares[chosen] = shares.get(chosen, 0) + side.weight
        return {chosen: weight for chosen, weight in shares.items() if weight and chosen}


@dataclass(slots=True)
class Analyzer:
    """Creates each run once and ends it with a verdict drawn for its name. Those of a `lasting` kind go on until they are ended."""

    clock: Scheduler
    cluster: Cluster
    verdicts: Mapping[str, float]
    seconds: float
    lasting: frozenset[str] = frozenset()
    failing_kind: str | None = None

    def start(self, manifest: Mapping[str, Any]) -> None:
        metadata = manifest["metadata"]
        name, labels = metadata["name"], metadata["labels"]
        if name in self.cluster.runs:
            return
        index = labels.get(keys.STEP_INDEX)
        run = AnalysisRun(
            name=name,
            uid=f"uid-{name}-{self.clock.now}",
            phase="Running",
            hash=labels.get(keys.POD_TEMPLATE_HASH, ""),
            kind=labels.get(keys.ROLLOUT_TYPE, ""),  # "" for one of an experiment
            step_index=None if index is None else int(index),
            created=rfc3339(self.clock.now),
            spec=manifest["spec"],
        )
        self.cluster.put_run(run)
        if run.kind not in self.lasting or run.kind == self.failing_kind:
            self.clock.after(self.seconds, lambda: self._conclude(name))

    def fail(self) -> None:
        """Whatever is being measured of the failing kind."""
        for run in [each for each in self.cluster.runs.values() if each.kind == self.failing_kind]:
            self._conclude(run.name)

    def terminate(self, name: str) -> None:
        run = self.cluster.runs.get(name)
        if run is not None and run.phase == "Running":
            self.cluster.put_run(replace(run, phase="Successful", terminate=True, message="run terminated"))

    def delete(self, name: str, uid: str) -> None:
        run = self.cluster.runs.get(name)
        if run is not None and run.uid == uid and run.phase != "Running":
            self.cluster.delete_run(name)

    def _conclude(self, name: str) -> None:
        run = self.cluster.runs.get(name)
        if run is not None and run.phase == "Running":
            chance = self.clock.stream(f"verdict/{name}")
            phase = chance.choices(list(self.verdicts), list(self.verdicts.values()))[0]
            if run.kind == self.failing_kind:
                phase = "Failed"
            message = MESSAGES.get(phase, "")
            self.cluster.put_run(replace(run, phase=phase, message=message))


@dataclass(slots=True)
class StepPlugins:
    """Every plugin at once. It remembers what it answered to a call and says the same again, as plugins are told to."""

    clock: Scheduler
    phases: Mapping[str, float]
    seconds: float
    tell: Callable[[str, Answer], None]
    answers: dict[str, Answer | None] = field(default_factory=dict)
    asked: list[StepRequested] = field(default_factory=list)

    def hear(self, request: StepRequested) -> None:
        self.asked.append(request)
        if request.id not in self.answers:
            chance = self.clock.stream(f"plugin/{request.id}")
            phase = chance.choices(list(self.phases), list(self.phases.values()))[0]
            answer = Answer(id=request.id, phase=phase, message=phase.lower(), requeue_after=15.0)
            self.answers[request.id] = answer if phase else None
        if (said := self.answers[request.id]) is not None:
            self.clock.after(self.seconds, lambda: self.tell(request.plugin, said))
