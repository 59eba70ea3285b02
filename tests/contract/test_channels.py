"""What every channel of the notifier promises, the in-memory one included."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import httpx
import orjson
import pytest

from tidegate.errors import GiveUp, Retry
from tidegate.kube.errors import Forbidden, Invalid, NotFound, ServerUnavailable
from tidegate.kube.kinds import EVENT
from tidegate.kube.memory import MemoryKube
from tidegate_notifier.channel import About, Note
from tidegate_notifier.channels import CHANNELS
from tidegate_notifier.channels.kube_event import KubeEvents
from tidegate_notifier.channels.memory import MemoryChannel
from tidegate_notifier.channels.webhook import Webhook, retry_after

NOW = 1_790_000_000.0
SECRET = "whsec_" + base64.b64encode(b"a key of some length").decode()


def a_note(note_id="0190.1", **changes):
    values = {
        "id": note_id,
        "about": About(kind="Rollout", namespace="shop", name="web", uid="u-1"),
        "type": "Normal",
        "reason": "RolloutPaused",
        "text": "Rollout is paused (CanaryPauseStep)",
        "at": datetime(2026, 11, 23, 4, 5, 6, 789, UTC),
        "event": {"id": note_id, "data": {"verb": "paused"}},
    }
    return Note(**(values | changes))


class Receiver:
    """A webhook's other end that drops repeats by `webhook-id`, as the specification asks."""

    def __init__(self, answer=None):
        self.requests = []
        self.answer = answer or httpx.Response(204)

    def __call__(self, request):
        self.requests.append(request)
        return self.answer

    def webhook(self):
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return Webhook(url="https://hooks.example.com/tidegate", secret=SECRET, client=client, clock=lambda: NOW)

    @property
    def ids(self):
        return {request.headers["webhook-id"] for request in self.requests}


async def kube_events():
    kube = MemoryKube()
    channel = KubeEvents(kube)

    async def seen():
        return len((await kube.list(EVENT, "shop"))[0])

    return channel, seen


async def memory():
    channel = MemoryChannel()

    async def seen():
        return len(channel.notes)

    return channel, seen


async def webhook():
    receiver = Receiver()

    async def seen():
        return len(receiver.ids)

    return receiver.webhook(), seen


ROWS = {"kube-event": kube_events, "memory": memory, "webhook": webhook}


def test_every_registered_channel_has_its_row_here():
    assert set(ROWS) == set(CHANNELS)


@pytest.mark.parametrize("name", sorted(CHANNELS))
async def test_a_note_that_is_sent_again_is_seen_once(name):
    channel, seen = await ROWS[name]()
    await channel.send(a_note())
    await channel.send(a_note())
    assert await seen() == 1


@pytest.mark.parametrize("name", sorted(CHANNELS))
async def test_notes_with_different_ids_are_all_seen_even_if_they_say_the_same(name):
    channel, seen = await ROWS[name]()
    for number in range(3):
        await channel.send(a_note(f"0190.{number}"))
    assert await seen() == 3


async def test_an_event_has_the_fields_that_tools_of_the_peer_look_for():
    kube = MemoryKube()
    await KubeEvents(kube).send(a_note())
    ((event,), _) = await kube.list(EVENT, "shop")
    assert event["metadata"]["name"].startswith("web.")
    assert event["involvedObject"] == {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "namespace": "shop", "name": "web", "uid": "u-1",
    }  # fmt: skip
    assert (event["type"], event["reason"]) == ("Normal", "RolloutPaused")
    assert event["message"] == "Rollout is paused (CanaryPauseStep)"
    assert event["source"] == {"component": "rollouts-controller"}
    assert event["reportingComponent"] == "tidegate"
    assert event["count"] == 1
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-11-23T04:05:06Z"


async def test_the_longest_object_name_still_gives_a_valid_event_name():
    kube = MemoryKube()
    await KubeEvents(kube).send(a_note(about=About(kind="Rollout", namespace="shop", name="a" * 253, uid="u")))
    ((event,), _) = await kube.list(EVENT, "shop")
    assert len(event["metadata"]["name"]) <= 253


