"""A real API server with the CRDs of Rollouts and of the Gateway API, a real nats-server, and AWS as moto plays it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from tidegate.bus.server import LocalNats
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.testing.moto import Moto, moto_server
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, exists, shared_control_plane, wait_until

ROOT = Path(__file__).parents[3]
DEFINITIONS = (
    ROOT / "deploy" / "crds" / "argoproj.io_rollouts.yaml",
    ROOT / "tests" / "data" / "crds" / "gateway.networking.k8s.io_httproutes.yaml",
)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with shared_control_plane() as running:
        for path in DEFINITIONS:
            definition = yaml.safe_load(path.read_text())
            install(running, definition)
        yield running


def install(control_plane: ControlPlane, definition: dict) -> None:
    collection = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    name = definition["metadata"]["name"]
    known = {each["metadata"]["name"] for each in control_plane.client.get(collection)["items"]}
    if name not in known:
        control_plane.client.post(collection, definition)

    def established() -> bool:
        conditions = (control_plane.client.get(f"{collection}/{name}").get("status") or {}).get("conditions") or []
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    wait_until(established, what=f"{name} to be established")
    spec = definition["spec"]
    version = next(each["name"] for each in spec["versions"] if each["served"])
    path = f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
    wait_until(lambda: exists(control_plane, path), what=f"{name} to be served, which is a moment later")


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    return create_namespace(control_plane, "shifter")


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    async with Kube(load(control_plane.kubeconfig), user_agent="tidegate-traffic-shifter/test") as kube:
        yield kube


@pytest.fixture(scope="module")
def nats() -> Iterator[LocalNats]:
    with LocalNats() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with moto_server(ROOT / "tests" / "data" / "moto.lock") as server:
        yield server
