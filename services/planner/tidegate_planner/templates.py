"""AnalysisTemplates merged into the spec of one AnalysisRun, and the rollout's side of its arguments (7.2, 7.3).

Rule of this file: pure; what cannot be merged is a `TemplateError` with the peer's words, found by validation before any run.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tidegate.errors import TidegateError

Json = Mapping[str, Any]
Templates = Mapping[tuple[str, str], Json]
"""(kind, name) -> manifest; kind is AnalysisTemplate or ClusterAnalysisTemplate."""

NAMESPACED, CLUSTER = "AnalysisTemplate", "ClusterAnalysisTemplate"


class TemplateError(TidegateError):
    """The templates of an analysis do not make one run."""


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
            raise TemplateError(f"{key[0]} '{key[1]}' not found")
        found[key] = templates[key]
        waiting.extend((templates[key].get("spec") or {}).get("templates") or ())
    return [found[key] for key in found if key[0] == NAMESPACED] + [found[key] for key in found if key[0] == CLUSTER]


def merged_run_spec(config: Json, templates: Templates, *, manifest: Json, hashes: Mapping[str, str]) -> dict[str, Any]:
    """The run's `spec`. `hashes` answers `podTemplateHashValue` Stable and Latest; `manifest` is the Rollout for `fieldRef`."""
    specs = [each.get("spec") or {} for each in referenced(config, templates)]
    metrics = [metric for spec in specs for metric in spec.get("metrics") or ()]
    _refuse_twice((metric.get("name") for metric in metrics), "two metrics have the same name '{}'")
    given = {arg["name"]: argument_value(arg, manifest=manifest, hashes=hashes) for arg in config.get("args") or ()}
    merged: dict[str, Any] = {"metrics": metrics}
    arguments = _arguments(specs, given)
    dry_run = _rules(config, specs, "dryRun", "two Dry-Run metric rules have the same name '{}'")
    retention = _rules(config, specs, "measurementRetention", "two Measurement Retention metric rules have the same name '{}'")
    rest = {"args": arguments, "dryRun": dry_run, "measurementRetention": retention}
    return {**merged, **{field: value for field, value in rest.items() if value}}


def argument_value(arg: Json, *, manifest: Json, hashes: Mapping[str, str]) -> str | None:
    """The text of a Rollout-side argument; None leaves the template's own."""
    source = arg.get("valueFrom") or {}
    if source.get("podTemplateHashValue"):
        return hashes.get(source["podTemplateHashValue"], "")
    if source.get("fieldRef"):
        return field_value(manifest, source["fieldRef"].get("fieldPath") or "")
    return arg.get("value")


def field_value(manifest: Json, path: str) -> str:
    """The primitive at a path such as `metadata.labels['app']` or `status.canary.weights.canary.weight`, as text."""
    invalid = TemplateError(f"invalid path {path} in rollout")
    value: Any = manifest
    for part in re.findall(r"\['([^']*)'\]|\[([^\]]*)\]|([^.\[\]]+)", path):
        quoted, index, name = part
        if isinstance(value, list):
            value = _item(value, index or name)
        elif isinstance(value, Mapping) and (quoted or index or name) in value:
            value = value[quoted or index or name]
        else:
            raise invalid
    if isinstance(value, Mapping | list) or value is None:
        raise TemplateError(f"path {path} in rollout must terminate in a primitive value")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _item(items: list[Any], index: str) -> Any:
    if not index.isdigit():
        raise TemplateError(f"invalid index '{index}'")
    if int(index) >= len(items):
        raise TemplateError(f"index {index} out of range")
    return items[int(index)]


def _arguments(specs: Iterable[Json], given: Mapping[str, str | None]) -> list[Json]:
    """The templates' arguments, each once, with the given values put in; ones that no template knows are left out."""
    merged: dict[str, dict[str, Any]] = {}
    for arg in (arg for spec in specs for arg in spec.get("args") or ()):
        name, held = arg["name"], merged.setdefault(arg["name"], {"name": arg["name"]})
        if arg.get("value") is not None:
            if held.get("value") is not None and held["value"] != arg["value"]:
                raise TemplateError(
                    f"Argument `{name}` specified multiple times with different values: '{held['value']}', '{arg['value']}'"
                )
            held["value"] = arg["value"]
        if arg.get("valueFrom") is not None:
            held["valueFrom"] = arg["valueFrom"]
    merged.update({name: {"name": name, "value": value} for name, value in given.items() if name in merged and value is not None})
    for name, arg in merged.items():
        if arg.get("value") is None and arg.get("valueFrom") is None:
            raise TemplateError(f"args.{name} was not resolved")
    return list(merged.values())


def _rules(config: Json, specs: Iterable[Json], field: str, twice: str) -> list[Json]:
    """The rollout's own rules first, then the templates'."""
    rules = [*(config.get(field) or ()), *(rule for spec in specs for rule in spec.get(field) or ())]
    _refuse_twice((rule.get("metricName") for rule in rules), twice)
    return rules


def _refuse_twice(names: Iterable[str | None], message: str) -> None:
    seen: set[str | None] = set()
    for name in names:
        if name in seen:
            raise TemplateError(message.format(name))
        seen.add(name)
