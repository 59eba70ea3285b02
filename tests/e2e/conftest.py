"""Real processes on a real control plane and a real bus, shared by the whole session; a namespace of its own for each test.

Each service runs under its own ServiceAccount and its own NATS user, with the rights of an installation and no others.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tidegate.bus import Bus
from tidegate.bus.server import LocalNats
from tidegate.config import Settings
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.testing import Endpoint, Outcomes, Scene, Suite
from tidegate.testing.patient import patient_bus
from tidegate.testing.plugins import METRIC, ROUTER, STEP
from tidegate_cli.local.identities import BusUsers, environments, service_accounts
from tidegate_cli.local.services import MODULES
from tidegate_cli.local.stack import install_crds
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, shared_control_plane

ROUTES = Path(__file__).parents[1] / "data" / "crds" / "gateway.networking.k8s.io_httproutes.yaml"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SECRET = "whsec_c2VjcmV0LW9mLXRoZS1lbmQtdG8tZW5kLXRlc3Rz"


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with shared_control_plane() as running:
        asyncio.run(install_crds(running.kubeconfig))
        routes = yaml.safe_load(ROUTES.read_text())
        if routes["metadata"]["name"] not in {each["metadata"]["name"] for each in running.client.get(CRDS)["items"]}:
            running.client.post(CRDS, routes)
        yield running


@pytest.fixture(scope="session")
def users() -> BusUsers:
    return BusUsers.fresh()


@pytest.fixture(scope="session")
def nats(users: BusUsers) -> Iterator[LocalNats]:
    """Who gives no name is the test itself, which may do anything."""
    config = users.server_config
    config["authorization"]["users"].append({"user": "test", "password": "test"})
    with LocalNats(config={**config, "no_auth_user": "test"}) as server:
        yield server


@pytest.fixture(scope="session")
def webhook() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def suite(
    control_plane: ControlPlane, nats: LocalNats, users: BusUsers, webhook: Endpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Suite]:
    """The four services, for one file: they serve every namespace, so any that outlived it would join in the tests of others.

    None of them may have ended by itself.
    """
    settings = {
        "NATS_URL": nats.url,
        "TIDEGATE_WEBHOOK_URL": f"{webhook.url}/hook",
        "TIDEGATE_WEBHOOK_SECRET": SECRET,
        "TIDEGATE_STEP_PLUGINS": f"[{STEP}]",
        "TIDEGATE_ROUTER_PLUGINS": f"[{ROUTER}]",
        "TIDEGATE_METRIC_PLUGINS": f"[{METRIC}]",
    }
    folder = tmp_path_factory.mktemp("logs")
    with (
        service_accounts(control_plane.kubeconfig, folder) as accounts,
        Suite(MODULES, settings=settings, own=environments(accounts, users), folder=folder) as running,
    ):
        yield running
        assert running.ended() == []


@pytest.fixture
async def bus(nats: LocalNats) -> AsyncIterator[Bus]:
    async with patient_bus(Settings(nats_url=nats.url), service="test") as connected:
        yield connected


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    async with Kube(load(control_plane.kubeconfig), user_agent="kubectl") as connected:
        yield connected


@pytest.fixture
async def new_scene(control_plane: ControlPlane, suite: Suite, kube: Kube, bus: Bus) -> Callable[[], Scene]:
    """A namespace of its own with somebody who listens to the outcomes."""
    outcomes = Outcomes()
    outcomes.listen(bus)
    return lambda: Scene(kube=kube, bus=bus, namespace=create_namespace(control_plane, "e2e"), outcomes=outcomes)


@pytest.fixture
def scene(new_scene: Callable[[], Scene]) -> Scene:
    return new_scene()
