"""A real API server with the CRD of AnalysisRuns, a real nats-server, and an HTTP endpoint to measure."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from tidegate.bus.server import LocalNats
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.testing.moto import Moto, moto_server
from tidegate_analyzer.testing import Endpoint
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, exists, shared_control_plane, wait_until

DEFINITION = Path(__file__).parents[3] / "deploy" / "crds" / "argoproj.io_analysisruns.yaml"
COLLECTION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with shared_control_plane() as running:
        definition = yaml.safe_load(DEFINITION.read_text())
        name = definition["metadata"]["name"]
        if name not in {each["metadata"]["name"] for each in running.client.get(COLLECTION)["items"]}:
            running.client.post(COLLECTION, definition)

        def established() -> bool:
            conditions = (running.client.get(f"{COLLECTION}/{name}").get("status") or {}).get("conditions") or []
            return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

        wait_until(established, what=f"{name} to be established")
        path = "/apis/argoproj.io/v1alpha1/analysisruns"
        wait_until(lambda: exists(running, path), what=f"{name} to be served, which is a moment later")
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    return create_namespace(control_plane, "analyzer")


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    async with Kube(load(control_plane.kubeconfig), user_agent="tidegate-test") as kube:
        yield kube


@pytest.fixture(scope="module")
def nats() -> Iterator[LocalNats]:
    with LocalNats() as server:
        yield server


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    with moto_server(Path(__file__).parents[2] / "data" / "moto.lock") as server:
        yield server
