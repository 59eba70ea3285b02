"""Several traffic routers for one Rollout: the same split for each, and no step before all of them have it."""

import asyncio
import contextlib
import sys
from pathlib import Path

import pytest
import yaml

from tidegate.kube.client import Kube
from tidegate.kube.errors import AlreadyExists, NotFound
from tidegate.kube.kinds import CRD, INGRESS, Kind
from tidegate.testing import Scene, a_rollout, a_service, degraded, eventually, healthy_on, paused_at
from tidegate_embedded import ControlPlane

pytestmark = pytest.mark.e2e

BLUE, YELLOW = "demo:blue", "demo:yellow"
STEPS = ({"setWeight": 34}, {"pause": {}})
BOTH = {
    "stableService": "web-stable",
    "canaryService": "web-canary",
    "trafficRouting": {"nginx": {"stableIngress": "main"}, "smi": {}},
    "abortScaleDownDelaySeconds": 1,
    "scaleDownDelaySeconds": 1,
}
TRAFFIC_SPLIT = Kind("split.smi-spec.io", "v1alpha1", "trafficsplits", "TrafficSplit")
SPLITS = Path(__file__).parents[1] / "data" / "crds" / "split.smi-spec.io_trafficsplits.yaml"
NOT_OURS = "smi: Rollout does not own TrafficSplit `web`"


@pytest.fixture
async def splits(kube: Kube) -> None:
    """The cluster serves TrafficSplits."""
    try:
        await kube.create(CRD, yaml.safe_load(SPLITS.read_text()))
    except AlreadyExists:
        return

    async def served() -> bool:
        with contextlib.suppress(NotFound):
            await kube.list(TRAFFIC_SPLIT)
            return True
        return False

    await eventually(served, lambda seen: seen, what="TrafficSplits to be served")


class Web:
    """What the routers of the Rollout `web` have."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.kube, self.namespace = scene, scene.kube, scene.namespace

    async def begins(self) -> None:
        await self.scene.apply(a_service("web-stable", app="web"), a_service("web-canary", app="web"))
        path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web-stable", "port": {"number": 80}}}}
        metadata = {"name": "main", "namespace": self.namespace}
        await self.kube.create(INGRESS, {"metadata": metadata, "spec": {"rules": [{"http": {"paths": [path]}}]}})
        await self.scene.apply(a_rollout(steps=STEPS, canary=BOTH))
        await self.scene.until("web", healthy_on(BLUE))
        await eventually(self.weights, lambda seen: seen == (0, 0), what="both routers to have the first split")

    async def weights(self) -> tuple[int, int]:
        """The canary's, in NGINX and in SMI; -1 where there is none."""
        nginx = smi = -1
        with contextlib.suppress(NotFound):
            ingress = await self.kube.get(INGRESS, self.namespace, "web-main-canary")
            nginx = int(ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"])
        with contextlib.suppress(NotFound):
            split = await self.kube.get(TRAFFIC_SPLIT, self.namespace, "web")
            smi = next((int(each["weight"]) for each in split["spec"]["backends"] if each["service"] == "web-canary"), -1)
        return nginx, smi

    async def breaks(self) -> None:
        """Somebody else's TrafficSplit stands where SMI's should be."""
        await self.kube.delete(TRAFFIC_SPLIT, self.namespace, "web")
        spec = {"service": "other", "backends": [{"service": "other", "weight": "1"}]}
        await self.kube.create(TRAFFIC_SPLIT, {"metadata": {"name": "web", "namespace": self.namespace}, "spec": spec})

    async def is_mended(self) -> None:
        await self.kube.delete(TRAFFIC_SPLIT, self.namespace, "web")

    async def awaited(self) -> str:
        status = (await self.scene.rollout("web"))["status"]
        return next((each["message"] for each in status["conditions"] if each["type"] == "TrafficShifted"), "")


@pytest.fixture
async def web(scene: Scene, splits: None) -> Web:
    web = Web(scene)
    await web.begins()
    return web


async def test_no_step_passes_before_every_router_has_the_split_and_the_one_that_has_not_is_named(
    web: Web, control_plane: ControlPlane
) -> None:
    await web.breaks()
    await web.scene.request_image("web", YELLOW)
    await eventually(web.awaited, lambda seen: NOT_OURS in seen, what="the status to name the router that failed")
    await eventually(web.weights, lambda seen: seen == (34, -1), what="the other router to have the split all the same")
    status = (await web.scene.rollout("web"))["status"]
    assert (status["currentStepIndex"], status["phase"]) == (0, "Progressing")
    shown = await cli("-n", web.namespace, "--kubeconfig", str(control_plane.kubeconfig), "get", "rollout", "web")
    assert any(line.startswith("Traffic:") and "failed for " in line and NOT_OURS in line for line in shown.splitlines())

    await web.is_mended()
    await web.scene.until("web", paused_at(1, image=YELLOW))
    assert await web.weights() == (34, 34)
    assert await web.awaited() == ""


async def test_an_abort_reaches_every_router_it_can_and_the_other_one_as_soon_as_it_can(web: Web) -> None:
    await web.scene.request_image("web", YELLOW)
    await web.scene.until("web", paused_at(1, image=YELLOW))
    assert await web.weights() == (34, 34)
    await web.breaks()
    await web.scene.command("web", "abort")
    await web.scene.until("web", degraded("RolloutAborted"))
    await eventually(web.weights, lambda seen: seen == (0, -1), what="NGINX to send nobody to the canary any more")
    await eventually(web.awaited, lambda seen: NOT_OURS in seen, what="the status to name SMI")

    async def sizes() -> list[int]:
        return [each["spec"]["replicas"] for each in await web.scene.replica_sets("web")]

    assert (await sizes())[1] > 0  # SMI may still send requests there
    await web.is_mended()
    await eventually(web.weights, lambda seen: seen == (0, 0), what="SMI to send nobody there either")
    await eventually(sizes, lambda seen: seen == [3, 0], what="the canary's pods to go")


async def cli(*words: str) -> str:
    command = [str(Path(sys.executable).parent / "tidegate"), *words]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out.decode()
