"""The bus: NATS JetStream with the promises of docs/bus.md.

`topology` declares streams and consumers, `subjects` and `envelope` are the pure wire format, `client.Bus` is what services use;
`connection`, `sending`, `pull`, `consumer`, `feed`, `members` and `door` are its parts, `calls` asks plugins. `application` puts
FastStream on top, `document` writes the AsyncAPI document, `server.LocalNats` starts a real server.
"""

from tidegate.bus.calls import Calls, NoAnswer
from tidegate.bus.client import Bus, Received
from tidegate.bus.consumer import Handler, Handlers
from tidegate.bus.envelope import Envelope
from tidegate.bus.subjects import wildcard
from tidegate.bus.topology import (
    ANALYZER_ANSWERS,
    ANALYZER_REQUESTS,
    NOTIFIER_EVENTS,
    NOTIFIER_OUTCOMES,
    PLANNER_ANSWERS,
    PLANNER_REQUESTS,
    SHIFTER_ANSWERS,
    SHIFTER_REQUESTS,
    Consumer,
)  # fmt: skip

__all__ = [
    "ANALYZER_ANSWERS", "ANALYZER_REQUESTS", "NOTIFIER_EVENTS", "NOTIFIER_OUTCOMES", "PLANNER_ANSWERS", "PLANNER_REQUESTS",
    "SHIFTER_ANSWERS", "SHIFTER_REQUESTS", "Bus", "Calls", "Consumer", "Envelope", "Handler", "Handlers", "NoAnswer", "Received",
    "wildcard",
]  # fmt: skip
