"""Streams and consumers are made, and made to agree, whoever comes first and whatever was there before."""

import asyncio
from dataclasses import replace

import pytest
from nats.js.errors import NotFoundError

from tidegate.bus import ANALYZER_REQUESTS, NOTIFIER_OUTCOMES, PLANNER_REQUESTS, Bus
from tidegate.bus.server import LocalNats
from tidegate.bus.topology import CONSUMERS, STREAMS, ensure, ensure_consumer, ensure_stream
from tidegate.config import Settings
from tidegate.messages import ANALYSIS, OUTCOMES, REQUESTS, RolloutCommanded, RolloutOutcome

pytestmark = pytest.mark.integration


@pytest.fixture
def nats():
    with LocalNats() as server:
        yield server


def stream_named(name):
    return next(stream for stream in STREAMS if stream.name == name)


def paused(name="web", **changes):
    return RolloutOutcome(namespace="bus", name=name, verb="paused", uid="u", revision=1, hash="h", **changes)


async def test_four_services_that_start_at_once_make_one_set_of_streams(nats):
    async def start(number):
        async with Bus.connect(Settings(nats_url=nats.url), service=f"service-{number}", answer_seconds=300) as bus:
            await ensure(bus.js, CONSUMERS)

    await asyncio.gather(*(start(number) for number in range(4)))
    async with Bus.connect(Settings(nats_url=nats.url), service="check", answer_seconds=300) as bus:
        assert {info.config.name for info in await bus.js.streams_info()} == {stream.name for stream in STREAMS}


async def test_making_sure_again_changes_nothing(bus):
    await ensure(bus.js, CONSUMERS)
    before = [(info.config, info.created) for info in await bus.js.streams_info()]
    await ensure(bus.js, CONSUMERS)
    assert [(info.config, info.created) for info in await bus.js.streams_info()] == before


async def test_a_changed_stream_setting_is_migrated_and_the_messages_stay(bus):
    await bus.publish(paused())
    shorter = replace(stream_named(OUTCOMES), max_age=1000.0, per_subject=7)
    await ensure_stream(bus.js, shorter)
    info = await bus.js.stream_info(OUTCOMES)
    assert (info.config.max_age, info.config.max_msgs_per_subject, info.state.messages) == (1000.0, 7, 1)


async def test_what_the_operator_set_on_a_stream_is_left_as_it_is(bus):
    found = await bus.js.stream_info(OUTCOMES)
    await bus.js.update_stream(found.config.evolve(metadata={"owner": "ops"}, compression="s2"))
    await ensure_stream(bus.js, replace(stream_named(OUTCOMES), max_age=1000.0))
    config = (await bus.js.stream_info(OUTCOMES)).config
    assert (config.max_age, config.compression, config.metadata["owner"]) == (1000.0, "s2", "ops")


async def test_a_refused_change_of_an_empty_stream_makes_it_anew(bus):
    await ensure_stream(bus.js, replace(stream_named(REQUESTS), retention="limits"))
    assert (await bus.js.stream_info(REQUESTS)).config.retention == "limits"


async def test_a_refused_change_of_a_stream_in_use_keeps_the_stream_and_its_messages(bus):
    await bus.publish(RolloutCommanded(namespace="bus", name="web", verb="pause"))
    await ensure_stream(bus.js, replace(stream_named(REQUESTS), retention="limits"))
    info = await bus.js.stream_info(REQUESTS)
    assert (info.config.retention, info.state.messages) == ("workqueue", 1)


async def test_a_changed_consumer_setting_is_migrated_and_its_place_is_kept(bus):
    await ensure_consumer(bus.js, PLANNER_REQUESTS)
    created = (await bus.js.consumer_info(REQUESTS, PLANNER_REQUESTS.name)).created
    await ensure_consumer(bus.js, replace(PLANNER_REQUESTS, ack_wait=12.0, messages=(RolloutCommanded,)))
    info = await bus.js.consumer_info(REQUESTS, PLANNER_REQUESTS.name)
    assert (info.config.ack_wait, info.config.filter_subject) == (12.0, "tidegate.rollout.command.*.*.*")
    assert info.created == created


async def test_a_consumer_with_a_setting_that_cannot_change_is_made_anew(bus):
    name = ANALYZER_REQUESTS.name
    await bus.js.add_consumer(ANALYSIS, durable_name=name, name=name, ack_policy="none")
    await ensure_consumer(bus.js, ANALYZER_REQUESTS)
    assert (await bus.js.consumer_info(ANALYSIS, name)).config.ack_policy == "explicit"


async def test_a_new_consumer_of_the_audit_log_begins_an_hour_ago_and_not_in_the_past(bus, settings, until):
    heard = []

    async def note(message, _):
        heard.append(message.name)

    await bus.publish(paused("just-now"))
    await ensure_consumer(bus.js, replace(NOTIFIER_OUTCOMES, replay=0.0))
    await bus.publish(paused("later"))
    async with Bus.connect(settings, service="first") as first:
        first.consume(replace(NOTIFIER_OUTCOMES, replay=0.0), {RolloutOutcome: note})
        await until(lambda: heard)
    assert set(heard) == {"later"}  # with no replay at all the other message is history
    await bus.js.delete_consumer(OUTCOMES, NOTIFIER_OUTCOMES.name)
    bus.consume(NOTIFIER_OUTCOMES, {RolloutOutcome: note})
    await until(lambda: set(heard) == {"later", "just-now"})


async def test_a_stream_that_was_deleted_by_hand_is_made_again_by_the_next_publish(bus):
    await bus.js.delete_stream(OUTCOMES)
    with pytest.raises(NotFoundError):
        await bus.js.stream_info(OUTCOMES)
    await bus.publish(paused())
    assert (await bus.js.stream_info(OUTCOMES)).state.messages == 1
