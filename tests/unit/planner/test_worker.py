"""When a rollout is looked at, by whom, and what a failure of one means to the others."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

import pytest

from tidegate.errors import KubeError, Retry
from tidegate.worker import LONGEST_RETRY
from tidegate_planner.apply import Applier
from tidegate_planner.decide import decide
from tidegate_planner.memory import Memory
from tidegate_planner.observe import Observer
from tidegate_planner.plan import Plan
from tidegate_planner.router_objects import NotYet
from tidegate_planner.seen import Seen
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view
from tidegate_planner.telling import Teller
from tidegate_planner.worker import LAZY_FOR, Passes, worker_on
from tidegate_planner.world import Key
from tidegate_planner.writing import Refused

ME, OTHER = "planner-a", "planner-b"
SLACK = 0.001  # of sums of floats


def key(name: str = "web") -> Key:
    return ("default", name)


def calm(name: str = "web", uid: str = "") -> Seen:
    """A finished rollout, for which nothing is to be done at any time."""
    status = a_status("v1", "v1", None, phase="Healthy")
    return a_view("v1", a_set("v1", 4), status=status, name=name, uid=uid or f"uid-{name}")


class World:
    """Stands for observer, applier and teller: what is there, what applying does, and what happened."""

    def __init__(self) -> None:
        self.there: dict[Key, Seen] = {}
        self.passes: list[str] = []
        self.told: list[str] = []
        self.forgotten: list[Any] = []
        self.memories: list[Memory] = []
        self.applied = asyncio.Event()
        self.settling_since = 0.0
        self.work: Callable[[Seen, Memory], Awaitable[bool]] = self._nothing
        self.worker = worker_on(
            Passes(
                observer=cast("Observer", self),
                decide=decide,
                applier=cast("Applier", self),
                teller=cast("Teller[Any, Any]", self),
                clock=lambda: NOW,
            )
        )

    async def _nothing(self, _seen: Seen, _memory: Memory) -> bool:
        return False

    def add(self, *names: str) -> None:
        self.there.update({key(name): calm(name) for name in names})

    def is_gone(self, of: Key) -> bool:
        return of not in self.there

    def see(self, of: Key) -> Seen | None:
        return self.there.get(of)

    def tell(self, of: Key, _seen: Seen) -> None:
        self.told.append(of[1])

    def forget(self, of: Any) -> None:
        self.forgotten.append(of)

    async def apply(self, seen: Seen, _plan: Plan, memory: Memory, *, lazy_for: float) -> bool:  # noqa: ARG002
        self.passes.append(seen.name)
        self.memories.append(memory)
        self.applied.set()
        return await self.work(seen, memory)

    def start(self, *others: str) -> None:
        self.start_as(ME, frozenset({ME, *others}))

    def start_as(self, me: str, members: frozenset[str]) -> None:
        self.worker.share_with(members, me)
        self.worker.start()

    async def settle(self) -> None:
        self.settling_since = asyncio.get_running_loop().time()
        async with asyncio.timeout(300):
            while self.worker._tasks:
                await asyncio.wait(self.worker._tasks)

    def planned(self, name: str = "web") -> "Planned | None":
        """The next look, if there is to be one."""
        timer = self.worker._entries[key(name)].timer
        if timer is None:
            return None
        now = asyncio.get_running_loop().time()
        return Planned(least=timer.when() - now, most=timer.when() - self.settling_since)


@dataclass(frozen=True, slots=True)
class Planned:
    """For how many seconds later: its timer was set between the beginning of `settle` and now, however long that took."""

    least: float
    most: float

    def after(self, seconds: float) -> bool:
        return self.least - SLACK <= seconds <= self.most + SLACK


@pytest.fixture
async def world() -> World:
    world = World()
    world.add("web")
    return world


# --- one pass at a time -------------------------------------------------------------------------------------------------


async def test_what_woke_before_the_start_is_looked_at_once_started(world: World) -> None:
    world.worker.wake(key())
    await asyncio.sleep(0)
    assert world.passes == []
    world.start()
    await world.settle()
    assert world.passes == world.told == ["web"]


async def test_a_rollout_has_one_pass_at_a_time_and_wakes_meanwhile_are_one_more(world: World) -> None:
    under_way, most, gate = 0, 0, asyncio.Event()

    async def slow(_seen: Seen, _memory: Memory) -> bool:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await gate.wait()
        under_way -= 1
        return False

    world.work = slow
    world.start()
    world.worker.wake(key())
    await world.applied.wait()
    for _ in range(10):
        world.worker.wake(key())
    gate.set()
    await world.settle()
    assert (world.passes, most) == (["web", "web"], 1)


async def test_a_slow_rollout_does_not_hold_up_another(world: World) -> None:
    world.add("slow")
    gate, done = asyncio.Event(), asyncio.Event()

    async def work(seen: Seen, _memory: Memory) -> bool:
        await gate.wait() if seen.name == "slow" else done.set()
        return False

    world.work = work
    world.start()
    world.worker.wake(key("slow"))
    await world.applied.wait()
    world.worker.wake(key())
    await asyncio.wait_for(done.wait(), 300)
    gate.set()
    await world.settle()


async def test_what_a_rollout_remembers_lasts_from_pass_to_pass_and_ends_with_it(world: World) -> None:
    world.start()
    for uid in ("one", "one", "two"):
        world.there[key()] = calm(uid=uid)
        world.worker.wake(key())
        await world.settle()
    first, second, third = world.memories
    assert first is second
    assert third is not first, "a namesake starts from nothing"
    assert "one" in world.forgotten


# --- failures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [ValueError("a defect"), KubeError("no", status=500), Retry("the bus is away"), Refused("somebody was faster")]
)
async def test_a_failure_in_one_rollout_leaves_the_others_alone_and_is_tried_again(world: World, error: Exception) -> None:
    world.add("good")

    async def work(seen: Seen, _memory: Memory) -> bool:
        if seen.name == "web":
            raise error
        return False

    world.work = work
    world.start()
    for name in ("web", "good"):
        world.worker.wake(key(name))
    await world.settle()
    assert sorted(world.passes) == ["good", "web"]
    web, good = world.planned("web"), world.planned("good")
    assert web is not None
    assert web.after(1.0)
    assert good is None or good.most > 10


async def test_a_defect_in_what_is_observed_is_caught_too(world: World) -> None:
    world.add("good")
    world.there[key()] = cast("Seen", object())
    world.start()
    for name in ("web", "good"):
        world.worker.wake(key(name))
    await world.settle()
    assert world.passes == ["good"]
    assert world.planned("web") is not None


async def test_a_kind_that_is_being_listed_is_waited_for_without_counting_as_a_failure(world: World) -> None:
    waiting = iter([NotYet("ingresses")])
    see = world.see

    def not_at_first(of: Key) -> Seen | None:
        for fact in waiting:
            raise fact
        return see(of)

    world.see = not_at_first  # type: ignore[method-assign]
    world.start()
    world.worker.wake(key())
    await world.settle()
    assert world.passes == []
    assert world.planned() is not None
    world.worker.wake(key())
    await world.settle()
    assert world.told == ["web"]


async def test_failures_in_a_row_wait_longer_and_never_too_long(world: World) -> None:
    async def failing(_seen: Seen, _memory: Memory) -> bool:
        raise KubeError("no", status=500)

    world.work = failing
    world.start()
    for seconds in (1, 2, 4, 8, 16, 30, 30):
        world.worker.wake(key())
        await world.settle()
        assert (planned := world.planned()) is not None
        assert planned.after(seconds)
    world.worker._entries[key()].failures = 5000  # a day and a half of them
    world.worker.wake(key())
    await world.settle()
    assert (planned := world.planned()) is not None
    assert planned.after(LONGEST_RETRY)


async def test_a_success_ends_the_row(world: World) -> None:
    fails = iter((True, True, False, True))

    async def work(_seen: Seen, _memory: Memory) -> bool:
        if next(fails):
            raise KubeError("no", status=500)
        return False

    world.work = work
    world.start()
    for _ in range(4):
        world.worker.wake(key())
        await world.settle()
    assert (planned := world.planned()) is not None
    assert planned.after(1.0)


# --- moments ------------------------------------------------------------------------------------------------------------


def pausing_until(end: float) -> Seen:
    steps = [{"setWeight": 25}, {"pause": {"duration": "60s"}}]
    pause = {"reason": "CanaryPauseStep", "startTime": "2027-01-15T08:00:00Z"}
    status = a_status("v2", "v1", 1, steps, phase="Paused", pauseConditions=[pause], controllerPause=True)
    return a_view("v2", a_set("v2", 1, revision=2), a_set("v1", 3), status=status, canary={"steps": steps})


async def test_the_moment_a_plan_names_is_waited_for(world: World) -> None:
    world.there[key()] = pausing_until(60)
    world.start()
    world.worker.wake(key())
    await world.settle()
    assert (planned := world.planned()) is not None
    assert planned.after(60)


@pytest.mark.parametrize(("postponed", "resend", "seconds"), [(True, None, LAZY_FOR), (False, 5.0, 5.0), (True, 0.5, 0.5)])
async def test_the_earliest_of_all_moments_counts(world: World, postponed: bool, resend: float | None, seconds: float) -> None:
    async def work(_seen: Seen, memory: Memory) -> bool:
        memory.lazy_since = NOW if postponed else None
        memory.resend_at = None if resend is None else NOW + resend
        return postponed

    world.there[key()] = pausing_until(60)
    world.work = work
    world.start()
    world.worker.wake(key())
    await world.settle()
    assert (planned := world.planned()) is not None
    assert planned.after(seconds)


async def test_a_moment_that_came_leads_to_a_look(world: World) -> None:
    again = asyncio.Event()

    async def work(_seen: Seen, memory: Memory) -> bool:
        if len(world.passes) == 2:
            again.set()
        memory.resend_at = NOW + 0.05 if len(world.passes) == 1 else None
        return False

    world.work = work
    world.start()
    world.worker.wake(key())
    await asyncio.wait_for(again.wait(), 300)
    await world.settle()


# --- members, and ends --------------------------------------------------------------------------------------------------


async def test_members_share_the_rollouts_and_each_is_looked_at_by_one() -> None:
    names = [f"web-{number}" for number in range(20)]
    worlds = {ME: World(), OTHER: World()}
    for me, world in worlds.items():
        world.add(*names)
        world.start_as(me, frozenset({ME, OTHER}))
        for name in names:
            world.worker.wake(key(name))
        await world.settle()
    assert sorted(worlds[ME].passes + worlds[OTHER].passes) == sorted(names)
    assert all(world.passes for world in worlds.values())


async def test_when_the_other_member_goes_its_rollouts_are_looked_at_at_once(world: World) -> None:
    names = [f"web-{number}" for number in range(20)]
    world.add(*names)
    world.start(OTHER)
    for name in names:
        world.worker.wake(key(name))
    await world.settle()
    world.passes.clear()
    world.worker.share_with(frozenset({ME}), ME)
    await world.settle()
    assert set(names) <= set(world.passes)


async def test_one_that_knows_of_no_member_does_everything(world: World) -> None:
    """With NATS away nobody is known to live; a rollout must not wait for that."""
    world.start_as(ME, frozenset())
    world.worker.wake(key())
    await world.settle()
    assert world.passes == ["web"]


async def test_a_rollout_that_is_gone_is_forgotten_everywhere(world: World) -> None:
    world.start()
    world.worker.wake(key())
    await world.settle()
    del world.there[key()]
    world.worker.wake(key())
    await world.settle()
    assert world.forgotten == ["uid-web", key()]
    assert key() not in world.worker._entries


async def test_closing_waits_for_passes_under_way_and_starts_no_more(world: World) -> None:
    gate = asyncio.Event()
    done: list[str] = []

    async def slow(seen: Seen, _memory: Memory) -> bool:
        await gate.wait()
        done.append(seen.name)
        return False

    world.work = slow
    world.start()
    world.worker.wake(key())
    await world.applied.wait()
    world.worker.wake(key())
    closing = asyncio.create_task(world.worker.close())
    await asyncio.sleep(0)
    assert not closing.done()
    gate.set()
    await closing
    world.worker.wake(key())
    await world.settle()
    assert done == ["web"]
