"""Streams and consumers may be deleted and the server may lose everything: consumption goes on without a restart.

Each test has a server of its own, since it breaks it.
"""

import asyncio
import time

import pytest
from nats.errors import Error as NatsError

from tidegate.bus import PLANNER_REQUESTS, SHIFTER_REQUESTS, Bus
from tidegate.bus.ids import new_id
from tidegate.bus.server import LocalNats
from tidegate.bus.topology import STREAMS
from tidegate.config import Settings
from tidegate.errors import Retry
from tidegate.messages import OUTCOMES, REQUESTS, TRAFFIC, RolloutCommanded, RolloutOutcome, TrafficApplied, TrafficRequested

pytestmark = pytest.mark.integration


def ignore(message, envelope):
    """Hear and forget."""


@pytest.fixture
def nats():
    with LocalNats() as server:
        yield server


@pytest.fixture
async def bus(settings):
    """With a service's patience and not a test's: what is asked of a server that dies is never answered."""
    async with Bus.connect(settings, service="test") as bus:
        yield bus


def patient(bus):
    """For what is asked of a server that lives."""
    return bus.client.jetstream(timeout=300)


@pytest.fixture
def store(bus):
    """Publish until it is stored: the server may be away, or be back before our connection has heard that it was away."""

    async def publish(message):
        same = new_id()
        async with asyncio.timeout(300):
            while True:
                try:
                    return await bus.publish(message, id=same)
                except Retry:
                    await asyncio.sleep(0.1)

    return publish


def command(name):
    return RolloutCommanded(namespace="bus", name=name, verb="pause")


@pytest.fixture
async def heard(bus):
    names = []

    async def handle(message, envelope):
        names.append(message.name)

    bus.consume(PLANNER_REQUESTS, {RolloutCommanded: handle})
    return names


async def delete_consumer(bus, nats):
    await patient(bus).delete_consumer(REQUESTS, PLANNER_REQUESTS.name)


async def delete_stream(bus, nats):
    await patient(bus).delete_stream(REQUESTS)


async def delete_all_streams(bus, nats):
    for stream in STREAMS:
        await patient(bus).delete_stream(stream.name)


async def restart_server(bus, nats):
    await asyncio.to_thread(nats.restart)


async def restart_server_empty(bus, nats):
    await asyncio.to_thread(lambda: nats.restart(empty=True))


@pytest.mark.parametrize("fault", [delete_consumer, delete_stream, delete_all_streams, restart_server, restart_server_empty])
async def test_consumption_goes_on_after(bus, nats, heard, store, until, fault):
    await store(command("before"))
    await until(lambda: heard == ["before"])
    await fault(bus, nats)
    await store(command("after"))
    await until(lambda: "after" in heard)


@pytest.mark.parametrize("fault", [delete_all_streams, restart_server_empty])
async def test_consumption_goes_on_after_an_idle_time_and(bus, nats, heard, store, until, fault):
    await store(command("before"))
    await until(lambda: heard)
    await fault(bus, nats)
    async with asyncio.timeout(300):  # after two missed heartbeats, at the latest, the consumer must have looked after itself
        while not await is_pulled(bus):  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.1)
    await store(command("after"))
    await until(lambda: "after" in heard)


async def is_pulled(bus):
    try:
        return (await bus.js.consumer_info(REQUESTS, PLANNER_REQUESTS.name)).num_waiting == 1
    except (NatsError, OSError, TimeoutError):  # there is no such consumer, or no server
        return False


async def test_a_feed_hears_the_last_values_first_then_all_later_ones(bus, store, until):
    def applied(digest):
        return TrafficApplied(namespace="bus", name="web", uid="u", fence=1, digest=digest, state="applied")

    heard = []
    await store(applied("1"))
    await store(applied("2"))
    feed = bus.feed(TRAFFIC, "tidegate.traffic.applied.>", lambda message, _: heard.append(message.digest))
    await asyncio.wait_for(feed.caught_up.wait(), 300)
    assert set(heard) == {"2"}  # more than once where the server was silent for long
    await store(applied("3"))
    await until(lambda: heard[-1] == "3")


async def test_a_feed_of_an_empty_stream_has_caught_up_at_once(bus):
    feed = bus.feed(TRAFFIC, "tidegate.traffic.applied.>", ignore)
    await asyncio.wait_for(feed.caught_up.wait(), 300)


async def test_every_replica_hears_a_feed(bus, settings, store, until):
    heard = []
    async with Bus.connect(settings, service="other") as other:
        for each in (bus, other):
            feed = each.feed(TRAFFIC, "tidegate.traffic.>", lambda _, __, each=each: heard.append(each.service))
            await feed.caught_up.wait()
        await store(TrafficRequested(namespace="bus", name="web", uid="u", fence=1, digest="d"))
        await until(lambda: set(heard) == {"other", "test"})


def recorded(number):
    return RolloutOutcome(namespace="bus", name="web", verb="paused", uid="u", revision=number, hash="h")


@pytest.mark.parametrize(("beginning", "expected"), [("all", [1, 2, 3, 4]), ("new", [3, 4])])
async def test_a_feed_of_events_goes_on_where_it_was_after_a_restart_of_the_server(bus, nats, store, until, beginning, expected):
    heard = []
    for number in (1, 2):
        await store(recorded(number))
    feed = bus.feed(OUTCOMES, "tidegate.rollout.>", lambda message, _: heard.append(message.revision), beginning=beginning)
    await asyncio.wait_for(feed.caught_up.wait(), 300)
    await store(recorded(3))
    await until(lambda: heard == expected[:-1])
    await asyncio.to_thread(nats.restart)
    await store(recorded(4))
    await until(lambda: heard == expected)


