"""Small, valid objects; a test states only what it is about."""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.keys import API_VERSION

Json = Mapping[str, Any]

CONTAINER = "app"
BLUE, YELLOW = "demo:blue", "demo:yellow"


def a_rollout(  # noqa: PLR0913 - one argument per field that tests differ in
    name: str = "web",
    *,
    replicas: int = 3,
    image: str = BLUE,
    steps: Sequence[Json] = (),
    canary: Json | None = None,
    labels: Json | None = None,
    annotations: Json | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A canary Rollout; `canary` adds to its strategy, `spec` to its spec."""
    metadata: dict[str, Any] = {"name": name, "labels": dict(labels or {}), "annotations": dict(annotations or {})}
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": CONTAINER, "image": image}]},
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "Rollout",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
            "strategy": {"canary": {"steps": list(steps), **(canary or {})}},
            **spec,
        },
    }


def a_deployment(name: str = "web", *, replicas: int = 3, image: str = BLUE, pod_annotations: Json | None = None) -> dict[str, Any]:
    """With the pod template of `a_rollout`."""
    template = a_rollout(name, image=image)["spec"]["template"]
    template["metadata"]["annotations"] = dict(pod_annotations or {})
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def a_referring_rollout(name: str = "web", *, scale_down: str = "", **given: Any) -> dict[str, Any]:
    """Of the Deployment of its name: without a template and a selector of its own."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, **({"scaleDown": scale_down} if scale_down else {})}
    rollout = a_rollout(name)
    del rollout["spec"]["template"], rollout["spec"]["selector"]
    return {**rollout, "spec": {**rollout["spec"], "workloadRef": reference, **given}}


def a_service(name: str, *, app: str) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": app}, "ports": ports}}


def an_http_route(name: str, *, stable: str, canary: str) -> dict[str, Any]:
    """All traffic to stable; no gateway takes it, so what is written is all there is to observe."""
    backends = [{"name": stable, "port": 80, "weight": 100}, {"name": canary, "port": 80, "weight": 0}]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": name},
        "spec": {"rules": [{"backendRefs": backends}]},
    }


def an_analysis_template(name: str, *metrics: Json, args: Sequence[str] = ()) -> dict[str, Any]:
    spec = {"args": [{"name": each} for each in args], "metrics": [dict(each) for each in metrics]}
    return {"apiVersion": API_VERSION, "kind": "AnalysisTemplate", "metadata": {"name": name}, "spec": spec}
