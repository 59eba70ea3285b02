"""Rules for the steps of a canary (`argo-behaviour.md` 1.5, from "a step has a kind" down to the `fieldRef` rule).

The peer's paths leave out `canary` (`spec.strategy.steps[0]`), and so do these.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidegate.durations import pause_duration
from tidegate_planner.validation.experiments import experiment_problems
from tidegate_planner.validation.names import label_key
from tidegate_planner.validation.problem import Problem, invalid, required
from tidegate_planner.validation.shapes import has_any_of

Json = Mapping[str, Any]

_KINDS = ("experiment", "pause", "setWeight", "analysis", "setCanaryScale", "setHeaderRoute", "setMirrorRoute", "plugin")
_EXCLUSIVE = _KINDS[:4]
_NO_KIND = "Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause"
_TWO_VALUES = "StringMatch match value must have exactly one of the following: exact, regex, prefix"
_NO_VALUE = "StringMatch value missed, match value must have one of the following: exact, regex, prefix"


def step_problems(canary: Json, path: str) -> Iterator[Problem]:
    routing: Json | None = canary.get("trafficRouting")
    most = routing.get("maxTrafficWeight", 100) if routing else 100
    for index, step in enumerate(canary.get("steps", ())):
        here = f"{path}.steps[{index}]"
        yield from _kinds(step, here)
        yield from _weight_and_pause(step, here, most)
        if "setCanaryScale" in step and routing is None:
            yield required(f"{path}.trafficRouting", "SetCanaryScale requires TrafficRouting to be set")
        yield from _header_route(step, here, routing)
        yield from _mirror_route(step, here, routing)
        yield from _managed_routes(step, here, routing, path)
        yield from experiment_problems(canary, index, here, most)
        yield from _arguments(step, here)


def _kinds(step: Json, here: str) -> Iterator[Problem]:
    if sum(kind in step for kind in _EXCLUSIVE) > 1:
        yield invalid(here, " ".join(f"{_go(kind)}: {'true' if kind in step else 'false'}" for kind in _EXCLUSIVE), _NO_KIND)
    if not any(kind in step for kind in _KINDS):
        yield invalid(here, " ".join(f"{_go(kind)}: true" for kind in _KINDS), _NO_KIND)  # here "true" means "is missing"


def _go(kind: str) -> str:
    return f"step.{kind[0].upper()}{kind[1:]}"


def _weight_and_pause(step: Json, here: str, most: int) -> Iterator[Problem]:
    weight = step.get("setWeight")
    if weight is not None and not 0 <= weight <= most:
        yield invalid(f"{here}.setWeight", weight, f"SetWeight needs to be between 0 and {most}")
    duration = step.get("pause", {}).get("duration")
    if duration is None:
        return
    try:
        seconds = int(pause_duration(duration))
    except ValueError:
        # The status shows the first, which is the peer's: -1 for what it cannot read. What was written and would be right follows.
        yield invalid(f"{here}.pause.duration", -1, "Duration needs to be greater than 0")
        yield invalid(f"{here}.pause.duration", duration, "write seconds (10) or a Go duration (10s, 5m, 1h30m)")
        return
    if seconds < 0:
        yield invalid(f"{here}.pause.duration", seconds, "Duration needs to be greater than 0")


def _header_route(step: Json, here: str, routing: Json | None) -> Iterator[Problem]:
    route = step.get("setHeaderRoute")
    if route is None:
        return
    if not has_any_of(routing, "istio", "alb", "apisix", "plugins"):
        yield invalid(f"{here}.setHeaderRoute", route, "SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix")
        return
    for index, match in enumerate(route.get("match", ())):
        value, place = match.get("headerValue"), f"{here}.setHeaderRoute.match[{index}]"
        if routing is None or "alb" not in routing or value is None:
            yield from _string_match(value, place)
        elif not value.get("exact") or value.get("regex") or value.get("prefix"):
            yield invalid(place, value, "SetHeaderRoute match value invalid. ALB supports 'exact' value only")


def _mirror_route(step: Json, here: str, routing: Json | None) -> Iterator[Problem]:
    route = step.get("setMirrorRoute")
    if route is None:
        return
    if not has_any_of(routing, "istio", "plugins"):
        yield invalid(f"{here}.setMirrorRoute", route, "SetMirrorRoute requires TrafficRouting, supports Istio and Plugins")
    for index, match in enumerate(route.get("match", ())):
        matches = [match[name] for name in ("method", "path") if name in match] + list(match.get("headers", {}).values())
        for value in matches:
            yield from _string_match(value, f"{here}.setMirrorRoute.match[{index}]")


def _string_match(value: Json | None, place: str) -> Iterator[Problem]:
    given = sum(bool(value.get(name)) for name in ("exact", "regex", "prefix")) if value else 0
    if given != 1:
        yield invalid(place, value, _TWO_VALUES if given else _NO_VALUE)


def _managed_routes(step: Json, here: str, routing: Json | None, path: str) -> Iterator[Problem]:
    steps = [name for name in ("setHeaderRoute", "setMirrorRoute") if name in step]
    if routing is None or not steps:
        return
    managed: Sequence[Json] | None = routing.get("managedRoutes")
    if managed is None:
        name = "spec.strategy.canary.trafficRouting.managedRoutes"
        yield required(f"{path}.trafficRouting.managedRoutes", f"Rollout has missing field '{name}'")
        return
    for name in steps:
        route = step[name].get("name", "")
        if route not in [each.get("name", "") for each in managed]:
            text = "Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes"
            yield invalid(f"{here}.{name}", route, text)


def _arguments(step: Json, here: str) -> Iterator[Problem]:
    sources = [*step.get("experiment", {}).get("analyses", ()), step.get("analysis", {})]
    arguments = [argument for source in sources for argument in source.get("args", ())]
    for argument in arguments:
        field = argument.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "")
        if field.startswith("metadata") and not _in_downward_api(field):
            text = "Analyses arguments must refer to valid object metadata supported by downwardAPI"
            yield invalid(f"{here}.analyses", arguments, text)


def _in_downward_api(path: str) -> bool:
    subscripted = re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path)
    if subscripted:
        return not label_key(subscripted[2].lower() if subscripted[1] == "annotations" else subscripted[2])
    return path in {f"metadata.{name}" for name in ("name", "namespace", "uid", "labels", "annotations")}
