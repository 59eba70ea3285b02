"""istiod beside the API server, and an Envoy it tells what to do as the gateway of the mesh.

The settings leave out what needs a sidecar injector, a certificate authority or Istio's own build of Envoy.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import yaml

from tidegate.kube.kinds import SERVICE, Kind
from tidegate.testing.dataplane.entrances import CANARY, STABLE, Entrance, Things
from tidegate.testing.dataplane.envoy import PATIENT, bootstrap, envoy
from tidegate.testing.dataplane.network import LOOPBACK, Network, free_ports
from tidegate.testing.dataplane.processes import Background, answers_http
from tidegate.testing.dataplane.users import CHANCE
from tidegate.testing.manifests import a_service

ENTRANCE: Final = 18100
_ADMIN: Final = 18101
GROUP: Final = "networking.istio.io"
GATEWAY: Final = Kind(GROUP, "v1", "gateways", "Gateway")
VIRTUAL_SERVICE: Final = Kind(GROUP, "v1", "virtualservices", "VirtualService")
DESTINATION_RULE: Final = Kind(GROUP, "v1", "destinationrules", "DestinationRule")
DEFINITIONS: Final = tuple(f"{kind.plural}.{GROUP}" for kind in (GATEWAY, VIRTUAL_SERVICE, DESTINATION_RULE))
LABEL: Final = {"istio": "ingressgateway"}

MESH: Final = {
    "defaultProviders": {},
    "enablePrometheusMerge": False,
    "enableAutoMtls": False,  # else Envoy waits for certificates for ever
}
SETTINGS: Final = {
    "POD_NAMESPACE": "istio-system",
    "POD_NAME": "istiod-1",
    "CLUSTER_ID": "Kubernetes",
    "ENABLE_CA_SERVER": "false",
    # Filters that only Istio's own build of Envoy has.
    "PILOT_ENABLE_ALPN_FILTER": "false",
    "PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "VALIDATION_WEBHOOK_CONFIG_NAME": "",
    "INJECTION_WEBHOOK_CONFIG_NAME": "",
}


# --- its entrances ---------------------------------------------------------------------------------------------------------


def _gateway(host: str) -> Things:
    server = {"port": {"number": ENTRANCE, "name": "http", "protocol": "HTTP"}, "hosts": [host]}
    return [(GATEWAY, {"metadata": {"name": "edge"}, "spec": {"selector": LABEL, "servers": [server]}})]


def _virtual_service(host: str, stable: Mapping[str, str], canary: Mapping[str, str]) -> Things:
    route = [{"destination": dict(stable), "weight": 100}, {"destination": dict(canary), "weight": 0}]
    spec = {"hosts": [host], "gateways": ["edge"], "http": [{"name": "primary", "route": route}]}
    return [*_gateway(host), (VIRTUAL_SERVICE, {"metadata": {"name": "web"}, "spec": spec})]


def _by_subset(host: str) -> Things:
    subsets = [{"name": side, "labels": {"app": "web"}} for side in ("stable", "canary")]
    return [
        (SERVICE, a_service("web", app="web")),
        (DESTINATION_RULE, {"metadata": {"name": "web"}, "spec": {"host": "web", "subsets": subsets}}),
        *_virtual_service(host, {"host": "web", "subset": "stable"}, {"host": "web", "subset": "canary"}),
    ]


VIRTUAL: Final[Mapping[str, Any]] = {"virtualService": {"name": "web", "routes": ["primary"]}}
SUBSETS: Final = {"name": "web", "canarySubsetName": "canary", "stableSubsetName": "stable"}

BY_HOST: Final = Entrance(
    router="istio-hosts",
    through="istiod, Envoy 1.40",
    port=ENTRANCE,
    objects=lambda host: _virtual_service(host, {"host": STABLE}, {"host": CANARY}),
    routing=lambda _: {"istio": VIRTUAL},
    sigmas=CHANCE,
    spec=PATIENT,
)
PING_PONG: Final = replace(BY_HOST, router="istio-ping-pong", services={"pingPong": {"pingService": STABLE, "pongService": CANARY}})
BY_SUBSET: Final = Entrance(
    router="istio-subsets",
    through="istiod, Envoy 1.40",
    port=ENTRANCE,
    objects=_by_subset,
    routing=lambda _: {"istio": {**VIRTUAL, "destinationRule": SUBSETS}},
    sigmas=CHANCE,
    spec=PATIENT,
    services={},
)


# --- the processes ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trust:
    """The certificate that istiod's webhook shows, good for 127.0.0.1."""

    certificate: Path
    key: Path
    authority: Path


@contextmanager
def mesh(network: Network, binary: Path, kubeconfig: Path, trust: Trust, *, folder: Path) -> Iterator[int]:
    """istiod, and Envoy as its gateway at `ENTRANCE`; gives the port of istiod's webhook."""
    ports = dict(zip(("grpc", "http", "monitoring", "https", "secure"), free_ports(5), strict=True))
    with ExitStack() as parts:
        parts.enter_context(istiod(binary, kubeconfig, trust, ports, folder=folder))
        network.reach(ports["grpc"])
        config = folder / "gateway.json"
        config.write_text(json.dumps(bootstrap(NODE, xds_port=ports["grpc"], admin_port=_ADMIN)))
        parts.enter_context(envoy(network, config, ready_port=_ADMIN, base_id=0, log=folder / "gateway.log"))
        yield ports["https"]


NODE: Final = {
    "id": "router~10.244.255.9~gateway-1.istio-system~istio-system.svc.cluster.local",
    "cluster": "gateway",
    "metadata": {
        "NAMESPACE": "istio-system",
        "CLUSTER_ID": "Kubernetes",
        "INSTANCE_IPS": "10.244.255.9",
        "ISTIO_VERSION": "1.31.0",
        "LABELS": LABEL,
    },
}


def istiod(binary: Path, kubeconfig: Path, trust: Trust, ports: Mapping[str, int], *, folder: Path) -> Background:
    settings = folder / "mesh.yaml"
    settings.write_text(yaml.safe_dump({**MESH, "defaultConfig": {"discoveryAddress": f"{LOOPBACK}:{ports['grpc']}"}}))
    # Under the path of the certificate itself istiod never serves its webhook.
    authority = folder / "authority.pem"
    shutil.copy(trust.authority, authority)
    command = [
        str(binary),
        "discovery",
        f"--kubeconfig={kubeconfig}",
        f"--meshConfig={settings}",
        f"--grpcAddr={LOOPBACK}:{ports['grpc']}",
        f"--httpAddr={LOOPBACK}:{ports['http']}",
        f"--monitoringAddr={LOOPBACK}:{ports['monitoring']}",
        f"--httpsAddr={LOOPBACK}:{ports['https']}",
        f"--secureGRPCAddr={LOOPBACK}:{ports['secure']}",
        f"--tlsCertFile={trust.certificate}",
        f"--tlsKeyFile={trust.key}",
        f"--caCertFile={authority}",
        "--registries=Kubernetes",
        "-n=istio-system",
    ]
    return Background(
        None,
        command,
        log=folder / "istiod.log",
        environment=SETTINGS,
        answers=lambda: answers_http(None, ports["http"], "/ready"),
    )
