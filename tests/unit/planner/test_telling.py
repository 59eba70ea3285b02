"""How the news of a rollout get on the bus: all of them, in order, through outages, deaths and takeovers."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tidegate import keys
from tidegate.errors import GiveUp, Retry
from tidegate.messages import EventsRecorded, Message, RolloutOutcome
from tidegate_planner.seen import Seen
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view
from tidegate_planner.telling import OF_ROLLOUTS, Teller
from tidegate_planner.told import Told

KEY = ("default", "app")
STEPS = [{"setWeight": 25}, {"pause": {}}]
CANARY = {"steps": STEPS}


class FakeBus:
    """Stores what is published; `refuse` may raise instead."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Message, str, str]] = []
        self.refuse: Callable[[Message], None] = lambda _message: None

    async def publish(
        self,
        message: Message,
        *,
        id: str | None = None,  # noqa: A002 - the CloudEvents name
        correlation: str = "",
        requested_by: str = "",
    ) -> None:
        await asyncio.sleep(0)
        self.refuse(message)
        self.sent.append((id or "", message, correlation, requested_by))

    @property
    def outcomes(self) -> list[str]:
        return [message.verb for _, message, _, _ in self.sent if isinstance(message, RolloutOutcome)]

    @property
    def ids(self) -> list[str]:
        return [id for id, message, _, _ in self.sent if isinstance(message, RolloutOutcome)]  # noqa: A001

    @property
    def records(self) -> list[EventsRecorded]:
        return [message for _, message, _, _ in self.sent if isinstance(message, EventsRecorded)]

    @property
    def reasons(self) -> list[str]:
        return [record.reason for message in self.records for record in message.records]


def a_teller(bus: FakeBus) -> Teller[Told, Seen]:
    return Teller(bus, OF_ROLLOUTS, clock=lambda: NOW)


async def silence(teller: Teller[Told, Seen]) -> None:
    """Until there is nothing more to send."""
    async with asyncio.timeout(300):
        while teller._tasks:
            await asyncio.wait(teller._tasks)


def first(**fields: Any) -> Seen:
    status = a_status("v1", "v1", 2, STEPS, phase="Healthy", duration={"rolloutStartedAt": "one"})
    return a_view("v1", a_set("v1", 4), status=status, canary=CANARY, **fields)


def update(step: int, **fields: Any) -> Seen:
    status = a_status("v2", "v1", step, STEPS, phase="Progressing", duration={"rolloutStartedAt": "two"})
    return a_view("v2", a_set("v2", 1, revision=2), a_set("v1", 3), status=status, canary=CANARY, **fields)


def paused() -> Seen:
    conditions = [{"reason": "CanaryPauseStep", "startTime": "2027-01-15T08:00:00Z"}]
    status = a_status("v2", "v1", 1, STEPS, phase="Paused", duration={"rolloutStartedAt": "two"}, pauseConditions=conditions)
    return a_view("v2", a_set("v2", 1, revision=2), a_set("v1", 3), status=status, canary=CANARY)


def down(_message: Message) -> None:
    raise Retry("NATS is away")


async def test_news_of_one_moment_are_one_message_with_the_snapshot_it_reaches() -> None:
    bus = FakeBus()
    teller = a_teller(bus)
    teller.tell(KEY, a_view("v1", canary=CANARY))
    teller.tell(KEY, first())
    teller.tell(KEY, update(0))
    await silence(teller)
    assert bus.outcomes == ["started", "promoted", "completed", "started"]
    (recorded,) = bus.records
    assert (recorded.namespace, recorded.name, recorded.service, recorded.uid) == (*KEY, "planner", "uid-app")
    assert recorded.at == datetime.fromtimestamp(NOW, UTC)
    assert recorded.told is not None
    assert recorded.told["hash"] == update(0).template_hash


async def test_a_view_with_nothing_new_sends_nothing() -> None:
    bus = FakeBus()
    teller = a_teller(bus)
    teller.tell(KEY, update(0))
    await silence(teller)
    before = len(bus.sent)
    teller.tell(KEY, update(0))
    await silence(teller)
    assert len(bus.sent) == before


async def test_nothing_is_lost_or_reordered_while_the_bus_is_away() -> None:
    bus, reference = FakeBus(), FakeBus()
    bus.refuse = down
    teller, calm = a_teller(bus), a_teller(reference)
    for seen in (a_view("v1", canary=CANARY), first(), update(0), paused()):
        teller.tell(KEY, seen)
        calm.tell(KEY, seen)
        await asyncio.sleep(0.1)
    assert bus.sent == []
    bus.refuse = lambda _message: None
    await silence(teller)
    await silence(calm)
    assert bus.ids == reference.ids
    assert bus.reasons == reference.reasons
    assert bus.records[-1].told == reference.records[-1].told


async def test_an_outage_after_some_outcomes_repeats_them_under_the_same_ids_and_no_event() -> None:
    bus = FakeBus()
    lost = iter((True, False))

    def losing_one_record(message: Message) -> None:
        if isinstance(message, EventsRecorded) and next(lost):
            raise Retry("NATS went away")

    bus.refuse = losing_one_record
    teller = a_teller(bus)
    teller.tell(KEY, a_view("v1", canary=CANARY))
    teller.tell(KEY, update(0))
    await silence(teller)
    assert bus.ids == [bus.ids[0]] * 2
    assert bus.reasons.count("RolloutUpdated") == 1


