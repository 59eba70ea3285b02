"""Random bad days of a Rollout that takes its pods from a live Deployment, and takes them over as its `scaleDown` says.

Rule of this file: as in `bad_days`, each seed takes a scenario of another kind and adds to it, with draws of its own.
"""

import random
from dataclasses import replace
from typing import Any

from tidegate_planner.simulation.bad_days import bad_day_scenario_of
from tidegate_planner.simulation.deployments import NAME
from tidegate_planner.simulation.scenario import Edit, Scenario

MODES = ["progressively", "onsuccess", "never", None]


def workload_scenario_of(seed: int) -> Scenario:
    chance = random.Random(f"scenario/workload/{seed}")  # noqa: S311 - must be repeatable, guards no secret
    scenario = bad_day_scenario_of(seed)
    spec = {**scenario.manifest["spec"], "workloadRef": _reference(chance)}
    del spec["template"]
    if chance.random() < 0.5:
        del spec["selector"]  # it is then the Deployment's
    quiet = chance.choice([0.0, 0.0, 20.0, 60.0])  # before the first edit, so that some takeovers are over by then
    edits = (*(replace(each, at=each.at + quiet) for each in scenario.edits), *_others_edits(chance, scenario.edits[-1].at + quiet))
    return replace(
        scenario,
        manifest={**scenario.manifest, "spec": spec},
        workload=chance.choice([spec.get("replicas", 1), spec.get("replicas", 1), 1, 3, 8]),
        edits=tuple(sorted(edits, key=lambda each: each.at)),
    )


def _reference(chance: random.Random) -> dict[str, Any]:
    (mode,) = chance.choices(MODES, [6, 3, 1, 1])
    scale_down = {} if mode is None else {"scaleDown": mode}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME, **scale_down}


def _others_edits(chance: random.Random, until: float) -> list[Edit]:
    """What others do to the Deployment: a tool that applies what is written down, somebody who deletes it too early."""
    edits = []
    if chance.random() < 0.2:
        edits.append(Edit(at=_moment(chance, until), kind="resize-workload", value=chance.choice([0, 1, 4, 8])))
    if chance.random() < 0.1:
        edits.append(Edit(at=_moment(chance, until), kind="scale-down", value=chance.choice(MODES[:3])))
    if chance.random() < 0.1:
        gone = _moment(chance, until)
        back = Edit(at=gone + chance.choice([0.05, 5.0, 40.0]), kind="return-workload", value=3)
        edits += [Edit(at=gone, kind="remove-workload"), *([back] if chance.random() < 0.7 else [])]
    return edits


def _moment(chance: random.Random, until: float) -> float:
    return round(chance.uniform(0.0, until + 20.0), 3)
