"""Asking and being answered, by our own clients and by any NATS client: the raw nats-py client is the stranger here."""

import asyncio
import time

import nats as nats_py
import orjson
import pytest

from tidegate.bus import PLANNER_REQUESTS, Bus
from tidegate.bus.server import LocalNats
from tidegate.bus.subjects import MAX_BODY
from tidegate.config import Settings
from tidegate.errors import GiveUp, Retry
from tidegate.messages import REQUESTS, RequestAnswered, RolloutCommanded, RolloutRequested

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
async def clean_requests(bus):
    await bus.js.purge_stream(REQUESTS)


@pytest.fixture
async def planner(bus, unhurried):
    """A service that accepts everything but `abort`."""
    heard = []

    async def handle(message, envelope):
        heard.append((message, envelope))
        refused = getattr(message, "verb", "") == "abort"
        answer = RequestAnswered(
            namespace=message.namespace, name=message.name, accepted=not refused, generation=7, reason="not now" if refused else ""
        )
        await bus.answer(envelope, answer)

    bus.consume(unhurried(PLANNER_REQUESTS), {RolloutCommanded: handle, RolloutRequested: handle})
    await bus.open_ask_door(PLANNER_REQUESTS.messages)
    await bus.client.flush()
    return heard


@pytest.fixture
async def stranger(nats):
    """A delivery tool in some other language: no code of ours."""
    client = await nats_py.connect(nats.url)
    yield client
    await client.close()


async def test_a_request_is_answered(bus, settings, planner, name):
    async with Bus.connect(settings, service="cli", answer_seconds=300) as cli:
        answer = await cli.request(RolloutCommanded(namespace="bus", name=name, verb="pause"), timeout=300, requested_by="mara")
    assert answer == RequestAnswered(namespace="bus", name=name, accepted=True, generation=7)
    assert planner[0][1].authid == "mara"


async def test_a_refusal_comes_with_its_reason(bus, planner, name):
    answer = await bus.request(RolloutCommanded(namespace="bus", name=name, verb="abort"), timeout=300)
    assert (answer.accepted, answer.reason) == (False, "not now")


async def test_a_request_without_a_planner_is_stored_and_says_so(bus, name):
    with pytest.raises(Retry, match="the request is stored"):
        await bus.request(RolloutCommanded(namespace="bus", name=name, verb="pause"), timeout=0.2)
    assert (await bus.js.stream_info(REQUESTS)).state.messages == 1


async def test_a_stranger_gets_the_answer_with_a_plain_nats_request(planner, stranger, name):
    reply = await stranger.request(f"tidegate.ask.rollout.command.pause.bus.{name}", b"{}", timeout=300)
    answer = RequestAnswered.model_validate_json(reply.data)
    assert (answer.accepted, answer.name, answer.generation) == (True, name, 7)
    assert planner[0][0].verb == "pause"


async def test_a_stranger_asks_for_new_images_with_a_body_of_one_line(planner, stranger, name):
    body = orjson.dumps({"images": {"app": "web:2"}})
    reply = await stranger.request(f"tidegate.ask.rollout.requested.bus.{name}", body, timeout=300)
    assert orjson.loads(reply.data)["accepted"] is True
    assert planner[0][0].images == {"app": "web:2"}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"{}", "exactly one of manifest, images, patch must be given, got none"),
        (b'{"images": 5}', "images"),
        (b'{"name": "other", "images": {"a": "b"}}', "must agree"),
    ],
)
async def test_a_stranger_hears_what_is_wrong_with_a_request(planner, stranger, name, body, reason):
    reply = await stranger.request(f"tidegate.ask.rollout.requested.bus.{name}", body, timeout=300)
    answer = orjson.loads(reply.data)
    assert answer["accepted"] is False
    assert reason in answer["reason"]


async def test_a_stranger_hears_at_once_that_nobody_answers(name):
    with LocalNats() as lonely:  # the other one may not have heard yet that the last test's planner is gone
        stranger = await nats_py.connect(lonely.url)
        try:
            with pytest.raises(nats_py.errors.NoRespondersError):
                await stranger.request(f"tidegate.ask.rollout.command.pause.bus.{name}", b"{}", timeout=300)
        finally:
            await stranger.close()


async def test_a_stranger_who_publishes_to_jetstream_gets_the_servers_own_receipt(planner, stranger, name, until):
    ack = await stranger.jetstream(timeout=300).publish(f"tidegate.rollout.command.pause.bus.{name}", b"{}")
    assert ack.stream == REQUESTS
    await until(lambda: planner)


async def test_a_stranger_may_name_an_inbox_for_the_answer_in_a_header(planner, stranger, name):
    inbox = stranger.new_inbox()
    answers = await stranger.subscribe(inbox)
    subject = f"tidegate.rollout.command.pause.bus.{name}"
    headers = {"tidegate-reply": inbox, "ce-id": "abc", "ce-authid": "mara"}
    await stranger.jetstream(timeout=300).publish(subject, b"{}", headers=headers)
    message = await answers.next_msg(timeout=300)
    assert orjson.loads(message.data)["accepted"] is True
    assert message.headers["ce-causationid"] == "abc"
    assert planner[0][1].authid == "mara"


