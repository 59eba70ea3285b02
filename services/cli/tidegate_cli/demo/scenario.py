"""What happens, in order: apply, wait, ask for yellow, stand at the gate, see it through, tell the outcomes.

Everything goes the way any user's change goes: the manifest through the API server, the request and the decision over the bus.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

import yaml

from tidegate.bus import Bus
from tidegate.errors import TidegateError
from tidegate.kube.client import Kube
from tidegate.kube.kinds import ROLLOUT, Object
from tidegate.messages import OUTCOMES, Message, OutcomeVerb, RolloutCommanded, RolloutOutcome, RolloutRequested
from tidegate_cli.cluster import Place
from tidegate_cli.demo.progress import is_promoted, is_rolled_back, waits_for_a_person
from tidegate_cli.demo.screens import Screen
from tidegate_cli.info import RolloutInfo
from tidegate_cli.outcomes import outcome_detail
from tidegate_cli.phases import UNOBSERVED
from tidegate_cli.sending import whoami
from tidegate_cli.tree import rollout_info

FIELD_MANAGER = "tidegate-demo"
YELLOW = "argoproj/rollouts-demo:yellow"
EVERY = 0.25
STALL_SECONDS = 180.0
ANSWER_SECONDS = 30.0
OUTCOME_SECONDS = 30.0


class Answer(Enum):
    """At the gate."""

    ASK = "ask"
    PROMOTE = "promote"
    ABORT = "abort"


@dataclass(slots=True, kw_only=True)
class Scenario:
    """`check` raises when one of the services has died."""

    kube: Kube
    bus: Bus
    screen: Screen
    namespace: str
    manifest: Path
    answer: Answer
    check: Callable[[], None]
    heard: list[RolloutOutcome] = field(default_factory=list)

    async def play(self) -> None:
        """To the end, or until one of the services dies, whatever is being waited for at that moment."""
        tasks = {asyncio.create_task(self._play()), asyncio.create_task(self._watch_services())}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _watch_services(self) -> None:
        while True:
            self.check()
            await asyncio.sleep(EVERY)

    async def _play(self) -> None:
        rollout = yaml.safe_load(self.manifest.read_text())
        name = rollout["metadata"]["name"]
        feed = self.bus.feed(OUTCOMES, "tidegate.rollout.>", lambda message, _: self._hear(message, name), beginning="new")
        await feed.caught_up.wait()
        self.screen.say(f"\napplying {self.manifest.name}, unchanged")
        await self._apply(rollout)
        await self._until(name, lambda info: info.status == "Healthy" and bool(info.replica_sets))
        await self._request_yellow(rollout, name)
        await self._until(name, waits_for_a_person)
        if await self._is_to_be_promoted():
            await self._command(name, "promote")
            await self._until(name, lambda info: is_promoted(info, YELLOW))
            await self._outcome("completed")
            end = "yellow is out: the new revision has all five pods"
        else:
            await self._command(name, "abort")
            await self._until(name, is_rolled_back, through_degraded=True)
            await self._outcome("rolled-back")
            end = "back to blue: the new revision has no pod left; Degraded says that what was asked for is not what runs"
        self._tell_outcomes()
        self.screen.say(f"\n{end}")

    async def _apply(self, rollout: Object) -> None:
        there = {**rollout, "metadata": {**rollout["metadata"], "namespace": self.namespace}}  # as `kubectl -n` would
        await self.kube.apply(ROLLOUT, there, field_manager=FIELD_MANAGER)

    async def _request_yellow(self, rollout: Object, name: str) -> None:
        container = rollout["spec"]["template"]["spec"]["containers"][0]["name"]
        request = RolloutRequested(namespace=self.namespace, name=name, images={container: YELLOW})
        self.screen.say(f"\npublishing {request.subject_of()} with {container}={YELLOW}")
        answer = await self.bus.request(request, timeout=ANSWER_SECONDS, requested_by=whoami())
        self._require(answer.accepted, answer.reason)
        self.screen.say("the planner accepted it")

    async def _is_to_be_promoted(self) -> bool:
        if self.answer is Answer.ASK:
            return await self.screen.ask_to_promote()
        promoted = self.answer is Answer.PROMOTE
        self.screen.say(f"\nthe canary is waiting for a person; {'--yes promotes' if promoted else '--abort aborts'} it")
        return promoted

    async def _command(self, name: str, verb: Literal["promote", "abort"]) -> None:
        command = RolloutCommanded(namespace=self.namespace, name=name, verb=verb)
        self.screen.say(f"publishing {command.subject_of()}")
        answer = await self.bus.request(command, timeout=ANSWER_SECONDS, requested_by=whoami())
        self._require(answer.accepted, answer.reason)

    async def _until(self, name: str, done: Callable[[RolloutInfo], bool], *, through_degraded: bool = False) -> None:
        """Show it until `done`. Time runs out only when nothing moves: slow machines are welcome, stuck ones are not."""
        before: RolloutInfo | None = None
        loop = asyncio.get_running_loop()
        moved = loop.time()
        async for info in self._readings(name):
            if info.message != UNOBSERVED:  # until the planner's word on it the status is of what was before
                self.screen.show(info)
            if done(info):
                return
            if info.status == "Degraded" and not through_degraded:
                raise TidegateError(f"the rollout is Degraded: {info.message}")
            if info != before:
                before, moved = info, loop.time()
            elif loop.time() - moved > STALL_SECONDS:
                raise TidegateError(f"nothing has moved for {STALL_SECONDS:.0f} s; the rollout is {info.status}: {info.message}")

    async def _readings(self, name: str) -> AsyncIterator[RolloutInfo]:
        place = Place(self.kube, self.namespace)
        while True:
            yield rollout_info(await place.seen(name))
            await asyncio.sleep(EVERY)

    async def _outcome(self, verb: OutcomeVerb) -> None:
        """Wait for it: outcomes are told after the fact, a moment behind what the tree shows."""
        try:
            async with asyncio.timeout(OUTCOME_SECONDS):
                while not self._has_heard(verb):  # noqa: ASYNC110 - the feed fills the list
                    await asyncio.sleep(EVERY)
        except TimeoutError as error:
            raise TidegateError(f"the outcome {verb!r} was not heard within {OUTCOME_SECONDS:.0f} s") from error

    def _has_heard(self, verb: OutcomeVerb) -> bool:
        newest = max((each.revision for each in self.heard), default=0)
        return any(each.verb == verb and each.revision == newest for each in self.heard)

    def _tell_outcomes(self) -> None:
        self.screen.say("\noutcomes received from the bus, in order:")
        for each in self.heard:
            self.screen.say(f"  revision {each.revision}  {each.verb:<18}  {outcome_detail(each)}".rstrip())

    def _hear(self, message: Message, name: str) -> None:
        if isinstance(message, RolloutOutcome) and (message.namespace, message.name) == (self.namespace, name):
            self.heard.append(message)

    def _require(self, accepted: bool, reason: str) -> None:
        if not accepted:
            raise TidegateError(f"the planner refused: {reason}")
