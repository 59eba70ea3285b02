"""Everything that is wrong with a file's manifests, one line per mistake. Pure.

The rules are the planner's own. What a Rollout refers to is looked up in the same file only: what is absent there may well be in
the cluster, so it is not complained about (`argo-behaviour.md` 13, `lint`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tidegate.crd.generate import schemas
from tidegate.crd.strict import unknown_fields
from tidegate.keys import GROUP
from tidegate_planner.validation import References, problems
from tidegate_planner.workloads import reference_of, resolved, unresolvable, workload_in

Manifest = dict[str, Any]


def complaints(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """`Rollout/web: spec.strategy...: what is wrong`, in the order of the file. Objects of other groups are only referred to."""
    held = [dict(each) for each in documents]
    references = References(
        services=_by_name(held, "Service"),
        analysis_templates=_by_name(held, "AnalysisTemplate"),
        cluster_analysis_templates=_by_name(held, "ClusterAnalysisTemplate"),
        ingresses=_by_name(held, "Ingress"),
        virtual_services=_by_name(held, "VirtualService"),
        ambassador_mappings=_by_name(held, "Mapping"),
    )
    return [f"{_named(each)}: {text}" for each in held if _is_ours(each) for text in _complaints(each, references, held)]


def _complaints(manifest: Manifest, references: References, held: Sequence[Manifest]) -> list[str]:
    kind = manifest.get("kind")
    if kind not in schemas():
        return [f"kind is {kind!r}; {GROUP} has {', '.join(sorted(schemas()))}"]
    unknown = [f"unknown field {each}" for each in unknown_fields(manifest)]
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


def _by_name(held: Sequence[Manifest], kind: str) -> dict[str, Manifest]:
    return {
        each["metadata"]["name"]: each for each in held if each.get("kind") == kind and (each.get("metadata") or {}).get("name")
    }


def _is_ours(manifest: Manifest) -> bool:
    return str(manifest.get("apiVersion", "")).startswith(f"{GROUP}/")


def _named(manifest: Manifest) -> str:
    return f"{manifest.get('kind')}/{(manifest.get('metadata') or {}).get('name', '?')}"
