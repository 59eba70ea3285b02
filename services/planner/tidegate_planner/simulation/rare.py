"""Random scenarios with the fields that few rollouts have: `replicaProgressThreshold`, `maxTrafficWeight`, mirror routes, a second
router, background analysis beside all of it, `setCanaryScale` above what its weight takes.

Rule of this file: as in `bad_days`, each seed takes a scenario of another kind and adds to it, with draws of its own.
"""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate_planner.simulation.bad_days import bad_day_scenario_of
from tidegate_planner.simulation.chaos import ANALYSIS
from tidegate_planner.simulation.scenario import Edit, Scenario

THRESHOLDS = [
    {"type": "Percent", "value": 50},
    {"type": "Percent", "value": 100},
    {"type": "Pods", "value": 1},
    {"type": "Pods", "value": 3},
]
MIRROR = {"setMirrorRoute": {"name": "mirror", "percentage": 50, "match": [{"method": {"exact": "GET"}}]}}
SECOND = {"istio": {"virtualService": {"name": "app"}}}


def rare_scenario_of(seed: int) -> Scenario:
    chance = random.Random(f"scenario/rare/{seed}")  # noqa: S311 - must be repeatable, guards no secret
    scenario = bad_day_scenario_of(seed)
    spec = dict(scenario.manifest["spec"])
    if "canary" in spec["strategy"]:
        spec["strategy"] = {"canary": _rarer(chance, spec["strategy"]["canary"])}
    if chance.random() < 0.3:
        spec["analysis"] = {"successfulRunHistoryLimit": chance.choice([0, 1]), "unsuccessfulRunHistoryLimit": 0}
    return replace(scenario, manifest={**scenario.manifest, "spec": spec}, edits=_without_plans(scenario.edits))


def _rarer(chance: random.Random, canary: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {**canary}
    if chance.random() < 0.4:
        fields["replicaProgressThreshold"] = chance.choice(THRESHOLDS)
    if chance.random() < 0.4:
        fields["analysis"] = {**ANALYSIS, "startingStep": chance.choice([0, 1, 3])}
    return _routed(chance, fields) if "trafficRouting" in canary else fields


def _routed(chance: random.Random, canary: dict[str, Any]) -> dict[str, Any]:
    routing, steps = dict(canary["trafficRouting"]), list(canary.get("steps") or ())
    if chance.random() < 0.3:  # twice the whole: every weight is half of what it says
        routing["maxTrafficWeight"] = 200
    elif chance.random() < 0.3:
        routing |= SECOND
    if chance.random() < 0.5:
        routing["managedRoutes"] = [{"name": "by-header"}, {"name": "mirror"}]
        steps.insert(chance.randint(0, len(steps)), MIRROR)
    if chance.random() < 0.5:
        scale = chance.choice([{"replicas": 3}, {"weight": 100}, {"weight": 1}, {"matchTrafficWeight": True}])
        steps.insert(chance.randint(0, len(steps)), {"setCanaryScale": scale})
    return {**canary, "trafficRouting": routing, "steps": steps}


def _without_plans(edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """Another plan would leave out the steps that are added here."""
    return tuple(each for each in edits if each.kind != "steps")
