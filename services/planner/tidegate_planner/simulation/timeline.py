"""What a Rollout would do: the whole way of an image change, offline, from the planner's own decisions on a modelled cluster.

Rule of this file: nothing is guessed about steps; the timeline is what `decide` did. Only the pods' and people's pace is assumed,
and given by the options.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.rollout import BlueGreen, Canary, spec_of
from tidegate_planner.analysis import BACKGROUND
from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Edit, PodBehaviour, Scenario, version_of
from tidegate_planner.simulation.scheduler import START
from tidegate_planner.simulation.stages import measured_at, stage_of, stages_of

Json = Mapping[str, Any]

SETTLED = 1200.0  # the old version has long been healthy when the image changes
NEXT = "next"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The pace, and the what-ifs. Times in seconds. `fail_analysis` and `abort_at` are numbers of stages, from 0 (`stages`).

    Where a stage of a canary measures nothing itself, it is the background analysis that fails there.
    """

    pods_ready_after: float = 5.0
    analysis_takes: float = 30.0
    person_resumes_after: float = 60.0
    crash_canary: bool = False
    fail_analysis: int | None = None
    abort_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """From `offset` seconds after the change on. `step` is a stage's number, None without any; pods are those that serve.

    `weight` is the new version's share of the users, `lent` that of an experiment's pods beside it, `canary_pods` are the new
    version's pods whatever the strategy. `routes` are the header and mirror routes in force.
    """

    offset: float
    phase: str
    message: str
    step: int | None
    step_text: str
    weight: int
    canary_pods: int
    stable_pods: int
    routes: tuple[str, ...] = ()
    lent: int = 0


def timeline(manifest: Json, *, options: Options | None = None) -> list[TimelineEntry]:
    """From Healthy through a change of the first container's image until nothing moves any more."""
    given = options or Options()
    recorder = _Recorder(_checked(manifest, given), given)
    run = Run(_scenario(_by_itself(manifest), given), watches_status=recorder.note)
    run.play(judged=False)
    return recorder.entries


