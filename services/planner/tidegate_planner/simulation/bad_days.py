"""Random scenarios with everything that can go wrong at once: both strategies, steps of every kind, routers that do half of it or
are slow to confirm, measurements that come late, pods that crash for ever or cannot start, owners who ask for `fail-fast` and
`surge-in-steps`.

Rule of this file: each seed takes a scenario of `chaos` and makes its day worse, with draws of its own, so that the seeds of
`chaos` keep their stories.
"""

import random
from dataclasses import replace
from typing import Any

from tidegate import keys
from tidegate_planner.simulation.chaos import (
    blue_green_scenario_of,
    experiment_scenario_of,
    plugin_scenario_of,
    scenario_of,
)
from tidegate_planner.simulation.scenario import Edit, Faults, PodBehaviour, Scenario, Shifter

SHIFTERS: tuple[Shifter, ...] = ("prompt", "slow", "failing", "partial", "unverified", "dead")
NAMES = {"stableService": "stable", "canaryService": "canary"}


def bad_day_scenario_of(seed: int) -> Scenario:
    chance = random.Random(f"scenario/bad-day/{seed}")  # noqa: S311 - must be repeatable, guards no secret
    (drawn,) = chance.choices([scenario_of, blue_green_scenario_of, experiment_scenario_of, plugin_scenario_of], [9, 7, 2, 2])
    scenario = drawn(seed)
    behaviours = {version: _worse(chance, behaviour, first=version == "v1") for version, behaviour in scenario.behaviours.items()}
    return replace(
        scenario,
        manifest=_asking(chance, scenario.manifest),
        behaviours=behaviours,
        edits=_with_fate(chance, scenario.edits),
        faults=replace(scenario.faults, shifter=chance.choice(SHIFTERS), planners=chance.choice([1, 1, 2])),
        analysis_seconds=chance.choice([0.5, 5.0, 12.0, 45.0]),
    )


def steady_scenario_of(seed: int) -> Scenario:
    """People ask for one version after the other and wait long enough: whatever goes wrong meanwhile, the end is the same (I9)."""
    chance = random.Random(f"scenario/steady/{seed}")  # noqa: S311 - must be repeatable, guards no secret
    scenario = bad_day_scenario_of(seed)
    spec = {**scenario.manifest["spec"], "progressDeadlineSeconds": 3000, "minReadySeconds": 0}
    spec.pop("rollbackWindow", None)
    pods = {
        version: PodBehaviour(ready_after=chance.choice([0.2, 1.0, 8.0]), spread=chance.choice([0.0, 0.5])) for version in "1234"
    }
    return replace(
        scenario,
        manifest={"metadata": {"name": "app"}, "spec": spec},
        behaviours={f"v{version}": behaviour for version, behaviour in pods.items()},
        edits=tuple(Edit(at=20.0 + 1200.0 * turn, kind="image", value=version) for turn, version in enumerate(("v2", "v3"))),
        faults=Faults(
            planners=chance.choice([1, 2]),
            crashes=frozenset(chance.randint(1, 40) for _ in range(chance.choice([1, 3, 8]))),
            stale=chance.choice([0.0, 0.3]),
            lost=chance.choice([0.0, 0.5]),
            doubled=chance.choice([0.0, 0.3]),
            late=chance.choice([0.0, 0.3]),
            shifter=chance.choice(["prompt", "slow", "failing", "partial", "unverified"]),
        ),
        auto_promote=3.0,
        verdicts={"Successful": 1.0},
    )


def _asking(chance: random.Random, manifest: Any) -> dict[str, Any]:
    wishes = {}
    if chance.random() < 0.4:
        wishes[keys.FAIL_FAST] = chance.choice(["1", "3"])
    if chance.random() < 0.4:
        wishes[keys.SURGE_IN_STEPS] = "true"
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": wishes}}


def _worse(chance: random.Random, behaviour: PodBehaviour, *, first: bool) -> PodBehaviour:
    if behaviour.ready_after is None:
        return replace(behaviour, waits_with=chance.choice(["", "ContainerCreating", "ImagePullBackOff"]))
    if first or chance.random() < 0.7:
        return behaviour
    crash_every, waits_with = chance.choice([0.5, 3.0]), chance.choice(["", "CrashLoopBackOff"])
    return replace(behaviour, ready_after=2.0, crash_every=crash_every, waits_with=waits_with)


def _with_fate(chance: random.Random, edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    """A version that breaks some time, and perhaps is mended."""
    if chance.random() < 0.6:
        return edits
    version, moment = chance.choice(["v1", "v2"]), round(chance.uniform(5, 60), 3)
    fate = [Edit(at=moment, kind="break-pods", value=version)]
    if chance.random() < 0.5:
        fate.append(Edit(at=moment + 30, kind="mend-pods", value=version))
    return tuple(sorted([*edits, *fate], key=lambda edit: edit.at))
