"""Several traffic routers for one Rollout: the same split for each, and no step before all of them have it."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path

import pytest
import yaml

from tidegate.keys import MANAGED_ALB_ANNOTATIONS
from tidegate.kube.client import Kube
from tidegate.kube.errors import AlreadyExists, NotFound
from tidegate.kube.kinds import CRD, INGRESS, VIRTUAL_SERVICE, Kind
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
CRDS = Path(__file__).parents[1] / "data" / "crds"
NOT_OURS = "smi: Rollout does not own TrafficSplit `web`"


async def serve(kube: Kube, kind: Kind) -> None:
    """The cluster has the vendor's definition."""
    with contextlib.suppress(AlreadyExists):
        await kube.create(CRD, yaml.safe_load((CRDS / f"{kind.group}_{kind.plural}.yaml").read_text()))
    await eventually(lambda: kube.serves(kind), lambda seen: seen, what=f"{kind} to be served")


@pytest.fixture
async def splits(kube: Kube) -> None:
    await serve(kube, TRAFFIC_SPLIT)


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
        """Somebody else's TrafficSplit stands where SMI's should be. In one write: what is missing is made anew at once."""
        spec = {"service": "other", "backends": [{"service": "other", "weight": "1"}]}
        theirs = {"metadata": {"ownerReferences": None}, "spec": spec}
        await self.kube.merge_patch(TRAFFIC_SPLIT, self.namespace, "web", theirs)

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


# --- a mesh and a load balancer -----------------------------------------------------------------------------------------


ACTION = "alb.ingress.kubernetes.io/actions.web-stable"
GARBLED = {"metadata": {"annotations": {MANAGED_ALB_ANNOTATIONS: "{"}}}
UNREADABLE = f"annotation {MANAGED_ALB_ANNOTATIONS} is '{{'"


class Mesh:
    """What Istio and the load balancer of the Rollout `web` have; the load balancer's bookkeeping can be made unreadable."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.kube, self.namespace = scene, scene.kube, scene.namespace

    async def begins(self) -> None:
        await serve(self.kube, VIRTUAL_SERVICE)
        await self.scene.apply(a_service("web-stable", app="web"), a_service("web-canary", app="web"))
        port = {"name": "use-annotation"}
        path = {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web-stable", "port": port}}}
        main = {"metadata": {"name": "main", "namespace": self.namespace}, "spec": {"rules": [{"http": {"paths": [path]}}]}}
        await self.kube.create(INGRESS, main)
        sides = [{"destination": {"host": name}, "weight": weight} for name, weight in (("web-stable", 100), ("web-canary", 0))]
        spec = {"hosts": ["web"], "http": [{"name": "all", "route": sides}]}
        await self.kube.create(VIRTUAL_SERVICE, {"metadata": {"name": "web", "namespace": self.namespace}, "spec": spec})
        routing = {"istio": {"virtualService": {"name": "web"}}, "alb": {"ingress": "main", "servicePort": 80}}
        await self.scene.apply(a_rollout(steps=STEPS, canary=BOTH | {"trafficRouting": routing}))
        await self.scene.until("web", healthy_on(BLUE))
        await eventually(self.weights, lambda seen: seen == (0, 0), what="both routers to have the first split")

    async def weights(self) -> tuple[int, int]:
        """The canary's, in Istio and at the load balancer; -1 where there is none."""
        routes = (await self.kube.get(VIRTUAL_SERVICE, self.namespace, "web"))["spec"]["http"][0]["route"]
        ingress = await self.kube.get(INGRESS, self.namespace, "main")
        action = (ingress["metadata"].get("annotations") or {}).get(ACTION, '{"ForwardConfig": {"TargetGroups": []}}')
        groups = json.loads(action)["ForwardConfig"]["TargetGroups"]
        shares = {each["ServiceName"]: each["Weight"] for each in groups}
        return routes[1]["weight"], shares.get("web-canary", -1)

    async def breaks(self) -> None:
        await self.kube.merge_patch(INGRESS, self.namespace, "main", GARBLED)

    async def is_mended(self) -> None:
        patch = {"metadata": {"annotations": {MANAGED_ALB_ANNOTATIONS: None}}}
        await self.kube.merge_patch(INGRESS, self.namespace, "main", patch)


async def test_istio_and_a_load_balancer_have_the_same_split_and_an_abort_reaches_one_without_the_other(scene: Scene) -> None:
    mesh, awaited = Mesh(scene), Web(scene).awaited
    await mesh.begins()
    await mesh.breaks()
    await scene.request_image("web", YELLOW)
    await eventually(awaited, lambda seen: "alb: " in seen and UNREADABLE in seen, what="the status to name the load balancer")
    await eventually(mesh.weights, lambda seen: seen == (34, 0), what="Istio to have the split all the same")
    assert (await scene.rollout("web"))["status"]["currentStepIndex"] == 0

    await mesh.is_mended()
    await scene.until("web", paused_at(1, image=YELLOW))
    assert await mesh.weights() == (34, 34)
    assert await awaited() == ""

    await mesh.breaks()
    await scene.command("web", "abort")
    await scene.until("web", degraded("RolloutAborted"))
    await eventually(mesh.weights, lambda seen: seen == (0, 34), what="Istio to send nobody to the canary any more")
    await eventually(awaited, lambda seen: "alb: " in seen and "istio" not in seen, what="the status to name that alone")
    await mesh.is_mended()
    await eventually(mesh.weights, lambda seen: seen == (0, 0), what="the load balancer to send nobody there either")


async def cli(*words: str) -> str:
    command = [str(Path(sys.executable).parent / "tidegate"), *words]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    out, error = await process.communicate()
    assert process.returncode == 0, error.decode()
    return out.decode()
