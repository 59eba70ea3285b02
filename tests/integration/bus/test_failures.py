"""What becomes of messages that cannot be handled: retried, or dead with a reason; never lost, never looping in silence."""

import asyncio
import time
from dataclasses import replace

import pytest

from tidegate.bus import PLANNER_REQUESTS, SHIFTER_REQUESTS, Bus, consumer
from tidegate.bus.envelope import REPLY_HEADER
from tidegate.bus.topology import DEAD
from tidegate.config import Settings
from tidegate.errors import GiveUp, Retry
from tidegate.messages import REQUESTS, TRAFFIC, RequestAnswered, RolloutCommanded, TrafficRequested

pytestmark = pytest.mark.integration
SUBJECT = "tidegate.rollout.command.pause.bus.{}"


@pytest.fixture(autouse=True)
async def clean_streams(bus):
    for stream in (REQUESTS, TRAFFIC, DEAD):
        await bus.js.purge_stream(stream)


@pytest.fixture
def letters(bus, until):
    """The dead letters written so far, once there are as many as asked for."""

    async def read(count=1):
        async with asyncio.timeout(300):
            while (state := (await bus.js.stream_info(DEAD)).state).messages < count:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.02)
        return [await bus.js.get_msg(DEAD, number) for number in range(state.first_seq, state.last_seq + 1)]

    return read


async def stays_empty(bus, stream):
    async with asyncio.timeout(300):
        while (await bus.js.stream_info(stream)).state.messages:  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0.02)


async def handle(message, envelope):
    """A handler that is happy with everything."""


async def test_give_up_leaves_a_dead_letter_with_reason_origin_and_body(bus, name, letters, unhurried):
    async def refuse(message, envelope):
        raise GiveUp("no such rollout")

    bus.consume(unhurried(PLANNER_REQUESTS), {RolloutCommanded: refuse})
    sent = await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="pause"), requested_by="mara")
    (letter,) = await letters()
    assert letter.subject == "tidegate.dead.planner-requests"
    assert letter.headers["tidegate-dead-reason"] == "no such rollout"
    assert letter.headers["tidegate-dead-subject"] == SUBJECT.format(name)
    assert letter.headers["tidegate-dead-deliveries"] == "1"
    assert letter.headers["ce-id"] == sent.id
    assert letter.headers["ce-authid"] == "mara"
    assert RolloutCommanded.model_validate_json(letter.data).verb == "pause"
    await stays_empty(bus, REQUESTS)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"{not json", "the body is not JSON", id="not JSON"),
        pytest.param(b'["a"]', "must be a JSON object", id="not an object"),
        pytest.param(b'{"revision": -1}', "revision: Input should be greater than or equal to 0, got '-1'", id="invalid value"),
        pytest.param(b'{"colour": "red"}', "colour: unknown field; known: ", id="unknown field"),
        pytest.param(b'{"name": "somebody-elses"}', "they must agree", id="body about another rollout"),
    ],
)
async def test_a_message_that_cannot_be_read_is_dead_at_once_with_the_reason(bus, name, letters, body, reason):
    bus.consume(PLANNER_REQUESTS, {RolloutCommanded: handle})
    await bus.js.publish(SUBJECT.format(name), body)
    (letter,) = await letters()
    assert reason in letter.headers["tidegate-dead-reason"]
    assert letter.data == body


async def test_a_subject_that_nobody_handles_is_a_dead_letter_and_not_a_silence(bus, name, letters):
    bus.consume(PLANNER_REQUESTS, {})
    await bus.js.publish(SUBJECT.format(name), b"{}")
    (letter,) = await letters()
    assert "planner-requests does not handle RolloutCommanded" in letter.headers["tidegate-dead-reason"]


async def test_a_bad_message_does_not_stop_the_good_ones_of_its_key(bus, name, letters, until):
    seen = []

    async def note(message, envelope):
        seen.append(message.verb)

    bus.consume(PLANNER_REQUESTS, {RolloutCommanded: note})
    await bus.js.publish(SUBJECT.format(name), b"{not json")
    await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="resume"))
    await until(lambda: seen)
    assert set(seen) == {"resume"}
    assert len(await letters()) == 1


