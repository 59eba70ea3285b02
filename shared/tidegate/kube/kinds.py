"""Kinds as the API's paths know them. Pure.

A name from a message ends up in a URL, so `Kind.path` refuses what could reach another object: an empty name (which would turn the
delete of one object into the delete of the whole collection), `..`, and slashes.
"""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from tidegate.kube.errors import Invalid

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource of the API; any custom resource can be named by building one."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL's path. `name=None` is the collection; `namespace=None` is all namespaces (or no namespace, if cluster-wide)."""
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", _segment("namespace", namespace)]
        if self.namespaced and namespace is None and name is not None:
            raise Invalid(f"{self.kind} {name!r} needs a namespace", status=400)
        parts.append(self.plural)
        parts += [_segment(what, value) for what, value in (("name", name), ("subresource", subresource)) if value is not None]
        return "/".join(parts)


def _segment(what: str, value: str) -> str:
    if value in ("", ".", "..") or "/" in value or "%" in value:
        raise Invalid(f"{what} {value!r} cannot be part of a path; it must be a Kubernetes name", status=400)
    return quote(value, safe=":")


def key_of(obj: Object) -> tuple[str, str]:
    """Namespace ("" if cluster-wide) and name."""
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def version_of(obj: Object) -> int:
    """The resourceVersion as an integer; the API server's are (Kubernetes 1.35 made comparing them part of the contract)."""
    return int(obj["metadata"].get("resourceVersion") or 0)


_ARGO: Final = ("argoproj.io", "v1alpha1")
ROLLOUT: Final = Kind(*_ARGO, "rollouts", "Rollout")
ANALYSIS_RUN: Final = Kind(*_ARGO, "analysisruns", "AnalysisRun")
ANALYSIS_TEMPLATE: Final = Kind(*_ARGO, "analysistemplates", "AnalysisTemplate")
CLUSTER_ANALYSIS_TEMPLATE: Final = Kind(*_ARGO, "clusteranalysistemplates", "ClusterAnalysisTemplate", namespaced=False)
EXPERIMENT: Final = Kind(*_ARGO, "experiments", "Experiment")

REPLICA_SET: Final = Kind("apps", "v1", "replicasets", "ReplicaSet")
DEPLOYMENT: Final = Kind("apps", "v1", "deployments", "Deployment")
JOB: Final = Kind("batch", "v1", "jobs", "Job")
POD: Final = Kind("", "v1", "pods", "Pod")
POD_TEMPLATE: Final = Kind("", "v1", "podtemplates", "PodTemplate")
SERVICE: Final = Kind("", "v1", "services", "Service")
SERVICE_ACCOUNT: Final = Kind("", "v1", "serviceaccounts", "ServiceAccount")
SECRET: Final = Kind("", "v1", "secrets", "Secret")
CONFIG_MAP: Final = Kind("", "v1", "configmaps", "ConfigMap")
EVENT: Final = Kind("", "v1", "events", "Event")
NAMESPACE: Final = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
ENDPOINT_SLICE: Final = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
INGRESS: Final = Kind("networking.k8s.io", "v1", "ingresses", "Ingress")
POD_DISRUPTION_BUDGET: Final = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
CRD: Final = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False)

VIRTUAL_SERVICE: Final = Kind("networking.istio.io", "v1alpha3", "virtualservices", "VirtualService")
DESTINATION_RULE: Final = Kind("networking.istio.io", "v1alpha3", "destinationrules", "DestinationRule")
TARGET_GROUP_BINDING: Final = Kind("elbv2.k8s.aws", "v1beta1", "targetgroupbindings", "TargetGroupBinding")
MAPPING: Final = Kind("getambassador.io", "v2", "mappings", "Mapping")
APP_MESH_VIRTUAL_SERVICE: Final = Kind("appmesh.k8s.aws", "v1beta2", "virtualservices", "VirtualService")
APP_MESH_VIRTUAL_ROUTER: Final = Kind("appmesh.k8s.aws", "v1beta2", "virtualrouters", "VirtualRouter")
HTTP_ROUTE: Final = Kind("gateway.networking.k8s.io", "v1", "httproutes", "HTTPRoute")
GRPC_ROUTE: Final = Kind("gateway.networking.k8s.io", "v1", "grpcroutes", "GRPCRoute")
