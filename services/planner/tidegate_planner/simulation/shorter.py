"""The scenarios that one can be cut down to: each with one thing less.

Rule of this file: what is left out leaves a scenario that validation accepts.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from tidegate_planner.simulation.scenario import Faults, PodBehaviour, Scenario


def shorter(scenario: Scenario) -> Iterator[Scenario]:
    """The same with one thing less each: an edit, a crash, a fault, a step, a field of the strategy."""
    for edit in scenario.edits:
        yield replace(scenario, edits=tuple(each for each in scenario.edits if each is not edit))
    for crash in sorted(scenario.faults.crashes):
        yield replace(scenario, faults=replace(scenario.faults, crashes=scenario.faults.crashes - {crash}))
    calm = Faults()
    for each in fields(Faults):
        if getattr(scenario.faults, each.name) != getattr(calm, each.name):
            yield replace(scenario, faults=replace(scenario.faults, **{each.name: getattr(calm, each.name)}))
    if scenario.auto_promote is not None:
        yield replace(scenario, auto_promote=None)
    if scenario.workload is not None and scenario.workload > 1:
        yield replace(scenario, workload=scenario.workload - 1)
    yield from (replace(scenario, manifest=manifest) for manifest in _simpler_manifests(scenario))
    for version, behaviour in scenario.behaviours.items():
        if behaviour != PodBehaviour():
            yield replace(scenario, behaviours={**scenario.behaviours, version: PodBehaviour()})


def _simpler_manifests(scenario: Scenario) -> Iterator[dict[str, Any]]:
    spec = scenario.manifest["spec"]
    ((kind, strategy),) = spec["strategy"].items()

    def manifest(**changed: Any) -> dict[str, Any]:
        return {**scenario.manifest, "spec": {**spec, **changed}}

    for field in ("minReadySeconds", "progressDeadlineAbort", "rollbackWindow"):
        if field in spec:
            yield {**scenario.manifest, "spec": {key: value for key, value in spec.items() if key != field}}
    for field in sorted(set(strategy) - {"steps", "trafficRouting", "stableService", "canaryService", "activeService"}):
        yield manifest(strategy={kind: {key: value for key, value in strategy.items() if key != field}})
    steps = strategy.get("steps") or []
    for index in range(len(steps)):
        yield manifest(strategy={kind: {**strategy, "steps": [*steps[:index], *steps[index + 1 :]]}})
    if spec.get("replicas", 1) > 1:
        yield manifest(replicas=spec["replicas"] - 1)
