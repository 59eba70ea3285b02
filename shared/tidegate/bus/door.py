"""The request/reply door: `nats request tidegate.ask.<rest>` is stored as `tidegate.<rest>` and answered once it was handled.

Needed because JetStream uses the reply subject of a publish for its own acknowledgement and does not store it. The queue group
lets one replica take each request; with no replica up the sender hears "no responders" at once.
"""

from collections.abc import Awaitable, Callable, Iterable

from nats.aio.client import Client
from nats.aio.msg import Msg

from tidegate.bus import subjects
from tidegate.bus.consumer import refusal
from tidegate.bus.envelope import REPLY_HEADER, Envelope, decoded, encoded, inbox_or_none
from tidegate.bus.ids import new_id
from tidegate.errors import GiveUp, Retry
from tidegate.messages import Message, RequestAnswered

Store = Callable[[str, bytes, dict[str, str]], Awaitable[None]]
Answer = Callable[[Envelope, RequestAnswered], Awaitable[None]]


class AskDoor:
    """Opened by `Bus.open_ask_door`."""

    def __init__(self, service: str, *, store: Store, answer: Answer) -> None:
        self._queue = f"tidegate-ask-{service}"
        self._store = store
        self._answer = answer
        self._open: set[str] = set()

    async def open(self, client: Client, messages: Iterable[type[Message]]) -> None:
        for message in messages:
            subject = subjects.ASK + subjects.wildcard(message).removeprefix("tidegate.")
            if subject in self._open:
                continue
            self._open.add(subject)
            await client.subscribe(subject, queue=self._queue, cb=self._asked)

    async def _asked(self, msg: Msg) -> None:
        subject = "tidegate." + msg.subject.removeprefix(subjects.ASK)
        envelope = decoded(msg.headers, fallback_id=new_id())
        headers = {**(msg.headers or {}), **encoded(envelope)}
        if inbox := inbox_or_none(msg.reply):
            headers[REPLY_HEADER] = inbox
        try:
            await self._store(subject, msg.data, headers)
        except (Retry, GiveUp) as error:
            waiting = Envelope(id=envelope.id, reply=headers.get(REPLY_HEADER, ""))
            await self._answer(waiting, refusal(subjects.key_of(subject), error.reason))
