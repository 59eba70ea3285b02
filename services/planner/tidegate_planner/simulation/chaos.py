"""Random scenarios: any seed gives one, the same for ever.

Rule of this file: only what validation accepts is drawn. Weights of the draws favour what broke before: edits in quick
succession, small replica counts, pauses.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tidegate_planner.simulation.scenario import Edit, EditKind, Faults, PodBehaviour, Scenario, Shifter, pod_template

VERSIONS = ("v1", "v2", "v3", "v4")
ROUTING = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "app", "namespace": "default"}}}
ANALYSIS = {"templates": [{"templateName": "check"}]}
PLUGIN_PHASES: list[dict[str, float]] = [
    {"Successful": 1.0},
    {"Running": 2.0, "Successful": 3.0},
    {"Running": 2.0, "Successful": 5.0, "Failed": 1.0, "Error": 2.0, "": 1.0},
]
EDIT_WEIGHTS: dict[EditKind, int] = {
    "image": 24, "promote": 20, "steps": 6, "replicas": 10, "abort": 9, "retry": 7, "promote-full": 6, "pause": 4, "unpause": 8,
    "kill-pods": 4, "delete-set": 2, "wipe-bus": 3, "break-spec": 1, "mend-spec": 3, "take-name": 1,
}  # fmt: skip


def scenario_of(seed: int) -> Scenario:
    chance = random.Random(f"scenario/{seed}")  # noqa: S311 - must be repeatable, guards no secret
    routed = chance.random() < 0.4
    edits = _edits(chance, routed=routed)
    return Scenario(
        seed=seed,
        manifest=_with_injections(seed, _with_turns(seed, _with_window(seed, _manifest(chance, routed=routed)))),
        behaviours={version: _behaviour(chance, first=version == "v1") for version in VERSIONS},
        edits=_with_restart(seed, edits),
        faults=_faults(chance),
        auto_promote=chance.choice([None, None, 3.0, 20.0]),
        verdicts=chance.choice([{"Successful": 1.0}, {"Successful": 6.0, "Failed": 2.0, "Error": 1.0, "Inconclusive": 2.0}]),
        analysis_seconds=chance.choice([0.5, 5.0, 12.0]),
    )


def blue_green_scenario_of(seed: int) -> Scenario:
    """The same bad luck for a blue-green rollout."""
    chance = random.Random(f"scenario/blue-green/{seed}")  # noqa: S311 - must be repeatable, guards no secret
    blue_green = _blue_green(chance)
    edits = tuple(edit for edit in _edits(chance, routed=False) if edit.kind != "steps")
    return Scenario(
        seed=seed,
        manifest=_with_injections(seed, _with_window(seed, _rollout(chance, {"blueGreen": blue_green}))),
        behaviours={version: _behaviour(chance, first=version == "v1") for version in VERSIONS},
        edits=_with_restart(seed, edits),
        faults=_faults(chance),
        auto_promote=chance.choice([None, 3.0, 20.0]),
        verdicts=chance.choice([{"Successful": 1.0}, {"Successful": 6.0, "Failed": 2.0, "Error": 1.0, "Inconclusive": 2.0}]),
        analysis_seconds=chance.choice([0.5, 5.0, 12.0]),
    )


def plugin_scenario_of(seed: int) -> Scenario:
    """`scenario_of` with steps for plugins among the others, drawn apart so that seeds keep their stories."""
    scenario, chance = scenario_of(seed), random.Random(f"scenario/plugins/{seed}")  # noqa: S311 - must be repeatable
    spec = scenario.manifest["spec"]
    canary = spec["strategy"]["canary"]
    steps = _with_plugins(chance, canary.get("steps") or [])
    edits = (replace(edit, value=_with_plugins(chance, edit.value)) if edit.kind == "steps" else edit for edit in scenario.edits)
    return replace(
        scenario,
        manifest={**scenario.manifest, "spec": {**spec, "strategy": {"canary": {**canary, "steps": steps}}}},
        edits=tuple(edits),
        plugin_phases=chance.choice(PLUGIN_PHASES),
        plugin_seconds=chance.choice([0.05, 3.0, 20.0]),
    )


def _with_plugins(chance: random.Random, steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    longer = list(steps)
    for _ in range(chance.choice([1, 1, 2, 3])):
        name = chance.choice(["acme/approval", "acme/database"])
        longer.insert(chance.randint(0, len(longer)), {"plugin": {"name": name, "config": {"size": 1}}})
    return longer


def experiment_scenario_of(seed: int) -> Scenario:
    """The canary of that seed with experiment steps put among its own, and the edits of its steps too."""
    chance = random.Random(f"scenario/experiment/{seed}")  # noqa: S311 - must be repeatable, guards no secret
    scenario = scenario_of(seed)
    spec = scenario.manifest["spec"]
    canary = dict(spec["strategy"]["canary"])
    canary["steps"] = _with_experiments(chance, canary)
    edits = tuple(
        replace(edit, value=_with_experiments(chance, {**canary, "steps": edit.value})) if edit.kind == "steps" else edit
        for edit in scenario.edits
    )
    manifest = {**scenario.manifest, "spec": {**spec, "strategy": {"canary": canary}}}
    return replace(scenario, manifest=manifest, edits=edits)


def _with_experiments(chance: random.Random, canary: Any) -> list[dict[str, Any]]:
    steps = list(canary.get("steps") or ())
    for _ in range(chance.choice([1, 1, 2])):
        place = chance.randint(0, len(steps))
        weights = [step["setWeight"] for step in steps[:place] if "setWeight" in step]
        room = 100 - (weights[-1] if weights else 0)
        steps.insert(place, _experiment(chance, room if "trafficRouting" in canary else 0))
    return steps


def _experiment(chance: random.Random, room: int) -> dict[str, Any]:
    """One to two templates, with weights where there is `room` for both; it ends by its time, by its analysis, or both."""
    names = chance.choice([("base", "cand"), ("cand",)])
    templates: list[dict[str, Any]] = [
        {"name": name, "specRef": "stable" if name == "base" else "canary", "replicas": chance.choice([1, 2])} for name in names
    ]
    for template in templates:
        if room >= 2 and chance.random() < 0.6:
            template["weight"] = chance.randint(1, room // 2)
    experiment: dict[str, Any] = {"templates": templates}
    measured = chance.random() < 0.6
    if measured:
        required = chance.random() < 0.5
        experiment["analyses"] = [{"name": "a", "templateName": "check", "requiredForCompletion": required}]
    if not measured or not experiment["analyses"][0]["requiredForCompletion"] or chance.random() < 0.5:
        experiment["duration"] = chance.choice(["1s", "8s", "40s"])
    if chance.random() < 0.5:
        experiment["scaleDownDelaySeconds"] = chance.choice([0, 5])
    return {"experiment": experiment}


def _blue_green(chance: random.Random) -> dict[str, Any]:
    blue_green: dict[str, Any] = {"activeService": "active"}
    optional: dict[str, tuple[float, list[Any]]] = {
        "previewService": (0.7, ["preview"]),
        "autoPromotionEnabled": (0.4, [False]),
        "autoPromotionSeconds": (0.3, [3, 30]),
        "previewReplicaCount": (0.3, [1, 2]),
        "prePromotionAnalysis": (0.35, [ANALYSIS]),
        "postPromotionAnalysis": (0.35, [ANALYSIS]),
        "scaleDownDelaySeconds": (0.4, [0, 5, 40]),
        "abortScaleDownDelaySeconds": (0.4, [0, 3, 40]),
        "scaleDownDelayRevisionLimit": (0.15, [0, 1]),
    }
    for field, (share, values) in optional.items():
        if chance.random() < share:
            blue_green[field] = chance.choice(values)
    return blue_green


def _manifest(chance: random.Random, *, routed: bool) -> dict[str, Any]:
    canary: dict[str, Any] = {}
    steps = _steps(chance, routed=routed)
    if steps or chance.random() < 0.5:
        canary["steps"] = steps
    if routed:
        canary.update(_routing(chance))
    elif chance.random() < 0.3:
        canary.update(stableService="stable", canaryService="canary")
    canary.update(_limits(chance))
    if chance.random() < 0.2:
        canary["analysis"] = {**ANALYSIS, "startingStep": chance.choice([0, 1, 2])}
    return _rollout(chance, {"canary": canary})


def _rollout(chance: random.Random, strategy: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app": "app"}},
        "template": pod_template("v1"),
        "strategy": strategy,
        "progressDeadlineSeconds": chance.choice([20, 60]),
        "revisionHistoryLimit": chance.choice([0, 1, 10, 10]),
    }
    if chance.random() < 0.95:
        spec["replicas"] = chance.choice([0, 1, 1, 2, 3, 4, 5, 7, 10])
    if chance.random() < 0.2:
        spec["minReadySeconds"] = chance.choice([1, 5])
    if chance.random() < 0.25:
        spec["progressDeadlineAbort"] = True
    return {"metadata": {"name": "app"}, "spec": spec}


def _with_window(seed: int, manifest: dict[str, Any]) -> dict[str, Any]:
    """Drawn apart, so that the seeds kept from before still give the same rest."""
    chance = random.Random(f"window/{seed}")  # noqa: S311 - must be repeatable, guards no secret
    if chance.random() >= 0.3:
        return manifest
    return {**manifest, "spec": {**manifest["spec"], "rollbackWindow": {"revisions": chance.choice([0, 1, 2, 5])}}}


def _with_turns(seed: int, manifest: dict[str, Any]) -> dict[str, Any]:
    """Ping and pong, beside the two usual Services or in their place."""
    chance, canary = random.Random(f"turns/{seed}"), manifest["spec"]["strategy"]["canary"]  # noqa: S311 - as above
    if chance.random() >= 0.2:
        return manifest
    plain = {} if chance.random() < 0.7 else {key: canary[key] for key in ("stableService", "canaryService") if key in canary}
    rest = {key: value for key, value in canary.items() if key not in {"stableService", "canaryService"}}
    strategy = {"canary": {**rest, **plain, "pingPong": {"pingService": "ping", "pongService": "pong"}}}
    return {**manifest, "spec": {**manifest["spec"], "strategy": strategy}}


def _with_injections(seed: int, manifest: dict[str, Any]) -> dict[str, Any]:
    """What a controller puts into the pods of either version; drawn apart for the same reason."""
    chance = random.Random(f"injections/{seed}")  # noqa: S311 - must be repeatable, guards no secret
    ((kind, strategy),) = manifest["spec"]["strategy"].items()
    fields = ("canaryMetadata", "stableMetadata") if kind == "canary" else ("previewMetadata", "activeMetadata")
    some = ({"labels": {"role": "first"}}, {"labels": {"role": "second"}}, {"annotations": {"note": "x"}})
    extra: dict[str, Any] = {field: chance.choice(some) for field in fields if chance.random() < 0.2}
    if chance.random() < 0.1:
        word, weight = chance.choice([("preferred", {"weight": 10}), ("required", {})])
        extra["antiAffinity"] = {f"{word}DuringSchedulingIgnoredDuringExecution": weight}
    return {**manifest, "spec": {**manifest["spec"], "strategy": {kind: {**strategy, **extra}}}} if extra else manifest


def _with_restart(seed: int, edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    chance = random.Random(f"restart/{seed}")  # noqa: S311 - must be repeatable, guards no secret
    if chance.random() >= 0.25:
        return edits
    moment = chance.uniform(0, edits[-1].at + 5.0)
    return tuple(sorted((*edits, Edit(at=moment, kind="restart", value=chance.choice([0, 0, 5.0]))), key=lambda each: each.at))


def _limits(chance: random.Random) -> dict[str, Any]:
    surge, unavailable = chance.choice(
        [(None, None), (None, None), (1, 0), (0, 1), ("50%", 0), (0, "40%"), (2, 2), ("100%", None), (None, "100%")]
    )
    limits = {"maxSurge": surge, "maxUnavailable": unavailable}
    return {field: value for field, value in limits.items() if value is not None}


def _routing(chance: random.Random) -> dict[str, Any]:
    routing: dict[str, Any] = dict(ROUTING)
    if chance.random() < 0.3:
        routing["managedRoutes"] = [{"name": "by-header"}]
    canary: dict[str, Any] = {"stableService": "stable", "canaryService": "canary", "trafficRouting": routing}
    if chance.random() < 0.25:
        canary["dynamicStableScale"] = True
    elif chance.random() < 0.4:
        canary["scaleDownDelaySeconds"] = chance.choice([0, 5, 40])
    if chance.random() < 0.4:
        canary["abortScaleDownDelaySeconds"] = chance.choice([0, 3, 40])
    if chance.random() < 0.2:
        canary["minPodsPerReplicaSet"] = 2
    if chance.random() < 0.15:
        canary["scaleDownDelayRevisionLimit"] = chance.choice([0, 1])
    return canary


def _steps(chance: random.Random, *, routed: bool) -> list[dict[str, Any]]:
    steps = []
    for _ in range(chance.choice([0, 1, 2, 3, 4, 5, 6])):
        kinds = ["weight", "weight", "weight", "pause", "timed", "timed", "analysis"]
        kind = chance.choice([*kinds, "scale", "header"] if routed else kinds)
        steps.append(_step(chance, kind))
    return steps


def _step(chance: random.Random, kind: str) -> dict[str, Any]:
    match kind:
        case "weight":
            return {"setWeight": chance.choice([0, 1, 10, 20, 33, 50, 75, 99, 100])}
        case "pause":
            return {"pause": {}}
        case "timed":
            return {"pause": {"duration": chance.choice([0, 1, "5s", "20", "1m"])}}
        case "scale":
            return {
                "setCanaryScale": chance.choice([{"replicas": 2}, {"replicas": 0}, {"weight": 30}, {"matchTrafficWeight": True}])
            }
        case "header":
            match = [{"headerName": "x-canary", "headerValue": {"exact": "yes"}}]
            route = {"name": "by-header", "match": match} if chance.random() < 0.7 else {"name": "by-header"}
            return {"setHeaderRoute": route}
    return {"analysis": ANALYSIS}


def _behaviour(chance: random.Random, *, first: bool) -> PodBehaviour:
    kind = chance.choice(["quick", "quick", "slow", "staggered", *(() if first else ("never",))])
    return {
        "quick": PodBehaviour(ready_after=chance.choice([0.0, 0.5, 1.0])),
        "slow": PodBehaviour(ready_after=chance.choice([8.0, 30.0])),
        "staggered": PodBehaviour(ready_after=1.0, spread=chance.choice([0.3, 2.0])),
        "never": PodBehaviour(ready_after=None),
    }[kind]


def _edits(chance: random.Random, *, routed: bool) -> tuple[Edit, ...]:
    moment, edits = chance.choice([0.5, 20.0]), []
    for number in range(chance.randint(1, 8)):
        kind: EditKind = "image" if number == 0 else chance.choices(list(EDIT_WEIGHTS), list(EDIT_WEIGHTS.values()))[0]
        edits.append(Edit(at=round(moment, 3), kind=kind, value=_value(chance, kind, routed=routed)))
        moment += chance.choice([0.01, 0.05, chance.uniform(0, 3), chance.uniform(0, 30), chance.uniform(0, 100)])
    return tuple(edits)


def _value(chance: random.Random, kind: EditKind, *, routed: bool) -> Any:
    match kind:
        case "image":
            return chance.choice(VERSIONS)
        case "steps":
            return _steps(chance, routed=routed)
        case "replicas":
            return chance.choice([0, 1, 2, 3, 5, 8, 10])
        case "delete-set" | "kill-pods":
            return chance.choice(["new", "stable", "older"])
    return None


def _faults(chance: random.Random) -> Faults:
    if chance.random() < 0.25:
        return Faults()
    shifters: list[Shifter] = ["prompt", "prompt", "prompt", "slow", "failing", "dead"]
    return Faults(
        planners=chance.choice([1, 1, 1, 2]),
        crashes=frozenset(chance.randint(1, 40) for _ in range(chance.choice([0, 0, 1, 3, 6]))),
        stale=chance.choice([0.0, 0.0, 0.1, 0.5]),
        lost=chance.choice([0.0, 0.0, 0.2, 0.6]),
        doubled=chance.choice([0.0, 0.2]),
        late=chance.choice([0.0, 0.2]),
        shifter=chance.choice(shifters),
        capacity=chance.choice([None, None, None, None, 6, 11]),
    )
