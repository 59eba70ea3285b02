"""One AnalysisRun in a cluster in memory, with a provider, a bus and a clock that stands still unless it is moved.

Any number of analyzers (`replica`) can work on it, be dropped and be replaced; what they write and tell is for all to see.
"""

import asyncio
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from tidegate.kube.cache import Cache
from tidegate.kube.kinds import ANALYSIS_RUN
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Message
from tidegate_analyzer.measure import Measurer
from tidegate_analyzer.providers.memory import NAME, Memory
from tidegate_analyzer.run import Runs
from tidegate_analyzer.teller import Key, Teller

START: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY: Final[Key] = ("shop", "canary")

M = TypeVar("M", bound=Message)


class Post:
    """Where messages go; a repeat of an id is dropped, as the stream does."""

    def __init__(self) -> None:
        self.sent: dict[str, Message] = {}

    async def publish(self, message: Message, *, id: str | None = None) -> None:  # noqa: A002 - the CloudEvents name
        self.sent.setdefault(id or "", message)

    def of(self, kind: type[M]) -> list[M]:
        return [message for message in self.sent.values() if isinstance(message, kind)]


class World:
    """See the module's docstring."""

    def __init__(self) -> None:
        self.now = START
        self.kube = MemoryKube(clock=lambda: self.now)
        self.memory = Memory()
        self.post = Post()

    def replica(self) -> "Replica":
        return Replica(self)

    def create(self, *metrics: dict[str, Any], **spec: Any) -> None:
        self.kube.put(ANALYSIS_RUN, {"metadata": {"namespace": KEY[0], "name": KEY[1]}, "spec": {"metrics": list(metrics), **spec}})

    def script(self, name: str, *answers: Any) -> None:
        self.memory.scripts[name] = answers

    def change(self, **spec: Any) -> None:
        """Someone edits the run's spec."""
        run = self.run
        self.kube.put(ANALYSIS_RUN, {**run, "spec": {**run["spec"], **spec}})

    @property
    def run(self) -> dict[str, Any]:
        return self.kube.snapshot(ANALYSIS_RUN)[0]

    @property
    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self.run.get("status") or {}
        return status

    def result(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(each for each in self.status["metricResults"] if each["name"] == name)
        return found

    @property
    def writes(self) -> int:
        return sum(call.verb == "merge_patch" for call in self.kube.calls)


class Replica:
    """One analyzer's process. `look` is what its worker does when something wakes it."""

    def __init__(self, world: World) -> None:
        self.world = world
        cache = Cache(world.kube, ANALYSIS_RUN)
        self.feed = world.kube.feed(cache, ANALYSIS_RUN)
        self.woken = asyncio.Event()
        self.runs = Runs(
            kube=world.kube,
            cache=cache,
            measurer=Measurer({NAME: world.memory}, clock=lambda: world.now),
            teller=Teller(world.post, clock=lambda: world.now),
            clock=lambda: world.now,
            wake=lambda _key: self.woken.set(),
        )

    async def look(self) -> datetime | None:
        moment = await self.runs.look(KEY)
        await asyncio.sleep(0.01)  # what is told is sent
        return moment

    async def until_verdict(self, looks: int = 50) -> None:
        """Look, and let time pass to the moment the look named, as the worker does; once more to tell the end."""
        for _ in range(looks):
            moment = await self.look()
            if moment is None and self.world.status.get("completedAt"):
                await self.look()
                return
            if moment is not None:
                self.world.now = max(self.world.now, moment)
        raise AssertionError(f"no verdict after {looks} looks: {self.world.status}")


def metric(name: str = "m", script: str | None = None, **fields: Any) -> dict[str, Any]:
    """A metric of the provider in memory; its script has its name unless another is given."""
    return {"name": name, "provider": {NAME: {"script": script or name}}, **fields}
