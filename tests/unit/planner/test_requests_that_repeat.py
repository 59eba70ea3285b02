"""A command or request that comes again (a process died before it acknowledged it, or its answer was lost) acts once."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tidegate.bus import Envelope
from tidegate.errors import GiveUp, Retry
from tidegate.kube.errors import ServerUnavailable
from tidegate.kube.kinds import ROLLOUT
from tidegate.kube.memory import Call, MemoryKube
from tidegate.messages import RequestAnswered, RolloutCommanded, RolloutRequested
from tidegate.testing import a_rollout
from tidegate_planner.requests import Requests

GATES = 6
NAMESPACE, NAME = "shop", "web"


class Died(BaseException):
    """kill -9 between two instructions; nothing catches it."""


@dataclass
class Bus:
    answers: list[RequestAnswered] = field(default_factory=list)

    async def answer(self, _: Envelope, answer: RequestAnswered) -> None:
        self.answers.append(answer)


class Shop:
    """A rollout with a gate at every step, and the part of the planner that takes it from one to the next."""

    def __init__(self) -> None:
        self.kube, self.bus = MemoryKube(), Bus()
        self.requests = Requests(kube=self.kube, bus=self.bus)  # type: ignore[arg-type]

    async def open(self) -> None:
        manifest = a_rollout(NAME, steps=[{"pause": {}}] * GATES)
        manifest["metadata"]["namespace"] = NAMESPACE
        await self.kube.create(ROLLOUT, manifest)
        await self._write(self._paused_at(0))

    async def promote(self, number: int, *, dies: str = "", at_write: int = 0) -> None:
        """Deliver promotion `number`; a process that dies does so `before` or `after` one of its writes is carried out."""
        writes = 0

        def die(call: Call) -> None:
            nonlocal writes
            if call.verb == "get":
                return
            if writes == at_write:
                raise Died
            writes += 1

        if dies:
            setattr(self.kube, dies, die)
        try:
            command = RolloutCommanded(namespace=NAMESPACE, name=NAME, verb="promote")
            await self.requests.on_commanded(command, Envelope(id=f"promotion-{number}"))
        except Died:
            return
        finally:
            self.kube.before = self.kube.after = lambda _: None

    async def move_on(self) -> None:
        """What the planner does: a pause that a person has ended is followed by the next one."""
        status = (await self.kube.get(ROLLOUT, NAMESPACE, NAME))["status"]
        if not status.get("pauseConditions"):
            await self._write(self._paused_at(status["currentStepIndex"] + 1))

    async def gate(self) -> int:
        step: int = (await self.kube.get(ROLLOUT, NAMESPACE, NAME))["status"]["currentStepIndex"]
        return step

    def _paused_at(self, step: int) -> dict[str, Any]:
        pause = {"reason": "CanaryPauseStep", "startTime": f"2030-01-01T00:00:0{step}Z"}
        hashes = {"currentPodHash": "new", "stableRS": "old"}
        return {"currentStepIndex": step, "pauseConditions": [pause] if step < GATES else [], "controllerPause": True, **hashes}

    async def _write(self, status: dict[str, Any]) -> None:
        await self.kube.merge_patch(ROLLOUT, NAMESPACE, NAME, {"status": status}, subresource="status")


deaths = st.lists(st.tuples(st.sampled_from(["before", "after"]), st.integers(0, 2)), max_size=3)


@given(st.lists(st.tuples(deaths, st.integers(0, 2), st.booleans()), max_size=GATES - 1))
def test_each_promotion_passes_one_gate_however_often_it_is_delivered(story: list[tuple[list, int, bool]]) -> None:
    async def play() -> None:
        shop = Shop()
        await shop.open()
        for number, (dying, repeats, planner_is_quick) in enumerate(story):
            for how, at_write in dying:
                await shop.promote(number, dies=how, at_write=at_write)
                if planner_is_quick:
                    await shop.move_on()
            await shop.promote(number)
            await shop.move_on()
            for _ in range(repeats):  # its acknowledgement was lost
                await shop.promote(number)
                await shop.move_on()
        assert await shop.gate() == len(story)

    asyncio.run(play())


@given(st.lists(st.sampled_from(["before", "after"]), max_size=4), st.integers(1, 3))
def test_a_request_for_an_image_is_one_change_however_often_it_is_delivered(losses: list[str], times: int) -> None:
    """An answer that is lost is no answer: the handler raises `Retry`, the message comes again."""

    async def play() -> None:
        shop = Shop()
        await shop.open()
        request = RolloutRequested(namespace=NAMESPACE, name=NAME, images={"app": "demo:2"})

        def lose(call: Call) -> None:
            if call.verb != "get":
                raise ServerUnavailable("lost", status=0)

        for loss in losses:
            setattr(shop.kube, loss, lose)
            try:
                await shop.requests.on_requested(request, Envelope(id="one"))
            except Retry:
                pass
            except GiveUp as error:
                raise AssertionError("an API server that is away is no reason to give up") from error
            shop.kube.before = shop.kube.after = lambda _: None
        for _ in range(times):
            await shop.requests.on_requested(request, Envelope(id="one"))
        rollout = await shop.kube.get(ROLLOUT, NAMESPACE, NAME)
        assert rollout["spec"]["template"]["spec"]["containers"][0]["image"] == "demo:2"
        assert rollout["metadata"]["generation"] == 2

    asyncio.run(play())
