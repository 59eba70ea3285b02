"""Rollouts like the seed's, several at once, from blue to yellow through every step, while something else breaks things.

The judge of every fault test: whatever happened meanwhile, each rollout ends as an undisturbed one does, its traffic and its
verdict included; each of its outcomes was delivered under its own id, none of them tells what did not happen, and its Events say
the same.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from tidegate.errors import KubeError, Retry
from tidegate.keys import POD_TEMPLATE_HASH, REVISION
from tidegate.kube.kinds import ANALYSIS_RUN, HTTP_ROUTE, ROLLOUT, SERVICE, Object
from tidegate.testing.manifests import BLUE, YELLOW, a_rollout, a_service, an_analysis_template, an_http_route
from tidegate.testing.outcomes import Told
from tidegate.testing.scene import Scene, healthy_on, image_of, is_observed
from tidegate.testing.waiting import PATIENCE, POLL, eventually

STEPS: tuple[Object, ...] = (
    {"setWeight": 20}, {"pause": {}},
    {"setWeight": 40}, {"pause": {"duration": "1s"}},
    {"setWeight": 60}, {"pause": {"duration": "1s"}},
    {"setWeight": 80}, {"pause": {"duration": "1s"}},
)  # fmt: skip
"""The seed's, with its pauses of ten seconds cut to one."""

GATE = 1  # the step that waits for a person
END = "what follows the last step"
REPLICAS = 5
APART = 2.0  # seconds between two rollouts: together they then show a place for longer than most faults last
GLANCE = 0.03
QUIET = 1.0
LARGEST = 20
THROUGH = 4 * PATIENCE  # for a whole plan, at each place of which a server may be away for a while
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

    def place(self, index: int, steps: Sequence[Object]) -> str:
        """A step of its plan by a name that is the same for all kinds."""
        if self.measures and index == GATE + 1:
            return "the analysis"
        shared = index - (self.measures and index > GATE)
        return f"step {shared}" if shared < len(steps) else END

    def around(self, name: str) -> list[Object]:
        """The objects that its strategy names."""
        stable, canary = f"{name}-stable", f"{name}-canary"
        services = [a_service(each, app=name) for each in (stable, canary)] if self.services or self.shifts else []
        return [*services, *([an_http_route(name, stable=stable, canary=canary)] if self.shifts else [])]


PLAIN, SERVED, ROUTED = Kind(), Kind(services=True), Kind(shifts=True)
ROUTED_AND_MEASURED = Kind(shifts=True, measures=True)
MIXED = (ROUTED_AND_MEASURED, PLAIN, SERVED, ROUTED_AND_MEASURED)


def story_of(steps: Sequence[Object], kind: Kind = PLAIN) -> list[str]:
    """What an undisturbed rollout tells of this plan, but for the order. Once all users are on the canary it is the stable version,
    and the canary's weight is 0 again."""
    story = ["started"]
    for index, step in enumerate(steps):
        story += [f"paused {index}", "resumed"] if "pause" in step else []
        story += [f"weight-changed to {step['setWeight']}"] if kind.shifts and "setWeight" in step else []
        story += ["analysis-concluded"] if "analysis" in step else []
        story.append(f"step-completed {index}")
    return [*story, *(["weight-changed to 100", "weight-changed to 0"] if kind.shifts else []), "promoted", "completed"]


