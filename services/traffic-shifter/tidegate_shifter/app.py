"""The traffic-shifter, wired: what reacts to what, and with which parts. Nothing runs when this is imported."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final, NoReturn

from tidegate.aws.login import Aws
from tidegate.bus import SHIFTER_ANSWERS, SHIFTER_REQUESTS, Calls
from tidegate.config import Settings
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.messages import RouterAnswered, TrafficRequested
from tidegate.outbound import Outbound
from tidegate.service import Reactions, Service, run
from tidegate_shifter.handling import Handling, Post
from tidegate_shifter.load_balancers import LoadBalancers
from tidegate_shifter.release import Releases
from tidegate_shifter.router import TrafficRouter
from tidegate_shifter.routers import ROUTERS
from tidegate_shifter.routers.alb import NAME as ALB
from tidegate_shifter.routers.alb import Alb, Verification
from tidegate_shifter.routers.plugin import declared_routers
from tidegate_shifter.shift import Shifter
from tidegate_shifter.target_groups import TargetGroups
from tidegate_shifter.writing import Api

NAME = "traffic-shifter"
Router = Callable[[Api], TrafficRouter]
NO_PLUGINS: Final[Mapping[str, Router]] = {}


def reactions(
    *,
    kube: Api,
    bus: Post,
    settings: Settings,
    clock: Callable[[], datetime],
    aws: LoadBalancers | None = None,
    plugins: Mapping[str, Router] = NO_PLUGINS,
) -> Reactions:
    """`aws` is asked what its load balancers do; without it nobody is. `plugins` never stand for a built-in router: what the peer
    needs a plugin for may be declared all the same."""
    routers = {**plugins, **ROUTERS}
    if aws is None:
        shifter = Shifter(kube=kube, routers=routers)
    else:
        verification = Verification(load_balancers=aws, clock=clock, tag=settings.alb_resource_tag)
        routers[ALB] = partial(Alb, verification=verification)
        shifter = Shifter(kube=kube, routers=routers, target_groups=TargetGroups(kube, aws))
    handling = Handling(kube=kube, bus=bus, shifter=shifter, settings=settings, clock=clock)
    return {SHIFTER_REQUESTS: {TrafficRequested: handling}}


async def compose(service: Service) -> Reactions:
    settings, aws = service.settings, None
    kube = await service.enter(Kube(load(settings.kubeconfig), user_agent=f"tidegate-{NAME}"))
    if settings.aws_verify_target_group:
        outbound = await service.enter(Outbound(allow_metadata=True, user_agent=f"tidegate-{NAME}"))
        aws = LoadBalancers(aws=Aws(settings.aws, outbound, now), outbound=outbound, clock=now)
    service.spawn(Releases(kube, settings).run(), name="releases")
    plugins = declared_routers(settings.router_plugins, Calls(service.bus, RouterAnswered, letters=SHIFTER_ANSWERS))
    return reactions(kube=kube, bus=service.bus, settings=settings, clock=now, aws=aws, plugins=plugins)


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the composition root gives the clock to everyone else


def main() -> NoReturn:
    run(NAME, compose)
