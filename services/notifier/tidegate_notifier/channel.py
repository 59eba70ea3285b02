"""The port of this service: a note goes out through a channel. One method; a contract test holds every channel to its promises.

- Sending the same note (same `id`) again has no second effect that the receiver could not tell from the first.
- What may pass raises `Retry`, what never will raises `GiveUp`; nothing is dropped in silence.
- A channel decides nothing about who hears what (`subscriptions`) nor about the words (`render`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The object that a note is about."""

    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One thing to tell. `event` is the whole CloudEvent, for channels that pass it on instead of the words."""

    id: str
    about: About
    type: Literal["Normal", "Warning"]
    reason: str
    text: str
    at: datetime
    event: Mapping[str, object]


class Channel(Protocol):
    async def send(self, note: Note) -> None: ...
