"""How an experiment stands: its templates, its analyses, and the phase that follows from them (`argo-behaviour.md` 10).

Rule of this file: pure. What has ended stays ended: a template, an analysis or a phase with a verdict never gets another one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.arguments import ArgumentError
from tidegate.durations import epoch, rfc3339
from tidegate_planner.experiments import runs
from tidegate_planner.experiments.seen import Seen
from tidegate_planner.experiments.spec import Analysis, Spec, Template
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.templates import referenced

Json = Mapping[str, Any]
Statuses = tuple[Json, ...]

PENDING, RUNNING, PROGRESSING, SUCCESSFUL = "Pending", "Running", "Progressing", "Successful"
FAILED, ERROR, INCONCLUSIVE = "Failed", "Error", "Inconclusive"
BAD = frozenset({FAILED, ERROR, INCONCLUSIVE})
ENDED = BAD | {SUCCESSFUL}
FROM_BEST_TO_WORST = (SUCCESSFUL, RUNNING, PROGRESSING, PENDING, INCONCLUSIVE, ERROR, FAILED)
REQUIRED_DONE = "Required AnalysisRuns completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`ending`: nothing new is begun any more, and what runs is to stop."""

    phase: str
    message: str
    available_at: str
    templates: Statuses
    analyses: Statuses
    ending: bool

    @property
    def ended(self) -> bool:
        return self.phase in ENDED


