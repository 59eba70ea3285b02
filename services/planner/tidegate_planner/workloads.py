"""The workload that a Rollout takes its pods from, and how the Rollout reads with that workload's pod template (11.1).

Rule of this file: pure. The template is put in place in memory at each reading; the stored Rollout keeps an empty one, so a
GitOps tool never sees a difference.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tidegate import keys

Json = Mapping[str, Any]

TEMPLATE_TEXT = "templateText"
NEVER, ON_SUCCESS, PROGRESSIVELY = "never", "onsuccess", "progressively"
PLURALS = {
    ("apps", "Deployment"): "deployments.apps",
    ("apps", "ReplicaSet"): "replicasets.apps",
    ("", "PodTemplate"): "podtemplates",
}
"""What can be referred to, by group and kind, and how the API server calls it when it is missing."""


@dataclass(frozen=True, slots=True)
class Reference:
    group: str
    kind: str
    name: str

    @property
    def known(self) -> bool:
        return (self.group, self.kind) in PLURALS

    @property
    def refusal(self) -> str | None:
        """In the peer's words, for a kind that nobody takes pods from."""
        return None if self.known else f"workload of type {self.group}/{self.kind} is not supported"


def reference_of(manifest: Json) -> Reference | None:
    """None without `workloadRef`, and where it is malformed: the rules for shapes say so."""
    spec = manifest.get("spec")
    reference = spec.get("workloadRef") if isinstance(spec, Mapping) else None
    if not isinstance(reference, Mapping):
        return None
    version, kind, name = (reference.get(field, "") for field in ("apiVersion", "kind", "name"))
    if not (isinstance(version, str) and isinstance(kind, str) and isinstance(name, str)):
        return None
    return Reference(version.rpartition("/")[0], kind, name)


def unresolvable(manifest: Json, reference: Reference, workload: Json | None) -> str | None:
    """Why the template cannot be taken from there, in the peer's words and order; None if it can."""
    if not _is_empty(manifest["spec"].get("template")):
        return "template must be empty for workload reference rollout"
    if reference.refusal is not None:
        return reference.refusal
    if workload is None:
        place = f"{manifest['metadata'].get('namespace', '')}/{reference.name}"
        return f'{PLURALS[reference.group, reference.kind]} "{place}" not found'
    return None


def workload_in(manifests: Iterable[Json], reference: Reference | None) -> Json | None:
    """What is referred to, if it is among these."""
    return next((each for each in manifests if reference is not None and _identity(each) == reference), None)


def _identity(manifest: Json) -> Reference:
    group, _, _ = str(manifest.get("apiVersion", "")).rpartition("/")
    return Reference(group, str(manifest.get("kind")), str((manifest.get("metadata") or {}).get("name")))


def resolved(manifest: Json, workload: Json) -> dict[str, Any]:
    """The Rollout with the workload's template, and with its selector if the Rollout has none. A PodTemplate has no selector."""
    spec = {**manifest["spec"], "template": template_of(workload)}
    selector = (workload.get("spec") or {}).get("selector")
    if spec.get("selector") is None and selector is not None:
        spec["selector"] = selector
    return {**manifest, "spec": spec}


def acted_on_later(status: Json, generation: int) -> bool:
    """Whether somebody has acted on a newer version of the workload than this one, or on a namesake of it that is gone."""
    observed = str(status.get("workloadObservedGeneration", ""))
    return observed.isdigit() and int(observed) > generation


def template_of(workload: Json) -> Json:
    text = workload.get(TEMPLATE_TEXT)
    template: Json = orjson.loads(text) if text else (workload.get("spec") or workload).get("template") or {}
    return template


def slim_workload(manifest: dict[str, Any]) -> dict[str, Any]:
    """For the cache: a cluster has many Deployments and few that a Rollout refers to, so each is held as small as it can be."""
    metadata, spec = manifest["metadata"], manifest.get("spec") or {}
    kept = {field: metadata[field] for field in ("name", "namespace", "uid", "resourceVersion", "generation") if field in metadata}
    kept["annotations"] = {key: value for key, value in (metadata.get("annotations") or {}).items() if key == keys.HANDED_OVER}
    read = {field: spec[field] for field in ("replicas", "selector") if field in spec}
    template = (spec or manifest).get("template") or {}
    return {"apiVersion": manifest.get("apiVersion"), "kind": manifest.get("kind"), "metadata": kept, "spec": read} | {
        TEMPLATE_TEXT: orjson.dumps(template)
    }


def _is_empty(template: Any) -> bool:
    """What is malformed is not: whoever wrote it meant something."""
    if not isinstance(template, Mapping):
        return template is None
    metadata, spec = (template.get(part) or {} for part in ("metadata", "spec"))
    if not (isinstance(metadata, Mapping) and isinstance(spec, Mapping)):
        return False
    return not (metadata.get("labels") or metadata.get("annotations") or spec.get("containers"))