async def test_a_stranger_may_send_a_structured_cloudevent(planner, stranger, name, until):
    event = {"specversion": "1.0", "id": "e 1", "source": "/ci", "type": "x", "authid": "mara", "data": {"images": {"*": "web:3"}}}
    headers = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    await stranger.jetstream(timeout=300).publish(f"tidegate.rollout.requested.bus.{name}", orjson.dumps(event), headers=headers)
    await until(lambda: planner)
    message, envelope = planner[0]
    assert message.images == {"*": "web:3"}
    assert (envelope.id, envelope.source, envelope.authid) == ("e 1", "/ci", "mara")


async def test_the_same_event_sent_twice_is_handled_once(bus, planner, name, until):
    for _ in range(2):
        await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="pause"), id=f"same-{name}")
    await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="resume"))
    await until(lambda: [message.verb for message, _ in planner][-1:] == ["resume"])
    assert [message.verb for message, _ in planner] == ["pause", "resume"]


async def test_correlation_causation_and_who_asked_follow_a_cause(bus, name):
    command = RolloutCommanded(namespace="bus", name=name, verb="pause")
    first = await bus.publish(command, requested_by="mara", correlation="c-1")
    second = await bus.publish(command, cause=first)
    assert (second.correlation, second.causation, second.authid) == ("c-1", first.id, "mara")
    third = await bus.publish(command, cause=await bus.publish(command))
    assert third.correlation == third.causation


async def test_a_message_that_is_too_large_is_refused_with_its_size(bus, name):
    with pytest.raises(GiveUp, match=f"at most {MAX_BODY} are accepted"):
        await bus.publish(RolloutRequested(namespace="bus", name=name, patch={"spec": "x" * MAX_BODY}))


async def test_a_stranger_hears_that_a_message_is_too_large(planner, stranger, name):
    body = orjson.dumps({"patch": {"spec": "x" * MAX_BODY}})
    reply = await stranger.request(f"tidegate.ask.rollout.requested.bus.{name}", body, timeout=300)
    assert "at most" in orjson.loads(reply.data)["reason"]
    with pytest.raises(nats_py.js.errors.APIError, match="message size exceeds maximum allowed"):
        await stranger.jetstream(timeout=300).publish(f"tidegate.rollout.requested.bus.{name}", body + b" " * 20_000)


async def test_a_sender_in_a_loop_is_refused_and_other_rollouts_are_not(bus, name):
    for _ in range(100):
        await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="pause"))
    with pytest.raises(Retry, match="too many messages wait"):
        await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="pause"))
    await bus.publish(RolloutCommanded(namespace="bus", name=f"{name}-other", verb="pause"))


async def test_a_null_in_a_merge_patch_survives_the_wire(bus, planner, name, until):
    await bus.publish(RolloutRequested(namespace="bus", name=name, patch={"spec": {"paused": None}}))
    await until(lambda: planner)
    assert planner[0][0].patch == {"spec": {"paused": None}}


async def test_a_name_with_a_dot_is_one_subject_token(bus, planner, until):
    await bus.publish(RolloutCommanded(namespace="bus", name="web.v1.2", verb="pause"))
    await until(lambda: planner)
    assert planner[0][0].name == "web.v1.2"


async def test_the_last_message_of_a_subject_can_be_read_back(bus, name):
    assert await bus.last(REQUESTS, f"tidegate.rollout.command.pause.bus.{name}") is None
    sent = await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="pause"))
    found = await bus.last(REQUESTS, f"tidegate.rollout.command.pause.bus.{name}")
    assert (found.message.name, found.envelope) == (name, sent)


async def test_members_know_each_other_within_a_beat_and_notice_an_end_at_once(settings, until, one_of_five):
    async def noticed_at_once():
        changes = []
        async with Bus.connect(settings, service="first") as first, Bus.connect(settings, service="other") as other:
            mine = first.members("crew", lambda live: changes.append(len(live)))
            assert mine.live == {mine.me}
            theirs = other.members("crew")
            await until(lambda: mine.live == theirs.live == {mine.me, theirs.me})
            await other.drain()
            ended = time.monotonic()
            await until(lambda: mine.live == {mine.me})
            return changes == [2, 1] and time.monotonic() - ended < 1.5  # it said good-bye: no silence of 2 s to wait for

    await one_of_five(noticed_at_once)


async def test_a_member_that_is_killed_is_gone_after_its_silence(bus, settings, until):
    mine = bus.members("crew-2")
    async with Bus.connect(settings, service="other") as other:
        other.members("crew-2")
        await until(lambda: len(mine.live) == 2)
        await other.client.close()
        await until(lambda: len(mine.live) == 1)
        other._draining = True  # closed on purpose: not the failure that it would be in a service


async def test_while_the_server_is_away_the_last_known_members_stay(until, one_of_five):
    async def they_stay():
        with LocalNats() as server:
            settings = Settings(nats_url=server.url)
            async with Bus.connect(settings, service="a") as one, Bus.connect(settings, service="b") as two:
                crew = [one.members("crew"), two.members("crew")]
                await until(lambda: all(len(each.live) == 2 for each in crew))
                server.kill()
                await asyncio.sleep(5)
                known_while_away = [len(each.live) for each in crew]
                await asyncio.to_thread(server.start)
                await until(lambda: one.connected and two.connected)
                await asyncio.sleep(4)
                return known_while_away == [len(each.live) for each in crew] == [2, 2]

    await one_of_five(they_stay)
