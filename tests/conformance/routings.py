"""Traffic routing: a router carries the weight."""

import asyncio
from typing import Any

from objects import ingress, pause, rollout, routed, services, traefik_service, virtual_service, weight
from play import Play

ISTIO = {"istio": {"virtualService": {"name": "vs", "routes": ["primary"]}}}


async def istio(play: Play, *steps: Any, router: Any = ISTIO, **fields: Any) -> None:
    """Rolled out once, and the change to v2 begun."""
    await play.first(virtual_service(), *services("stable", "canary"), rollout(routed(*steps, router=router, **fields)))
    await play.image("v2")
    await play.paused()


async def istio_host(play: Play) -> None:
    await istio(play, weight(20), pause(), weight(60), pause("1s"), scaleDownDelaySeconds=2)
    await play.promote()
    await play.healthy()
    await asyncio.sleep(4)


async def istio_host_abort(play: Play) -> None:
    await istio(play, weight(20), pause(), abortScaleDownDelaySeconds=2)
    await play.abort()
    await play.degraded()
    await asyncio.sleep(5)


async def istio_header_route(play: Play) -> None:
    match = [{"headerName": "X-Canary", "headerValue": {"exact": "yes"}}]
    there, gone = {"setHeaderRoute": {"name": "hdr", "match": match}}, {"setHeaderRoute": {"name": "hdr"}}
    await istio(play, weight(20), there, pause(), gone, pause(), router={**ISTIO, "managedRoutes": [{"name": "hdr"}]})
    await play.promote()
    await asyncio.sleep(1)
    await play.paused()
    await play.promote()
    await play.healthy()


async def istio_dynamic_stable(play: Play) -> None:
    await istio(play, weight(25), pause(), weight(75), pause("2s"), dynamicStableScale=True)
    await play.promote()
    await play.healthy()
    await asyncio.sleep(2)


async def istio_canary_scale(play: Play) -> None:
    fixed, following = {"setCanaryScale": {"replicas": 3}}, {"setCanaryScale": {"matchTrafficWeight": True}}
    await istio(play, fixed, pause(), weight(10), pause(), following, pause())
    for _ in range(2):
        await play.promote()
        await asyncio.sleep(1.5)
        await play.paused()
    await play.promote()
    await play.healthy()


async def two_pauses(play: Play, router: Any, *objects: Any) -> None:
    await play.first(*objects, rollout(routed(weight(20), pause(), weight(60), pause("1s"), router=router)))
    await play.image("v2")
    await play.paused()
    await play.promote()
    await play.healthy()
    await asyncio.sleep(2)


async def nginx(play: Play) -> None:
    router = {"nginx": {"stableIngress": "main", "additionalIngressAnnotations": {"canary-by-header": "X-Canary"}}}
    await two_pauses(play, router, ingress("stable", {"number": 80}, "nginx"), *services("stable", "canary"))


async def alb(play: Play) -> None:
    router = {"alb": {"ingress": "main", "servicePort": 80, "rootService": "root"}}
    objects = [ingress("root", {"name": "use-annotation"}, "alb"), *services("root", "stable", "canary")]
    await two_pauses(play, router, *objects)


async def smi(play: Play) -> None:
    await two_pauses(play, {"smi": {"rootService": "root"}}, *services("root", "stable", "canary"))


async def traefik(play: Play) -> None:
    router = {"traefik": {"weightedTraefikServiceName": "ts"}}
    await play.first(traefik_service(), *services("stable", "canary"), rollout(routed(weight(20), pause(), router=router)))
    await play.image("v2")
    await play.paused()
    await play.promote()
    await play.healthy()


SCENARIOS = {
    "istio-host": istio_host,
    "istio-host-abort": istio_host_abort,
    "istio-header-route": istio_header_route,
    "istio-dynamic-stable": istio_dynamic_stable,
    "istio-canary-scale": istio_canary_scale,
    "nginx": nginx,
    "alb": alb,
    "smi": smi,
    "traefik": traefik,
}
