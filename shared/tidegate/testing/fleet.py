"""Rollouts like the seed's, several at once, from blue to yellow through every step, while something else breaks things.

The judge of every fault test: whatever happened meanwhile, each rollout ends as an undisturbed one does, each of its outcomes was
delivered under its own id, and none of them tells what did not happen.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tidegate.errors import KubeError, Retry
from tidegate.keys import REVISION
from tidegate.kube.kinds import Object
from tidegate.testing.manifests import BLUE, YELLOW, a_rollout, a_service, an_analysis_template, an_http_route
from tidegate.testing.scene import Scene, healthy_on
from tidegate.testing.waiting import PATIENCE, POLL, eventually

STEPS: tuple[Object, ...] = (
    {"setWeight": 20}, {"pause": {}},
    {"setWeight": 40}, {"pause": {"duration": "1s"}},
    {"setWeight": 60}, {"pause": {"duration": "1s"}},
    {"setWeight": 80}, {"pause": {"duration": "1s"}},
)  # fmt: skip
"""The seed's, with its pauses of ten seconds cut to one."""

GATE = 1  # the step that waits for a person
REPLICAS = 5
PATIENT = 3600
"""A deadline that no machine is too slow for: none of these rollouts may end by it."""


MEASURED = "errors"
ANALYSIS: Object = {"analysis": {"templates": [{"templateName": MEASURED}]}}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a rollout has besides its pods. `shifts`: Services and an HTTPRoute; `measures`: a verdict before its second weight."""

    services: bool = False
    shifts: bool = False
    measures: bool = False

    def plan(self, steps: Sequence[Object]) -> list[Object]:
        return [*steps[: GATE + 1], ANALYSIS, *steps[GATE + 1 :]] if self.measures else list(steps)

    def canary(self, name: str, namespace: str) -> Mapping[str, Any]:
        named = {"stableService": f"{name}-stable", "canaryService": f"{name}-canary"} if self.services or self.shifts else {}
        plugin = {"argoproj-labs/gatewayAPI": {"httpRoute": name, "namespace": namespace}}
        routing = {"trafficRouting": {"plugins": plugin}, "scaleDownDelaySeconds": 1} if self.shifts else {}
        return {**named, **routing}

    def around(self, name: str) -> list[Object]:
        """The objects that its strategy names."""
        stable, canary = f"{name}-stable", f"{name}-canary"
        services = [a_service(each, app=name) for each in (stable, canary)] if self.services or self.shifts else []
        return [*services, *([an_http_route(name, stable=stable, canary=canary)] if self.shifts else [])]


PLAIN, SERVED, ROUTED = Kind(), Kind(services=True), Kind(shifts=True)
ROUTED_AND_MEASURED = Kind(shifts=True, measures=True)
MIXED = (ROUTED_AND_MEASURED, PLAIN, SERVED, ROUTED_AND_MEASURED)


def story_of(steps: Sequence[Object], kind: Kind = PLAIN) -> list[str]:
    """What an undisturbed rollout tells of this plan, but for the order; once it is promoted the canary's weight is 0 again."""
    story = ["started"]
    for index, step in enumerate(steps):
        story += [f"paused {index}", "resumed"] if "pause" in step else []
        story += ["weight-changed"] if kind.shifts and "setWeight" in step else []
        story += ["analysis-concluded"] if "analysis" in step else []
        story.append(f"step-completed {index}")
    return [*story, *(["weight-changed"] if kind.shifts else []), "promoted", "completed"]


