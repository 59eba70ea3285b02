"""Messages lost and sent again, doubled, late, out of order, over an API server that loses answers: the same Events in the end."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tidegate.bus import Envelope
from tidegate.errors import Retry
from tidegate.kube.errors import ServerUnavailable
from tidegate.kube.kinds import EVENT
from tidegate.kube.memory import Call, MemoryKube
from tidegate.messages import EventsRecorded, Record
from tidegate_notifier.channels.kube_event import KubeEvents
from tidegate_notifier.handling import Recording

AT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
MESSAGES = 5


def message(number: int) -> tuple[EventsRecorded, Envelope]:
    records = tuple(Record(reason=f"Reason{number}x{place}", message="m") for place in range(number % 3 + 1))
    at = AT + timedelta(seconds=number)
    recorded = EventsRecorded(namespace="shop", name="web", service="planner", uid="u", at=at, records=records)
    return recorded, Envelope(id=f"message-{number}")


async def events_after(deliveries: list[int], losses: dict[int, str]) -> list[tuple[str, str]]:
    """(name, reason) in the order of names. `losses`: which delivery loses a request or its answer; it is then delivered again."""
    kube = MemoryKube()
    handle = Recording(KubeEvents(kube))

    def lose(_: Call) -> None:
        raise ServerUnavailable("lost", status=0)

    for turn, number in enumerate(deliveries):
        if turn in losses:
            setattr(kube, losses[turn], lose)
            with contextlib.suppress(Retry):
                await handle(*message(number))
            kube.before = kube.after = lambda _: None
        await handle(*message(number))
    return sorted((each["metadata"]["name"], each["reason"]) for each in kube.snapshot(EVENT, "shop", None))


@given(
    st.permutations(range(MESSAGES)),
    st.lists(st.tuples(st.integers(0, MESSAGES), st.integers(0, MESSAGES - 1)), max_size=6),
    st.dictionaries(st.integers(0, MESSAGES + 6), st.sampled_from(["before", "after"]), max_size=4),
)
def test_the_events_are_the_same(order: list[int], repeats: list[tuple[int, int]], losses: dict[int, str]) -> None:
    deliveries = list(order)
    for place, number in repeats:
        deliveries.insert(place, number)
    undisturbed = asyncio.run(events_after(list(range(MESSAGES)), {}))
    assert asyncio.run(events_after(deliveries, losses)) == undisturbed
    assert [reason for _, reason in undisturbed][:1] == ["Reason0x0"]
