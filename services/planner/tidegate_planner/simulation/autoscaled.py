"""Random bad days on which an autoscaler changes the Rollout's size all the while, and previews are of any size.

Rule of this file: as in `bad_days`, each seed takes a scenario of another kind and adds to it, with draws of its own.
"""

import random
from dataclasses import replace

from tidegate_planner.simulation.bad_days import bad_day_scenario_of
from tidegate_planner.simulation.scenario import Edit, Scenario

PREVIEWS = [1, 3, 7, 12]
"""From a single pod to more than the Rollout ever has."""


def autoscaled_scenario_of(seed: int) -> Scenario:
    chance = random.Random(f"scenario/autoscaled/{seed}")  # noqa: S311 - must be repeatable, guards no secret
    scenario = bad_day_scenario_of(seed)
    spec = dict(scenario.manifest["spec"])
    if "blueGreen" in spec["strategy"] and chance.random() < 0.7:
        spec["strategy"] = {"blueGreen": {**spec["strategy"]["blueGreen"], "previewReplicaCount": chance.choice(PREVIEWS)}}
    edits = (*scenario.edits, *_sizes(chance, until=scenario.edits[-1].at + 30.0))
    in_order = tuple(sorted(edits, key=lambda edit: edit.at))
    return replace(scenario, manifest={**scenario.manifest, "spec": spec}, edits=in_order)


def _sizes(chance: random.Random, *, until: float) -> list[Edit]:
    """One wish after the other: an autoscaler looks every 15 s and follows its metric up and down."""
    moment, wish = chance.uniform(0.0, 15.0), chance.randint(2, 8)
    edits: list[Edit] = []
    while moment < until and len(edits) < 12:
        wish = min(10, max(1, wish + chance.choice([-3, -1, 1, 2, 4])))
        edits.append(Edit(at=round(moment, 3), kind="replicas", value=wish))
        moment += chance.choice([15.0, 15.0, 30.0, 60.0])
    return edits
