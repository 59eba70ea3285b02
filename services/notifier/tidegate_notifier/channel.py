"""The port of this service: a note goes out through a channel. What every channel promises (tests/contract/test_channels.py):

- `send` returns when the other side has the note. What may pass raises `Retry`, what never will raises `GiveUp`.
- A note sent again, under the same `id`, is not seen twice: either the channel sees to it (Events), or the receiver can, because
  the id is repeated (webhooks).
- A channel decides neither who hears what (`channels/__init__.py`) nor the words (`render`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from tidegate.bus import Envelope
from tidegate.messages import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The object that a note is about."""

    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One thing to tell. `reason` and `text` are for people; `envelope` and `data` are the event, for channels that pass it on."""

    id: str
    about: About
    type: Literal["Normal", "Warning"]
    reason: str
    text: str
    at: datetime
    envelope: Envelope
    data: Part


class Channel(Protocol):
    async def send(self, note: Note) -> None: ...
