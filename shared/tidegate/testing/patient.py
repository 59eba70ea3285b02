"""The product's own ways to NATS and out over HTTP, with time for a machine that stands still: for tests of all but time-outs."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from tidegate.bus import Bus, topology
from tidegate.config import Settings
from tidegate.outbound import Answer, Call, Outbound
from tidegate.testing.waiting import PATIENCE


@asynccontextmanager
async def patient_bus(
    settings: Settings, *, service: str, streams: Iterable[topology.Stream] = topology.STREAMS
) -> AsyncIterator[Bus]:
    """A server that is silent for five seconds counts as away for a service, which tries again; a test would fail."""
    async with Bus.connect(settings, service=service, streams=streams, answer_seconds=PATIENCE) as bus:
        yield bus


class PatientOutbound(Outbound):
    """Gives every answer the time that a slow machine takes, whatever the caller grants it."""

    async def send(self, call: Call) -> Answer:
        return await super().send(replace(call, timeout=PATIENCE))
