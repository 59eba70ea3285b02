"""A real API server and a real nats-server; a namespace per test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tidegate.bus import Bus
from tidegate.bus.server import LocalNats
from tidegate.config import Settings
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, shared_control_plane


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with shared_control_plane() as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    return create_namespace(control_plane, "notifier")


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    async with Kube(load(control_plane.kubeconfig), user_agent="tidegate-notifier/test") as kube:
        yield kube


@pytest.fixture
def nats() -> Iterator[LocalNats]:
    """One per test: a consumer made anew hears the last hour, which must not be another test's."""
    with LocalNats() as server:
        yield server


@pytest.fixture
async def planner(nats: LocalNats) -> AsyncIterator[Bus]:
    """The side that tells, with patience for a server that is slow."""
    async with Bus.connect(Settings(nats_url=nats.url), service="planner", answer_seconds=300) as bus:
        yield bus
