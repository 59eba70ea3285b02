"""One real planner process at a time on a real API server with real pods, and a bus of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tidegate.bus import Bus
from tidegate.bus.server import LocalNats
from tidegate.config import Settings
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.testing import Outcomes, Scene, Suite, patient_bus
from tidegate_cli.local.stack import install_crds
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, shared_control_plane

PlannerFactory = Callable[..., AbstractContextManager[Suite]]


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with shared_control_plane() as running:
        asyncio.run(install_crds(running.kubeconfig))
        yield running


@pytest.fixture
def nats() -> Iterator[LocalNats]:
    """A bus for each test: planners that share a bus share the work, whatever they are set to."""
    with LocalNats() as server:
        yield server


@pytest.fixture
def a_planner(control_plane: ControlPlane, nats: LocalNats, tmp_path: Path) -> PlannerFactory:
    """`with a_planner(TIDEGATE_NAMESPACE="shop"):`; it must still run in the end."""

    @contextmanager
    def running(**settings: str) -> Iterator[Suite]:
        ours = {"KUBECONFIG": str(control_plane.kubeconfig), "NATS_URL": nats.url, **settings}
        with Suite({"planner": "tidegate_planner.app"}, settings=ours, folder=tmp_path) as suite:
            yield suite
            assert suite.ended() == []

    return running


@pytest.fixture
def unprompted(a_planner: PlannerFactory) -> Iterator[None]:
    """A planner whose resync is an hour away: what it notices it was told of, or has the moment from its own plan."""
    with a_planner(TIDEGATE_RESYNC_SECONDS="3600"):
        yield


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    async with Kube(load(control_plane.kubeconfig), user_agent="kubectl") as connected:
        yield connected


@pytest.fixture
async def bus(nats: LocalNats) -> AsyncIterator[Bus]:
    async with patient_bus(Settings(nats_url=nats.url), service="test") as connected:
        yield connected


@pytest.fixture
def new_scene(control_plane: ControlPlane, kube: Kube, bus: Bus) -> Callable[[], Scene]:
    return lambda: Scene(kube=kube, bus=bus, namespace=create_namespace(control_plane, "planner"), outcomes=Outcomes())


@pytest.fixture
def scene(new_scene: Callable[[], Scene]) -> Scene:
    return new_scene()
