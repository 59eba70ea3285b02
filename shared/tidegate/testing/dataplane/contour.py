"""Contour beside the API server, and an Envoy it tells what to do: a second implementation of the Gateway API, by other people."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import yaml

from tidegate.kube.kinds import HTTP_ROUTE, Object
from tidegate.testing.dataplane.entrances import CANARY, STABLE, Entrance, Things, gateway_plugin
from tidegate.testing.dataplane.envoy import PATIENT, envoy
from tidegate.testing.dataplane.network import LOOPBACK, Network, free_ports
from tidegate.testing.dataplane.processes import Background, answers_http
from tidegate.testing.dataplane.users import CHANCE
from tidegate.testing.manifests import an_http_route

GATEWAY: Final = {"name": "contour", "namespace": "default"}
LISTENER: Final = 10300
ENTRANCE: Final = LISTENER + 8000
"""Where Envoy listens: Contour moves a Gateway's ports there, for an Envoy that is not root."""
_READY: Final = 18302
NAMESPACE: Final = {"CONTOUR_NAMESPACE": "projectcontour"}
WHO: Final = ("--service-cluster", "contour", "--service-node", "envoy-1")
UNUSED_FEATURES: Final = ("tlsroutes", "grpcroutes", "tcproutes", "backendtlspolicies", "extensionservices")


def gateway() -> list[tuple[str, Object]]:
    """The GatewayClass and the one Gateway that this Contour is for, each with where to post it."""
    group = "gateway.networking.k8s.io/v1"
    path = f"/apis/{group}"
    listener = {"name": "http", "protocol": "HTTP", "port": LISTENER, "allowedRoutes": {"namespaces": {"from": "All"}}}
    controller = {"controllerName": "projectcontour.io/gateway-controller"}
    spec = {"gatewayClassName": "contour", "listeners": [listener]}
    return [
        (
            f"{path}/gatewayclasses",
            {"apiVersion": group, "kind": "GatewayClass", "metadata": {"name": "contour"}, "spec": controller},
        ),
        (
            f"{path}/namespaces/{GATEWAY['namespace']}/gateways",
            {"apiVersion": group, "kind": "Gateway", "metadata": GATEWAY, "spec": spec},
        ),
    ]


def _http_route(host: str) -> Things:
    route = an_http_route("web", stable=STABLE, canary=CANARY)
    route["spec"] |= {"parentRefs": [GATEWAY], "hostnames": [host]}
    return [(HTTP_ROUTE, route)]


CONTOUR: Final = Entrance(
    router="gateway-api",
    through="Contour 1.33, Envoy 1.40",
    port=ENTRANCE,
    objects=_http_route,
    routing=gateway_plugin,
    sigmas=CHANCE,
    spec=PATIENT,
)


@contextmanager
def contour(network: Network, binary: Path, kubeconfig: Path, *, folder: Path) -> Iterator[None]:
    """Contour, and Envoy at `ENTRANCE`."""
    xds, health, metrics, debug = free_ports(4)
    config = folder / "contour.yaml"
    config.write_text(yaml.safe_dump({"gateway": {"gatewayRef": GATEWAY}}))
    serving = [
        str(binary),
        "serve",
        "--insecure",
        "--disable-leader-election",
        f"--kubeconfig={kubeconfig}",
        f"--config-path={config}",
        f"--xds-address={LOOPBACK}",
        f"--xds-port={xds}",
        f"--health-address={LOOPBACK}",
        f"--health-port={health}",
        f"--http-address={LOOPBACK}",
        f"--http-port={metrics}",
        f"--debug-http-address={LOOPBACK}",
        f"--debug-http-port={debug}",
        f"--stats-address={LOOPBACK}",
        f"--stats-port={_READY}",
        *(f"--disable-feature={each}" for each in UNUSED_FEATURES),
    ]
    ready = lambda: answers_http(None, health, "/healthz")  # noqa: E731 - it is an argument
    with ExitStack() as parts:
        parts.enter_context(Background(None, serving, log=folder / "contour.log", environment=NAMESPACE, answers=ready))
        network.reach(xds)
        config = _bootstrap(binary, xds, folder=folder)
        parts.enter_context(envoy(network, config, ready_port=_READY, base_id=1, log=folder / "envoy.log", words=WHO))
        yield


def _bootstrap(binary: Path, xds: int, *, folder: Path) -> Path:
    """Contour itself writes down what Envoy has to be told by hand."""
    config = folder / "envoy.json"
    words = ["bootstrap", str(config), f"--xds-address={LOOPBACK}", f"--xds-port={xds}", f"--admin-address={folder / 'admin.sock'}"]
    subprocess.run([binary, *words], check=True, capture_output=True, env={**os.environ, **NAMESPACE})  # noqa: S603 - built by us
    return config
