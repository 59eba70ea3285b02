"""FastStream on top of the bus: one application per service, with what it reacts to in one table.

    app = application("notifier", bus, {NOTIFIER_EVENTS: {EventsRecorded: writer.handle}})

Who does what, and why:
- FastStream owns the application: start and stop hooks, the handlers' registration and validation, the AsyncAPI view of one
  service (`app.schema`), and in-memory tests (`TestNatsBroker(app.broker)` runs the very handlers, no server).
- Consumption in production is `Bus.consume` on the same connection. FastStream 0.7.8's own JetStream subscriber TERMs a message
  whose handler raised, handles a batch without order and waits for its slowest, goes silent when its consumer is deleted,
  and has no dead letters. So this broker starts the bus's consumers instead of its subscribers; the handler is called
  directly, without a thread hop per parameter (46 us per message against 379).

A handler is `async def handle(message: SomeMessage, envelope: Envelope)`; in tests FastStream builds both from the message.
"""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from faststream import FastStream
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.aio.client import Client

from tidegate.bus import subjects
from tidegate.bus.client import GRACE_SECONDS, Bus
from tidegate.bus.consumer import Consumption, Handler, Handlers
from tidegate.bus.envelope import decoded
from tidegate.bus.topology import Consumer
from tidegate.messages import Message


class BusBroker(NatsBroker):
    """FastStream's broker on the bus's connection. It neither connects nor closes: the bus does."""

    def __init__(self, bus: Bus | None, consumes: Mapping[Consumer, Handlers]) -> None:
        super().__init__(logger=None)
        self._bus = bus
        self._consumes = consumes
        self.consumptions: list[Consumption] = []
        for consumer, handlers in consumes.items():
            for message, handler in handlers.items():
                self._register(consumer, message, handler)

    def _register(self, consumer: Consumer, message: type[Message], handler: Handler) -> None:
        """Make a handler known to FastStream: for its AsyncAPI document and for `TestNatsBroker`."""

        async def handle(body: Any, delivered: NatsMessage) -> None:  # noqa: ARG001 - FastStream validates and documents it
            subject = delivered.raw_message.subject
            await handler(subjects.decoded(subject, delivered.body), decoded(delivered.headers, fallback_id="test"))

        handle.__annotations__["body"] = message
        self.subscriber(
            message.subject,
            stream=JStream(consumer.stream, declare=False),
            durable=consumer.name,
            pull_sub=PullSub(),
            title=message.__name__,
            description=message.__doc__,
        )(handle)

    async def _connect(self) -> Client:
        if self._bus is None:
            raise RuntimeError("this application was made without a bus; it can only be run under TestNatsBroker")
        self.config.connect(self._bus.client)
        return self._bus.client

    async def start(self) -> None:
        """Start the bus's consumers in the place of FastStream's subscribers."""
        await self.connect()
        if self._bus is not None and not self.running:
            self.consumptions = [self._bus.consume(consumer, handlers) for consumer, handlers in self._consumes.items()]
            for consumer in self._consumes:
                if consumer.answers:
                    await self._bus.open_ask_door(consumer.messages)
        self.running = True

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,  # noqa: ARG002 - FastStream's signature
        exc_val: BaseException | None = None,  # noqa: ARG002
        exc_tb: TracebackType | None = None,  # noqa: ARG002
    ) -> None:
        """Stop consuming. The connection stays open: handlers that still run publish on it; `Bus.drain` closes it."""
        await asyncio.gather(*(consumption.stop(grace=GRACE_SECONDS) for consumption in self.consumptions))
        self.consumptions = []
        self.running = False


def application(service: str, bus: Bus | None, consumes: Mapping[Consumer, Handlers]) -> FastStream:
    """The FastStream application of a service. `bus` None is for in-memory tests."""
    for consumer in consumes:
        if consumer.service != service:
            raise ValueError(f"{consumer.name} belongs to {consumer.service}, not to {service}")
    return FastStream(BusBroker(bus, consumes), logger=None)