async def test_an_unexpected_error_is_tried_again_and_does_not_lose_the_message(bus, name, until):
    attempts = []

    async def stumble(message, envelope):
        attempts.append(message.name)
        if len(attempts) < 3:
            raise RuntimeError("a defect that passes")

    bus.consume(PLANNER_REQUESTS, {RolloutCommanded: stumble})
    await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="pause"))
    await until(lambda: len(attempts) >= 3)
    await stays_empty(bus, REQUESTS)


async def test_a_message_that_always_fails_is_dead_after_ten_failures(bus, name, letters, unhurried, monkeypatch):
    monkeypatch.setattr(consumer, "FIRST_DELAY", 0.001)  # 0.2 s doubling would take two minutes
    attempts = []

    async def fail(message, envelope):
        attempts.append(message.name)
        raise ValueError("a defect that stays")

    bus.consume(unhurried(PLANNER_REQUESTS), {RolloutCommanded: fail})
    await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="pause"))
    (letter,) = await letters()
    assert letter.headers["tidegate-dead-reason"] == "failed 10 times, last with ValueError: a defect that stays"
    assert len(attempts) == 10


async def test_a_message_that_was_handed_out_often_and_never_finished_is_dead_before_it_is_handled(bus, name, letters):
    await bus.js.publish(SUBJECT.format(name), b"{}")
    bus.consume(PLANNER_REQUESTS, {RolloutCommanded: handle})
    await stays_empty(bus, REQUESTS)  # the consumer exists now
    await bus.drain()
    other = bus.client.__class__()
    await other.connect(bus.client.servers[0].geturl())
    try:
        js = other.jetstream(timeout=300)
        await js.publish(SUBJECT.format(name), b"{}")
        pull = await js.pull_subscribe_bind(consumer="planner-requests", stream=REQUESTS)
        for _ in range(consumer.MAX_DELIVERIES):  # a process that dies each time
            (msg,) = await pull.fetch(1, timeout=300)
            await msg.nak()
    finally:
        await other.close()
    handled = []

    async def never(message, envelope):
        handled.append(message)

    async with Bus.connect(Settings(nats_url=bus.client.servers[0].geturl()), service="test", answer_seconds=300) as again:
        again.consume(PLANNER_REQUESTS, {RolloutCommanded: never})
        async with asyncio.timeout(300):
            while not (await again.js.stream_info(DEAD)).state.messages:  # noqa: ASYNC110 - no event for it
                await asyncio.sleep(0.02)
        letter = await again.js.get_last_msg(DEAD, "tidegate.dead.planner-requests")
    assert "handed out 21 times and never finished" in letter.headers["tidegate-dead-reason"]
    assert not handled


async def test_a_message_that_waits_here_is_not_given_up_for_being_delivered_again_meanwhile(bus, name, until):
    """As where this process could not say in time that it is at it: it lives, so the message did not kill it."""
    deliveries, done = set(), []

    async def busy(message, envelope):
        (work,) = taken._works.values()
        deliveries.add(work.msg.reply)
        if len(deliveries) > consumer.MAX_DELIVERIES + 1:
            done.append(1)
            return
        await bus.client.publish(work.msg.reply, b"-NAK")
        await until(lambda: work.msg.reply not in deliveries)
        raise Retry("the API server is away", after=0)

    taken = bus.consume(PLANNER_REQUESTS, {RolloutCommanded: busy})
    await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="pause"))
    await until(lambda: done)
    await stays_empty(bus, REQUESTS)
    assert (await bus.js.stream_info(DEAD)).state.messages == 0


async def test_a_long_handler_is_not_interrupted_by_a_redelivery(bus, name, until):
    starts, done = [], []
    slow = replace(PLANNER_REQUESTS, name="planner-requests", ack_wait=1.0)

    async def work(message, envelope):
        starts.append(1)
        await asyncio.sleep(3)  # three times ack_wait
        done.append(1)

    bus.consume(slow, {RolloutCommanded: work})
    await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="pause"))
    await until(lambda: done)
    await stays_empty(bus, REQUESTS)
    assert len(starts) == 1


