"""Who is alive: each process beats twice a second on `tidegate.members.<group>.<id>`; two seconds of silence mean gone (`roll`).

Plain NATS, not a key-value bucket: a lease in a bucket writes to disk once a second per replica, can be deleted under the
processes that count on it, and its expiry sends no event, so the silence has to be timed here anyway. A newcomer's beat is
answered by all others at once, so it knows them within a round trip; a process that ends says so.

Membership is for speed only (who works on what); preconditions on every write are for safety. So while NATS is away the last
known set stays.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import nats.errors
import structlog
from nats.aio.msg import Msg

from tidegate.bus.roll import BEAT_SECONDS, Roll

if TYPE_CHECKING:
    from tidegate.bus.client import Bus

_HERE, _HELLO, _BYE = b"here", b"hello", b"bye"
log = structlog.get_logger(__name__)


class Members:
    """Made by `Bus.members`."""

    def __init__(self, bus: "Bus", group: str, changed: Callable[[frozenset[str]], None] | None = None) -> None:
        self.me = uuid.uuid4().hex
        self.live: frozenset[str] = frozenset({self.me})
        self._client = bus.client
        self._group = group
        self._changed = changed
        self._roll = Roll(self.me)
        self._stopping = False

    async def run(self) -> None:
        await self._client.subscribe(f"tidegate.members.{self._group}.*", cb=self._hear)
        await self._say(_HELLO)
        while not self._stopping:
            await asyncio.sleep(BEAT_SECONDS)
            await self._say(_HERE)
            self._count()

    async def stop(self, *, grace: float) -> None:  # noqa: ARG002 - the port's signature; there is nothing to wait for
        self._stopping = True
        await self._say(_BYE)

    def reconnected(self) -> None:
        """Nobody could be heard meanwhile: everybody gets a new chance."""
        self._roll.forgive(self._now())

    async def _hear(self, msg: Msg) -> None:
        member = msg.subject.rsplit(".", 1)[-1]
        if member == self.me:
            return
        if msg.data == _BYE:
            self._roll.left(member)
        else:
            self._roll.heard(member, self._now())
            if msg.data == _HELLO:
                await self._say(_HERE)
        self._count()

    async def _say(self, word: bytes) -> None:
        with contextlib.suppress(nats.errors.Error):
            await self._client.publish(f"tidegate.members.{self._group}.{self.me}", word)

    def _count(self) -> None:
        if not self._client.is_connected:
            return
        live = self._roll.live(self._now())
        if live != self.live:
            log.info("bus.members_changed", group=self._group, live=len(live))
            self.live = live
            if self._changed is not None:
                self._changed(live)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
