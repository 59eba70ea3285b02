"""The planner's decision about one experiment: everything seen in, one plan out. No clock, no I/O, no logging."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.durations import epoch, rfc3339
from tidegate_planner import conditions
from tidegate_planner.conditions import Conditions
from tidegate_planner.experiments import children, runs
from tidegate_planner.experiments.assess import ENDED, SUCCESSFUL, Standing, duration_ends, is_complete, standing
from tidegate_planner.experiments.plan import Action, Plan
from tidegate_planner.experiments.seen import Seen
from tidegate_planner.experiments.spec import Spec
from tidegate_planner.plan import StartAnalysis, TerminateAnalysis

Json = Mapping[str, Any]

COMPLETED = "ExperimentCompleted"


def decide(seen: Seen, now: float) -> Plan:
    if seen.problem is not None or seen.spec is None:
        return Plan(status=_invalid(seen, seen.problem or "the spec could not be read", now))
    at = standing(seen, seen.spec, now)
    actions = (*children.actions(seen, seen.spec, at, now), *_analysis_actions(seen, seen.spec, at))
    return Plan(status=_status(seen, at, now), actions=actions, wake_at=_wake_at(seen, seen.spec, at, now))


def _status(seen: Seen, at: Standing, now: float) -> dict[str, Any]:
    """Whole: what is not put in here leaves the status."""
    held = Conditions(seen.status.get("conditions") or (), now=rfc3339(now))
    held.remove(conditions.INVALID_SPEC)
    _set_progressing(seen, at, held)
    return {
        "phase": at.phase,
        **({"message": at.message} if at.message else {}),
        **({"availableAt": at.available_at} if at.available_at else {}),
        "conditions": held.as_list(),
        "templateStatuses": list(at.templates),
        **({"analysisRuns": list(at.analyses)} if at.analyses else {}),
    }


def _set_progressing(seen: Seen, at: Standing, held: Conditions) -> None:
    """One condition tells how far it is; counts that change renew it."""
    kind = conditions.PROGRESSING
    before = seen.status.get("templateStatuses") or ()
    moved = [each["lastTransitionTime"] for each in at.templates] != [each.get("lastTransitionTime") for each in before]
    if at.ended:
        how = "has successfully ran and completed." if at.phase == SUCCESSFUL else f"has ended: {at.phase}"
        held.put(kind, status="False", reason=COMPLETED, message=f'Experiment "{seen.name}" {how}')
    elif moved:
        message = f'Experiment "{seen.name}" is progressing.'
        held.put(kind, status="True", reason=conditions.SET_UPDATED, message=message, touch=True)
    elif at.available_at:
        message = f'Experiment "{seen.name}" is running.'
        held.put(kind, status="True", reason=conditions.SET_AVAILABLE, message=message)


def _invalid(seen: Seen, problem: str, now: float) -> dict[str, Any]:
    """All else is left as it was."""
    held = Conditions(seen.status.get("conditions") or (), now=rfc3339(now))
    if held.get(conditions.INVALID_SPEC).get("message") != problem:
        held.remove(conditions.INVALID_SPEC)
    held.put(conditions.INVALID_SPEC, status="True", reason="InvalidSpec", message=problem)
    return {**seen.status, "conditions": held.as_list()}


def _analysis_actions(seen: Seen, spec: Spec, at: Standing) -> Iterator[Action]:
    """Runs that are named and do not exist begin; those that nothing waits for end."""
    awaited = set()
    for analysis, told in zip(spec.analyses, at.analyses, strict=True):
        name = told["analysisRun"]
        if not name or at.ending or told["phase"] in ENDED:
            continue
        awaited.add(name)
        if seen.run(name) is None:
            yield StartAnalysis(manifest=runs.manifest(seen, spec, analysis, name=name, available_at=at.available_at))
    for run in seen.runs:
        if run.phase not in ENDED and not run.terminate and run.name not in awaited:
            yield TerminateAnalysis(name=run.name)


def _wake_at(seen: Seen, spec: Spec, at: Standing, now: float) -> float | None:
    return min((moment for moment in _moments(seen, spec, at) if moment >= now), default=None)


def _moments(seen: Seen, spec: Spec, at: Standing) -> Iterator[float]:
    if at.ended:
        yield from (epoch(each.scale_down_deadline) for each in seen.replica_sets.values() if each.scale_down_deadline)
        return
    ends = duration_ends(spec, at.available_at)
    if ends is not None:
        yield ends
    for template, told in zip(spec.templates, at.templates, strict=True):
        if not is_complete(seen.replica_sets.get(template.name), template):
            yield epoch(told["lastTransitionTime"]) + spec.progress_deadline
