"""The traffic-shifter, wired: what reacts to what, and with which parts. Nothing runs when this is imported."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NoReturn

from tidegate.bus import SHIFTER_REQUESTS
from tidegate.config import Settings
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.messages import TrafficRequested
from tidegate.service import Reactions, Service, run
from tidegate_shifter.handling import Handling, Post
from tidegate_shifter.routers import ROUTERS
from tidegate_shifter.shift import Shifter
from tidegate_shifter.writing import Api

NAME = "traffic-shifter"


def reactions(*, kube: Api, bus: Post, settings: Settings, clock: Callable[[], datetime]) -> Reactions:
    shifter = Shifter(kube=kube, routers=ROUTERS)
    handling = Handling(kube=kube, bus=bus, shifter=shifter, settings=settings, clock=clock)
    return {SHIFTER_REQUESTS: {TrafficRequested: handling}}


async def compose(service: Service) -> Reactions:
    kube = await service.enter(Kube(load(service.settings.kubeconfig), user_agent=f"tidegate-{NAME}"))
    return reactions(kube=kube, bus=service.bus, settings=service.settings, clock=now)


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the composition root gives the clock to everyone else


def main() -> NoReturn:
    run(NAME, compose)
