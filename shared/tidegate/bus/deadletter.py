"""The letter written about a message that cannot be handled: its body, its own headers, and why. Pure.

Headers `tidegate-dead-*` say the reason and where the message came from, so that `nats pub` of the body to
`tidegate-dead-subject` sends it again. The letter's id is the message's place, so one message leaves one letter.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nats.aio.msg import Msg

from tidegate.bus.envelope import MESSAGE_ID
from tidegate.bus.subjects import MAX_BODY
from tidegate.bus.topology import DEAD_SUBJECT

_REASON_LENGTH = 2000
_HEADERS_LENGTH = 8000  # of the original ones; more is a sender's nonsense


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    subject: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message lies. `timestamp` tells a stream that was made anew from the one before it."""

    stream: str
    sequence: int
    timestamp: int


def place_of(metadata: Msg.Metadata) -> Place:
    return Place(
        stream=metadata.stream,
        sequence=metadata.sequence.stream,
        timestamp=round(metadata.timestamp.timestamp() * 1_000_000),
    )


def letter(  # noqa: PLR0913 - all that is known about a message
    *, consumer: str, subject: str, headers: Mapping[str, str] | None, body: bytes, reason: str, deliveries: int, place: Place
) -> Letter:
    """The dead letter of one message."""
    kept = {name: value for name, value in (headers or {}).items() if not name.lower().startswith(("nats-", "tidegate-"))}
    if sum(len(name) + len(value) for name, value in kept.items()) > _HEADERS_LENGTH:
        kept = {}
    own = {
        MESSAGE_ID: f"dead.{consumer}.{place.stream}.{place.sequence}.{place.timestamp}",
        "tidegate-dead-subject": subject,
        "tidegate-dead-reason": " ".join(reason.split())[:_REASON_LENGTH],
        "tidegate-dead-consumer": consumer,
        "tidegate-dead-deliveries": str(deliveries),
        "tidegate-dead-place": f"{place.stream}/{place.sequence}",
    }
    if len(body) > MAX_BODY:
        own["tidegate-dead-truncated-from"] = str(len(body))
    return Letter(subject=DEAD_SUBJECT.format(consumer=consumer), headers=kept | own, body=body[:MAX_BODY])