def _words(told: Told) -> str:
    to = "" if told.outcome.weight is None else f" to {told.outcome.weight}"
    return str(told).removesuffix(" r2") + to


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
    tells_events: bool = True  # false where no notifier runs
    hands_over: bool = False
    """True where planners do: two may then tell one thing, with one id as an outcome, but as two Events."""
    highest: dict[str, int] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return [f"web-{number}" for number in range(self.size)]

    def kind_of(self, name: str) -> Kind:
        return self.kinds[self.names.index(name) % len(self.kinds)]

    def plan_of(self, name: str) -> list[Object]:
        return self.kind_of(name).plan(self.steps)

    async def create(self) -> None:
        if any(kind.measures for kind in self.kinds):
            await self.scene.apply(a_template(self.metrics))
        for name in self.names:
            await self._ask_for(name)
        for name in self.names:
            await self.scene.until(name, healthy_on(BLUE))

    async def _ask_for(self, name: str) -> None:
        canary = self.kind_of(name).canary(name, self.scene.namespace)
        await self.scene.apply(*self.kind_of(name).around(name))
        fields: dict[str, Any] = {"replicas": self.replicas, "steps": self.plan_of(name), "canary": canary}
        await self.scene.apply(a_rollout(name, **fields, progressDeadlineSeconds=PATIENT))

    async def _follow(self, name: str) -> None:
        """One that comes after the others, while things break."""
        await insist(lambda: self._ask_for(name))
        await insist(lambda: self.scene.until(name, healthy_on(BLUE)))
        await self._drive(name)

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

    async def drive_through(self, fault: Callable[[], Awaitable[object]], *, meets_all: bool = False) -> None:
        """Drive, with the fault at each place of the plan while somebody stands there: at each step, the analysis, and while the
        last step is behind and the version not stable yet. Once for each, or, where it `meets_all`, for all places that are taken
        when the last of them has set out.

        Some places last for a moment, so one may be passed while the fault of another is under way: once all are through, one more
        rollout follows the other until each place was met.
        """
        unmet = {place for name in self.names for place in self._places(name)}

        async def break_things() -> None:
            while unmet:
                met = unmet & await self._standing()
                if met and (self.names[-1] in self.highest or not meets_all):
                    unmet.difference_update(met if meets_all else {min(met)})
                    await fault()
                await asyncio.sleep(GLANCE)

        async with asyncio.TaskGroup() as group:
            breaking = group.create_task(break_things())
            await self.drive(stagger=APART)
            while not breaking.done():
                assert self.size < LARGEST, f"nobody was ever seen at {unmet}"
                self.size += 1
                await self._follow(self.names[-1])

    def _places(self, name: str) -> list[str]:
        return [self.kind_of(name).place(index, self.steps) for index in range(len(self.plan_of(name)) + 1)]

    async def _standing(self) -> set[str]:
        """Where those stand that are on their way to yellow."""
        places: set[str] = set()
        with suppress(KubeError, Retry):
            for rollout in (await self.scene.kube.list(ROLLOUT, self.scene.namespace))[0]:
                status = rollout.get("status") or {}
                under_way = is_observed(rollout) and status.get("currentPodHash") != status.get("stableRS")
                if under_way and image_of(rollout) == YELLOW:
                    places.add(self._places(rollout["metadata"]["name"])[int(status.get("currentStepIndex") or 0)])
        return places

    async def _drive(self, name: str) -> None:
        """As a person would: look, and try again what did not get through."""
        deadline = asyncio.get_running_loop().time() + THROUGH
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
                await self._until_all_is_told(name)
        await self._quiet()
        for name in self.names:
            self._judge_story(name, whole=whole_story)
            if self.tells_events:
                await self._judge_events(name, whole=whole_story)

    async def _judge_end(self, name: str) -> None:
        rollout = await self.scene.until(name, healthy_on(YELLOW))
        assert rollout["metadata"]["annotations"][REVISION] == "2", f"a fault looks like a new revision: {rollout}"

        async def sizes() -> list[tuple[str, int]]:
            sets = await self.scene.replica_sets(name)
            return [(each["metadata"]["annotations"][REVISION], each["spec"]["replicas"]) for each in sets]

        wanted = [("1", 0), ("2", self.replicas)]  # what had traffic may stay a little longer
        assert await eventually(sizes, lambda found: found == wanted or len(found) != 2, what=f"{name}'s old pods to go") == wanted
        await self._judge_traffic(name, rollout["status"]["stableRS"])
        await self._judge_verdict(name)

    async def _judge_traffic(self, name: str, stable: str) -> None:
        """All users are on the new version, by the route and by the Services."""
        kube, namespace, kind = self.scene.kube, self.scene.namespace, self.kind_of(name)
        if kind.services or kind.shifts:

            async def chosen() -> str | None:
                selector: dict[str, str] = (await kube.get(SERVICE, namespace, f"{name}-stable"))["spec"]["selector"]
                return selector.get(POD_TEMPLATE_HASH)

            await eventually(chosen, lambda found: found == stable, what=f"{name}-stable to lead to {stable}")
        if kind.shifts:

            async def weights() -> dict[str, int]:
                route = await kube.get(HTTP_ROUTE, namespace, name)
                return {each["name"]: each["weight"] for each in route["spec"]["rules"][0]["backendRefs"]}

            wanted = {f"{name}-stable": 100, f"{name}-canary": 0}
            await eventually(weights, lambda found: found == wanted, what=f"the route of {name} to send {wanted}")

    async def _judge_verdict(self, name: str) -> None:
        """One run, however often it was asked for."""
        runs, _ = await self.scene.kube.list(ANALYSIS_RUN, self.scene.namespace)
        phases = [each["status"]["phase"] for each in runs if each["metadata"]["ownerReferences"][0]["name"] == name]
        assert phases == ["Successful"] * self.kind_of(name).measures, f"the runs of {name} are {phases}"

    async def _until_all_is_told(self, name: str) -> None:
        """Its end alone is not enough: what one that died had not told is told by another, in its time."""
        story = set(self._story_of(name))

        async def missing() -> set[str]:
            return story - set(self._told_of(name))

        await eventually(missing, lambda found: not found, what=f"all of what {name} has to tell")

    def _story_of(self, name: str) -> list[str]:
        return story_of(self.plan_of(name), self.kind_of(name))

    def _told_of(self, name: str) -> list[str]:
        return [_words(each) for each in self.scene.outcomes.of(self.scene.namespace, name, revision=2)]

    async def _quiet(self) -> None:
        """Until nothing more is told: what comes after the end must be true, too."""
        heard = -1
        while heard != len(self.scene.outcomes.deliveries):
            heard = len(self.scene.outcomes.deliveries)
            await asyncio.sleep(QUIET)

    def _judge_story(self, name: str, *, whole: bool) -> None:
        """Their order may differ where a process died between two of them: consumers have the time and the step."""
        told, story = self._told_of(name), self._story_of(name)
        assert not set(told) - set(story), f"{name} told what did not happen: {told}"
        for each in set(told):
            assert told.count(each) <= story.count(each), f"{each} of {name} came under two ids: {told}"
        if whole:
            assert sorted(told) == sorted(story), f"{name} told {told}"
        assert self.scene.outcomes.contradictions() == [], "one id was given to two outcomes"

    async def _judge_events(self, name: str, *, whole: bool) -> None:
        """Each thing that happened is one Event, however often the notifier was told of it by one planner."""
        plan = self.plan_of(name)
        pauses = sum("pause" in step for step in plan)
        wanted = Counter(RolloutStepCompleted=len(plan), RolloutPaused=pauses, RolloutCompleted=2, RolloutAborted=0)

        async def found() -> Counter[str]:
            reasons = Counter(reason for reason, _ in await self.scene.events(name))
            return Counter({reason: reasons[reason] for reason in wanted})

        if whole:
            await eventually(found, lambda seen: seen >= wanted, what=f"the Events of {name}, {dict(wanted)}")
        seen = await found()
        assert self.hands_over or seen <= wanted, f"{name} has Events twice: {dict(seen)}"
        assert not seen["RolloutAborted"]


async def insist(effort: Callable[[], Awaitable[object]]) -> None:
    """As often as it takes, while the API server comes and goes."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            await effort()
        except (KubeError, Retry):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(POLL)
        else:
            return


def a_template(url: str) -> Object:
    """Two measurements, a second apart."""
    provider = {"web": {"url": url, "jsonPath": "{$.errors}"}}
    metric = {"name": MEASURED, "count": 2, "interval": "1s", "successCondition": "result == 0", "provider": provider}
    return an_analysis_template(MEASURED, metric)
