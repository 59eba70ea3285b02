"""Everything real, and everything breakable: each test has a bus and services of its own; the control plane is shared."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import pytest
import yaml

from tidegate.bus import Bus
from tidegate.bus.server import LocalNats
from tidegate.config import Settings
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.testing import Endpoint, FaultProxy, Outcomes, Reply, Scene, Suite
from tidegate_cli.local.services import MODULES
from tidegate_cli.local.stack import install_crds
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, shared_control_plane

ROUTES = Path(__file__).parents[1] / "data" / "crds" / "gateway.networking.k8s.io_httproutes.yaml"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with shared_control_plane() as running:
        asyncio.run(install_crds(running.kubeconfig))
        routes = yaml.safe_load(ROUTES.read_text())
        if routes["metadata"]["name"] not in {each["metadata"]["name"] for each in running.client.get(CRDS)["items"]}:
            running.client.post(CRDS, routes)
        yield running


@pytest.fixture
def metrics() -> Iterator[Endpoint]:
    """Whatever is asked: no errors."""
    with Endpoint(lambda _: Reply(body=b'{"errors": 0}')) as endpoint:
        yield endpoint


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    return create_namespace(control_plane, "faults")


@pytest.fixture
def nats() -> Iterator[LocalNats]:
    with LocalNats() as server:
        yield server


@pytest.fixture
def proxy(control_plane: ControlPlane, tmp_path: Path) -> Iterator[FaultProxy]:
    with FaultProxy(control_plane.server, ca=control_plane.ca, token=control_plane.token, folder=tmp_path) as running:
        yield running


@pytest.fixture
def started(control_plane: ControlPlane, nats: LocalNats, namespace: str, tmp_path: Path) -> Iterator[Callable[..., Suite]]:
    """`started("planner", "notifier")`: these services (else all four), in this test's namespace only."""
    with ExitStack() as stack:

        def start(*services: str, **settings: str) -> Suite:
            modules = {name: MODULES[name] for name in services or MODULES}
            own = {"KUBECONFIG": str(control_plane.kubeconfig), "NATS_URL": nats.url, "TIDEGATE_NAMESPACE": namespace}
            return stack.enter_context(Suite(modules, settings={**own, **settings}, folder=tmp_path))

        yield start


@pytest.fixture
async def scene(control_plane: ControlPlane, nats: LocalNats, namespace: str) -> AsyncIterator[Scene]:
    """What the test sees is never through the proxy: it is the judge."""
    outcomes = Outcomes()
    async with AsyncExitStack() as stack:
        bus = await stack.enter_async_context(Bus.connect(Settings(nats_url=nats.url), service="test"))
        outcomes.listen(bus)
        kube = await stack.enter_async_context(Kube(load(control_plane.kubeconfig), user_agent="kubectl"))
        yield Scene(kube=kube, bus=bus, namespace=namespace, outcomes=outcomes)
