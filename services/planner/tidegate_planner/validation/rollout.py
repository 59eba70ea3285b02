"""Rules for the spec as a whole (`argo-behaviour.md` 1.5), in the peer's order of evaluation."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.durations import epoch
from tidegate_planner.validation.pods import selector_problems, template_problems
from tidegate_planner.validation.problem import Problem, internal, invalid, negative, required, unsupported
from tidegate_planner.validation.strategies import strategy_problems

Json = Mapping[str, Any]
SCALE_DOWNS = ("", "never", "onsuccess", "progressively")


def spec_problems(spec: Json, *, workload_resolved: bool) -> Iterator[Problem]:
    """`workload_resolved`: the template was read from the workload and put in place of the empty one."""
    by_reference = "workloadRef" in spec
    selector, template = spec.get("selector"), spec.get("template", {})
    yield from negative("spec.replicas", spec.get("replicas"))
    if workload_resolved or not by_reference:
        yield from _selector(selector)
    if by_reference and not workload_resolved and not _empty(template):
        yield internal("spec.template", "template must be empty for workload reference rollout")
    scale_down = spec.get("workloadRef", {}).get("scaleDown", "")
    if scale_down not in SCALE_DOWNS:
        yield unsupported("spec.workloadRef.scaleDown", scale_down, SCALE_DOWNS[1:])
    yield from _moment("spec.restartAt", spec.get("restartAt"))
    selectable = _selectable(selector)
    if not selectable:
        yield invalid("spec.selector", selector, "invalid label selector")
    if workload_resolved or not by_reference:
        yield from template_problems(template, selector if selectable else None, "spec.template")
    for name in ("minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"):
        yield from negative(f"spec.{name}", spec.get(name))
    deadline = spec.get("progressDeadlineSeconds", 600)
    if deadline <= spec.get("minReadySeconds", 0):
        yield invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
    yield from strategy_problems(spec)


def _moment(place: str, text: str | None) -> Iterator[Problem]:
    """The CRD says so too, but not every server's does."""
    try:
        epoch("1970-01-01T00:00:00Z" if text is None else text)
    except ValueError as error:
        yield invalid(place, text, str(error))


def _selector(selector: Json | None) -> Iterator[Problem]:
    if selector is None:
        yield required("spec.selector", "Rollout has missing field '.spec.selector'")
        return
    yield from selector_problems(selector, "spec.selector")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        yield invalid("spec.selector", selector, "empty selector is invalid for deployment")


def _selectable(selector: Json | None) -> bool:
    """Whether it can be asked if the template matches. A missing selector was complained about already."""
    return selector is None or next(selector_problems(selector, ""), None) is None


def _empty(template: Json) -> bool:
    metadata = template.get("metadata", {})
    return not (metadata.get("labels") or metadata.get("annotations") or template.get("spec", {}).get("containers"))