@dataclass(slots=True)
class Fleet:
    """`await fleet.create()`, then `async with asyncio.TaskGroup()`: `fleet.drive()` beside the faults, then `fleet.judge()`.

    The kinds take turns; those that measure ask `metrics`, an address that answers `{"errors": 0}`.
    """

    scene: Scene
    size: int = 4
    replicas: int = REPLICAS
    steps: Sequence[Object] = STEPS
    kinds: Sequence[Kind] = (PLAIN,)
    metrics: str = ""
    highest: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [f"web-{number}" for number in range(self.size)]

    def kind_of(self, name: str) -> Kind:
        return self.kinds[self.names.index(name) % len(self.kinds)]

    def plan_of(self, name: str) -> list[Object]:
        return self.kind_of(name).plan(self.steps)

    @property
    def longest_plan(self) -> int:
        return max(len(self.plan_of(name)) for name in self.names)

    async def create(self) -> None:
        if any(kind.measures for kind in self.kinds):
            await self.scene.apply(a_template(self.metrics))
        for name in self.names:
            canary = self.kind_of(name).canary(name, self.scene.namespace)
            await self.scene.apply(*self.kind_of(name).around(name))
            fields: dict[str, Any] = {"replicas": self.replicas, "steps": self.plan_of(name), "canary": canary}
            await self.scene.apply(a_rollout(name, **fields, progressDeadlineSeconds=PATIENT))
        for name in self.names:
            await self.scene.until(name, healthy_on(BLUE))

    async def drive(self, *, stagger: float = 0.5) -> None:
        """Ask for yellow one after the other, let each through the gate, return when all are through."""
        async with asyncio.TaskGroup() as group:
            for name in self.names:
                group.create_task(self._drive(name))
                await asyncio.sleep(stagger)

    async def reach(self, step: int) -> None:
        """Until the first one is at this step, or past it."""
        while max(self.highest.values(), default=-1) < step:  # noqa: ASYNC110 - filled by the driving tasks
            await asyncio.sleep(POLL)

    async def _drive(self, name: str) -> None:
        """As a person would: look, and try again what did not get through."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            with suppress(KubeError, Retry):
                rollout = await self._look(name)
                if healthy_on(YELLOW)(rollout):
                    return
                await self._help(name, rollout)
            assert asyncio.get_running_loop().time() < deadline, f"{name} did not get through; its status is {rollout['status']}"
            await asyncio.sleep(POLL)

    async def _look(self, name: str) -> Object:
        rollout = await self.scene.rollout(name)
        status = rollout["status"]
        if status.get("currentPodHash") != status.get("stableRS"):
            self.highest[name] = max(self.highest.get(name, 0), int(status.get("currentStepIndex") or 0))
        elif healthy_on(YELLOW)(rollout):
            self.highest[name] = len(self.plan_of(name))
        return rollout

    async def _help(self, name: str, rollout: Object) -> None:
        """The image, and the word at the gate: straight to the object, so that only what is broken on purpose is in the way."""
        image = rollout["spec"]["template"]["spec"]["containers"][0]["image"]
        status = rollout["status"]
        if image != YELLOW:
            await self.scene.set_image(name, YELLOW)
        elif status.get("currentStepIndex") == GATE and status.get("pauseConditions"):
            word = {"status": {"pauseConditions": None}, "metadata": {"resourceVersion": rollout["metadata"]["resourceVersion"]}}
            await self.scene.patch(name, word, subresource="status")

    async def judge(self, *, whole_story: bool = True) -> None:
        """The end of each, and what was told about it. Without `whole_story` outcomes may be missing, as when their stream was
        deleted before anybody had read them; what was told must be true all the same."""
        for name in self.names:
            await self._judge_end(name)
            if whole_story:
                await self.scene.until_told(name, "completed", revision=2)
            self._judge_story(name, whole=whole_story)

    async def _judge_end(self, name: str) -> None:
        rollout = await self.scene.until(name, healthy_on(YELLOW))
        assert rollout["metadata"]["annotations"][REVISION] == "2", f"a fault looks like a new revision: {rollout}"

        async def sizes() -> list[tuple[str, int]]:
            sets = await self.scene.replica_sets(name)
            return [(each["metadata"]["annotations"][REVISION], each["spec"]["replicas"]) for each in sets]

        wanted = [("1", 0), ("2", self.replicas)]  # what had traffic may stay a little longer
        assert await eventually(sizes, lambda found: found == wanted or len(found) != 2, what=f"{name}'s old pods to go") == wanted

    def _judge_story(self, name: str, *, whole: bool) -> None:
        """Their order may differ where a process died between two of them: consumers have the time and the step."""
        told = [str(each).removesuffix(" r2") for each in self.scene.outcomes.of(self.scene.namespace, name, revision=2)]
        story = story_of(self.plan_of(name), self.kind_of(name))
        assert not set(told) - set(story), f"{name} told what did not happen: {told}"
        for each in set(told):
            assert told.count(each) <= story.count(each), f"{each} of {name} came under two ids: {told}"
        if whole:
            assert sorted(told) == sorted(story), f"{name} told {told}"


def a_template(url: str) -> Object:
    """Two measurements, a second apart."""
    provider = {"web": {"url": url, "jsonPath": "{$.errors}"}}
    metric = {"name": MEASURED, "count": 2, "interval": "1s", "successCondition": "result == 0", "provider": provider}
    return an_analysis_template(MEASURED, metric)
