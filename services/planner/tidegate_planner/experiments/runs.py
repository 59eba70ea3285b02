"""The AnalysisRuns of an experiment (`argo-behaviour.md` 7.2, 10).

Rule of this file: pure; what cannot become a run is an `ArgumentError`. The analyzer creates and measures them.
"""

import re
from collections.abc import Mapping
from typing import Any

from tidegate import keys
from tidegate.arguments import ArgumentError
from tidegate.durations import epoch, rfc3339
from tidegate_planner.experiments.seen import Seen
from tidegate_planner.experiments.spec import Analysis, Spec
from tidegate_planner.templates import merged_run_spec

Json = Mapping[str, Any]

_TAG = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_OF_TEMPLATE = re.compile(r"templates\.(.+)\.(podTemplateHash|replicaset\.name)")


def manifest(seen: Seen, spec: Spec, analysis: Analysis, *, name: str, available_at: str) -> dict[str, Any]:
    given = [_resolved(each, seen, spec, available_at) for each in analysis.args]
    config = {"templates": [analysis.reference], "args": given, **spec.rules}
    labels = {key: seen.labels[key] for key in (keys.INSTANCE_ID,) if key in seen.labels}
    return {
        "apiVersion": keys.API_VERSION,
        "kind": "AnalysisRun",
        "metadata": {
            "name": name,
            "namespace": seen.namespace,
            "labels": {**labels, **(spec.run_metadata.get("labels") or {})},
            "annotations": dict(spec.run_metadata.get("annotations") or {}),
            "ownerReferences": [owner_reference(seen)],
        },
        "spec": merged_run_spec(config, seen.templates, manifest=seen.manifest, hashes={}),
    }


def owner_reference(seen: Seen) -> Json:
    return {
        "apiVersion": keys.API_VERSION,
        "kind": "Experiment",
        "name": seen.name,
        "uid": seen.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def free_name(seen: Seen, analysis: Analysis) -> str:
    """`<experiment>-<analysis>`, with `.1`, `.2` behind it where runs of an earlier attempt are kept as history (7.3)."""
    base = f"{seen.name}-{analysis.name}"
    taken = {each.name for each in seen.runs}
    names = (base, *(f"{base}.{number}" for number in range(1, len(taken) + 1)))
    return next(name for name in names if name not in taken)


def _resolved(argument: Json, seen: Seen, spec: Spec, available_at: str) -> Json:
    value = argument.get("value")
    if not isinstance(value, str):
        return argument
    return {**argument, "value": _TAG.sub(lambda tag: _answer(tag[1], seen, spec, available_at), value)}


def _answer(tag: str, seen: Seen, spec: Spec, available_at: str) -> str:
    of_template = _OF_TEMPLATE.fullmatch(tag)
    held = seen.replica_sets.get(of_template[1]) if of_template else None
    if of_template and held is not None:
        return held.hash if of_template[2] == "podTemplateHash" else held.name
    if tag == "experiment.availableAt":
        return available_at
    if tag == "experiment.finishedAt" and spec.duration is not None:
        return rfc3339(epoch(available_at) + spec.duration)
    because = ": the experiment has no duration" if tag == "experiment.finishedAt" else ""
    raise ArgumentError(f"failed to resolve {{{{{tag}}}}}{because}")
