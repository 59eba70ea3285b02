"""Everything that is wrong with a file's manifests, one line per mistake. Pure.

The rules are the planner's own. What a Rollout refers to is looked up in the same file only: what is absent there may well be in
the cluster, so it is not complained about (`argo-behaviour.md` 13, `lint`). So names of plugins are only checked where the file
declares some, in the ConfigMap `argo-rollouts-config`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidegate import plugins
from tidegate.crd.generate import schemas
from tidegate.crd.strict import unknown_fields
from tidegate.keys import GROUP
from tidegate_analyzer.template_faults import ProviderFault, faults
from tidegate_planner.validation import References, problems
from tidegate_planner.workloads import reference_of, resolved, unresolvable, workload_in

Manifest = dict[str, Any]
TEMPLATES = ("AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun")


def complaints(documents: Iterable[Mapping[str, Any]], provider_fault: ProviderFault = lambda _name, _config: "") -> list[str]:
    """`Rollout/web: spec.strategy...: what is wrong`, in the order of the file. Objects of other groups are only referred to."""
    held = [dict(each) for each in documents]
    declared, unreadable = _declared(held)
    references = References(
        services=_by_name(held, "Service"),
        analysis_templates=_by_name(held, "AnalysisTemplate"),
        cluster_analysis_templates=_by_name(held, "ClusterAnalysisTemplate"),
        ingresses=_by_name(held, "Ingress"),
        virtual_services=_by_name(held, "VirtualService"),
        ambassador_mappings=_by_name(held, "Mapping"),
        step_plugins=declared.get(plugins.STEP),
    )
    found = [
        (each, text)
        for each in held
        if _is_ours(each)
        for text in [*_complaints(each, references, held, declared), *_of_template(each, provider_fault)]
    ]
    return [*unreadable, *(f"{_named(each)}: {text}" for each, text in found)]


def _declared(held: Iterable[Manifest]) -> tuple[dict[str, frozenset[str]], list[str]]:
    """What the file declares: kind of plugin -> names; and what is wrong with it."""
    config = _by_name(held, "ConfigMap").get(plugins.CONFIG_MAP)
    names: dict[str, frozenset[str]] = {}
    wrong = []
    for kind in (plugins.STEP, plugins.ROUTER, plugins.METRIC) if config else ():
        try:
            names[kind] = frozenset(plugins.declared((config or {}).get("data", {}).get(kind) or ""))
        except ValueError as error:
            wrong.append(f"ConfigMap/{plugins.CONFIG_MAP}: data.{kind} must be {error}")
    return names, wrong


def _unregistered(manifest: Manifest, declared: Mapping[str, frozenset[str]]) -> list[str]:
    """Routers and metrics whose plugin is not in the file's declaration; those of steps are a rule of the planner's."""
    where = {"spec.strategy.canary.trafficRouting.plugins": plugins.ROUTER}
    metrics = _inside(manifest, "spec").get("metrics")
    for index in range(len(metrics) if isinstance(metrics, list) else 0):
        where[f"spec.metrics[{index}].provider.plugin"] = plugins.METRIC
    return [
        f"{path}: plugin {name!r} is not declared; known: {', '.join(sorted(declared[kind])) or 'none'}"
        for path, kind in where.items()
        for name in _inside(manifest, path)
        if kind in declared and name not in declared[kind] | plugins.BUILT_IN_ROUTERS
    ]


def _inside(manifest: Manifest, path: str) -> Mapping[str, Any]:
    """What lies at a path, if it is a mapping; the file may hold anything."""
    found: Any = manifest
    for step in re.findall(r"\w+", path):
        found = found[int(step)] if isinstance(found, list) else found.get(step) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _complaints(
    manifest: Manifest, references: References, held: Sequence[Manifest], declared: Mapping[str, frozenset[str]]
) -> list[str]:
    kind = manifest.get("kind")
    if kind not in schemas():
        return [f"kind is {kind!r}; {GROUP} has {', '.join(sorted(schemas()))}"]
    unknown = [f"unknown field {each}" for each in unknown_fields(manifest)]
    unknown += [] if unknown else _unregistered(manifest, declared)
    return unknown if kind != "Rollout" else [*unknown, *_rollout_complaints(manifest, references, held)]


def _rollout_complaints(manifest: Manifest, references: References, held: Sequence[Manifest]) -> Iterator[str]:
    """With the template of the workload that it refers to, where that is in the file."""
    reference = reference_of(manifest)
    if reference is not None and reference.refusal is not None:
        yield reference.refusal
    workload = workload_in(held, reference)
    if reference is not None and workload is not None and unresolvable(manifest, reference, workload) is None:
        manifest, references = resolved(manifest, workload), replace(references, workload_resolved=True)
    yield from (str(each) for each in problems(manifest, references))


def _of_template(manifest: Manifest, provider_fault: ProviderFault) -> Iterator[str]:
    """A template's own faults, unless a field is misspelt: then what is missing may be just that."""
    if manifest.get("kind") not in TEMPLATES or unknown_fields(manifest):
        return
    yield from faults(manifest, provider_fault)
    kinds = {True: "ClusterAnalysisTemplate", False: "AnalysisTemplate"}
    for index, reference in enumerate((manifest.get("spec") or {}).get("templates") or ()):
        named = (kinds[bool(reference.get("clusterScope"))], reference.get("templateName"))
        if named == (manifest.get("kind"), (manifest.get("metadata") or {}).get("name")):
            yield f"spec.templates[{index}]: a template cannot hold itself"


def _by_name(held: Iterable[Manifest], kind: str) -> dict[str, Manifest]:
    return {
        each["metadata"]["name"]: each for each in held if each.get("kind") == kind and (each.get("metadata") or {}).get("name")
    }


def _is_ours(manifest: Manifest) -> bool:
    return str(manifest.get("apiVersion", "")).startswith(f"{GROUP}/")


def _named(manifest: Manifest) -> str:
    return f"{manifest.get('kind')}/{(manifest.get('metadata') or {}).get('name', '?')}"
