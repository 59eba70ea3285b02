"""Analysis templates that a Rollout names: they exist, merge into one run, and end (`argo-behaviour.md` 1.6, 7.2, 7.3)."""

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.arguments import tags_in
from tidegate_planner.validation.problem import Problem, invalid
from tidegate_planner.validation.shapes import as_list, as_map

Json = Mapping[str, Any]
RULES = {"dryRun": "Dry-Run", "measurementRetention": "Measurement Retention"}
Found = Mapping[str, Mapping[str, Any] | None]
UNSEEN: Json = {}  # a template that was not looked for


def _analyses(strategy: Json) -> Iterator[tuple[Json, str, bool]]:
    """(analysis, path of its templates, whether it runs in the background)"""
    blue_green, canary = strategy.get("blueGreen"), strategy.get("canary", {})
    if blue_green is not None:
        for name in ("prePromotionAnalysis", "postPromotionAnalysis"):
            if name in blue_green:
                yield blue_green[name], f"spec.strategy.blueGreen.{name}.templates", False
        return
    for index, step in enumerate(canary.get("steps", ())):
        if "analysis" in step:
            yield step["analysis"], f"spec.strategy.canary.steps[{index}].analysis.templates", False
    if "analysis" in canary:
        yield canary["analysis"], "spec.strategy.canary.analysis.templates", True


def missing_templates(strategy: Json, here: Found, cluster: Found) -> Iterator[Problem]:
    for analysis, path, _ in _analyses(strategy):
        for (wide, name), template in _named(analysis.get("templates", ()), here, cluster).items():
            if template is None:
                yield invalid(path, name, f"{'ClusterAnalysisTemplate' if wide else 'AnalysisTemplate'} '{name}' not found")


def template_problems(strategy: Json, here: Found, cluster: Found) -> Iterator[Problem]:
    for analysis, path, background in _analyses(strategy):
        templates = _expanded(analysis.get("templates", ()), here, cluster)
        if templates is None:
            continue  # one of them was not looked for, or is missing and was complained about
        given = analysis.get("args", ())
        conflict = _conflict(templates, given) or _rules_conflict(templates, analysis)
        if conflict:
            yield invalid(path, f"templateNames: [{' '.join(name for name, _ in templates)}]", conflict)
            continue
        for name, spec in templates:
            unresolvable = "" if background else _unresolvable(spec)
            if background:
                yield from _unsupplied(name, spec, given, path)
            elif unresolvable:
                yield invalid(path, name, f"AnalysisTemplate {name}: {unresolvable}")
            else:
                yield from _endless(name, spec, path)


def _expanded(references: Any, here: Found, cluster: Found) -> list[tuple[str, Json]] | None:
    """The specs of those of the namespace first, then those of the cluster."""
    named = sorted(_named(references, here, cluster).items(), key=lambda item: item[0][0])
    if any(template is None or template is UNSEEN for _, template in named):
        return None
    return [(name, as_map(as_map(template).get("spec"))) for (_, name), template in named]


def _named(references: Any, here: Found, cluster: Found) -> dict[tuple[bool, str], Json | None]:
    """Every template once by (of the cluster, name), its nested ones after it; None where it does not exist."""
    todo = [(reference.get("clusterScope", False), reference.get("templateName", "")) for reference in references]
    known: dict[tuple[bool, str], Json | None] = {}
    for key in todo:  # grows while it is read
        wide, name = key
        if key not in known:
            known[key] = (cluster if wide else here).get(name, UNSEEN)
            nested = [as_map(each) for each in as_list(as_map(as_map(known[key]).get("spec")).get("templates"))]
            todo += [(bool(each.get("clusterScope")), str(each.get("templateName", ""))) for each in nested]
    return known


def _conflict(templates: list[tuple[str, Json]], given: Any) -> str | None:
    metrics: set[str] = set()
    values: dict[str, Any] = {}
    for _, spec in templates:
        for metric in as_list(spec.get("metrics")):
            name = str(as_map(metric).get("name", ""))
            if name in metrics:
                return f"two metrics have the same name '{name}'"
            metrics.add(name)
        for argument in map(as_map, as_list(spec.get("args"))):
            name, value = str(argument.get("name", "")), argument.get("value")
            earlier = values.get(name)
            if value is not None and earlier is not None and not isinstance(earlier, Mapping) and value != earlier:
                return f"Argument `{name}` specified multiple times with different values: '{earlier}', '{value}'"
            values[name] = earlier if earlier is not None else value if value is not None else argument.get("valueFrom")
    supplied = {argument.get("name", "") for argument in given}
    unresolved = [name for name, value in values.items() if value is None and name not in supplied]
    return f"args.{unresolved[0]} was not resolved" if unresolved else None


def _rules_conflict(templates: list[tuple[str, Json]], analysis: Json) -> str | None:
    for field, words in RULES.items():
        seen: set[str] = set()
        for holder in (*(spec for _, spec in templates), analysis):
            for rule in map(as_map, as_list(holder.get(field))):
                name = str(rule.get("metricName", ""))
                if name in seen:
                    return f"two {words} metric rules have the same name '{name}'"
                seen.add(name)
    return None


def _unresolvable(spec: Json) -> str:
    """A template's own metrics take its own arguments, whatever others it is merged with."""
    declared = [as_map(argument) for argument in as_list(spec.get("args"))]
    for argument in declared:
        if argument.get("value") is not None and argument.get("valueFrom") is not None:
            return f"arg '{argument.get('name', '')}' has both Value and ValueFrom fields"
    known = {f"args.{argument.get('name', '')}" for argument in declared}
    tags = (tag for metric in as_list(spec.get("metrics")) for tag in tags_in(metric))
    return next((f"failed to resolve {{{{{tag}}}}}" for tag in tags if tag not in known), "")


def _endless(name: str, spec: Json, path: str) -> Iterator[Problem]:
    for metric in map(as_map, as_list(spec.get("metrics"))):
        count = metric.get("count")
        templated = isinstance(count, str) and "{{" in count  # its argument is known only when the run is made
        if metric.get("interval") and not templated and not _whole(count):
            shown = "<nil>" if count is None else count
            text = f"AnalysisTemplate {name} has metric {metric.get('name', '')} which runs indefinitely."
            yield invalid(path, name, f"{text} Invalid value for count: {shown}")


def _unsupplied(name: str, spec: Json, given: Any, path: str) -> Iterator[Problem]:
    supplied = {argument.get("name", "") for argument in given}
    for argument in map(as_map, as_list(spec.get("args"))):
        if argument.get("value") is None and argument.get("valueFrom") is None and argument.get("name", "") not in supplied:
            yield invalid(path, name, str(argument.get("name", "")) if given else "missing analysis arguments in rollout spec")


def _whole(count: Any) -> int:
    try:
        return int(count)
    except (TypeError, ValueError):
        return 0
