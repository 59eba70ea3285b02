"""Outcomes reach the outside as signed requests, each id at least once."""

import base64
import hashlib
import hmac
import json

import pytest

from tidegate.testing import Endpoint, Scene, a_rollout, eventually, healthy_on
from tidegate.testing.http import Request

pytestmark = pytest.mark.e2e

KEY = b"secret-of-the-end-to-end-tests"


def signature_of(request: Request) -> str:
    """As a receiver computes it that has only the specification and the secret."""
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    return "v1," + base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()


async def test_every_outcome_is_delivered_signed_as_a_cloudevent(scene: Scene, webhook: Endpoint) -> None:
    await scene.apply(a_rollout(steps=({"setWeight": 34},)))
    await scene.until("web", healthy_on("demo:blue"))
    await scene.request_image("web", "demo:yellow")
    await scene.until("web", healthy_on("demo:yellow"))
    await scene.until_told("web", "completed", revision=2)
    expected = {told.id for told in scene.outcomes.of(scene.namespace, "web")}

    async def delivered() -> dict[str, Request]:
        about = f"{scene.namespace}/web"
        events = [(json.loads(each.body), each) for each in webhook.requests]
        return {event["id"]: each for event, each in events if event["subject"] == about}

    requests = await eventually(delivered, lambda seen: seen.keys() >= expected, what="every outcome at the webhook")
    assert requests.keys() == expected
    for request in requests.values():
        assert request.headers["webhook-signature"] == signature_of(request)
        event = json.loads(request.body)
        assert (event["specversion"], event["data"]["name"]) == ("1.0", "web")
    assert len({each.headers["webhook-id"] for each in requests.values()}) == len(expected)
    assert {json.loads(each.body)["type"] for each in requests.values()} >= {
        "dev.tidegate.rollout.started",
        "dev.tidegate.rollout.completed",
    }
