"""A record of the outcomes that a listener on the bus is given, kept as any tool outside would: by a durable consumer."""

import secrets
from collections import Counter
from dataclasses import dataclass, field

from tidegate.bus import Bus, Consumer, Envelope
from tidegate.messages import OUTCOMES, RolloutOutcome


@dataclass(frozen=True, slots=True)
class Told:
    """One delivery."""

    id: str
    outcome: RolloutOutcome
    envelope: Envelope

    def __str__(self) -> str:
        step = "" if self.outcome.step is None else f" {self.outcome.step}"
        return f"{self.outcome.verb}{step} r{self.outcome.revision}"


@dataclass(slots=True)
class Outcomes:
    """Deliveries in the order of their arrival, repeats included. Survives every end of NATS and of its streams."""

    deliveries: list[Told] = field(default_factory=list)

    def listen(self, bus: Bus) -> None:
        name = f"listener-{secrets.token_hex(4)}"
        declaration = Consumer(
            name=name, service="test", stream=OUTCOMES, messages=(RolloutOutcome,), replay=3600.0, description="a test listens"
        )
        bus.consume(declaration, {RolloutOutcome: self._hear})

    async def _hear(self, outcome: RolloutOutcome, envelope: Envelope) -> None:
        self.deliveries.append(Told(envelope.id, outcome, envelope))

    def of(self, namespace: str, name: str, *, revision: int | None = None) -> list[Told]:
        """Those of one rollout, each id once, in the order of their first arrival."""
        first: dict[str, Told] = {}
        for told in self.deliveries:
            outcome = told.outcome
            if (outcome.namespace, outcome.name) == (namespace, name) and revision in (None, outcome.revision):
                first.setdefault(told.id, told)
        return list(first.values())

    def repeats(self, namespace: str) -> list[str]:
        """Ids that were sent more than once. What the server hands out again, since it did not hear in time that it had arrived, is
        the same to the moment."""
        sent = {(told.id, told.envelope.time) for told in self.deliveries if told.outcome.namespace == namespace}
        return sorted(each for each, count in Counter(each for each, _ in sent).items() if count > 1)

    def contradictions(self) -> list[str]:
        """Ids under which different things were told."""
        meant: dict[str, set[str]] = {}
        for told in self.deliveries:
            meant.setdefault(told.id, set()).add(f"{told.outcome.namespace}/{told.outcome.name} {told}")
        return sorted(each for each, meanings in meant.items() if len(meanings) > 1)
