"""Whatever comes in: the sender hears what is wrong with it, it is kept as a dead letter, and the next one is served."""

import asyncio
import json

import pytest
from nats.js.errors import APIError

from tidegate.bus import Bus
from tidegate.bus.envelope import REPLY_HEADER
from tidegate.messages import RequestAnswered
from tidegate.testing import Scene, a_rollout, degraded, healthy_on
from tidegate.testing.waiting import PATIENCE

pytestmark = pytest.mark.e2e

BLUE, YELLOW = "demo:blue", "demo:yellow"
LIMIT = 512 * 1024


async def asked(bus: Bus, subject: str, body: bytes) -> RequestAnswered:
    """As `nats request` would, again where the service itself had no answer from NATS for five seconds."""
    while True:
        reply = await bus.client.request(f"tidegate.ask.{subject}", body, timeout=PATIENCE)
        answer = RequestAnswered.model_construct(**json.loads(reply.data))
        if "NATS is away" not in answer.reason:
            return answer


async def stored(bus: Bus, subject: str, body: bytes) -> RequestAnswered:
    """Put into the stream past every client of ours; the answer goes to the inbox in the header."""
    inbox = bus.client.new_inbox()
    answers = await bus.client.subscribe(inbox, max_msgs=1)
    await bus.js.publish(subject, body, headers={REPLY_HEADER: inbox})
    return RequestAnswered.model_construct(**json.loads((await answers.next_msg(timeout=PATIENCE)).data))


def malformed(namespace: str) -> list[tuple[str, bytes, str]]:
    """(subject, body, a part of the reason)"""
    requested = f"rollout.requested.{namespace}.web"
    foreign = {**a_rollout("other"), "metadata": {"name": "other"}}
    surge = a_rollout(canary={"maxSurge": 0, "maxUnavailable": 0})
    return [
        (requested, b"{not json", "JSON"),
        (requested, b"[]", "object"),
        (requested, b"{}", "exactly one of manifest, images, patch"),
        (requested, json.dumps({"image": "demo:yellow"}).encode(), "image"),
        (requested, json.dumps({"name": "other", "images": {"app": YELLOW}}).encode(), "must agree"),
        (requested, json.dumps({"images": {"nginx": YELLOW}}).encode(), 'unable to find container named "nginx"; there are: app'),
        (requested, json.dumps({"manifest": foreign}).encode(), "manifest.metadata.name is 'other'"),
        (requested, json.dumps({"manifest": surge}).encode(), "maxSurge"),
        (requested, json.dumps({"patch": {"spec": {"replicas": -1}}}).encode(), "replicas"),
        (f"rollout.requested.{namespace}.nobody", json.dumps({"images": {"app": YELLOW}}).encode(), "does not exist"),
        (f"rollout.command.explode.{namespace}.web", b"{}", "no message is defined for subject"),
        (f"rollout.command.undo.{namespace}.web", json.dumps({"revision": 99}).encode(), "revision 99"),
    ]


async def test_bad_messages_are_refused_with_the_reason_and_the_next_is_served(scene: Scene, bus: Bus) -> None:
    await scene.apply(a_rollout())
    await scene.until("web", healthy_on(BLUE))
    for subject, body, reason in malformed(scene.namespace):
        answer = await asked(bus, subject, body)
        assert answer.accepted is False, body
        assert reason in answer.reason, (body, answer.reason)
    assert (await scene.rollout("web"))["metadata"]["generation"] == 1
    assert (await scene.request_image("web", YELLOW)).accepted
    await scene.until("web", healthy_on(YELLOW))


async def test_a_bad_message_is_kept_with_the_reason_and_where_it_came_from(scene: Scene, bus: Bus) -> None:
    subject = f"tidegate.rollout.requested.{scene.namespace}.web"
    answer = await stored(bus, subject, b"\xff\xfe")
    assert (answer.accepted, answer.namespace, answer.name) == (False, scene.namespace, "web")
    letter = await bus.js.get_last_msg("TIDEGATE_DEAD", "tidegate.dead.planner-requests")
    assert letter.headers is not None
    assert letter.data == b"\xff\xfe"
    assert letter.headers["tidegate-dead-subject"] == subject
    assert letter.headers["tidegate-dead-reason"] == answer.reason


async def test_an_oversized_message_is_refused_where_it_is_sent(scene: Scene, bus: Bus) -> None:
    subject = f"rollout.requested.{scene.namespace}.web"
    body = json.dumps({"images": {"app": "x" * (LIMIT + 64 * 1024)}}).encode()
    answer = await asked(bus, subject, body)
    assert (answer.accepted, f"at most {LIMIT}" in answer.reason) == (False, True)
    with pytest.raises(APIError, match="message size exceeds maximum allowed"):
        await bus.js.publish(f"tidegate.{subject}", body)


async def test_a_request_that_comes_twice_is_one_rollout(scene: Scene, bus: Bus) -> None:
    await scene.apply(a_rollout(steps=({"setWeight": 34},)))
    await scene.until("web", healthy_on(BLUE))
    body = json.dumps({"images": {"app": YELLOW}}).encode()
    answers = await asyncio.gather(*(asked(bus, f"rollout.requested.{scene.namespace}.web", body) for _ in range(5)))
    assert [each.accepted for each in answers] == [True] * 5
    await scene.until("web", healthy_on(YELLOW))
    rollout = await scene.rollout("web")
    assert rollout["metadata"]["generation"] == 2
    assert len(await scene.replica_sets("web")) == 2
    await scene.until_told("web", "completed", revision=2)
    assert [told.outcome.verb for told in scene.outcomes.of(scene.namespace, "web")].count("started") == 2  # blue's and yellow's


async def test_a_whole_manifest_asked_for_twice_is_created_once(scene: Scene) -> None:
    first = await scene.request("web", manifest=a_rollout())
    second = await scene.request("web", manifest=a_rollout())
    assert (first.accepted, second.accepted, first.uid) == (True, True, second.uid)
    await scene.until("web", healthy_on(BLUE))
    assert (await scene.rollout("web"))["metadata"]["generation"] == first.generation == second.generation


INVALID = {
    "no-budget": {"canary": {"maxSurge": 0, "maxUnavailable": 0}},
    "lost-selector": {"selector": {"matchLabels": {"app": "somebody-else"}}},
    "heavy-step": {"steps": [{"setWeight": 101}]},
    "two-steps-in-one": {"steps": [{"setWeight": 10, "pause": {}}]},
    "odd-pause": {"steps": [{"pause": {"duration": "ten seconds"}}]},
    "missing-service": {"canary": {"canaryService": "nowhere"}},
}


async def test_an_invalid_rollout_says_so_and_its_neighbours_go_on(scene: Scene) -> None:
    await scene.apply(*(a_rollout(name, **fields) for name, fields in INVALID.items()), a_rollout("good"))
    await scene.until("good", healthy_on(BLUE))
    for name in INVALID:
        rollout = await scene.until(name, degraded("InvalidSpec"))
        message = rollout["status"]["message"]
        assert message.startswith(f'InvalidSpec: The Rollout "{name}" is invalid: spec.'), message
        assert await scene.replica_sets(name) == []


async def test_a_repaired_rollout_is_taken_up(scene: Scene) -> None:
    await scene.apply(a_rollout(canary={"maxSurge": 0, "maxUnavailable": 0}))
    await scene.until("web", degraded("InvalidSpec"))
    await scene.patch("web", {"spec": {"strategy": {"canary": {"maxSurge": 1}}}})
    rollout = await scene.until("web", healthy_on(BLUE))
    assert "InvalidSpec" not in [each["type"] for each in rollout["status"]["conditions"]]
