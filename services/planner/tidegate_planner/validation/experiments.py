"""Rules for the experiment step of a canary (`argo-behaviour.md` 1.5, 10).

The peer checks where a weight may stand. The rest it finds out when it makes the Experiment, in its log; here the Rollout says so.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tidegate.durations import go_duration
from tidegate_planner.validation.problem import Problem, invalid, required
from tidegate_planner.validation.shapes import has_any_of

Json = Mapping[str, Any]


def experiment_problems(canary: Json, index: int, here: str, most: int) -> Iterator[Problem]:
    """About step number `index`, whose path is `here`; `most` is what all weights may come to."""
    experiment = canary["steps"][index].get("experiment")
    if experiment is None:
        return
    here, routing = f"{here}.experiment", canary.get("trafficRouting")
    templates = experiment.get("templates", ())
    yield from _weights(templates, here, routing)
    for number, template in enumerate(templates):
        if template.get("specRef") not in {"canary", "stable"}:
            place = f"{here}.templates[{number}].specRef"
            yield invalid(place, template.get("specRef", ""), "Invalid template step SpecRef: must be canary or stable")
    yield from _names(templates, f"{here}.templates")
    yield from _names(experiment.get("analyses", ()), f"{here}.analyses")
    yield from _room(canary, index, here, most)
    try:
        go_duration(experiment.get("duration") or "0")
    except ValueError as error:
        yield invalid(f"{here}.duration", experiment["duration"], str(error))


def _weights(templates: Any, here: str, routing: Json | None) -> Iterator[Problem]:
    for number, template in enumerate(templates):
        place = f"{here}.templates[{number}].weight"
        if "weight" not in template:
            continue
        if routing is None:
            yield invalid(place, template["weight"], "Experiment template weight cannot be set unless TrafficRouting is enabled")
        elif not has_any_of(routing, "alb", "smi", "istio", "plugins"):
            text = "Experiment template weight is only available for TrafficRouting with SMI, ALB, Istio and Plugins at this time"
            yield invalid(place, template["weight"], text)


def _names(items: Any, here: str) -> Iterator[Problem]:
    """They become part of the names of ReplicaSets and AnalysisRuns."""
    names: set[str] = set()
    for number, item in enumerate(items):
        name = item.get("name", "")
        if not name:
            yield required(f"{here}[{number}].name", "each one needs a name of its own")
        elif name in names:
            yield invalid(f"{here}[{number}].name", name, "the name stands twice; each one needs a name of its own")
        names.add(name)


def _room(canary: Json, index: int, here: str, most: int) -> Iterator[Problem]:
    """The weights come out of stable's share, which is what the canary leaves."""
    before = [step["setWeight"] for step in canary["steps"][: index + 1] if "setWeight" in step]
    taken = before[-1] if before else 0
    given = [template["weight"] for template in canary["steps"][index]["experiment"].get("templates", ()) if "weight" in template]
    for number, weight in enumerate(given):
        if weight < 0:
            yield invalid(f"{here}.templates[{number}].weight", weight, f"the weight needs to be between 0 and {most}")
    if sum(given) > most - taken:
        text = f"the weights of the templates must not exceed what the canary's {taken} leave of {most}"
        yield invalid(f"{here}.templates", sum(given), text)
