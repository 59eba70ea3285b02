"""Beside what every end-to-end test has: a network in which pods are processes, and routers that carry requests to them."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tidegate.kube.kinds import Object
from tidegate.testing.dataplane import Network, NetworkUnavailable, pods_in
from tidegate.testing.dataplane.observed import Observed, rewrite
from tidegate.testing.dataplane.traefik import UNUSED, loose_crd, traefik
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import wait_until

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DATA = Path(__file__).parents[2] / "data" / "crds"
OF_TRAEFIK = (
    "gateway.networking.k8s.io_gatewayclasses",
    "gateway.networking.k8s.io_gateways",
    "gateway.networking.k8s.io_httproutes",
    "gateway.networking.k8s.io_grpcroutes",
    "traefik.io_traefikservices",
)


@pytest.fixture(scope="session")
def network(control_plane: ControlPlane) -> Iterator[Network]:
    """In CI there must be one. Elsewhere a kernel that gives none leaves these tests out, and says what it would take."""
    try:
        with Network() as ours:
            port = urlsplit(control_plane.server).port
            assert port is not None
            ours.reach(port)
            yield ours
    except NetworkUnavailable as why:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def pods(control_plane: ControlPlane, network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pods_in(network, control_plane.kubeconfig, log=tmp_path_factory.mktemp("pods") / "pods.log"):
        yield


def install(control_plane: ControlPlane, *definitions: Object) -> None:
    for each in definitions:
        name = each["metadata"]["name"]
        if name not in {there["metadata"]["name"] for there in control_plane.client.get(CRDS)["items"]}:
            control_plane.client.post(CRDS, each)
    for each in definitions:
        name = each["metadata"]["name"]

        def established(name: str = name) -> bool:
            conditions = (control_plane.client.get(f"{CRDS}/{name}").get("status") or {}).get("conditions") or []
            return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

        wait_until(established, what=f"{name} to be established")


@pytest.fixture(scope="module")
def running_traefik(
    control_plane: ControlPlane, network: Network, pods: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    vendors = [yaml.safe_load((DATA / f"{each}.yaml").read_text()) for each in OF_TRAEFIK]
    routes = loose_crd("traefik.io", "v1alpha1", "ingressroutes", "IngressRoute")
    install(control_plane, *vendors, routes, *(loose_crd(*each) for each in UNUSED))
    with traefik(network, control_plane.kubeconfig, folder=tmp_path_factory.mktemp("traefik")):
        yield


@pytest.fixture(scope="session")
def measured() -> Iterator[list[Observed]]:
    """What the tests of shares saw; TIDEGATE_TRAFFIC_PAGE names the page whose table is to be written anew from it."""
    rows: list[Observed] = []
    yield rows
    if rows and (page := os.environ.get("TIDEGATE_TRAFFIC_PAGE")):
        rewrite(Path(page), rows)
