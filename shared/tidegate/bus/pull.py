"""One standing pull request at a JetStream consumer, kept alive through everything that can happen to it.

Why not `PullSubscription.fetch`: a batch that is not filled waits until it expires (a lone message would arrive late), and a
consumer deleted on the server needs a loop around it anyway. Here a message is handed over the moment it arrives.

The request ends when it is filled, expires, or the server says why not. It is suspect when two idle heartbeats are missed
(server restarted with an empty store, lost connection, stream deleted). In each case `ensure` makes stream and consumer
again if they are gone, and the next request follows. Nothing here can end but by `stop`.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from tidegate.errors import Retry

BATCH = 100
EXPIRES = 30.0
HEARTBEAT = 2.0
PAUSE = 0.5  # between attempts while the server is away
SETTLE = 1.0
"""Seconds between the news that a stream or consumer was deleted and making it again.

nats-server 2.15.1 tells of a deletion before it has removed the files; a stream made again within those milliseconds loses its
folder and can never store a message ("error opening msg block file"; seen in 1 of 13 tries, in 0 of 60 with this pause).
"""
_SECOND = 1_000_000_000
_ORDINARY_ENDS = frozenset({"404", "408"})  # no messages, expired
_HEARTBEAT_STATUS = "100"


class Pull:
    """`ensure` returns the consumer's name; `deliver` takes each message without waiting; `room` says how many may come."""

    def __init__(
        self,
        client: Client,
        *,
        stream: str,
        ensure: Callable[[], Awaitable[str]],
        deliver: Callable[[Msg], None],
        room: Callable[[], int] = lambda: BATCH,
        anew_on_reconnect: bool = False,
    ) -> None:
        self._client = client
        self._stream = stream
        self._ensure = ensure
        self._deliver = deliver
        self._room = room
        self._anew_on_reconnect = anew_on_reconnect
        self._log = structlog.get_logger(__name__).bind(stream=stream)
        self._changed = asyncio.Event()
        self._stopping = False
        self._subscription: Subscription | None = None
        self._inbox = ""
        self._request = 0
        self._open = 0  # messages the standing request may still bring
        self._gone = ""  # why the consumer must be looked at
        self._heard_at = 0.0

    async def run(self) -> None:
        """Pull until `stop`. A server that is away, or that lost the stream, costs a pause and a log line."""
        while not self._stopping:
            if not self._client.is_connected:  # logged once by the connection itself
                await self._wait(PAUSE)
                continue
            try:
                name = await self._ensure()
                await self._pull_from(name)
            except (nats.errors.Error, Retry, OSError, TimeoutError) as error:
                self._log.warning("bus.pull_interrupted", reason=str(error) or type(error).__name__)
                await self._wait(PAUSE)
            finally:
                await self._unsubscribe()

    async def stop(self) -> None:
        """Take back the standing request. What the server sent before it heard of that is still delivered."""
        self._stopping = True
        self._changed.set()
        if self._subscription is not None and self._client.is_connected:
            with contextlib.suppress(nats.errors.Error, TimeoutError):
                await self._subscription.drain()  # type: ignore[no-untyped-call]
            self._subscription = None

    def room_made(self) -> None:
        """The receiver can take more than when it was last asked."""
        if self._open == 0:
            self._changed.set()

    def reconnected(self) -> None:
        """The server has forgotten the standing request."""
        self._open = 0
        if self._anew_on_reconnect:
            self._gone = "reconnected"
        self._changed.set()

    def lost(self, reason: str) -> None:
        """The receiver noticed a gap: make the consumer anew."""
        self._gone = reason
        self._changed.set()

    async def _pull_from(self, name: str) -> None:
        self._gone, self._open = "", 0
        self._inbox = self._client.new_inbox()
        self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._hear)
        while not self._stopping:
            if self._open == 0 and (wanted := min(self._room(), BATCH)) > 0:
                await self._ask(name, wanted)
            await self._wait(2 * HEARTBEAT)
            if self._open and self._now() - self._heard_at > 2 * HEARTBEAT:
                raise Retry("the server is silent")
            if self._gone:
                self._log.info("bus.consumer_looked_at", reason=self._gone)
                await asyncio.sleep(SETTLE)
                return

    async def _ask(self, name: str, batch: int) -> None:
        self._request += 1
        self._open = batch
        self._heard_at = self._now()
        ask = {"batch": batch, "expires": int(EXPIRES * _SECOND), "idle_heartbeat": int(HEARTBEAT * _SECOND)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{name}"
        await self._client.publish(subject, json.dumps(ask).encode(), reply=f"{self._inbox}.{self._request}")

    async def _hear(self, msg: Msg) -> None:
        self._heard_at = self._now()
        if msg.reply.startswith("$JS.ACK."):
            self._open = max(0, self._open - 1)
            if self._open == 0:
                self._changed.set()
            self._deliver(msg)
            return
        status = (msg.headers or {}).get("Status", "")
        if status == _HEARTBEAT_STATUS or not msg.subject.endswith(f".{self._request}"):
            return  # alive; or the end of an earlier request
        self._open = 0
        if status not in _ORDINARY_ENDS:
            self._gone = (msg.headers or {}).get("Description") or f"status {status}"
        self._changed.set()

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()

    async def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
