"""Runs that ask the same at the same time are answered by one question, and never across credentials."""

import asyncio
from datetime import UTC, datetime

import pytest

from tidegate_analyzer.provider import Context, Measured, NotMeasured
from tidegate_analyzer.sharing import Questions, question, window
from tidegate_analyzer.worker import MOST_SPREAD, spread

ANSWER = Measured(result=[1.0], value="[1]")


def context(namespace: str = "shop", interval: str = "10s", number: int = 1) -> Context:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    return Context(namespace=namespace, run="r", uid="u", metric="m", number=number, now=now, interval=interval)


class Asked:
    """Counts; answers when it is let."""

    def __init__(self, *, waits: bool = False) -> None:
        self.times = 0
        self.cancelled = False
        self.go = asyncio.Event()
        if not waits:
            self.go.set()

    async def __call__(self) -> Measured:
        self.times += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return ANSWER


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_a_hundred_who_ask_at_once_are_one_question() -> None:
    questions, ask = Questions(clock=Clock()), Asked(waits=True)
    waiting = [asyncio.create_task(questions.answered(b"q", ask, oldest=0.0)) for _ in range(100)]
    await asyncio.sleep(0)
    ask.go.set()
    assert await asyncio.gather(*waiting) == [ANSWER] * 100
    assert ask.times == 1


async def test_an_answer_serves_as_long_as_the_asker_allows() -> None:
    clock, ask = Clock(), Asked()
    questions = Questions(clock=clock)
    for later, oldest, times in [(0.0, 0.9, 1), (0.5, 0.9, 1), (0.5, 0.4, 2), (1.0, 0.9, 3)]:
        clock.now += later
        assert await questions.answered(b"q", ask, oldest=oldest) == ANSWER
        assert ask.times == times


async def test_a_question_that_is_long_under_way_is_not_joined() -> None:
    clock, slow = Clock(), Asked(waits=True)
    questions = Questions(clock=clock)
    first = asyncio.create_task(questions.answered(b"q", slow, oldest=0.0))
    await asyncio.sleep(0)
    clock.now += 2.0
    quick = Asked()
    assert await questions.answered(b"q", quick, oldest=0.0) == ANSWER
    assert (slow.times, quick.times) == (1, 1)
    slow.go.set()
    await first


async def test_a_failure_is_told_to_all_who_wait_and_is_not_kept() -> None:
    questions, tries = Questions(clock=Clock()), 0

    async def fail() -> Measured:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0)
        raise NotMeasured("no")

    both = await asyncio.gather(*(questions.answered(b"q", fail, oldest=5.0) for _ in range(2)), return_exceptions=True)
    assert [str(each) for each in both] == ["no", "no"]
    with pytest.raises(NotMeasured):
        await questions.answered(b"q", fail, oldest=5.0)
    assert tries == 2


async def test_who_stops_waiting_disturbs_nobody_and_the_last_one_ends_the_question() -> None:
    questions, ask = Questions(clock=Clock()), Asked(waits=True)
    first, second = (asyncio.create_task(questions.answered(b"q", ask, oldest=0.0)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert not second.done()
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await asyncio.sleep(0)
    assert (ask.times, ask.cancelled) == (1, True)


@pytest.mark.parametrize(
    ("provider", "config", "namespace"),
    [
        ("datadog", {"query": "up"}, "shop"),
        ("prometheus", {"query": "down"}, "shop"),
        ("prometheus", {"query": "up", "authentication": {"basicAuth": {"username": "a", "password": "b"}}}, "shop"),
        ("prometheus", {"query": "up"}, "bank"),
    ],
    ids=["provider", "query", "credentials", "namespace"],
)
def test_a_question_is_another_with_another(provider: str, config: dict, namespace: str) -> None:
    assert question(provider, config, context(namespace)) != question("prometheus", {"query": "up"}, context())


def test_a_question_is_the_same_for_every_run_that_asks_it_and_tells_no_secret() -> None:
    config = {"query": "up", "headers": [{"key": "Authorization", "value": "s3cret"}]}
    asked = question("prometheus", config, context(number=1))
    assert asked == question("prometheus", dict(reversed(config.items())), context(number=7))
    assert b"s3cret" not in asked


@pytest.mark.parametrize(("interval", "seconds"), [("", 1.0), ("1s", 0.0), ("10s", 0.9), ("30s", 2.9), ("1h", 5.0)])
def test_an_answer_may_be_a_tenth_of_the_interval_old_and_is_never_the_runs_own(interval: str, seconds: float) -> None:
    assert window(context(interval=interval)) == pytest.approx(seconds)


def test_runs_are_spread_over_half_a_second_and_a_short_wait_stays_short() -> None:
    keys = [("shop", f"run-{number}") for number in range(500)]
    later = [spread(10.0, key) - 10.0 for key in keys]
    assert min(later) >= 0.0
    assert max(later) <= MOST_SPREAD
    assert sum(later) / len(later) == pytest.approx(MOST_SPREAD / 2, rel=0.2)
    assert later == [spread(10.0, key) - 10.0 for key in keys]
    assert spread(0.0, keys[0]) == 0.0
    assert spread(-3.0, keys[0]) == -3.0
    assert 1.0 <= spread(1.0, keys[0]) <= 1.05