class Refusing:
    def __init__(self, error):
        self.error = error

    async def create(self, kind, obj):  # noqa: ARG002 - the port
        raise self.error


TERMINATING = "events is forbidden: unable to create new content in namespace shop because it is being terminated"


@pytest.mark.parametrize("error", [NotFound("no namespace", status=404), Forbidden(TERMINATING, status=403)])
async def test_an_event_for_a_namespace_that_is_gone_is_done(error):
    await KubeEvents(Refusing(error)).send(a_note())


async def test_an_event_is_tried_again_while_the_api_server_is_away_and_when_it_says():
    with pytest.raises(Retry) as caught:
        await KubeEvents(Refusing(ServerUnavailable("down", status=503, retry_after=7))).send(a_note())
    assert caught.value.after == 7


async def test_an_event_is_tried_again_while_rbac_forbids_it():
    with pytest.raises(Retry, match="may not be written in shop"):
        await KubeEvents(Refusing(Forbidden("no", status=403))).send(a_note())


async def test_an_event_that_the_api_server_calls_invalid_is_given_up():
    with pytest.raises(GiveUp, match="does not accept the Event"):
        await KubeEvents(Refusing(Invalid("bad", status=422))).send(a_note())


async def test_a_webhook_is_signed_as_standard_webhooks_asks():
    receiver = Receiver()
    await receiver.webhook().send(a_note())
    (request,) = receiver.requests
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.content
    expected = base64.b64encode(hmac.new(b"a key of some length", signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{expected}"
    assert request.headers["webhook-timestamp"] == str(int(NOW))
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert orjson.loads(request.content) == {"id": "0190.1", "data": {"verb": "paused"}}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503])
async def test_a_webhook_that_may_work_later_is_tried_again(status):
    with pytest.raises(Retry, match=str(status)):
        await Receiver(httpx.Response(status)).webhook().send(a_note())


@pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
async def test_a_webhook_that_never_will_work_is_given_up_with_the_answer(status):
    with pytest.raises(GiveUp, match=f"{status}: no such hook"):
        await Receiver(httpx.Response(status, text="no such hook")).webhook().send(a_note())


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_signed_body_does_not_follow_a_redirect(status):
    receiver = Receiver(httpx.Response(status, headers={"location": "https://elsewhere.example.com/"}))
    with pytest.raises(GiveUp, match="elsewhere"):
        await receiver.webhook().send(a_note())
    assert len(receiver.requests) == 1


async def test_a_webhook_that_cannot_be_reached_is_tried_again():
    def broken(request):
        raise httpx.ConnectTimeout("too slow")

    client = httpx.AsyncClient(transport=httpx.MockTransport(broken))
    with pytest.raises(Retry, match="ConnectTimeout"):
        await Webhook(url="https://hooks.example.com", secret=SECRET, client=client).send(a_note())


async def test_a_webhook_is_tried_again_no_sooner_than_the_receiver_asks():
    with pytest.raises(Retry) as caught:
        await Receiver(httpx.Response(429, headers={"retry-after": "17"})).webhook().send(a_note())
    assert caught.value.after == 17


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("0", 0),
        ("120", 120),
        ("999999", 3600),
        ("Mon, 21 Sep 2026 14:14:20 GMT", 60),
        ("Mon, 21 Sep 2020 14:14:20 GMT", 0),
    ],
)
def test_retry_after_is_a_number_or_a_date_and_at_most_an_hour(value, expected):
    now = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC).timestamp()
    assert retry_after(value, now=now) == expected


@pytest.mark.parametrize("note_id", ["naïve", "two\nlines", " padded", "tab\there"])
async def test_an_id_that_no_header_can_hold_is_sent_as_a_digest(note_id):
    receiver = Receiver()
    await receiver.webhook().send(a_note(note_id))
    assert len(receiver.ids.pop()) == 64


def test_a_secret_that_is_marked_as_base64_but_is_not_is_refused():
    with pytest.raises(ValueError, match="base64"):
        Webhook(url="https://hooks.example.com", secret="whsec_***", client=httpx.AsyncClient())
