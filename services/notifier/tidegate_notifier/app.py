"""The notifier: records become Events on the objects, outcomes become signed webhooks. Each channel has a consumer of its own,
so a slow or dead webhook never delays an Event.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import httpx

from tidegate.bus import NOTIFIER_EVENTS, NOTIFIER_OUTCOMES, Envelope
from tidegate.config import Settings
from tidegate.errors import UnknownName
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.messages import EventsRecorded, RolloutOutcome
from tidegate.service import Reactions, Service, run
from tidegate_notifier.channel import Channel
from tidegate_notifier.channels.kube_event import KubeEvents
from tidegate_notifier.channels.webhook import Webhook
from tidegate_notifier.render import note_of_outcome, notes_of_records
from tidegate_notifier.subscriptions import Subscription, channels_for

NAME = "notifier"
CONNECTIONS = 50


class Notifier:
    """The handlers: render, then send."""

    def __init__(
        self,
        *,
        events: Channel,
        outcomes: Mapping[str, Channel],
        subscriptions: tuple[Subscription, ...],
        clock: Callable[[], datetime],
    ) -> None:
        for each in subscriptions:
            if each.channel not in outcomes:
                raise UnknownName("channel", each.channel, outcomes)
        self._events = events
        self._outcomes = outcomes
        self._subscriptions = subscriptions
        self._clock = clock

    async def write_records(self, message: EventsRecorded, envelope: Envelope) -> None:
        for note in notes_of_records(message, envelope):
            await self._events.send(note)

    async def tell_outcome(self, outcome: RolloutOutcome, envelope: Envelope) -> None:
        note = note_of_outcome(outcome, envelope, now=self._clock())
        for name in channels_for(outcome, self._subscriptions):
            await self._outcomes[name].send(note)

    @property
    def reactions(self) -> Reactions:
        """What reacts to what. Without anyone to tell, outcomes are not consumed at all."""
        table: Reactions = {NOTIFIER_EVENTS: {EventsRecorded: self.write_records}}
        return {**table, NOTIFIER_OUTCOMES: {RolloutOutcome: self.tell_outcome}} if self._outcomes else table


async def compose(service: Service) -> Reactions:
    settings = service.settings
    cluster = load(settings.kubeconfig)
    connection = await service.enter(Kube(cluster, user_agent="tidegate-notifier", connections=CONNECTIONS))
    outcomes = await _outcome_channels(service, settings)
    notifier = Notifier(
        events=KubeEvents(connection),
        outcomes=outcomes,
        subscriptions=tuple(Subscription(channel=name) for name in outcomes),
        clock=lambda: datetime.now(UTC),  # noqa: TID251 - the shell
    )
    return notifier.reactions


async def _outcome_channels(service: Service, settings: Settings) -> dict[str, Channel]:
    if not settings.webhook_url or not settings.webhook_secret:
        return {}
    client = await service.enter(httpx.AsyncClient(limits=httpx.Limits(max_connections=CONNECTIONS)))
    return {"webhook": Webhook(url=settings.webhook_url, secret=settings.webhook_secret, client=client)}


def main() -> None:
    run(NAME, compose)
