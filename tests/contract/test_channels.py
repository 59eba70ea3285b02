"""What every channel of the notifier promises: one suite over the one in memory, webhooks over real sockets, and Events in memory
and on a real API server. Below it, what each says in the words of its own protocol.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpx
import pytest

from tidegate.bus import Envelope
from tidegate.errors import GiveUp, KubeError, Retry
from tidegate.kube.client import Kube
from tidegate.kube.credentials import Cluster, load
from tidegate.kube.errors import Conflict, Forbidden, Invalid, NotFound, ServerUnavailable, TooManyRequests, Unauthorized
from tidegate.kube.kinds import EVENT
from tidegate.kube.memory import MemoryKube
from tidegate.messages import RolloutOutcome
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, shared_control_plane
from tidegate_notifier.channel import Channel, Note
from tidegate_notifier.channels import CHANNELS
from tidegate_notifier.channels.kube_event import IN_FLIGHT, KubeEvents
from tidegate_notifier.channels.memory import Memory
from tidegate_notifier.channels.webhook import Webhook, _beginning
from tidegate_notifier.notes import outcome_note
from tidegate_notifier.signature import verify
from tidegate_notifier.testing import Receiver, Reply

AT = datetime(2026, 11, 23, 4, 5, 6, 789, UTC)
SECRET = "correct horse battery staple"


def a_note(number: int = 0, namespace: str = "shop") -> Note:
    outcome = RolloutOutcome(namespace=namespace, name="web", verb="paused", uid="u-1", revision=2, hash="abc", message="waits")
    return outcome_note(outcome, Envelope(id=f"u-1.2.abc.paused.{number}", time=AT.isoformat()), now=AT)


class Side:
    """A channel and its other side. `ids` are what that side has seen, each once."""

    channel: Channel
    namespace = "shop"

    async def ids(self) -> set[str]:
        raise NotImplementedError

    def break_down(self) -> None:
        """From now on nothing arrives, for a reason that may pass."""
        raise NotImplementedError

    def recover(self) -> None:
        raise NotImplementedError

    def refused_for_good(self) -> Note:
        """A note that the other side will never take."""
        raise NotImplementedError


class InMemory(Side):
    def __init__(self) -> None:
        self.channel = self.memory = Memory()

    async def ids(self):
        return {note.id for note in self.memory.notes}

    def break_down(self):
        self.memory.before = self._raise(Retry("away"))

    def recover(self):
        self.memory.before = lambda _note: None

    def refused_for_good(self):
        self.memory.before = self._raise(GiveUp("never"))
        return a_note()

    @staticmethod
    def _raise(error):
        def before(_note):
            raise error

        return before


class OverHttp(Side):
    def __init__(self, receiver: Receiver, webhook: Webhook) -> None:
        self.channel, self.receiver = webhook, receiver

    async def ids(self):
        """Of a receiver that drops repeats by `webhook-id`, as it is told to."""
        assert all(verify(SECRET, headers=each.headers, body=each.body, now=time.time()) for each in self.receiver.requests)
        return {each.headers["webhook-id"] for each in self.receiver.requests}

    def break_down(self):
        self.receiver.usual = Reply(status=503)

    def recover(self):
        self.receiver.usual = Reply(status=200)

    def refused_for_good(self):
        self.receiver.usual = Reply(status=400)
        return a_note()


@dataclass
class Route:
    """A way to an API server that can be blocked."""

    kube: Kube | MemoryKube
    detour: Kube | None = None

    async def create(self, kind, obj):
        return await (self.detour or self.kube).create(kind, obj)


class OnKube(Side):
    def __init__(self, kube: Kube | MemoryKube, namespace: str, nowhere: Kube) -> None:
        self.namespace, self._nowhere = namespace, nowhere
        self.route = Route(kube)
        self.channel = KubeEvents(self.route)

    async def ids(self):
        found, _ = await self.route.kube.list(EVENT, self.namespace)
        assert len({event["metadata"]["name"] for event in found}) == len(found)
        return {event["metadata"]["name"] for event in found if event["source"]["component"] == "rollouts-controller"}

    def break_down(self):
        self.route.detour = self._nowhere

    def recover(self):
        self.route.detour = None

    def refused_for_good(self):
        if isinstance(self.route.kube, MemoryKube):
            self.route.kube.before = self._refuse
            return a_note()
        return replace(a_note(namespace=self.namespace), reason="R" * 129)  # one more than an Event's may have

    def _refuse(self, _call):
        raise Invalid("reason: Too long", status=422, reason="Invalid")


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with shared_control_plane() as running:
        yield running


@contextlib.asynccontextmanager
async def in_memory(_request) -> AsyncIterator[Side]:
    yield InMemory()


@contextlib.asynccontextmanager
async def over_http(_request) -> AsyncIterator[Side]:
    async with a_webhook(Receiver()) as (receiver, webhook):
        yield OverHttp(receiver, webhook)


@contextlib.asynccontextmanager
async def on_memory_kube(_request) -> AsyncIterator[Side]:
    async with nowhere() as away:
        yield OnKube(MemoryKube(), "shop", away)


@contextlib.asynccontextmanager
async def on_an_api_server(request) -> AsyncIterator[Side]:
    control_plane = request.getfixturevalue("control_plane")
    async with Kube(load(control_plane.kubeconfig), user_agent="tidegate-contract/1") as kube, nowhere() as away:
        yield OnKube(kube, create_namespace(control_plane, "channels"), away)


@contextlib.asynccontextmanager
async def nowhere() -> AsyncIterator[Kube]:
    """An API server that takes no connections."""
    cluster = Cluster(server="http://127.0.0.1:1", headers=lambda _renew: {})
    async with Kube(cluster, user_agent="tidegate-contract/1", sleep=lambda _seconds: asyncio.sleep(0)) as kube:
        yield kube


@contextlib.asynccontextmanager
async def a_webhook(receiver: Receiver, **changes) -> AsyncIterator[tuple[Receiver, Webhook]]:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(receiver.listening())
        webhook = Webhook(**{"url": receiver.url, "key": SECRET.encode(), "timeout": 300} | changes)
        yield receiver, await stack.enter_async_context(webhook)


SIDES = {"memory": in_memory, "webhook": over_http, "kube-event in memory": on_memory_kube, "kube-event": on_an_api_server}
REAL = {"kube-event"}


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.integration] if name in REAL else []) for name in SIDES])
async def side(request) -> AsyncIterator[Side]:
    async with SIDES[request.param](request) as side:
        yield side


def test_every_registered_channel_is_held_to_the_contract():
    assert set(CHANNELS) <= set(SIDES)


async def test_a_note_arrives_once(side):
    await side.channel.send(a_note(namespace=side.namespace))
    assert len(await side.ids()) == 1


async def test_a_note_that_is_sent_again_is_not_seen_twice(side):
    for _ in range(3):
        await side.channel.send(a_note(namespace=side.namespace))
    assert len(await side.ids()) == 1


async def test_notes_that_say_the_same_under_different_ids_are_all_seen(side):
    await asyncio.gather(*(side.channel.send(a_note(number, side.namespace)) for number in range(20)))
    assert len(await side.ids()) == 20


async def test_what_cannot_arrive_now_is_asked_for_again_and_then_arrives(side):
    side.break_down()
    with pytest.raises(Retry):
        await side.channel.send(a_note(namespace=side.namespace))
    side.recover()
    await side.channel.send(a_note(namespace=side.namespace))
    assert len(await side.ids()) == 1


async def test_what_can_never_arrive_is_given_up(side):
    note = side.refused_for_good()
    with pytest.raises(GiveUp):
        await side.channel.send(note)


# --- Events --------------------------------------------------------------------------------------------------------------


class Refusing:
    def __init__(self, error):
        self.error = error

    async def create(self, _kind, _obj):
        raise self.error


TERMINATING = "events is forbidden: unable to create new content in namespace shop because it is being terminated"


@pytest.mark.parametrize("error", [NotFound("no namespace", status=404), Forbidden(TERMINATING, status=403)], ids=["gone", "going"])
async def test_an_event_in_a_namespace_that_is_gone_is_done(error):
    await KubeEvents(Refusing(error)).send(a_note())


@pytest.mark.integration
async def test_an_event_in_a_namespace_that_never_was_is_done_on_a_real_api_server(control_plane):
    async with Kube(load(control_plane.kubeconfig), user_agent="tidegate-contract/1") as kube:
        await KubeEvents(kube).send(a_note(namespace="never-was"))


@pytest.mark.integration
async def test_an_event_in_a_namespace_that_is_going_is_done_on_a_real_api_server(control_plane):
    namespace = create_namespace(control_plane, "going")
    path = f"/api/v1/namespaces/{namespace}"
    control_plane.client.post(f"{path}/configmaps", {"metadata": {"name": "held", "finalizers": ["tidegate.dev/test"]}})
    control_plane.client.call("DELETE", path)
    async with Kube(load(control_plane.kubeconfig), user_agent="tidegate-contract/1") as kube:
        await KubeEvents(kube).send(a_note(namespace=namespace))


@pytest.mark.parametrize(
    ("error", "after"),
    [
        (ServerUnavailable("down", status=503, retry_after=7), 7),
        (TooManyRequests("slow down", status=429, retry_after=3), 3),
        (ServerUnavailable("broken", status=0), None),
        (Unauthorized("who?", status=401), None),
        (Conflict("again", status=409), None),
    ],
)
async def test_an_event_is_written_later_when_the_api_server_says(error, after):
    with pytest.raises(Retry, match="Event paused on Rollout shop/web") as caught:
        await KubeEvents(Refusing(error)).send(a_note())
    assert caught.value.after == after


@pytest.mark.parametrize(
    "error",
    [Forbidden("no", status=403), Invalid("bad", status=422), KubeError("too large", status=413)],
    ids=["rbac", "bad", "large"],
)
async def test_an_event_that_is_refused_is_given_up_in_the_servers_words(error):
    with pytest.raises(GiveUp, match=f"Event paused on Rollout shop/web: {error}"):
        await KubeEvents(Refusing(error)).send(a_note())


async def test_no_more_events_are_written_at_a_time_than_the_api_server_can_take():
    at_once, most = 0, 0

    class Counting:
        async def create(self, _kind, _obj):
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0)
            at_once -= 1

    channel = KubeEvents(Counting())
    await asyncio.gather(*(channel.send(a_note(number)) for number in range(500)))
    assert most == IN_FLIGHT


@pytest.mark.parametrize(
    ("answered_in", "rest"),
    [
        pytest.param(0.007, 0.018, id="a quiet server is asked again on the next beat"),
        pytest.param(0.042, 0.258, id="six times slower, for six times as long, and on to the beat"),
        pytest.param(3.0, 0.4, id="never for ever"),
    ],
)
async def test_the_slower_the_api_server_answers_the_longer_events_give_way_to_rollouts(answered_in, rest):
    now, rests = 100.0, []

    class Slow:
        async def create(self, _kind, _obj):
            nonlocal now
            now += answered_in

    async def sleep(seconds):
        rests.append(seconds)

    await KubeEvents(Slow(), clock=lambda: now, sleep=sleep).send(a_note())
    assert rests == [pytest.approx(rest)]


async def test_an_event_that_hangs_holds_up_none_of_the_others():
    written = []

    class Hanging:
        async def create(self, _kind, obj):
            if not written:
                written.append("hangs")
                await asyncio.Event().wait()
            written.append(obj["metadata"]["name"])

    async def sleep(_seconds):
        await asyncio.sleep(0)

    channel = KubeEvents(Hanging(), sleep=sleep)
    hanging = asyncio.create_task(channel.send(a_note(0)))
    await asyncio.sleep(0)
    await asyncio.gather(*(channel.send(a_note(number)) for number in range(1, 100)))
    assert len(written) == 100
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)


# --- webhooks ------------------------------------------------------------------------------------------------------------


async def test_a_webhook_carries_the_whole_event_signed_and_fresh():
    async with a_webhook(Receiver(), clock=lambda: 1_795_406_669.9) as (receiver, webhook):
        await webhook.send(a_note())
    (request,) = receiver.requests
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["webhook-id"] == "u-1%2E2%2Eabc%2Epaused%2E0"
    assert request.headers["webhook-timestamp"] == "1795406669"
    assert verify(SECRET, headers=request.headers, body=request.body, now=1_795_406_670)
    assert request.event["id"] == "u-1.2.abc.paused.0"
    assert request.event["type"] == "dev.tidegate.rollout.paused"
    assert request.event["data"]["message"] == "waits"


async def test_a_repeat_has_the_same_id_and_body_and_a_time_of_its_own():
    times = iter([100.0, 100.0, 200.0, 200.0])
    async with a_webhook(Receiver(), clock=lambda: next(times)) as (receiver, webhook):
        await webhook.send(a_note())
        await webhook.send(a_note())
    first, second = receiver.requests
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert (first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]) == ("100", "200")


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_any_success_is_enough(status):
    async with a_webhook(Receiver(usual=Reply(status=status))) as (receiver, webhook):
        await webhook.send(a_note())
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
async def test_a_webhook_that_may_work_later_is_tried_again(status):
    async with a_webhook(Receiver(usual=Reply(status=status, body=b"busy\n  now"))) as (_, webhook):
        with pytest.raises(Retry, match=f"webhook 127.0.0.1 answered {status}: busy now") as caught:
            await webhook.send(a_note())
    assert caught.value.after is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
async def test_a_webhook_that_never_will_work_is_given_up_with_the_answer(status):
    async with a_webhook(Receiver(usual=Reply(status=status, body=b"no such hook"))) as (_, webhook):
        with pytest.raises(GiveUp, match=f"answered {status}: no such hook"):
            await webhook.send(a_note())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_signed_body_does_not_follow_a_redirect(status):
    async with a_webhook(Receiver()) as (elsewhere, _):
        moved = Reply(status=status, headers=(("Location", elsewhere.url),))
        async with a_webhook(Receiver(usual=moved)) as (_, webhook):
            with pytest.raises(GiveUp, match=f"answered {status}, a redirect"):
                await webhook.send(a_note())
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        ("17", 17),
        ("0", 1),
        ("999999", 3600),
        ("Mon, 21 Sep 2026 14:14:20 GMT", 60),
        ("Mon, 21 Sep 2020 14:14:20 GMT", 1),
        ("Mon, 21 Sep 2026 14:14:20 -0000", 60),
        ("soon", None),
        ("-5", None),
        ("²", None),
    ],
)
async def test_a_webhook_is_tried_again_when_the_receiver_asks_for_it_within_bounds(asked, waited):
    now = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC).timestamp()
    refusal = Reply(status=429, headers=(("Retry-After", asked.encode().decode("latin-1")),))
    async with a_webhook(Receiver(usual=refusal), clock=lambda: now) as (_, webhook):
        with pytest.raises(Retry) as caught:
            await webhook.send(a_note())
    assert caught.value.after == waited


async def test_a_receiver_that_is_too_slow_is_asked_again():
    async with a_webhook(Receiver(usual=Reply(delay=30)), timeout=0.5) as (_, webhook):
        with pytest.raises(Retry, match=r"did not answer within 0\.5 s"):
            await webhook.send(a_note())


async def test_a_connection_that_breaks_is_tried_again():
    async with a_webhook(Receiver(usual=Reply(reset=True))) as (_, webhook):
        with pytest.raises(Retry, match="could not be reached"):
            await webhook.send(a_note())


async def test_a_receiver_that_is_not_there_is_tried_again():
    async with Webhook(url="http://127.0.0.1:1/", key=b"k", timeout=300) as webhook:
        with pytest.raises(Retry, match="could not be reached"):
            await webhook.send(a_note())


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, contextlib.nullcontext()), (400, pytest.raises(GiveUp, match="answered 400: xxx"))]
)
async def test_an_answer_without_end_is_neither_read_to_its_end_nor_waited_for(status, outcome):
    async with a_webhook(Receiver(usual=Reply(status=status, endless=True))) as (_, webhook), asyncio.timeout(300):
        with outcome:
            await webhook.send(a_note())


async def test_of_an_answer_only_the_beginning_is_read():
    class Endless(httpx.AsyncByteStream):
        given = 0

        async def __aiter__(self):
            while True:
                self.given += 1
                yield b"x" * 1024

    stream = Endless()
    assert await _beginning(httpx.Response(200, stream=stream)) == b"x" * 2048
    assert stream.given == 2


async def test_what_is_told_of_an_answer_is_short():
    async with a_webhook(Receiver(usual=Reply(status=400, body=b"x" * 100_000))) as (_, webhook):
        with pytest.raises(GiveUp) as caught:
            await webhook.send(a_note())
    assert len(caught.value.reason) < 300


async def test_neither_the_secret_nor_the_path_is_told():
    async with a_webhook(Receiver(usual=Reply(status=401))) as (receiver, webhook):
        with pytest.raises(GiveUp) as caught:
            await webhook.send(a_note())
    told = f"{caught.value!r} {caught.value.__cause__!r} {webhook!r} {vars(webhook)!r}"
    assert SECRET not in told
    assert "/hook" not in caught.value.reason
    assert receiver.requests


async def test_the_environment_has_no_say_in_where_a_webhook_goes():
    """`trust_env` off: a proxy or a .netrc meant for people would get signed bodies or add credentials."""
    async with Webhook(url="https://hooks.example.com", key=b"k") as webhook:
        assert not webhook._client.trust_env


async def test_no_more_requests_are_open_at_a_time_than_a_receiver_can_take():
    at_once, most = 0, 0

    class Counting(Receiver):
        async def _exchange(self, reader, writer):
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.02)
            await super()._exchange(reader, writer)
            at_once -= 1

    async with a_webhook(Counting()) as (receiver, webhook):
        await asyncio.gather(*(webhook.send(a_note(number)) for number in range(60)))
    assert len(receiver.requests) == 60
    assert most <= 16
