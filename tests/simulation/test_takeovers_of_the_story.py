"""A planner that takes a rollout over knows from the last message on the bus how far its story was told. Wherever that was, and
whenever the next one looks: each thing that happened is told. The plan is the seed's, alone and with all that it can have."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import pytest

from tidegate_planner.decide import decide
from tidegate_planner.narrative import Chapter, narrate
from tidegate_planner.plan import Plan
from tidegate_planner.seen import Seen
from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Edit, Scenario, pod_template
from tidegate_planner.told import Told, told_from_json

ROUTING = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "app", "namespace": "default"}}}
ROUTED = {"stableService": "stable", "canaryService": "canary", "trafficRouting": ROUTING, "scaleDownDelaySeconds": 1}
CHECK = {"analysis": {"templates": [{"templateName": "check"}]}}
GATE = [{"setWeight": 20}, {"pause": {}}]
REST = [step for weight in (40, 60, 80) for step in ({"setWeight": weight}, {"pause": {"duration": "1s"}})]
PLANS = {
    "pods alone": {"steps": [*GATE, *REST]},
    "routed, measured": {**ROUTED, "steps": [*GATE, CHECK, *REST]},
}
COUNTED = {"RolloutPaused", "RolloutStepCompleted", "RolloutCompleted", "RolloutAborted"}
Events = Counter[tuple[str, str]]


def events(chapter: Chapter[Told]) -> Events:
    return Counter((each.reason, each.message) for each in chapter.records if each.reason in COUNTED)


def heard(told: Told) -> Told:
    """As it comes from the bus."""
    return told_from_json(json.loads(json.dumps(told.as_json())))


@dataclass(frozen=True, slots=True)
class Story:
    """What a planner sees of an update, from the first version's end on. By view: how far one that is never killed has told with
    it, and which Events so far."""

    views: list[Seen]
    told: list[Told]
    events: list[Events]

    def between(self, known: int, looked: int) -> Events:
        return self.events[looked] - self.events[known]

    def pairs(self) -> Iterator[tuple[int, int]]:
        return ((first, second) for first in range(len(self.views)) for second in range(first + 1, len(self.views)))


@cache
def story(plan: str) -> Story:
    views: list[Seen] = []

    def watching(seen: Seen, now: float) -> Plan:
        views.append(seen)
        return decide(seen, now)

    spec: dict[str, Any] = {
        "replicas": 5,
        "selector": {"matchLabels": {"app": "app"}},
        "template": pod_template("v1"),
        "strategy": {"canary": PLANS[plan]},
    }
    manifest = {"metadata": {"name": "app"}, "spec": spec}
    update = Edit(at=20.0, kind="image", value="v2")
    Run(Scenario(seed=1, manifest=manifest, edits=(update,), auto_promote=0.7), decide=watching).play()
    chapters: list[Chapter[Told]] = []
    for seen in views:
        chapters.append(narrate(chapters[-1].told if chapters else None, seen))
    first = next(number for number, chapter in enumerate(chapters) if chapter.told.done)
    so_far = list(accumulate(map(events, chapters)))
    return Story(views[first:], [heard(chapter.told) for chapter in chapters[first:]], so_far[first:])


def told_on(told: Told, views: list[Seen]) -> Events:
    found = Events()
    for seen in views:
        chapter = narrate(told, seen)
        told, found = chapter.told, found + events(chapter)
    return found


@pytest.mark.parametrize("plan", PLANS)
def test_whoever_takes_over_tells_exactly_what_its_forerunner_had_not(plan: str) -> None:
    it = story(plan)
    assert it.between(0, -1)["RolloutPaused", "Rollout is paused (CanaryPauseStep)"] == 4
    for known, looked in it.pairs():
        found = events(narrate(it.told[known], it.views[looked]))
        assert found == it.between(known, looked), f"told up to view {known}, next look at view {looked}"


@pytest.mark.parametrize("plan", PLANS)
def test_one_that_looks_at_an_older_view_than_was_told_of_leaves_nothing_out(plan: str) -> None:
    """Its watch is behind. What it tells twice is another matter."""
    it = story(plan)
    for looked, known in it.pairs():
        after = narrate(it.told[known], it.views[looked]).told
        missing = it.between(known, -1) - told_on(after, [it.views[known], it.views[-1]])
        assert not missing, f"told up to view {known}, then a look at view {looked}"
