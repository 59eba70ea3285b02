"""The objects of the scenarios, as the peer was given them. Facts: names and sizes are part of what was recorded."""

from typing import Any

Json = dict[str, Any]
API = "argoproj.io/v1alpha1"


def rollout(strategy: Json, *, replicas: int = 4, **spec: Any) -> Json:
    template = {
        "metadata": {"labels": {"app": "app"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "demo", "image": "demo:v1"}]},
    }
    whole = {"replicas": replicas, "selector": {"matchLabels": {"app": "app"}}, "template": template, "strategy": strategy, **spec}
    return {"apiVersion": API, "kind": "Rollout", "metadata": {"name": "app"}, "spec": whole}


def canary(*steps: Json, **fields: Any) -> Json:
    return {"canary": {"steps": list(steps), **fields}}


def routed(*steps: Json, router: Json, **fields: Any) -> Json:
    return canary(*steps, **SERVICES, trafficRouting=router, **fields)


def blue_green(**fields: Any) -> Json:
    return {"blueGreen": {"activeService": "active", **fields}}


def weight(value: int) -> Json:
    return {"setWeight": value}


def pause(duration: str | None = None) -> Json:
    return {"pause": {"duration": duration} if duration else {}}


def analysis(template: str, **fields: Any) -> Json:
    return {"analysis": {"templates": [{"templateName": template}], **fields}}


SERVICES = {"stableService": "stable", "canaryService": "canary"}


def service(name: str) -> Json:
    ports = [{"port": 80, "targetPort": 8080}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": "app"}, "ports": ports}}


def services(*names: str) -> list[Json]:
    return [service(name) for name in names]


def template(name: str, url: str, **metric: Any) -> Json:
    web = {"url": url, "jsonPath": "{$.data}"}
    whole = {"name": "m", "successCondition": "result.ok == true", "provider": {"web": web}, **metric}
    return {"apiVersion": API, "kind": "AnalysisTemplate", "metadata": {"name": name}, "spec": {"metrics": [whole]}}


def virtual_service() -> Json:
    destinations = [("stable", 100), ("canary", 0)]
    route = [{"destination": {"host": host}, "weight": share} for host, share in destinations]
    spec = {"hosts": ["app.local"], "gateways": ["gw"], "http": [{"name": "primary", "route": route}]}
    return {"apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService", "metadata": {"name": "vs"}, "spec": spec}


def ingress(backend: str, port: Json, ingress_class: str) -> Json:
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": backend, "port": port}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "main", "annotations": {"kubernetes.io/ingress.class": ingress_class}},
        "spec": {"rules": [{"host": "app.local", "http": {"paths": [path]}}]},
    }


def traefik_service() -> Json:
    spec = {"weighted": {"services": [{"name": "stable", "port": 80}, {"name": "canary", "port": 80}]}}
    return {"apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService", "metadata": {"name": "ts"}, "spec": spec}
