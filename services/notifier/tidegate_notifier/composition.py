"""The notifier put together: which channel hears what, each through a consumer of its own.

With one consumer for all, the slowest channel would set the pace, and a message retried for one would be told again by the others.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from tidegate.bus import NOTIFIER_EVENTS, NOTIFIER_OUTCOMES, Consumer
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.messages import EventsRecorded, RolloutOutcome
from tidegate.service import Reactions, Service
from tidegate_notifier.channel import Channel
from tidegate_notifier.channels import CHANNELS
from tidegate_notifier.channels.kube_event import IN_FLIGHT, KubeEvents
from tidegate_notifier.handling import Recording, Telling

NAME = "notifier"


def outcomes_of(channel: str) -> Consumer:
    """The consumer of one outcome channel, e.g. `notifier-outcomes-webhook`."""
    return replace(NOTIFIER_OUTCOMES, name=f"{NOTIFIER_OUTCOMES.name}-{channel}")


def reactions(*, events: Channel, outcomes: Mapping[str, Channel], clock: Callable[[], datetime]) -> Reactions:
    """What reacts to what."""
    return {
        NOTIFIER_EVENTS: {EventsRecorded: Recording(events)},
        **{outcomes_of(name): {RolloutOutcome: Telling(channel, clock=clock)} for name, channel in outcomes.items()},
    }


async def compose(service: Service) -> Reactions:
    kube = await service.enter(Kube(load(service.settings.kubeconfig), user_agent=f"tidegate-{NAME}", connections=IN_FLIGHT))
    configured = {name: configure(service.settings) for name, configure in CHANNELS.items()}
    outcomes = {name: await service.enter(channel) for name, channel in configured.items() if channel is not None}
    return reactions(events=KubeEvents(kube), outcomes=outcomes, clock=now)


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the composition root gives the clock to everyone else