async def test_a_death_before_the_record_repeats_outcomes_by_their_ids_only() -> None:
    """The snapshot travels with the Events: while it is not on the bus, neither are they."""
    bus, dead = FakeBus(), asyncio.Event()

    def only_outcomes(message: Message) -> None:
        if isinstance(message, EventsRecorded):
            dead.set()
            raise Retry("killed here")

    bus.refuse = only_outcomes
    dying = a_teller(bus)
    dying.tell(KEY, a_view("v1", canary=CANARY))
    dying.tell(KEY, update(0))
    await dead.wait()
    for task in dying._tasks:
        task.cancel()
    told_first = list(bus.ids)
    bus.refuse = lambda _message: None
    reborn = a_teller(bus)
    reborn.tell(KEY, update(0))
    await silence(reborn)
    assert set(bus.ids) == set(told_first)
    assert bus.reasons == []


async def test_a_restarted_planner_goes_on_where_the_record_says() -> None:
    bus = FakeBus()
    teller = a_teller(bus)
    teller.tell(KEY, update(0))
    await silence(teller)
    reborn, later = FakeBus(), paused()
    restarted = a_teller(reborn)
    restarted.hear(bus.records[-1], ours=True)
    restarted.tell(KEY, later)
    await silence(restarted)
    assert reborn.outcomes == ["step-completed", "paused"]
    assert reborn.reasons == ["RolloutStepCompleted", "RolloutPaused"]


async def test_a_planner_that_has_not_heard_yet_how_far_was_told_tells_nothing_and_then_all_that_was_left() -> None:
    """On a machine with much to do that may take longer than rollouts wait for it. Its forerunner died before it told the pause."""
    bus = FakeBus()
    dying = a_teller(bus)
    dying.tell(KEY, update(0))
    await silence(dying)
    reborn, heard = FakeBus(), asyncio.Event()
    restarted = a_teller(reborn)
    restarted.wait_for(heard)
    restarted.tell(KEY, paused())
    await silence(restarted)
    assert reborn.sent == []
    restarted.hear(bus.records[-1], ours=True)
    heard.set()
    restarted.tell(KEY, paused())
    await silence(restarted)
    assert reborn.outcomes == ["step-completed", "paused"]
    assert reborn.reasons == ["RolloutStepCompleted", "RolloutPaused"]


async def test_what_was_told_of_a_namesake_that_is_gone_counts_for_nothing() -> None:
    bus = FakeBus()
    teller = a_teller(bus)
    teller.tell(KEY, first(uid="uid-of-the-former"))
    await silence(teller)
    reborn = FakeBus()
    restarted = a_teller(reborn)
    restarted.hear(bus.records[-1], ours=True)
    restarted.tell(KEY, first())
    await silence(restarted)
    assert reborn.outcomes == ["started", "promoted", "completed"]


async def test_after_a_takeover_what_the_other_planner_told_counts() -> None:
    """Here A, then B, then A again: A must not tell what B told meanwhile."""
    bus = FakeBus()
    a, b = a_teller(bus), a_teller(bus)
    a.tell(KEY, update(0))
    await silence(a)
    b.hear(bus.records[-1], ours=False)
    b.tell(KEY, paused())
    await silence(b)
    a.hear(bus.records[-1], ours=False)
    before = len(bus.sent)
    a.tell(KEY, paused())
    await silence(a)
    assert len(bus.sent) == before


async def test_hearing_oneself_does_not_set_back_what_is_told_meanwhile() -> None:
    bus = FakeBus()
    teller = a_teller(bus)
    teller.tell(KEY, update(0))
    await silence(teller)
    own = bus.records[-1]
    teller.tell(KEY, paused())
    teller.hear(own, ours=True)
    await silence(teller)
    teller.tell(KEY, paused())
    await silence(teller)
    assert bus.outcomes.count("paused") == 1


async def test_outcomes_carry_the_request_they_follow_from() -> None:
    bus = FakeBus()
    teller = a_teller(bus)
    teller.tell(KEY, update(0, annotations={keys.REVISION: "2", keys.CORRELATION_ID: "c-1", keys.REQUESTED_BY: "ada"}))
    await silence(teller)
    assert {(correlation, who) for _, message, correlation, who in bus.sent if isinstance(message, RolloutOutcome)} == {
        ("c-1", "ada")
    }


async def test_news_that_the_bus_will_never_take_do_not_hold_up_the_next() -> None:
    bus = FakeBus()

    def too_large(_message: Message) -> None:
        raise GiveUp("the body is too large")

    bus.refuse = too_large
    teller = a_teller(bus)
    teller.tell(KEY, update(0))
    await silence(teller)
    bus.refuse = lambda _message: None
    teller.tell(KEY, paused())
    await silence(teller)
    assert bus.outcomes == ["step-completed", "paused"]


async def test_a_forgotten_rollout_still_has_its_last_news_sent() -> None:
    bus = FakeBus()
    teller = a_teller(bus)
    teller.tell(KEY, update(0))
    teller.forget(KEY)
    await silence(teller)
    assert "started" in bus.outcomes


async def test_closing_sends_what_is_left_and_does_not_wait_for_a_bus_that_is_away() -> None:
    bus, lost = FakeBus(), FakeBus()
    lost.refuse = down
    teller, hopeless = a_teller(bus), a_teller(lost)
    teller.tell(KEY, update(0))
    hopeless.tell(KEY, update(0))
    async with asyncio.timeout(300):
        await asyncio.gather(teller.close(), hopeless.close())
    assert "started" in bus.outcomes
    assert lost.sent == []