def render(entries: Sequence[TimelineEntry]) -> str:
    """The timeline as an aligned table."""
    routed, lending = any(entry.routes for entry in entries), any(entry.lent for entry in entries)
    extra = [name for name, shown in (("EXPERIMENT", lending), ("ROUTES", routed)) if shown]
    rows = [["TIME", "STEP", "WEIGHT", "CANARY", "STABLE", *extra, "PHASE"]]
    for entry in entries:
        phase = f"{entry.phase} ({entry.message})" if entry.message else entry.phase
        step = "" if entry.step is None else f"{entry.step} {entry.step_text}"
        counts = [f"{entry.weight}", f"{entry.canary_pods}", f"{entry.stable_pods}"]
        cells = {"EXPERIMENT": f"{entry.lent}" if entry.lent else "", "ROUTES": " ".join(entry.routes)}
        rows.append([f"+{entry.offset:.0f}s", step, *counts, *(cells[name] for name in extra), phase])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = ("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows)
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class _Recorder:
    """Notes each status that differs in what the timeline shows, and brings about what was asked for at a stage."""

    strategy: Canary | BlueGreen
    options: Options
    entries: list[TimelineEntry] = field(default_factory=list)
    old: str = ""

    def note(self, run: Run) -> None:
        offset = run.clock.now - START - SETTLED
        status = run.cluster.rollout.status
        if offset < 0:
            self.old = status.get("currentPodHash", "")
            return
        entry = self._entry(run, offset)
        if not self.entries or _shown(self.entries[-1]) != _shown(entry):
            self.entries.append(entry)
        if status.get("currentPodHash") != status.get("stableRS") and not status.get("abort") and entry.step is not None:
            self._interfere(run, entry.step)

    def _interfere(self, run: Run, stage: int) -> None:
        if stage == self.options.abort_at:
            run.clock.after(0.0, lambda: run.people.do(Edit(at=0, kind="abort")))
        if stage == self.options.fail_analysis:
            kind = measured_at(self.strategy, stage)
            run.analyzer.failing_kind = kind
            if kind == BACKGROUND:
                run.clock.after(0.0, run.analyzer.fail)

    def _entry(self, run: Run, offset: float) -> TimelineEntry:
        status, stages = run.cluster.rollout.status, stages_of(self.strategy)
        serving = {each.hash: each.available for each in run.cluster.rollouts_own_sets}
        if isinstance(self.strategy, BlueGreen) or self.strategy.traffic_routing:
            weight = sum(share for each, share in run.shifter.weights().items() if each in serving and each != self.old)
        else:
            weight = round(100 - 100 * serving.get(self.old, 0) / max(1, sum(serving.values())))
        stage, split = stage_of(self.strategy, status), run.shifter.split
        return TimelineEntry(
            offset=offset,
            phase=status.get("phase", ""),
            message=status.get("message", ""),
            step=stage,
            step_text="" if stage is None else stages[stage] if stage < len(stages) else "done",
            weight=weight,
            canary_pods=sum(count for each, count in serving.items() if each != self.old),
            stable_pods=serving.get(self.old, 0),
            routes=tuple(each.name for each in split.header_routes) + tuple(each.name for each in split.mirror_routes)
            if split
            else (),
            lent=sum(each.weight for each in split.additional) if split else 0,
        )


def _shown(entry: TimelineEntry) -> tuple[object, ...]:
    return (entry.phase, entry.message, entry.step, entry.weight, entry.canary_pods, entry.stable_pods, entry.routes, entry.lent)


def _scenario(manifest: Json, options: Options) -> Scenario:
    template = manifest["spec"]["template"]
    containers = template["spec"]["containers"]
    image = containers[0].get("image", "app").rpartition(":")[0] or "app"
    changed = {
        **template,
        "spec": {**template["spec"], "containers": [{**containers[0], "image": f"{image}:{NEXT}"}, *containers[1:]]},
    }
    pods = PodBehaviour(ready_after=options.pods_ready_after)
    broken = PodBehaviour(ready_after=None) if options.crash_canary else pods
    return Scenario(
        seed=0,
        manifest=manifest,
        behaviours={version_of(template): pods, NEXT: broken},
        edits=(Edit(at=SETTLED, kind="template", value=changed),),
        auto_promote=options.person_resumes_after,
        analysis_seconds=options.analysis_takes,
        lasting=frozenset({BACKGROUND}),
        adds_ports=False,
    )


def _by_itself(manifest: Json) -> Json:
    """Its pod template stands in it, and no workload in the cluster that the timeline is of."""
    return {**manifest, "spec": {name: value for name, value in manifest["spec"].items() if name != "workloadRef"}}


def _checked(manifest: Json, options: Options) -> Canary | BlueGreen:
    """What cannot be previewed is said at once, with the field."""
    spec = manifest.get("spec") or {}
    if not (spec.get("template") or {}).get("spec", {}).get("containers"):
        raise ValueError("spec.template.spec.containers is missing; a timeline needs the pod template in the Rollout itself")
    if not spec.get("strategy"):
        raise ValueError("spec.strategy is missing; it says canary or blueGreen")
    strategy = spec_of(manifest).strategy
    stages = stages_of(strategy)
    for name, index in (("--fail-analysis", options.fail_analysis), ("--abort-at", options.abort_at)):
        if index is not None and not 0 <= index < len(stages):
            raise ValueError(f"{name} is {index}; {_plan(stages)}")
    if options.fail_analysis is not None and measured_at(strategy, options.fail_analysis) is None:
        raise ValueError(f"--fail-analysis is {options.fail_analysis}; nothing is measured there: {_plan(stages)}")
    return strategy


def _plan(stages: Sequence[str]) -> str:
    listed = ", ".join(f"{number} {stage}" for number, stage in enumerate(stages))
    return f"the plan has the steps {listed}" if stages else "the plan has no steps"
