"""Users stay on the version they met, where a Rollout's author asks the router for it (N20): no split takes that away."""

from typing import Any

import pytest

from tidegate.kube.kinds import HTTP_ROUTE, INGRESS
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, HeaderRoute, Split
from tidegate_shifter.router import Ask, Feature, Owner
from tidegate_shifter.routers import ROUTERS
from tidegate_shifter.routers.traefik import TRAEFIK_SERVICE

P = "nginx.ingress.kubernetes.io"
COOKIE = {"affinity": "cookie", "affinity-canary-behavior": "sticky", "session-cookie-name": "version"}
PERSISTENCE = {"type": "Cookie", "sessionName": "version"}
BOTH = [{"name": name, "port": 80, "weight": 1} for name in ("stable", "canary")]


def ingress(port: dict[str, Any]) -> dict[str, Any]:
    path = {"path": "/", "backend": {"service": {"name": "stable", "port": port}}}
    return {"metadata": {"name": "main", "namespace": "shop"}, "spec": {"rules": [{"http": {"paths": [path]}}]}}


SCENES: dict[str, tuple[dict[str, Any], Any, dict[str, Any]]] = {
    "alb": (
        {"ingress": "main", "servicePort": 80, "stickinessConfig": {"enabled": True, "durationSeconds": 3600}},
        INGRESS,
        ingress({"name": "use-annotation"}),
    ),
    "nginx": ({"stableIngress": "main", "additionalIngressAnnotations": COOKIE}, INGRESS, ingress({"number": 80})),
    "traefik": (
        {"weightedTraefikServiceName": "main"},
        TRAEFIK_SERVICE,
        {
            "metadata": {"name": "main", "namespace": "shop"},
            "spec": {"weighted": {"services": BOTH, "sticky": {"cookie": {"name": "version"}}}},
        },
    ),
    "argoproj-labs/gatewayAPI": (
        {"httpRoute": "main"},
        HTTP_ROUTE,
        {
            "metadata": {"name": "main", "namespace": "shop"},
            "spec": {"rules": [{"backendRefs": BOTH, "sessionPersistence": PERSISTENCE}]},
        },
    ),
}


def seen(router: str, kube: MemoryKube) -> list[Any]:
    """What makes users stick, wherever traffic is divided."""
    kind = SCENES[router][1]
    objects = {each["metadata"]["name"]: each for each in kube.snapshot(kind)}
    match router:
        case "alb":
            annotations = objects["main"]["metadata"]["annotations"]
            actions = [text for key, text in annotations.items() if key.startswith("alb.ingress.kubernetes.io/actions.")]
            return ['"TargetGroupStickinessConfig":{"Enabled":true,"DurationSeconds":3600}' in text for text in actions]
        case "nginx":
            annotations = objects["app-main-canary"]["metadata"]["annotations"]
            return [{key: annotations.get(f"{P}/{key}") for key in COOKIE} == COOKIE]
        case "traefik":
            return [objects["main"]["spec"]["weighted"]["sticky"] == {"cookie": {"name": "version"}}]
        case _:
            return [rule.get("sessionPersistence") == PERSISTENCE for rule in objects["main"]["spec"]["rules"]]


def test_every_router_that_can_is_here() -> None:
    assert set(SCENES) == {name for name, router in ROUTERS.items() if Feature.STICKINESS in router.supports} - {"tidegate/memory"}  # type: ignore[attr-defined]


@pytest.mark.parametrize("router", SCENES)
async def test_users_keep_their_version_through_every_split_and_header_route(router: str) -> None:
    config, kind, manifest = SCENES[router]
    kube = MemoryKube()
    await kube.create(kind, manifest)
    header = HeaderRoute(name="first", match=({"headerName": "X-Canary", "headerValue": {"exact": "yes"}},))
    for fence, (weight, headers) in enumerate(((20, ()), (50, (header,)), (100, ()), (0, ()))):
        split = Split(
            canary=Destination(weight=weight, service="canary"),
            stable=Destination(weight=100 - weight, service="stable"),
            header_routes=headers if Feature.HEADER_ROUTES in ROUTERS[router].supports else (),  # type: ignore[attr-defined]
            managed_routes=("first",),
        )
        owner = Owner(namespace="shop", name="app", uid="u")
        await ROUTERS[router](kube).apply(Ask(owner=owner, fence=fence, split=split, config=config))
        assert seen(router, kube)
        assert all(seen(router, kube))
