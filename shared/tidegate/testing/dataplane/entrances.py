"""How traffic comes in, for each router and data plane: what stands in the namespace, and the Rollout's configuration of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate.kube.kinds import Kind, Object
from tidegate.testing.dataplane.network import Network
from tidegate.testing.dataplane.pods import with_a_process
from tidegate.testing.dataplane.users import ROUND_ROBIN, Users
from tidegate.testing.manifests import BLUE, a_rollout, a_service
from tidegate.testing.scene import FIELD_MANAGER, Scene, healthy_on

STABLE: Final = "web-stable"
CANARY: Final = "web-canary"

Things = list[tuple[Kind, Object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """`objects` are given the host name that users ask for, `routing` the namespace; `spec` is what an owner who routes so adds to
    the Rollout."""

    router: str
    through: str
    port: int
    objects: Callable[[str], Things]
    routing: Callable[[str], Mapping[str, Any]]
    sigmas: float = ROUND_ROBIN
    services: Mapping[str, Any] = field(default_factory=lambda: {"stableService": STABLE, "canaryService": CANARY})
    spec: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.router} through {self.through}"

    def users(self, scene: Scene, network: Network) -> Users:
        return Users(network=network, port=self.port, host=self.host(scene), sigmas=self.sigmas)

    def host(self, scene: Scene) -> str:
        return f"{self.router}.{scene.namespace}.test"

    async def open(self, scene: Scene, network: Network, *, canary: Mapping[str, Any] | None = None, **rollout: Any) -> Users:
        """A canary Rollout `web` that moves traffic here, its users served by blue; `canary` adds to its strategy."""
        await scene.apply(a_service(STABLE, app="web"), a_service(CANARY, app="web"))
        await put(scene, self.objects(self.host(scene)))
        strategy = {**self.services, **(canary or {})}
        strategy["trafficRouting"] = {**self.routing(scene.namespace), **strategy.get("trafficRouting", {})}
        await scene.apply(with_a_process(a_rollout(canary=strategy, **self.spec, **rollout)))
        blue = (await scene.until("web", healthy_on(BLUE)))["status"]["stableRS"]
        users = self.users(scene, network)
        await users.until_shared(blue, 1.0)
        return users


def gateway_plugin(namespace: str) -> Mapping[str, Any]:
    return {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "web", "namespace": namespace}}}


async def put(scene: Scene, things: Things) -> None:
    """As `kubectl apply --server-side` would."""
    for kind, thing in things:
        place = {"namespace": scene.namespace} if kind.namespaced else {}
        there = {**thing, "metadata": {**thing["metadata"], **place}}
        await scene.kube.apply(kind, there, field_manager=FIELD_MANAGER)