async def test_a_feed_of_events_hears_a_stream_that_was_made_anew_from_its_beginning(bus, store, until):
    heard = []
    for number in (1, 2):
        await store(recorded(number))
    bus.feed(OUTCOMES, "tidegate.rollout.>", lambda message, _: heard.append(message.revision), beginning="all")
    await until(lambda: heard == [1, 2])
    await patient(bus).delete_stream(OUTCOMES)
    await store(recorded(3))
    await until(lambda: heard == [1, 2, 3])


@pytest.mark.parametrize("fault", [delete_all_streams, restart_server, restart_server_empty])
async def test_a_feed_goes_on_after(bus, nats, store, until, fault):
    heard = []
    feed = bus.feed(TRAFFIC, "tidegate.traffic.>", lambda message, _: heard.append(message.digest))
    await feed.caught_up.wait()
    await fault(bus, nats)
    await store(TrafficRequested(namespace="bus", name="web", uid="u", fence=1, digest="after"))
    await until(lambda: "after" in heard)


async def test_publish_says_at_once_that_the_server_is_away_and_keeps_nothing_back(bus, nats, until):
    nats.kill()
    await until(lambda: not bus.connected)
    with pytest.raises(Retry, match="not stored"):
        await bus.publish(RolloutCommanded(namespace="bus", name="lost", verb="pause"))
    await asyncio.to_thread(nats.start)
    await until(lambda: bus.connected)
    assert (await patient(bus).stream_info(REQUESTS)).state.messages == 0


async def test_a_service_that_starts_before_the_server_waits_for_it(nats, until):
    nats.stop()

    async def start():
        async with Bus.connect(Settings(nats_url=nats.url), service="early", answer_seconds=300) as bus:
            await bus.publish(TrafficRequested(namespace="bus", name="web", uid="u", fence=1, digest="d"))

    starting = asyncio.create_task(start())
    await asyncio.sleep(1.5)
    assert not starting.done()
    await asyncio.to_thread(nats.start)
    await asyncio.wait_for(starting, 300)


async def test_a_tool_with_little_patience_is_told_that_no_server_answers():
    with pytest.raises(Retry, match=r"nats://127.0.0.1:1 within 0.5 s"):
        async with Bus.connect(Settings(nats_url="nats://127.0.0.1:1"), service="cli", patience=0.5):
            pass


@pytest.mark.parametrize(
    ("greeting", "last"),
    [
        pytest.param(b'INFO {"max_payload": 1048576}\r\n', b"CONNECT", id="a server that greets and then says nothing"),
        pytest.param(b'INFO {"max_payload": 1048576}\r\nPONG\r\n', b"$JS.API", id="a server that knows nothing of streams"),
    ],
)
async def test_who_gives_up_connecting_leaves_no_connection_behind(greeting, last):
    waiting, left = asyncio.Event(), asyncio.Event()

    async def serve(reader, writer):
        writer.write(greeting)
        said = b""
        while last not in said:
            said += await reader.read(65536)
        waiting.set()
        while await reader.read(65536):
            pass
        writer.close()
        left.set()

    async def connect(port):
        async with Bus.connect(Settings(nats_url=f"nats://127.0.0.1:{port}"), service="cli"):
            pass

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        connecting = asyncio.create_task(connect(server.sockets[0].getsockname()[1]))
        async with asyncio.timeout(300):
            await waiting.wait()
            connecting.cancel()
            await left.wait()
        await asyncio.gather(connecting, return_exceptions=True)


async def test_wrong_credentials_are_waited_out_and_not_a_crash():
    with LocalNats(config={"authorization": {"user": "planner", "password": "right"}}) as nats:
        wrong = Settings(nats_url=nats.url, nats_user="planner", nats_password="wrong")
        with pytest.raises(Retry):
            async with Bus.connect(wrong, service="planner", patience=2):
                pass
        right = Settings(nats_url=nats.url, nats_user="planner", nats_password="right")
        async with Bus.connect(right, service="planner", patience=300) as bus:
            assert bus.connected


async def test_draining_while_the_server_is_away_ends_soon(nats, settings, until, one_of_five):
    async def ends_soon():
        await asyncio.to_thread(nats.start)
        async with Bus.connect(settings, service="test") as bus:
            bus.consume(SHIFTER_REQUESTS, {})
            bus.feed(TRAFFIC, "tidegate.traffic.>", ignore)
            bus.members("test")
            nats.kill()
            await until(lambda: not bus.connected)
            started = time.monotonic()
        return time.monotonic() - started < 5

    await one_of_five(ends_soon)


async def test_draining_with_everything_running_ends_at_once(settings, one_of_five):
    async def ends_at_once():
        async with Bus.connect(settings, service="test") as bus:
            bus.consume(SHIFTER_REQUESTS, {})
            await bus.feed(TRAFFIC, "tidegate.traffic.>", ignore).caught_up.wait()
            bus.members("test")
            started = time.monotonic()
            await bus.drain()
            return time.monotonic() - started < 2

    await one_of_five(ends_at_once)
