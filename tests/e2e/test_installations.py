"""How the services are started: settings that are refused, `tidegate services`, several installations in one cluster."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidegate.bus.server import LocalNats
from tidegate.config import Settings
from tidegate.keys import INSTANCE_ID
from tidegate.testing import Outcomes, Scene, ServiceProcess, Suite, a_rollout, healthy_on
from tidegate.testing.patient import patient_bus
from tidegate_cli.local.services import MODULES
from tidegate_embedded import ControlPlane

pytestmark = pytest.mark.e2e

BLUE = "demo:blue"
COMMAND = [sys.executable, "-c", "from tidegate_cli.app import main; main()", "services"]

BAD_SETTINGS = {
    "NATS_URL": ("localhost:4222", "nats://"),
    "KUBECONFIG": ("/nowhere/config", "file"),
    "TIDEGATE_RESYNC_SECONDS": ("0", "1"),
    "TIDEGATE_LOG_LEVEL": ("chatty", "debug, info, warning, error"),
    "TIDEGATE_STREAM_REPLICAS": ("many", "1"),
    "TIDEGATE_WEBHOOK_URL": ("ftp://example.org", "http"),
}


@pytest.mark.parametrize("variable", BAD_SETTINGS)
def test_a_bad_setting_ends_the_service_with_its_name_and_what_would_be_right(variable: str, tmp_path: Path) -> None:
    value, right = BAD_SETTINGS[variable]
    environment = {**os.environ, "TIDEGATE_WEBHOOK_SECRET": "s", variable: value}
    process = ServiceProcess("planner", MODULES["planner"], environment, log=tmp_path / "planner.log").start(wait=False)
    assert process.wait() == 2
    (line,) = process.said.splitlines()
    assert line.startswith(f"tidegate-planner: {variable} is {value!r}; it must be ")
    assert right in line


@pytest.mark.parametrize("service", MODULES)
def test_every_service_refuses_them_alike(service: str, tmp_path: Path) -> None:
    environment = {**os.environ, "TIDEGATE_LOG_LEVEL": "chatty"}
    process = ServiceProcess(service, MODULES[service], environment, log=tmp_path / "service.log").start(wait=False)
    assert process.wait() == 2
    assert process.said.startswith(f"tidegate-{service}: TIDEGATE_LOG_LEVEL is 'chatty'; it must be ")


@pytest.fixture
def other_bus() -> Iterator[LocalNats]:
    """Each installation has a bus of its own: its services share the work of one set of streams."""
    with LocalNats() as server:
        yield server


async def test_two_installations_tell_their_rollouts_apart_by_the_instance_id(
    control_plane: ControlPlane, other_bus: LocalNats, suite: Suite, scene: Scene
) -> None:
    environment = {**os.environ, "KUBECONFIG": str(control_plane.kubeconfig), "NATS_URL": other_bus.url}
    command = [*COMMAND, "--instance-id", "second"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) as services:  # noqa: ASYNC220 - starts in no time
        try:
            async with patient_bus(Settings(nats_url=other_bus.url), service="test") as bus:
                heard = Outcomes()
                heard.listen(bus)
                for name, labels in {"ours": {}, "theirs": {INSTANCE_ID: "second"}, "nobodys": {INSTANCE_ID: "third"}}.items():
                    await scene.apply(a_rollout(name, labels=labels))
                await scene.until("ours", healthy_on(BLUE))
                await scene.until("theirs", healthy_on(BLUE))
                there = Scene(kube=scene.kube, bus=bus, namespace=scene.namespace, outcomes=heard)
                await there.until_told("theirs", "completed")
                await scene.until_told("ours", "completed")
                assert heard.of(scene.namespace, "ours") == scene.outcomes.of(scene.namespace, "theirs") == []
                assert "status" not in await scene.rollout("nobodys")
        finally:
            services.terminate()
            services.wait(timeout=300)
    assert services.returncode == 0
