"""What a Rollout would do: the whole way of an image change, offline, from the planner's own decisions on a modelled cluster.

Rule of this file: nothing is guessed about steps; the timeline is what `decide` did. Only the pods' and people's pace is assumed,
and given by the options.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.rollout import Canary, spec_of
from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Edit, PodBehaviour, Scenario, version_of
from tidegate_planner.simulation.scheduler import START

Json = Mapping[str, Any]

SETTLED = 1200.0  # the old version has long been healthy when the image changes
NEXT = "next"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The pace, and the what-ifs. Times in seconds. `fail_analysis` and `abort_at` are indexes of steps, from 0."""

    pods_ready_after: float = 5.0
    analysis_takes: float = 30.0
    person_resumes_after: float = 60.0
    crash_canary: bool = False
    fail_analysis: int | None = None
    abort_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """From `offset` seconds after the change on. `step` is an index, None without steps; pods are those that serve."""

    offset: float
    phase: str
    message: str
    step: int | None
    step_text: str
    weight: int
    canary_pods: int
    stable_pods: int


def timeline(manifest: Json, *, options: Options | None = None) -> list[TimelineEntry]:
    """From Healthy through a change of the first container's image until nothing moves any more."""
    given = options or Options()
    canary = _checked(manifest, given)
    recorder = _Recorder(canary, given)
    run = Run(_scenario(manifest, given), watches_status=recorder.note)
    run.play(judged=False)
    return recorder.entries


def render(entries: Sequence[TimelineEntry]) -> str:
    """The timeline as an aligned table."""
    rows = [("TIME", "STEP", "WEIGHT", "CANARY", "STABLE", "PHASE")]
    for entry in entries:
        phase = f"{entry.phase} ({entry.message})" if entry.message else entry.phase
        step = "" if entry.step is None else f"{entry.step} {entry.step_text}"
        rows.append((f"+{entry.offset:.0f}s", step, f"{entry.weight}", f"{entry.canary_pods}", f"{entry.stable_pods}", phase))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = ("  ".join([*(cell.ljust(width) for cell, width in zip(row[:5], widths, strict=True)), row[5]]) for row in rows)
    return "\n".join(lines) + "\n"


@dataclass(slots=True)
class _Recorder:
    """Notes each status that differs in what the timeline shows, and aborts where asked to."""

    canary: Canary
    options: Options
    entries: list[TimelineEntry] = field(default_factory=list)
    old: str = ""

    def note(self, run: Run) -> None:
        offset = run.clock.now - START - SETTLED
        if offset < 0:
            self.old = run.cluster.rollout.status.get("currentPodHash", "")
            return
        entry = self._entry(run, offset)
        last = self.entries[-1] if self.entries else None
        if last is None or _shown(last) != _shown(entry):
            self.entries.append(entry)
        status = run.cluster.rollout.status
        updating = status.get("currentPodHash") != status.get("stableRS")
        if updating and not status.get("abort") and entry.step is not None and entry.step == self.options.abort_at:
            run.clock.after(0.0, lambda: run.people.do(Edit(at=0, kind="abort")))

    def _entry(self, run: Run, offset: float) -> TimelineEntry:
        status = run.cluster.rollout.status
        serving = {owned.seen.hash: owned.seen.available for owned in run.cluster.sets.values()}
        if self.canary.traffic_routing:
            weight = sum(share for each, share in run.shifter.weights().items() if each != self.old)
        else:
            weight = round(100 - 100 * serving.get(self.old, 0) / max(1, sum(serving.values())))
        step: int | None = status.get("currentStepIndex")
        return TimelineEntry(
            offset=offset,
            phase=status.get("phase", ""),
            message=status.get("message", ""),
            step=step,
            step_text="" if step is None else str(self.canary.steps[step]) if step < len(self.canary.steps) else "done",
            weight=weight,
            canary_pods=sum(count for each, count in serving.items() if each != self.old),
            stable_pods=serving.get(self.old, 0),
        )


def _shown(entry: TimelineEntry) -> tuple[object, ...]:
    return (entry.phase, entry.message, entry.step, entry.weight, entry.canary_pods, entry.stable_pods)


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
        failing_step=options.fail_analysis,
    )


def _checked(manifest: Json, options: Options) -> Canary:
    """What cannot be previewed is said at once, with the field."""
    spec = manifest.get("spec") or {}
    if not (spec.get("template") or {}).get("spec", {}).get("containers"):
        raise ValueError("spec.template.spec.containers is missing; a timeline needs the pod template in the Rollout itself")
    strategy = spec_of(manifest).strategy if spec.get("strategy") else None
    if not isinstance(strategy, Canary):
        raise ValueError("spec.strategy.canary is missing; only canaries have a timeline so far")  # noqa: TRY004 - bad input
    for name, index in (("fail_analysis", options.fail_analysis), ("abort_at", options.abort_at)):
        if index is not None and not 0 <= index < len(strategy.steps):
            raise ValueError(f"{name} is {index}; the plan has the steps 0 to {len(strategy.steps) - 1}")
    return strategy
