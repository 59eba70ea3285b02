"""Rollouts that are refused, and what the status says of them."""

from collections.abc import Awaitable, Callable
from typing import Any

from objects import SERVICES, canary, pause, rollout, service, services, weight
from play import Play
from routings import ISTIO


def with_selector(app: str) -> dict[str, Any]:
    return rollout(canary(weight(5)), selector={"matchLabels": {"app": app}})


REFUSED: dict[str, list[dict[str, Any]]] = {
    "no-strategy": [rollout({})],
    "two-strategies": [rollout({"canary": {}, "blueGreen": {"activeService": "active"}})],
    "weight-over": [rollout(canary(weight(120)))],
    "pause-negative": [rollout(canary(pause("-5s")))],
    "empty-step": [rollout(canary({}))],
    "same-services": [service("a"), rollout(canary(weight(1), stableService="a", canaryService="a"))],
    "surge-zero": [rollout({"canary": {"maxSurge": 0, "maxUnavailable": 0}})],
    "selector-mismatch": [with_selector("other")],
    "tr-no-services": [rollout(canary(weight(5), trafficRouting=ISTIO))],
    "delay-no-tr": [rollout(canary(weight(5), scaleDownDelaySeconds=5))],
    "canary-scale-no-tr": [rollout(canary({"setCanaryScale": {"replicas": 1}}))],
    "missing-ingress": [
        *services("stable", "canary"),
        rollout(canary(weight(5), **SERVICES, trafficRouting={"nginx": {"stableIngress": "none"}})),
    ],
    "pingpong-nginx": [
        rollout(
            canary(
                weight(5),
                pingPong={"pingService": "a", "pongService": "b"},
                trafficRouting={"nginx": {"stableIngress": "i"}},
            )
        )
    ],
}


def refused(*manifests: dict[str, Any]) -> Callable[[Play], Awaitable[None]]:
    async def scenario(play: Play) -> None:
        await play.apply(*manifests)
        await play.degraded()

    return scenario


SCENARIOS = {f"invalid-{name}": refused(*manifests) for name, manifests in REFUSED.items()}
