"""A cluster and a bus as an installation has them: the files of deploy/, applied as a person would."""

import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from tidegate.bus.server import LocalNats
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.testing import Endpoint, Reply
from tidegate_cli.local.identities import BusUsers
from tidegate_cli.local.services import MODULES
from tidegate_embedded import ControlPlane, Options
from tidegate_embedded.testing import create_namespace, exists, wait_until

ROOT = Path(__file__).parents[3]
SYSTEM = "tidegate-system"
ROUTES = ROOT / "tests" / "data" / "crds"
GATEWAY = "gateway.networking.k8s.io"
ROUTE_COPIES = ("httproutes", "grpcroutes", "tcproutes")
GATEWAY_COPIES = ("gateways", "gatewayclasses")
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """One of its own: the services look at every namespace, and what other tests left in a shared one would need other rights."""
    with ControlPlane(Options()) as running:
        kubectl(running, "apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "deploy/crds"))
        for definition in routes_definitions():
            install(running, definition)
        kubectl(running, "apply", "--server-side", "-f", str(ROOT / "deploy/base/namespace.yaml"))
        kubectl(running, "apply", "--server-side", "-k", str(ROOT / "deploy/rbac"))
        wait_until(lambda: exists(running, f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/default"), what="pods to be admitted")
        yield running


def kubectl(control_plane: ControlPlane, *words: str) -> str:
    """With a cache of its own: what it kept of an earlier server on this port would be another's kinds."""
    command = ["kubectl", "--kubeconfig", str(control_plane.kubeconfig), *words]
    environ = {**os.environ, "KUBECACHEDIR": str(control_plane.data_dir / "kubectl")}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environ)
    assert ran.returncode == 0, f"kubectl {' '.join(words)}: {ran.stderr}"
    return ran.stdout


def install(control_plane: ControlPlane, definition: dict) -> None:
    name = definition["metadata"]["name"]
    if name not in {each["metadata"]["name"] for each in control_plane.client.get(CRDS)["items"]}:
        control_plane.client.post(CRDS, definition)
    spec = definition["spec"]
    for version in (each["name"] for each in spec["versions"] if each["served"]):
        path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
        wait_until(lambda path=path: exists(control_plane, path), what=f"{path} to be served")  # type: ignore[misc]


def routes_definitions() -> list[dict]:
    """The copies, and what routes are attached to; TCPRoute also in the version before 1.6; TLSRoute, of which there is no copy, as
    TCPRoute by another name; Linkerd's HTTPRoute as that of another group."""
    http, grpc, tcp = (yaml.safe_load((ROUTES / f"{GATEWAY}_{plural}.yaml").read_text()) for plural in ROUTE_COPIES)
    newest = tcp["spec"]["versions"][0]
    tcp["spec"]["versions"].append({**newest, "name": "v1alpha2", "storage": False})
    names = {"plural": "tlsroutes", "singular": "tlsroute", "kind": "TLSRoute", "listKind": "TLSRouteList"}
    tls = {**tcp, "metadata": {**tcp["metadata"], "name": f"tlsroutes.{GATEWAY}"}, "spec": {**tcp["spec"], "names": names}}
    gateways = [yaml.safe_load((ROUTES / f"{GATEWAY}_{plural}.yaml").read_text()) for plural in GATEWAY_COPIES]
    version = {**http["spec"]["versions"][0], "name": "v1beta3", "storage": True}
    own = {**http["spec"], "group": "policy.linkerd.io", "versions": [version]}
    linkerd = {**http, "metadata": {"name": "httproutes.policy.linkerd.io"}, "spec": own}
    return [http, grpc, tcp, tls, linkerd, *gateways]


@pytest.fixture(scope="session")
def users() -> BusUsers:
    return BusUsers.fresh()


@pytest.fixture(scope="module")
def nats(users: BusUsers) -> Iterator[LocalNats]:
    """Who gives no name is the test itself, which may do anything."""
    config = users.server_config
    config["authorization"]["users"].append({"user": "test", "password": "test"})
    with LocalNats(config={**config, "no_auth_user": "test", "trace": True}) as server:
        yield server


@pytest.fixture(scope="session")
def endpoint() -> Iterator[Endpoint]:
    """The source of metrics and the receiver of webhooks."""
    with Endpoint(lambda _: Reply(body=b'{"rate": 0.99}')) as running:
        yield running


@pytest.fixture(scope="session")
def accounts(control_plane: ControlPlane) -> dict[str, Path]:
    return {service: control_plane.service_account_kubeconfig(SYSTEM, f"tidegate-{service}") for service in MODULES}


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    async with Kube(load(control_plane.kubeconfig), user_agent="kubectl") as connected:
        yield connected


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    return create_namespace(control_plane, "rights")
