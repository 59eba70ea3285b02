"""When an object is looked at, by whom, and what happens when a look fails."""

import asyncio

import pytest

from tidegate.errors import KubeError
from tidegate.kube.errors import Conflict
from tidegate.shares import owner
from tidegate.worker import LONGEST_RETRY, Worker


class Looks:
    """Each look takes the next answer, and is counted."""

    def __init__(self, *answers) -> None:
        self.answers = list(answers)
        self.seen: list[tuple[str, str]] = []
        self.gone: set[tuple[str, str]] = set()
        self.at_once = self.most_at_once = 0

    async def look(self, key):
        self.seen.append(key)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.01)
        self.at_once -= 1
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def is_gone(self, key):
        return key in self.gone


def worker_of(looks, at_once=None):
    return Worker(looks.look, is_gone=looks.is_gone, refusals=(Conflict,), at_once=at_once)


@pytest.fixture
def begin():
    """A started worker on these answers."""

    def made(*answers, started=True, at_once=None):
        looks = Looks(*answers)
        worker = worker_of(looks, at_once)
        if started:
            worker.start()
        return looks, worker

    return made


async def until(holds):
    async with asyncio.timeout(300):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


A, B = ("shop", "a"), ("shop", "b")


async def test_nothing_is_looked_at_before_the_start_and_everything_after_it(begin):
    looks, worker = begin(started=False)
    worker.wake(A)
    await asyncio.sleep(0.03)
    assert looks.seen == []
    worker.start()
    await until(lambda: looks.seen == [A])
    await worker.close()


async def test_one_object_is_never_looked_at_twice_at_a_time_and_no_wake_is_lost(begin):
    looks, worker = begin()
    worker.wake(A)
    await asyncio.sleep(0)
    for _ in range(5):
        worker.wake(A)
    await until(lambda: len(looks.seen) == 2)
    await worker.close()
    assert looks.most_at_once == 1


async def test_many_objects_are_looked_at_at_once(begin):
    looks, worker = begin()
    for number in range(50):
        worker.wake(("shop", str(number)))
    await until(lambda: len(looks.seen) == 50)
    await worker.close()
    assert looks.most_at_once == 50


async def test_no_more_are_looked_at_at_once_than_there_are_slots(begin):
    looks, worker = begin(at_once=3)
    for number in range(20):
        worker.wake(("shop", str(number)))
    await until(lambda: len(looks.seen) == 20)
    await worker.close()
    assert looks.most_at_once == 3


async def test_a_night_of_failures_leaves_the_distance_at_half_a_minute(begin):
    _, worker = begin(KubeError("away", status=503))
    began = asyncio.get_running_loop().time()
    worker.wake(A)
    worker._entries[A].failures = 5000
    await until(lambda: worker._entries[A].timer is not None)
    when, now = worker._entries[A].timer.when(), asyncio.get_running_loop().time()
    assert began + LONGEST_RETRY <= when <= now + LONGEST_RETRY
    await worker.close()


async def test_the_moment_a_look_named_wakes(begin):
    looks, worker = begin(0.05)
    worker.wake(A)
    await until(lambda: looks.seen == [A, A])
    await worker.close()


async def test_a_moment_that_has_passed_wakes_at_once(begin):
    looks, worker = begin(-3600.0)
    worker.wake(A)
    await until(lambda: looks.seen == [A, A])
    await worker.close()


@pytest.mark.parametrize(
    "failure",
    [Conflict("changed", status=409), KubeError("away", status=503), ZeroDivisionError("a defect")],
    ids=["conflict", "away", "defect"],
)
async def test_a_look_that_failed_is_tried_again_and_others_go_on(begin, failure):
    looks, worker = begin(failure)
    worker.wake(A)
    worker.wake(B)
    await until(lambda: looks.seen.count(A) == 2)
    assert B in looks.seen
    await worker.close()


async def test_replicas_share_the_objects_and_each_has_one_owner():
    members = frozenset({"one", "two", "three"})
    keys = [("shop", f"object-{number}") for number in range(30)]
    replicas = {me: worker_of(Looks()) for me in members}
    for me, worker in replicas.items():
        worker.share_with(members, me)
    for key in keys:
        assert [me for me, worker in replicas.items() if worker.owns(key)] == [owner("/".join(key), members)]


async def test_who_is_alone_owns_everything_and_takes_over_what_the_others_leave(begin):
    looks, worker = begin()
    worker.share_with(frozenset({"me", "other"}), "me")
    keys = [("shop", f"object-{number}") for number in range(20)]
    for key in keys:
        worker.wake(key)
    await asyncio.sleep(0.1)
    mine = set(looks.seen)
    assert mine < set(keys)
    worker.share_with(frozenset({"me"}), "me")
    await until(lambda: set(looks.seen) == set(keys))
    await worker.close()


async def test_what_is_gone_is_looked_at_once_more_by_anyone_and_forgotten(begin):
    looks, worker = begin()
    worker.share_with(frozenset({"me", "other"}), "me")
    keys = [("shop", f"object-{number}") for number in range(20)]
    looks.gone = set(keys)
    for key in keys:
        worker.wake(key)
    await until(lambda: len(looks.seen) == 20)
    await asyncio.sleep(0.05)
    worker.wake_all()
    await asyncio.sleep(0.05)
    assert len(looks.seen) == 20
    await worker.close()


async def test_close_waits_for_the_look_under_way_and_sets_no_timer_after(begin):
    looks, worker = begin(0.0)
    worker.wake(A)
    await asyncio.sleep(0)
    await worker.close()
    await asyncio.sleep(0.05)
    assert (looks.seen, looks.at_once) == ([A], 0)
