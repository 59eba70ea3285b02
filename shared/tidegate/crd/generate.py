"""The five CustomResourceDefinitions (`argo-behaviour.md` 1.1): names, scope, subresources and columns as in the peer's.

Together they are 170 KB where the peer's are 3 MB, because pod specs are stored, not described. Plain `kubectl apply` works:
its last-applied annotation holds 256 KiB.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import yaml
from pydantic import BaseModel

from tidegate.crd.analysis import AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate
from tidegate.crd.experiment import Experiment
from tidegate.crd.rollout import Rollout
from tidegate.crd.schema import structural_schema
from tidegate.keys import GROUP, VERSION

HEADER = """\
# Generated from the models in shared/tidegate/crd; do not edit. Change a model, then run
#     python -m tidegate.crd deploy/crds
"""
CATEGORY = "tidegate"  # `kubectl get tidegate` lists all five kinds; the peer has no category, and `all` would add noise


def _column(name: str, path: str, description: str, *, of: str = "integer") -> dict[str, str]:
    return {"name": name, "type": of, "jsonPath": path, "description": description}


AGE = _column("Age", ".metadata.creationTimestamp", "Time since creation", of="date")
PHASE = _column("Status", ".status.phase", "Phase", of="string")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    model: type[BaseModel]
    plural: str
    short: str
    scope: Literal["Namespaced", "Cluster"] = "Namespaced"
    columns: tuple[dict[str, str], ...] = (AGE,)
    subresources: dict[str, dict[str, str]] | None = None

    @property
    def name(self) -> str:
        return self.model.__name__


KINDS = (
    Kind(
        model=Rollout,
        plural="rollouts",
        short="ro",
        columns=(
            _column("Desired", ".spec.replicas", "Pods wanted"),
            _column("Current", ".status.replicas", "Pods that exist"),
            _column("Up-to-date", ".status.updatedReplicas", "Pods of the wanted template"),
            _column("Available", ".status.availableReplicas", "Pods ready for at least minReadySeconds"),
            AGE,
        ),
        subresources={
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.HPAReplicas",
                "labelSelectorPath": ".status.selector",
            },
        },
    ),
    Kind(model=AnalysisTemplate, plural="analysistemplates", short="at"),
    Kind(model=ClusterAnalysisTemplate, plural="clusteranalysistemplates", short="cat", scope="Cluster"),
    # No status subresource for these two: the peer, its plugin and Argo CD patch their status on the object itself.
    Kind(model=AnalysisRun, plural="analysisruns", short="ar", columns=(PHASE, AGE)),
    Kind(model=Experiment, plural="experiments", short="exp", columns=(PHASE, AGE)),
)


@cache
def schemas() -> dict[str, dict[str, Any]]:
    """The openAPIV3Schema of each kind. Shared and cached: read only."""
    return {kind.name: structural_schema(kind.model) for kind in KINDS}


def crds() -> list[dict[str, Any]]:
    return [_crd(kind) for kind in KINDS]


def _crd(kind: Kind) -> dict[str, Any]:
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": list(kind.columns),
        "schema": {"openAPIV3Schema": schemas()[kind.name]},
    }
    if kind.subresources is not None:
        version["subresources"] = kind.subresources
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": kind.scope,
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": [kind.short],
                "categories": [CATEGORY],
            },
            "versions": [version],
        },
    }


class _Dumper(yaml.SafeDumper):
    """Lists are indented under their key, and equal parts are written out: an anchor helps no reader of a CRD."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, False)


def crds_yaml() -> str:
    """All five in one text, in a stable order."""
    return _text(crds())


def crd_files() -> dict[str, str]:
    """File name to text, one file per kind."""
    return {f"{GROUP}_{crd['spec']['names']['plural']}.yaml": _text([crd]) for crd in crds()}


def _text(documents: Iterable[dict[str, Any]]) -> str:
    dumped: str = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=120, explicit_start=True, allow_unicode=True)
    return HEADER + dumped
