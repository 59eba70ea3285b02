"""Who hears what: which outcomes go to which channel. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from tidegate.messages import RolloutOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A channel's wish. Empty sets mean everything."""

    channel: str
    verbs: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()

    def covers(self, outcome: RolloutOutcome) -> bool:
        return (not self.verbs or outcome.verb in self.verbs) and (not self.namespaces or outcome.namespace in self.namespaces)


def channels_for(outcome: RolloutOutcome, subscriptions: Iterable[Subscription]) -> tuple[str, ...]:
    """The channels that hear an outcome, each once, in the order of the subscriptions."""
    return tuple(dict.fromkeys(each.channel for each in subscriptions if each.covers(outcome)))
