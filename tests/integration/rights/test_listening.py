"""What docs/bus.md tells people to do to hear of rollouts works for those who may only listen, and shows them nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats as nats_py
import orjson
import pytest
from nats.aio.client import Client
from nats.js import api

from tidegate.bus import NOTIFIER_EVENTS, Bus
from tidegate.bus.rights import inbox_prefix
from tidegate.bus.server import LocalNats
from tidegate.bus.topology import ensure_consumer
from tidegate.config import Settings
from tidegate.messages import OUTCOMES
from tidegate.testing import eventually, patient_bus
from tidegate_cli.local.identities import BusUsers

pytestmark = pytest.mark.integration

OUTCOME = "tidegate.rollout.completed.shop.web"
PUBLISHED = ("tidegate.rollout.requested.shop.web", "tidegate.rollout.command.abort.shop.web", OUTCOME)


@asynccontextmanager
async def connected(nats: LocalNats, users: BusUsers, user: str, refused: asyncio.Event | None = None) -> AsyncIterator[Client]:
    async def note(_: Exception) -> None:
        if refused:
            refused.set()

    prefix = inbox_prefix(user).encode()
    client = await nats_py.connect(
        nats.url, user=user, password=users.passwords[user], inbox_prefix=prefix, error_cb=note, connect_timeout=300
    )
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
async def anyone(nats: LocalNats) -> Any:
    async with patient_bus(Settings(nats_url=nats.url), service="test") as bus:
        await bus.ensure()
        yield bus


@pytest.mark.parametrize("user", ["listener", "sender"])
@pytest.mark.parametrize(
    "subject", ["tidegate.rollout.>", "tidegate.rollout.*.shop.>", "tidegate.rollout.*.*.web", "tidegate.rollout.*.*.*"]
)
async def test_a_subscription_to_all_about_a_namespace_hears_outcomes_and_not_what_was_asked(
    nats: LocalNats, users: BusUsers, anyone: Bus, user: str, subject: str
) -> None:
    heard: set[str] = set()

    async def note(msg: Any) -> None:
        heard.add(msg.subject)

    async def publish() -> set[str]:
        """All of them with each look: who listens without a consumer misses what is said while its connection is made again."""
        for each in PUBLISHED:
            await anyone.js.publish(each, b"{}", timeout=300)
        return heard

    async with connected(nats, users, user) as client:
        await client.subscribe(subject, cb=note)
        await client.flush(300)
        # The outcome is the last of the three, so nothing is still on its way.
        await eventually(publish, lambda seen: OUTCOME in seen, what="the outcome is heard")
    assert heard == {OUTCOME}


@pytest.mark.parametrize("user", ["listener", "sender"])
@pytest.mark.parametrize("filters", [{}, {"filter_subject": "tidegate.rollout.*.shop.>"}], ids=["all", "a-namespace"])
async def test_the_past_is_replayed_through_a_consumer_that_the_tool_names(
    nats: LocalNats, users: BusUsers, anyone: Bus, user: str, filters: dict[str, str]
) -> None:
    await anyone.js.publish(OUTCOME, b"{}", timeout=300)
    async with connected(nats, users, user) as client:
        js = client.jetstream(timeout=300)
        config = api.ConsumerConfig(name=f"tool-of-{user}-{len(filters)}", ack_policy=api.AckPolicy.NONE, **filters)
        made = await js.add_consumer(OUTCOMES, config)
        pull = await js.pull_subscribe_bind(made.name, OUTCOMES)
        (message, *_) = await pull.fetch(1, timeout=300)
    assert message.subject == OUTCOME


@pytest.mark.parametrize("place", ["", ".notifier-events", ".notifier-events.tidegate.rollout.nothing"])
async def test_the_notifiers_consumer_cannot_be_changed_by_who_may_create_consumers(
    nats: LocalNats, users: BusUsers, anyone: Bus, place: str
) -> None:
    await ensure_consumer(anyone.js, NOTIFIER_EVENTS)
    before = (await anyone.js.consumer_info(OUTCOMES, NOTIFIER_EVENTS.name)).config
    body = orjson.dumps({"stream_name": OUTCOMES, "config": before.evolve(filter_subject="tidegate.rollout.nothing").as_dict()})
    refused = asyncio.Event()
    async with connected(nats, users, "listener", refused) as client:
        answer = asyncio.create_task(client.request(f"$JS.API.CONSUMER.CREATE.{OUTCOMES}{place}", body, timeout=300))
        violation = asyncio.create_task(refused.wait())
        await asyncio.wait({answer, violation}, return_when=asyncio.FIRST_COMPLETED)
        assert refused.is_set() or "error" in orjson.loads(answer.result().data)
        for task in (answer, violation):
            task.cancel()
    assert (await anyone.js.consumer_info(OUTCOMES, NOTIFIER_EVENTS.name)).config == before
