"""Whatever happens to analyzers, writes and views, a run is measured as it says and no measurement is counted twice."""

import asyncio
import contextlib
import itertools
import random
from datetime import timedelta

import pytest

from tidegate.errors import KubeError
from tidegate.kube.cache import Cache
from tidegate.kube.errors import Conflict, ServerUnavailable
from tidegate.kube.kinds import ANALYSIS_RUN
from tidegate.messages import AnalysisConcluded, AnalysisMeasured
from tidegate_analyzer.metrics import instant
from tidegate_analyzer.provider import Decided, NotMeasured, Unfinished
from tidegate_analyzer.testing import World, metric
from tidegate_analyzer.testing.world import START

COUNT = 6
SEEDS = range(12)  # sixty were run when this was written


def disturb(world: World, dice: random.Random) -> None:
    """Some writes are refused, some never arrive, of some the answer is lost."""

    def fail(call) -> None:
        if call.verb == "merge_patch" and dice.random() < 0.2:
            raise dice.choice([Conflict("changed meanwhile", status=409), ServerUnavailable("away", status=0)])

    world.kube.before = world.kube.after = fail


def watch(world: World) -> list[tuple[bool, int]]:
    """Each state of the run that ever was: whether it was over, and how many measurements it held."""
    history: list[tuple[bool, int]] = []

    def note(_type, _old, run) -> None:
        status = run.get("status") or {}
        counted = [result.get("count", 0) + result.get("error", 0) for result in status.get("metricResults") or []]
        history.append(("completedAt" in status, sum(counted)))

    observer = Cache(world.kube, ANALYSIS_RUN)
    observer.on_change(note)
    world.kube.feed(observer, ANALYSIS_RUN)
    return history


async def live(world: World, dice: random.Random) -> None:
    history = watch(world)
    await happen(world, dice)
    assert history == sorted(history), "the run went back to what it was before"
    assert [over for over, _ in history].count(True) == 1, "a verdict was changed"


async def happen(world: World, dice: random.Random) -> None:
    """Two analyzers, each of which is killed and replaced now and then, or sees the cluster late."""
    replicas = [world.replica(), world.replica()]
    for _ in range(400):
        if world.status.get("completedAt"):
            return
        at = dice.randrange(2)
        match dice.choice(["look", "look", "look", "look", "kill", "lag", "catch up", "wait"]):
            case "look":
                with contextlib.suppress(KubeError):  # the worker tries again
                    await replicas[at].look()
            case "kill":
                replicas[at].feed.close()
                await replicas[at].runs.close()
                replicas[at] = world.replica()
            case "lag":
                replicas[at].feed.pause()
            case "catch up":
                replicas[at].feed.resume()
            case "wait":
                world.now += timedelta(seconds=dice.choice([0.3, 1, 5, 11]))
    raise AssertionError(f"no verdict: {world.status}")


async def until_told(world: World) -> None:
    """An analyzer that comes after all is over tells what the others could not."""
    world.kube.before = world.kube.after = lambda _call: None
    await world.replica().look()
    assert len(world.post.of(AnalysisConcluded)) == 1


@pytest.mark.parametrize("seed", SEEDS)
async def test_every_measurement_is_counted_once_and_none_comes_too_early(seed):
    dice, world = random.Random(seed), World()
    world.create(metric(interval="5s", count=COUNT, consecutiveErrorLimit=100))
    answers = [dice.choice([1, 1, 1, NotMeasured("away for a moment")]) for _ in range(200)]
    world.script("m", *answers)
    disturb(world, dice)
    await live(world, dice)
    result = world.result("m")
    assert (world.status["phase"], result["count"], result["successful"]) == ("Successful", COUNT, COUNT)
    errors = answers[: COUNT + result.get("error", 0)].count(1)
    assert errors == COUNT  # each number was answered once: what is counted is what the provider said under that number
    kept = result["measurements"]
    assert len(kept) == min(10, COUNT + result.get("error", 0))
    starts = [(instant(each["startedAt"]), each["phase"]) for each in kept]
    for (earlier, phase), (later, _) in itertools.pairwise(starts):
        assert later - earlier >= timedelta(seconds=10 if phase == "Error" else 5)
    await until_told(world)


@pytest.mark.parametrize("seed", SEEDS)
async def test_work_that_goes_on_elsewhere_is_begun_under_one_key_and_ends_once(seed):
    dice, world = random.Random(seed), World()
    world.create(metric(interval="5s", count=2))
    goes_on = [Unfinished(resume_at=START, metadata={"turn": str(turn)}) for turn in range(3)]
    world.script("m", *goes_on, Decided(phase="Successful"))
    disturb(world, dice)
    await live(world, dice)
    result = world.result("m")
    assert (world.status["phase"], result["count"], len(result["measurements"])) == ("Successful", 2, 2)
    begun = {key.rsplit(".", 1)[1] for verb, key in world.memory.asked if verb == "measure"}
    assert begun == {"1", "2"}


@pytest.mark.parametrize("seed", range(6))
async def test_a_failure_is_never_forgotten(seed):
    dice, world = random.Random(seed), World()
    bad = dice.randrange(COUNT)
    world.create(metric(interval="1s", count=COUNT, successCondition="result > 0.5"))
    world.script("m", *[0 if number == bad else 1 for number in range(COUNT)])
    disturb(world, dice)
    await live(world, dice)
    result = world.result("m")
    assert (world.status["phase"], result["failed"], result["count"]) == ("Failed", 1, bad + 1)
    await until_told(world)
    assert all(message.phase in {"Successful", "Failed"} for message in world.post.of(AnalysisMeasured))


@pytest.mark.parametrize("seed", range(6))
async def test_who_ends_a_run_gets_its_end(seed):
    dice, world = random.Random(seed), World()
    world.create(metric(interval="1s"), metric("slow"))
    world.script("m", 1)
    world.script("slow", asyncio.Event())
    await world.replica().look()
    world.change(terminate=True)
    disturb(world, dice)
    await live(world, dice)
    assert (world.status["phase"], world.status["message"]) == ("Successful", "Run Terminated")
