"""The traffic-shifter, wired: what reacts to what, and with which parts. Nothing runs when this is imported."""

from collections.abc import Callable
from datetime import datetime

from tidegate.bus import SHIFTER_REQUESTS, Bus
from tidegate.config import Settings
from tidegate.messages import TrafficRequested
from tidegate_shifter.handling import Handling
from tidegate_shifter.routers import ROUTERS
from tidegate_shifter.shift import Shifter
from tidegate_shifter.writing import Api


def start(*, bus: Bus, kube: Api, settings: Settings, clock: Callable[[], datetime]) -> None:
    """Handle requests until the bus is drained."""
    shifter = Shifter(kube=kube, routers=ROUTERS)
    handling = Handling(kube=kube, bus=bus, shifter=shifter, settings=settings, clock=clock)
    bus.consume(SHIFTER_REQUESTS, {TrafficRequested: handling})
