"""What a handler may count on, against a real nats-server."""

import asyncio
import time
from dataclasses import replace

import pytest

from tidegate.bus import NOTIFIER_OUTCOMES, PLANNER_REQUESTS, Bus
from tidegate.bus.consumer import AHEAD
from tidegate.bus.pull import EXPIRES
from tidegate.errors import Retry
from tidegate.messages import REQUESTS, RolloutCommanded, RolloutOutcome, RolloutRequested

pytestmark = pytest.mark.integration


def commanded(name, verb="pause", revision=None):
    return RolloutCommanded(namespace="bus", name=name, verb=verb, revision=revision)


def paused(name):
    return RolloutOutcome(namespace="bus", name=name, verb="paused", uid="u-1", revision=1, hash="abc")


@pytest.fixture(autouse=True)
async def clean_requests(bus):
    await bus.js.purge_stream(REQUESTS)
    yield
    await bus.js.purge_stream(REQUESTS)


async def test_a_published_message_reaches_its_handler_with_its_envelope(bus, name, until):
    heard = []

    async def handle(message, envelope):
        heard.append((message, envelope))

    bus.consume(PLANNER_REQUESTS, {RolloutCommanded: handle})
    sent = await bus.publish(commanded(name), requested_by="mara@example.com", correlation="c-1")
    await until(lambda: heard)
    message, envelope = heard[0]
    assert message == commanded(name)
    assert envelope == sent
    assert envelope.authid == "mara@example.com"


async def test_a_lone_batch_is_followed_by_the_next_without_a_pause(bus, settings, name, until, one_of_five):
    async def next_batch_comes_at_once():
        heard = []

        async def handle(message, envelope):
            heard.append(message.name)

        await asyncio.gather(*(bus.publish(commanded(f"{name}-{number}")) for number in range(350)))
        async with Bus.connect(settings, service="first") as first:
            started = time.monotonic()
            first.consume(PLANNER_REQUESTS, {RolloutCommanded: handle})
            await until(lambda: len(set(heard)) == 350)
            return time.monotonic() - started < 10.0  # three more requests follow; stalled, each would wait for four seconds

    await one_of_five(next_batch_comes_at_once)


async def test_a_message_is_acknowledged_after_the_effect_and_not_before(bus, name):
    started, go_on = asyncio.Event(), asyncio.Event()

    async def handle(message, envelope):
        started.set()
        await go_on.wait()

    bus.consume(PLANNER_REQUESTS, {RolloutCommanded: handle})
    await bus.publish(commanded(name))
    await started.wait()
    assert (await bus.js.stream_info(REQUESTS)).state.messages == 1
    go_on.set()

    async with asyncio.timeout(300):
        while (await bus.js.stream_info(REQUESTS)).state.messages:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0.01)


async def test_a_lone_message_is_not_kept_waiting_for_its_batch_to_fill(bus, name, until, one_of_five):
    heard = []

    async def handle(message, envelope):
        heard.append(time.monotonic())

    async def arrives_at_once():
        expected, sent_at = len(heard) + 1, time.monotonic()
        await bus.publish(commanded(name))
        await until(lambda: len(heard) >= expected)
        return heard[-1] - sent_at < EXPIRES / 2

    bus.consume(PLANNER_REQUESTS, {RolloutCommanded: handle})
    await bus.publish(commanded(name))
    await until(lambda: heard)
    await one_of_five(arrives_at_once)


async def test_one_keys_messages_are_handled_in_order_and_one_at_a_time(bus, name, until, unhurried):
    running, seen, overlaps = 0, [], 0

    async def handle(message, envelope):
        nonlocal running, overlaps
        running += 1
        overlaps += running > 1
        await asyncio.sleep(0.001)
        seen.append(message.revision)
        running -= 1

    for number in range(50):
        await bus.publish(commanded(name, "undo", number))
    bus.consume(unhurried(PLANNER_REQUESTS), {RolloutCommanded: handle})
    await until(lambda: len(seen) == 50)
    assert seen == list(range(50))
    assert overlaps == 0


async def test_a_slow_handler_delays_only_its_own_key(bus, name, until):
    release, others = asyncio.Event(), []

    async def handle(message, envelope):
        if message.name == name:
            await release.wait()
        else:
            others.append(message.name)

    await bus.publish(commanded(name))
    for number in range(150):  # more than one batch, so that the next pull happens while the slow one runs
        await bus.publish(commanded(f"{name}-{number}"))
    bus.consume(PLANNER_REQUESTS, {RolloutCommanded: handle})
    await until(lambda: len(set(others)) == 150)
    assert not release.is_set()
    release.set()


async def test_a_retry_is_tried_again_after_its_delay_and_keeps_the_order(bus, name, until, unhurried):
    seen = []

    async def handle(message, envelope):
        seen.append((message.revision, time.monotonic()))
        if len(seen) < 3:
            raise Retry("not yet", after=0.3)

    await bus.publish(commanded(name, "undo", 1))
    await bus.publish(commanded(name, "undo", 2))
    bus.consume(unhurried(PLANNER_REQUESTS), {RolloutCommanded: handle})
    await until(lambda: len(seen) == 4)
    assert [revision for revision, _ in seen] == [1, 1, 1, 2]
    assert seen[1][1] - seen[0][1] >= 0.29


async def test_both_kinds_of_request_share_one_order(bus, name, until, unhurried):
    seen = []

    async def requested(message, envelope):
        seen.append("requested")

    async def command(message, envelope):
        seen.append(message.verb)

    await bus.publish(RolloutRequested(namespace="bus", name=name, images={"app": "web:2"}))
    await bus.publish(commanded(name, "abort"))
    bus.consume(unhurried(PLANNER_REQUESTS), {RolloutRequested: requested, RolloutCommanded: command})
    await until(lambda: len(seen) == 2)
    assert seen == ["requested", "abort"]


async def test_no_more_is_taken_than_can_be_begun_soon_so_that_other_replicas_find_work(bus, name, until):
    go_on = asyncio.Event()
    handled = []

    async def slow(message, envelope):
        await go_on.wait()
        handled.append(message.name)

    names = [f"{name}-{number}" for number in range(60)]
    for each in names:
        await bus.publish(paused(each))
    taken = bus.consume(replace(NOTIFIER_OUTCOMES, name=f"few-{name}", concurrency=4), {RolloutOutcome: slow})
    await until(lambda: taken.waiting)
    await asyncio.sleep(0.5)
    assert taken.waiting <= AHEAD * 4
    go_on.set()
    await until(lambda: set(names) <= set(handled))


async def test_what_waits_behind_a_retry_takes_no_room_from_others(bus, name, until):
    handled = []

    async def handle(message, envelope):
        if message.name == name:
            raise Retry("not now", after=60)
        handled.append(message.name)

    for _ in range(40):
        await bus.publish(paused(name))
    others = [f"{name}-{number}" for number in range(20)]
    for each in others:
        await bus.publish(paused(each))
    bus.consume(replace(NOTIFIER_OUTCOMES, name=f"few-{name}", concurrency=2), {RolloutOutcome: handle})
    await until(lambda: set(others) <= set(handled))