async def test_of_waiting_last_values_only_the_newest_is_handled(bus, name, until):
    running, release, seen = asyncio.Event(), asyncio.Event(), []

    async def apply(message, envelope):
        seen.append(message.digest)
        running.set()
        await release.wait()

    taken = bus.consume(SHIFTER_REQUESTS, {TrafficRequested: apply})
    for number in range(6):
        await bus.publish(TrafficRequested(namespace="bus", name=name, uid="u", fence=number, digest=str(number)))
        if number == 0:
            await running.wait()
        else:
            await until(lambda expected=number + 1: taken.waiting == expected)
    release.set()
    await until(lambda: taken.waiting == 0)
    assert seen == ["0", "5"]


async def test_a_newer_last_value_ends_the_retrying_of_an_older_one(bus, name, until):
    seen = []

    async def apply(message, envelope):
        seen.append(message.digest)
        if message.digest == "old":
            raise Retry("the mesh is away", after=3600)

    bus.consume(SHIFTER_REQUESTS, {TrafficRequested: apply})
    await bus.publish(TrafficRequested(namespace="bus", name=name, uid="u", fence=1, digest="old"))
    await until(lambda: seen == ["old"])
    await bus.publish(TrafficRequested(namespace="bus", name=name, uid="u", fence=2, digest="new"))
    await until(lambda: seen == ["old", "new"])


async def test_who_waits_for_an_answer_hears_why_the_message_was_given_up(bus, name):
    inbox = bus.client.new_inbox()
    answers = await bus.client.subscribe(inbox)
    bus.consume(PLANNER_REQUESTS, {RolloutCommanded: handle})
    await bus.js.publish(SUBJECT.format(name), b'{"revision": "many"}', headers={REPLY_HEADER: inbox})
    answer = RequestAnswered.model_validate_json((await answers.next_msg(timeout=300)).data)
    assert answer.accepted is False
    assert "revision" in answer.reason


@pytest.mark.parametrize("subject", ["$JS.API.STREAM.DELETE.TIDEGATE_OUTCOMES", "tidegate.traffic.requested.bus.web", "_INBOX.>"])
async def test_an_answer_is_sent_to_inboxes_only(bus, name, letters, subject):
    heard = []

    async def spy(msg):
        heard.append(msg.subject)

    await bus.client.subscribe("tidegate.traffic.>", cb=spy)
    bus.consume(PLANNER_REQUESTS, {RolloutCommanded: handle})
    await bus.js.publish(SUBJECT.format(name), b"{not json", headers={REPLY_HEADER: subject})
    await letters()
    await bus.client.flush()
    assert (await bus.js.stream_info("TIDEGATE_OUTCOMES")).config.name == "TIDEGATE_OUTCOMES"
    assert not heard


async def test_stopping_lets_a_running_handler_finish_and_gives_the_rest_back(bus, settings, name, until):
    started, finished = asyncio.Event(), []
    slow = replace(PLANNER_REQUESTS, ack_wait=900.0)

    async def work(message, envelope):
        started.set()
        await asyncio.sleep(0.5)
        finished.append(message.revision)

    async with Bus.connect(settings, service="first") as first:
        first.consume(slow, {RolloutCommanded: work})
        for number in range(2):
            await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="undo", revision=number))
        await started.wait()
        await first.drain(grace=300)
    assert finished == [0]  # the running one was not cut off, the waiting one not begun
    left = []

    async def take(message, envelope):
        left.append(message.revision)

    bus.consume(slow, {RolloutCommanded: take})
    await until(lambda: left == [1])  # given back at once, not after `ack_wait`


async def test_a_handler_that_does_not_end_in_time_is_cut_off_and_its_message_comes_again(bus, settings, name, until, one_of_five):
    slow = replace(PLANNER_REQUESTS, ack_wait=60.0)

    async def comes_again_before_ack_wait():
        started, left = asyncio.Event(), []

        async def hang(message, envelope):
            started.set()
            await asyncio.sleep(3600)

        async def take(message, envelope):
            left.append(message.name)

        await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="pause"))
        async with Bus.connect(settings, service="first") as first:
            first.consume(slow, {RolloutCommanded: hang})
            await started.wait()
            await first.drain(grace=0.1)  # does not wait for much longer, whatever the server or this process does
        drained = time.monotonic()
        async with Bus.connect(settings, service="second") as second:
            second.consume(slow, {RolloutCommanded: take})
            await until(lambda: left)
        assert set(left) == {name}
        return time.monotonic() - drained < slow.ack_wait / 2

    await one_of_five(comes_again_before_ack_wait)
