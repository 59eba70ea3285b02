"""From outcomes on a real bus to a webhook's receiver over real sockets, faults included."""

import asyncio
import contextlib
import time
from collections import defaultdict

import pytest

from tidegate.bus import NOTIFIER_OUTCOMES, Bus
from tidegate.bus.application import application
from tidegate.bus.topology import DEAD
from tidegate.config import Settings
from tidegate.errors import Retry
from tidegate.messages import OUTCOMES, EventsRecorded, Record, RolloutOutcome
from tidegate_notifier.channels.memory import Memory
from tidegate_notifier.channels.webhook import Webhook
from tidegate_notifier.composition import now, outcomes_of, reactions
from tidegate_notifier.signature import verify
from tidegate_notifier.testing import Receiver, Reply

pytestmark = pytest.mark.integration
PATIENCE = 300.0  # seconds; only costs time when something is broken
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VERBS = ("started", "step-completed", "paused", "resumed", "promoted", "completed")


def outcome(verb, name="web"):
    return RolloutOutcome(namespace="shop", name=name, verb=verb, uid=f"uid-of-{name}", revision=2, hash="abc")


async def tell(planner, verb, name="web"):
    await planner.publish(outcome(verb, name), id=f"{name}.2.abc.{verb}", correlation="deploy-17", requested_by="ann")


async def tell_record(planner, reason):
    records = (Record(reason=reason, message="m"),)
    await planner.publish(EventsRecorded(namespace="shop", name="web", service="planner", uid="u", at=now(), records=records))


async def stored(telling):
    """The server may be back before our own connection has heard that it was away: what goes there is never answered."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await telling()
            except Retry:
                await asyncio.sleep(0.1)


def told_by(receiver):
    """Each rollout's verbs in the order in which they first came: one whose receipt was lost may come again."""
    told = defaultdict(list)
    for request in receiver.requests:
        if request.event["data"]["verb"] not in told[request.event["subject"]]:
            told[request.event["subject"]].append(request.event["data"]["verb"])
    return told


async def until(condition, *, what):
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - the conditions are plain values, not events
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {PATIENCE:.0f} s in vain for {what}") from None


@contextlib.asynccontextmanager
async def a_notifier(nats, url, *, events=None):
    """The notifier's own wiring, in this process."""
    settings = Settings(nats_url=nats.url, webhook_url=url, webhook_secret=SECRET)
    async with Bus.connect(settings, service="notifier") as bus, Webhook.configured(settings) as webhook:
        table = reactions(events=events or Memory(), outcomes={"webhook": webhook}, clock=now)
        async with application("notifier", bus, table):
            yield bus


async def test_an_outcome_is_posted_signed_with_what_ties_it_to_its_request(nats, planner):
    receiver = Receiver()
    async with receiver.listening(), a_notifier(nats, receiver.url):
        await tell(planner, "paused")
        await until(lambda: receiver.requests, what="a request")
    (request,) = receiver.requests
    assert verify(SECRET, headers=request.headers, body=request.body, now=time.time())
    event = request.event
    assert (event["id"], event["type"], event["subject"]) == ("web.2.abc.paused", "dev.tidegate.rollout.paused", "shop/web")
    assert (event["source"], event["correlationid"], event["authid"]) == ("/tidegate/planner", "deploy-17", "ann")
    assert event["data"]["verb"] == "paused"


async def test_what_happened_while_the_receiver_was_away_arrives_later_in_each_rollouts_order(nats, planner):
    receiver = Receiver()
    async with receiver.listening():
        pass  # it has a port now, on which nobody listens
    names = [f"web-{number}" for number in range(5)]
    async with a_notifier(nats, receiver.url):
        for verb in VERBS:
            for name in names:
                await tell(planner, verb, name)
        await asyncio.sleep(1)
        assert not receiver.requests
        receiver.replies = [Reply(status=503), Reply(reset=True), Reply(status=429, headers=(("Retry-After", "1"),))]
        async with receiver.listening():
            await until(lambda: len(receiver.requests) >= len(names) * len(VERBS) + 3, what="what was missed, three of it twice")
            await until(lambda: sum(map(len, told_by(receiver).values())) == len(names) * len(VERBS), what="each of it once")
    assert told_by(receiver) == {f"shop/{name}": list(VERBS) for name in names}


