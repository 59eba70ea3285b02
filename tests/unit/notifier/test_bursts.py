"""How the writing of Events gives way: together, and then not at all for a while."""

import asyncio

import pytest

from tidegate_notifier.bursts import Bursts
from tidegate_notifier.channels.kube_event import LONGEST_REST, rest_after


class Time:
    """A clock, and a sleep that lasts until it is ended by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.rests: list[float] = []
        self.over = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.rests.append(seconds)
        await self.over.wait()

    def bursts(self, most: int = 2) -> Bursts:
        return Bursts(most, rest=lambda seconds: 3 * seconds, clock=lambda: self.now, sleep=self.sleep)


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Work:
    """Pieces of work that begin when there is a place and end when told to."""

    def __init__(self, bursts: Bursts, names: str) -> None:
        self.begun = ""
        self._ends = {name: asyncio.Event() for name in names}
        self.tasks = {name: asyncio.create_task(self._do(bursts, name)) for name in names}

    async def _do(self, bursts: Bursts, name: str) -> None:
        async with bursts.place():
            self.begun += name
            await self._ends[name].wait()

    async def end(self, *names: str) -> None:
        for name in names:
            self._ends[name].set()
        await turns()


async def test_the_next_begin_when_all_of_a_burst_are_done_and_have_rested():
    time = Time()
    work = Work(time.bursts(), "abcd")
    await turns()
    assert work.begun == "ab"
    await work.end("a")
    assert (work.begun, time.rests) == ("ab", [])
    time.now = 0.5
    await work.end("b")
    assert (work.begun, time.rests) == ("ab", [1.5])
    time.over.set()
    await turns()
    assert work.begun == "abcd"
    await work.end("c", "d")
    await asyncio.gather(*work.tasks.values())


async def test_a_place_that_the_burst_left_free_is_taken_during_its_rest():
    time = Time()
    bursts = time.bursts()
    first = Work(bursts, "a")
    await turns()
    await first.end("a")
    second = Work(bursts, "bc")
    await turns()
    assert second.begun == "b"
    time.over.set()
    await turns()
    assert second.begun == "bc"
    await second.end("b", "c")
    await asyncio.gather(*second.tasks.values(), *first.tasks.values())


async def test_a_cancelled_piece_of_work_gives_its_place_back():
    time = Time()
    time.over.set()
    work = Work(time.bursts(), "abcd")
    await turns()
    for name in "ab":
        work.tasks[name].cancel()
    await turns()
    assert work.begun == "abcd"
    await work.end("c", "d")
    await asyncio.gather(*work.tasks.values(), return_exceptions=True)


async def test_places_come_back_when_the_rest_itself_is_cancelled():
    time = Time()
    work = Work(time.bursts(most=1), "ab")
    await turns()
    await work.end("a")
    work.tasks["a"].cancel()
    await turns()
    assert work.begun == "ab"
    time.over.set()
    await work.end("b")
    await asyncio.gather(*work.tasks.values(), return_exceptions=True)


@pytest.mark.parametrize(
    ("answered_in", "rest"),
    [
        pytest.param(0.007, 0.007, id="a quiet server is left alone as long as it was asked"),
        pytest.param(0.042, 6 * 0.042, id="six times slower, six times as long"),
        pytest.param(3.0, LONGEST_REST, id="never for ever"),
    ],
)
def test_the_slower_the_api_server_answers_the_longer_events_give_way_to_rollouts(answered_in, rest):
    assert rest_after(answered_in) == pytest.approx(rest)