def standing(seen: Seen, spec: Spec, now: float) -> Standing:
    """The whole of it in one step: a verdict ends everything else in the same decision."""
    before, available_at = seen.status.get("phase") or "", seen.status.get("availableAt") or ""
    told = (*_told(seen, "templateStatuses").values(), *_told(seen, "analysisRuns").values())
    ending = spec.terminate or before in ENDED or any((each.get("status") or each.get("phase")) in BAD for each in told)
    templates = _templates(seen, spec, now, ending=ending)
    if not available_at and _phases(templates, "status") == {RUNNING}:
        available_at = rfc3339(-(-now // 1))  # rounded up to what the field holds: a duration is never cut short
    analyses = tuple(_analysis(seen, spec, each, available_at, ending=ending) for each in spec.analyses)
    if before in ENDED:
        phase, message = before, seen.status.get("message") or ""
    else:
        phase, message = _phase(spec, templates, analyses) if before else (PENDING, "")
    if phase in ENDED and not ending:
        ending, templates = True, _templates(seen, spec, now, ending=True)
    return Standing(phase=phase, message=message, available_at=available_at, templates=templates, analyses=analyses, ending=ending)


def duration_ends(spec: Spec, available_at: str) -> float | None:
    """In seconds since 1970."""
    return epoch(available_at) + spec.duration if spec.duration is not None and available_at else None


def _phase(spec: Spec, templates: Statuses, analyses: Statuses) -> tuple[str, str]:
    """The first word is a template that could not run, the second a bad verdict, then what was required, then the time."""
    template, analysis = _worst(templates, "status"), _worst(analyses, "phase")
    required = {name: phase for name, phase in _required(spec, analyses) if phase != SUCCESSFUL}
    if template["status"] in BAD:
        return template["status"], template.get("message", "")
    if analysis["phase"] in BAD:
        return analysis["phase"], analysis.get("message", "")
    if not required and any(each.required for each in spec.analyses):
        return SUCCESSFUL, REQUIRED_DONE
    if template["status"] == SUCCESSFUL:
        return (RUNNING, "") if required and not spec.terminate else (SUCCESSFUL, "")
    return (PENDING if template["status"] == PROGRESSING else RUNNING), template.get("message", "")


def _required(spec: Spec, analyses: Statuses) -> Iterable[tuple[str, str]]:
    return ((each.name, told.get("phase", "")) for each, told in zip(spec.analyses, analyses, strict=True) if each.required)


# --- templates ---------------------------------------------------------------------------------------------------------


def _templates(seen: Seen, spec: Spec, now: float, *, ending: bool) -> Statuses:
    return tuple(_template(seen, spec, each, now, ending=ending) for each in spec.templates)


def _template(seen: Seen, spec: Spec, template: Template, now: float, *, ending: bool) -> Json:
    before, held = _told(seen, "templateStatuses").get(template.name, {}), seen.replica_sets.get(template.name)
    status: dict[str, Any] = {"name": template.name, **_counts(held)}
    service = seen.services.get(template.name)
    if service is not None:
        status |= {"serviceName": service.name, "podTemplateHash": service.hash}
    moved = any(status[field] != before.get(field, 0) for field in _counts(None))
    status["lastTransitionTime"] = rfc3339(now) if moved or not before else before.get("lastTransitionTime") or rfc3339(now)
    if before.get("status") in ENDED:
        told = (before["status"], before.get("message", ""))
    else:
        told = _template_status(seen, spec, template, epoch(status["lastTransitionTime"]), now, ending=ending)
    return {**status, "status": told[0], **({"message": told[1]} if told[1] else {})}


def _template_status(seen: Seen, spec: Spec, template: Template, since: float, now: float, *, ending: bool) -> tuple[str, str]:
    refusal, held = seen.refusals.get(template.name), seen.replica_sets.get(template.name)
    if refusal:
        return ERROR, refusal
    complete = is_complete(held, template)
    if not complete and now >= since + spec.progress_deadline:
        return FAILED, f"Template '{template.name}' exceeded its progressDeadlineSeconds ({spec.progress_deadline})"
    if ending:
        return SUCCESSFUL, ""
    ends = duration_ends(spec, seen.status.get("availableAt") or "")
    if complete:
        return (SUCCESSFUL if ends is not None and now >= ends else RUNNING), ""
    return PROGRESSING, ""


def is_complete(held: ReplicaSet | None, template: Template) -> bool:
    return held is not None and held.replicas == held.available == template.replicas


def _counts(held: ReplicaSet | None) -> dict[str, int]:
    current, ready, available = (held.current, held.ready, held.available) if held else (0, 0, 0)
    return {"replicas": current, "updatedReplicas": current, "readyReplicas": ready, "availableReplicas": available}


# --- analyses ----------------------------------------------------------------------------------------------------------


def _analysis(seen: Seen, spec: Spec, analysis: Analysis, available_at: str, *, ending: bool) -> Json:
    """The run's name is told before the run exists, so that a run of an earlier attempt can never be taken for it."""
    before = _told(seen, "analysisRuns").get(analysis.name) or {"name": analysis.name, "analysisRun": "", "phase": ""}
    if before["phase"] in ENDED or (ending and before["analysisRun"]):
        return before  # what becomes of a run that was cut short says nothing any more
    run = seen.run(before["analysisRun"])
    if run is not None:
        message = {"message": run.message} if run.message else {}
        return {"name": analysis.name, "analysisRun": run.name, "phase": run.phase or PENDING, **message}
    if ending and available_at:
        return before
    kind = "ClusterAnalysisTemplate" if analysis.reference["clusterScope"] else "AnalysisTemplate"
    doing = "Failed to create AnalysisRun" if available_at else f"{kind} verification failed"
    name = before["analysisRun"] or runs.free_name(seen, analysis)
    try:
        if not available_at:
            referenced({"templates": [analysis.reference]}, seen.templates)
            return before
        runs.manifest(seen, spec, analysis, name=name, available_at=available_at)
    except ArgumentError as error:
        return {**before, "phase": ERROR, "message": f"{doing} for analysis '{analysis.name}': {error}"}
    return {"name": analysis.name, "analysisRun": name, "phase": PENDING}


# --- lists of statuses -------------------------------------------------------------------------------------------------


def _told(seen: Seen, field: str) -> dict[str, Json]:
    return {each.get("name") or "": each for each in seen.status.get(field) or ()}


def _phases(statuses: Statuses, field: str) -> set[str]:
    return {each[field] for each in statuses}


def _worst(statuses: Statuses, field: str) -> Json:
    """The first of the worst; none at all, or none that has begun, is as good as successful."""
    begun = (each for each in statuses if each[field])
    return max(begun, key=lambda each: FROM_BEST_TO_WORST.index(each[field]), default={field: SUCCESSFUL})
