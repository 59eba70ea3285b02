"""A real nats-server per test module, fresh subjects per test (each test talks about a rollout of its own)."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace

import pytest

from tidegate.bus import Bus, Consumer
from tidegate.bus.server import LocalNats
from tidegate.config import Settings

pytestmark = pytest.mark.integration
_counter = itertools.count(1)


@pytest.fixture(scope="module")
def nats() -> Iterator[LocalNats]:
    with LocalNats() as server:
        yield server


@pytest.fixture
def settings(nats: LocalNats) -> Settings:
    return Settings(nats_url=nats.url)


@pytest.fixture
async def bus(settings: Settings) -> AsyncIterator[Bus]:
    async with Bus.connect(settings, service="test", answer_seconds=300) as bus:
        yield bus


@pytest.fixture
def unhurried() -> Callable[[Consumer], Consumer]:
    """A consumer that hands nothing out a second time where this process stands still for some seconds: for tests that count.

    Soon enough, all the same, for a test to get what went to a client that had just left.
    """
    return lambda consumer: replace(consumer, ack_wait=60.0)


@pytest.fixture
def name() -> str:
    """A rollout's name that no other test uses."""
    return f"web-{next(_counter)}"


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Wait until a condition holds. The limit is generous: it only decides how long a failing test takes."""

    async def wait(condition: Callable[[], object], *, seconds: float = 300) -> None:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - the conditions are plain values, not events
                await asyncio.sleep(0.01)

    return wait


@pytest.fixture
def one_of_five() -> Callable[..., Awaitable[None]]:
    """For promises about pace: on a machine that others hold for seconds each may be broken once, but not five times in a row."""

    async def succeeds(attempt: Callable[[], Awaitable[bool]]) -> None:
        for _ in range(5):
            if await attempt():
                return
        raise AssertionError("five times in a row it took too long")

    return succeeds
