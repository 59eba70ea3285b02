"""The nouns of an Experiment: its spec as frozen values, and what is wrong with one that cannot be run (`argo-behaviour.md` 10).

Rule of this file: it reads, it decides nothing. Types are the API server's to check, from our CRD; sense is checked here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tidegate.durations import go_duration

Json = Mapping[str, Any]

PROGRESS_DEADLINE, SCALE_DOWN_DELAY = 600, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """`service` is the name of the Service in front of its pods, "" for the ReplicaSet's name, None for no Service."""

    name: str
    replicas: int
    min_ready_seconds: int
    selector: Json
    template: Json
    service: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """`reference` names its template, as the list of an AnalysisTemplate would."""

    name: str
    reference: Json
    args: tuple[Json, ...]
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """`duration` in seconds, None: until it is ended or decided."""

    templates: tuple[Template, ...]
    analyses: tuple[Analysis, ...]
    duration: float | None
    progress_deadline: int
    scale_down_delay: int
    terminate: bool
    rules: Json
    run_metadata: Json


def spec_of(manifest: Json) -> Spec:
    spec: Json = manifest.get("spec") or {}
    duration = spec.get("duration")
    return Spec(
        templates=tuple(_template(each) for each in spec.get("templates") or ()),
        analyses=tuple(_analysis(each) for each in spec.get("analyses") or ()),
        duration=go_duration(duration) if duration else None,
        progress_deadline=_deadline(spec),
        scale_down_delay=_given(spec.get("scaleDownDelaySeconds"), SCALE_DOWN_DELAY),
        terminate=bool(spec.get("terminate")),
        rules={field: spec[field] for field in ("dryRun", "measurementRetention") if spec.get(field)},
        run_metadata=spec.get("analysisRunMetadata") or {},
    )


def problem_in(manifest: Json) -> str | None:
    """The message of the InvalidSpec condition: the first rule that is broken, in the peer's order and words where it has any."""
    spec: Json = manifest.get("spec") or {}
    experiment = manifest["metadata"]["name"]
    problem = _template_problem(spec, experiment) or _analysis_problem(spec, experiment)
    return problem or _duration_problem(spec)


def _template_problem(spec: Json, experiment: str) -> str | None:
    names: set[str] = set()
    for index, each in enumerate(spec.get("templates") or ()):
        selector, name = each.get("selector"), each.get("name") or ""
        if selector is None:
            return f"Rollout has missing field '.Spec.Templates[{index}].Selector'"  # "Rollout" is the peer's slip; tools know it
        if not selector.get("matchLabels") and not selector.get("matchExpressions"):
            return f"This experiment is selecting all pods at index {index}. A non-empty selector is required."
        if (each.get("minReadySeconds") or 0) > _deadline(spec):
            return f"MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index {index}"
        if not name:
            return f"Experiment {experiment} has empty template name at index {index}"
        if name in names:
            return f"Experiment {experiment} has repeated template name '{name}' in templates"
        names.add(name)
    return None


def _analysis_problem(spec: Json, experiment: str) -> str | None:
    """The name is part of the run's, so two of the same name would be one run (the peer lets the second count for both)."""
    names: set[str] = set()
    for index, each in enumerate(spec.get("analyses") or ()):
        name = each.get("name") or ""
        if not name:
            return f"Experiment {experiment} has empty analysis name at index {index}"
        if name in names:
            return f"Experiment {experiment} has repeated analysis name '{name}' in analyses"
        names.add(name)
    return None


def _duration_problem(spec: Json) -> str | None:
    try:
        go_duration(spec.get("duration") or "0")
    except ValueError as error:
        return f"spec.duration: Invalid value: {error}"
    return None


def _template(given: Json) -> Template:
    service = given.get("service")
    return Template(
        name=given["name"],
        replicas=_given(given.get("replicas"), 1),
        min_ready_seconds=given.get("minReadySeconds") or 0,
        selector=given["selector"],
        template=given.get("template") or {},
        service=None if service is None else service.get("name") or "",
    )


def _analysis(given: Json) -> Analysis:
    return Analysis(
        name=given["name"],
        reference={"templateName": given.get("templateName") or "", "clusterScope": bool(given.get("clusterScope"))},
        args=tuple(given.get("args") or ()),
        required=bool(given.get("requiredForCompletion")),
    )


def _deadline(spec: Json) -> int:
    return int(_given(spec.get("progressDeadlineSeconds"), PROGRESS_DEADLINE))


def _given(value: Any, default: Any) -> Any:
    return default if value is None else value
