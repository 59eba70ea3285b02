"""AnalysisTemplates merged into the spec of one AnalysisRun, and the rollout's side of its arguments (7.2, 7.3).

Rule of this file: pure; what cannot be merged is an `ArgumentError` with the peer's words, found by validation before any run.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tidegate.arguments import ArgumentError, field_value, merged, overridden

Json = Mapping[str, Any]
Templates = Mapping[tuple[str, str], Json]
"""(kind, name) -> manifest; kind is AnalysisTemplate or ClusterAnalysisTemplate."""

NAMESPACED, CLUSTER = "AnalysisTemplate", "ClusterAnalysisTemplate"


def referenced(config: Json, templates: Templates) -> list[Json]:
    """The templates an analysis names, nested ones included, each once: all namespaced ones before all cluster ones."""
    found: dict[tuple[str, str], Json] = {}
    waiting = list(config.get("templates") or ())
    while waiting:
        reference = waiting.pop(0)
        key = (CLUSTER if reference.get("clusterScope") else NAMESPACED, reference.get("templateName") or "")
        if key in found:
            continue
        if key not in templates:
            raise ArgumentError(f'{key[0].lower()}.argoproj.io "{key[1]}" not found')
        found[key] = templates[key]
        waiting.extend((templates[key].get("spec") or {}).get("templates") or ())
    return [found[key] for key in found if key[0] == NAMESPACED] + [found[key] for key in found if key[0] == CLUSTER]


def merged_run_spec(config: Json, templates: Templates, *, manifest: Json, hashes: Mapping[str, str]) -> dict[str, Any]:
    """The run's `spec`. `hashes` answers `podTemplateHashValue` Stable and Latest; `manifest` is the Rollout for `fieldRef`."""
    specs = [each.get("spec") or {} for each in referenced(config, templates)]
    metrics = [metric for spec in specs for metric in spec.get("metrics") or ()]
    _refuse_twice((metric.get("name") for metric in metrics), "two metrics have the same name '{}'")
    given = [argument(each, manifest=manifest, hashes=hashes) for each in config.get("args") or ()]
    arguments = overridden(merged(spec.get("args") or () for spec in specs), given)
    dry_run = _rules(config, specs, "dryRun", "two Dry-Run metric rules have the same name '{}'")
    retention = _rules(config, specs, "measurementRetention", "two Measurement Retention metric rules have the same name '{}'")
    rest = {"args": arguments, "dryRun": dry_run, "measurementRetention": retention}
    return {"metrics": metrics, **{field: value for field, value in rest.items() if value}}


def argument(given: Json, *, manifest: Json, hashes: Mapping[str, str]) -> dict[str, Any]:
    """A Rollout-side argument with its text worked out; without one it leaves the template's own."""
    source = given.get("valueFrom") or {}
    if source.get("podTemplateHashValue"):
        value: Any = hashes.get(source["podTemplateHashValue"], "")
    elif source.get("fieldRef"):
        value = field_value(manifest, source["fieldRef"].get("fieldPath") or "")
    else:
        value = given.get("value")
    return {"name": given["name"], "value": value}


def _rules(config: Json, specs: Iterable[Json], field: str, twice: str) -> list[Json]:
    """The rollout's own rules first, then the templates'."""
    rules = [*(config.get(field) or ()), *(rule for spec in specs for rule in spec.get(field) or ())]
    _refuse_twice((rule.get("metricName") for rule in rules), twice)
    return rules


def _refuse_twice(names: Iterable[str | None], message: str) -> None:
    seen: set[str | None] = set()
    for name in names:
        if name in seen:
            raise ArgumentError(message.format(name))
        seen.add(name)