@pytest.mark.parametrize("trouble", ["down", "hanging"])
async def test_a_receiver_in_trouble_delays_no_event_and_no_other_channel(nats, planner, trouble):
    receiver, events, other = Receiver(usual=Reply(delay=PATIENCE)), Memory(), Memory()
    async with contextlib.AsyncExitStack() as stack:
        if trouble == "hanging":
            await stack.enter_async_context(receiver.listening())
        url = receiver.url if trouble == "hanging" else "http://127.0.0.1:1/"
        bus = await stack.enter_async_context(a_notifier(nats, url, events=events))
        chat = outcomes_of("chat")
        bus.consume(chat, reactions(events=events, outcomes={"chat": other}, clock=now)[chat])
        for number in range(20):
            await tell(planner, "paused", f"web-{number}")
        await tell_record(planner, "RolloutPaused")
        await until(lambda: len(other.notes) == 20, what="the other channel")
        await until(lambda: events.notes, what="the Event")
        if trouble == "hanging":
            await until(lambda: receiver.requests, what="the request that hangs")
        else:
            assert not receiver.requests


async def test_a_receiver_is_not_asked_again_before_the_time_it_named(nats, planner):
    receiver = Receiver(replies=[Reply(status=429, headers=(("Retry-After", "2"),))])
    async with receiver.listening(), a_notifier(nats, receiver.url):
        started = time.monotonic()
        await tell(planner, "paused")
        await until(lambda: len(receiver.requests) == 2, what="the second request")
    assert time.monotonic() - started > 2


async def test_nothing_is_lost_when_nats_dies_in_between(nats):
    receiver, events = Receiver(), Memory()
    async with (
        receiver.listening(),
        a_notifier(nats, receiver.url, events=events),
        Bus.connect(Settings(nats_url=nats.url), service="planner") as planner,  # which waits less long than the one of all tests
    ):
        await stored(lambda: tell(planner, "started"))
        await until(lambda: receiver.requests, what="the first request")
        await asyncio.to_thread(nats.restart)
        await stored(lambda: tell(planner, "completed"))
        await stored(lambda: tell_record(planner, "RolloutCompleted"))
        await until(lambda: "completed" in told_by(receiver)["shop/web"], what="the second request")
        await until(lambda: events.notes, what="the Event")


async def test_what_the_receiver_refuses_is_a_dead_letter_and_the_next_is_sent(nats, planner):
    receiver = Receiver(replies=[Reply(status=400, body=b"no such hook")])
    async with receiver.listening(), a_notifier(nats, receiver.url):
        await tell(planner, "paused")
        await tell(planner, "resumed")
        await until(lambda: len(receiver.requests) == 2, what="both requests")
    assert [request.event["data"]["verb"] for request in receiver.requests] == ["paused", "resumed"]
    letter = await planner.js.get_msg(DEAD, subject="tidegate.dead.notifier-outcomes-webhook")
    assert letter.headers["tidegate-dead-reason"] == "webhook 127.0.0.1 answered 400: no such hook"
    assert SECRET not in str(letter.headers)


async def test_a_notifier_that_ends_while_the_receiver_is_away_leaves_the_rest_to_the_next(nats, planner):
    receiver = Receiver()
    async with receiver.listening():
        pass
    async with a_notifier(nats, receiver.url):
        await tell(planner, "paused")
        await asyncio.sleep(0.5)
    async with receiver.listening(), a_notifier(nats, receiver.url):
        await until(lambda: receiver.requests, what="the request")
    assert receiver.requests[0].headers["webhook-id"] == "web%2E2%2Eabc%2Epaused"


async def test_the_consumer_of_a_channel_is_its_own_on_the_server(nats, planner):
    receiver = Receiver()
    async with receiver.listening(), a_notifier(nats, receiver.url):
        await tell(planner, "paused")
        await until(lambda: receiver.requests, what="the request")
    info = await planner.js.consumer_info(OUTCOMES, "notifier-outcomes-webhook")
    assert info.config.filter_subject == NOTIFIER_OUTCOMES.filters[0]
