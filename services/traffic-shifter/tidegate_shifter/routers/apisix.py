"""Apache APISIX: weights in the rules of an ApisixRoute; header routes as routes of ours (`argo-behaviour.md` 9.6).

A header route is a route of the managed name, with the weighted rules one priority higher, a demand on the header, and the canary
alone behind them. It is written after the route it is made from, which stays and keeps the fence.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

from tidegate.kube.kinds import Kind, Object
from tidegate.messages import Destination, HeaderRoute, RouterReport
from tidegate_shifter.changes import Change, carry_out, look, named
from tidegate_shifter.managed import string_match
from tidegate_shifter.owned import controller_reference, is_controlled_by
from tidegate_shifter.router import Ask, Feature, Refused
from tidegate_shifter.writing import Api, Target, read

NAME: Final = "apisix"
APISIX_ROUTE: Final = Kind("apisix.apache.org", "v2", "apisixroutes", "ApisixRoute")

Json = Mapping[str, Any]


def target_of(ask: Ask) -> Target:
    name = named((ask.config.get("route") or {}).get("name"), f"{NAME}: route.name")
    return Target(APISIX_ROUTE, ask.owner.namespace, name)


# --- weights -------------------------------------------------------------------------------------------------------------


def patched(manifest: Object | None, *, ask: Ask) -> Object:
    """The route with this split; the same again when applied to its own result."""
    names = {rule["name"] for rule in weighted_rules(manifest, ask=ask)}
    assert manifest is not None  # weighted_rules refuses it
    rules = [{**rule, "backends": weighted(rule, ask)} if rule.get("name") in names else rule for rule in manifest["spec"]["http"]]
    return {**manifest, "spec": {**manifest["spec"], "http": rules}}


def weighted_rules(manifest: Object | None, *, ask: Ask) -> list[Json]:
    """Those named, or the one named like the route; each must have both Services."""
    target = target_of(ask)
    if manifest is None:
        raise Refused(f"{target} does not exist; rollout {ask.owner} sends its traffic through it")
    rules: list[Json] = manifest["spec"].get("http") or []
    found = []
    for name in ask.config["route"].get("rules") or [target.name]:
        rule = next((each for each in rules if each.get("name") == name), None)
        if rule is None:
            there = ", ".join(repr(each.get("name")) for each in rules) or "none"
            raise Refused(f"Apisix http route rule {name} not found; rules in spec.http of {target} are: {there}")
        for side in (ask.split.canary, ask.split.stable):
            if not any(each.get("serviceName") == side.service for each in rule.get("backends") or ()):
                raise Refused(f"apisix route {side.service} backend was not found; rule {name!r} of {target} must have it")
        found.append(rule)
    return found


def weighted(rule: Json, ask: Ask) -> list[Json]:
    sides = {side.service: side for side in (ask.split.canary, ask.split.stable)}
    return [
        {**each, "weight": sides[name].weight} if (name := each.get("serviceName")) in sides else each for each in rule["backends"]
    ]


def canary_share(manifest: Object, *, ask: Ask) -> int:
    """The canary's weight; of several rules, one that is not as asked."""
    canary = ask.split.canary
    shares = [_weight(rule, canary) for rule in weighted_rules(manifest, ask=ask)]
    return next((share for share in shares if share != canary.weight), shares[0])


def _weight(rule: Json, side: Destination) -> int:
    return next(int(each.get("weight", 0)) for each in rule["backends"] if each.get("serviceName") == side.service)


# --- header routes -------------------------------------------------------------------------------------------------------


def header_route(
    manifest: Object | None, *, target: Target, route: HeaderRoute | None, source: Object | None, ask: Ask
) -> Object | None:
    """The route of a managed name; None where it is not asked for. Somebody else's of that name is left alone, or refused."""
    ours = manifest is None or is_controlled_by(manifest, ask.owner)
    if route is None:
        return None if ours else manifest
    if not ours:
        raise Refused(f"duplicate ApisixRoute [{target.name}] already exists; {target} is not of rollout {ask.owner}")
    rules = [header_rule(rule, route, ask) for rule in weighted_rules(source, ask=ask)]
    rest = {key: value for key, value in ((source or {}).get("spec") or {}).items() if key != "http"}
    metadata = {"namespace": target.namespace, "name": target.name, "ownerReferences": [controller_reference(ask.owner)]}
    return {"metadata": metadata, **(manifest or {}), "spec": {**rest, "http": rules}}


def header_rule(rule: Json, route: HeaderRoute, ask: Ask) -> Json:
    canary = [{**each, "weight": 100} for each in rule["backends"] if each.get("serviceName") == ask.split.canary.service]
    match = rule.get("match") or {}
    demands = [expression(route.name, each["headerName"], each.get("headerValue") or {}) for each in route.match]
    match = {**match, "exprs": [*(match.get("exprs") or ()), *demands]}
    return {**rule, "priority": rule.get("priority", 0) + 1, "match": match, "backends": canary}


def expression(route: str, header: str, value: Json) -> Json:
    form, text = string_match(route, f"header {header!r}", value)
    operator = "Equal" if form == "exact" else "RegexMatch"
    return {
        "subject": {"scope": "Header", "name": header},
        "op": operator,
        "value": f"^{re.escape(text)}.*" if form == "prefix" else text,
    }


class Apisix:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset({Feature.HEADER_ROUTES})
    remarks: ClassVar[Mapping[Feature, str]] = {}

    def __init__(self, kube: Api) -> None:
        self._kube = kube

    async def apply(self, ask: Ask) -> RouterReport:
        report = await carry_out(self._kube, NAME, [self._main(ask)], ask)
        source = await read(self._kube, target_of(ask))
        asked = {route.name: route for route in ask.split.header_routes}
        names = dict.fromkeys((*ask.split.managed_routes, *asked))
        routes = [self._managed(name, asked.get(name), source, ask) for name in names]
        await carry_out(self._kube, NAME, routes, ask)
        return report

    async def observed(self, ask: Ask) -> RouterReport:
        return await look(self._kube, NAME, [self._main(ask)], ask)

    def _main(self, ask: Ask) -> Change:
        return Change(target=target_of(ask), wanted=partial(patched, ask=ask), share=partial(canary_share, ask=ask))

    def _managed(self, name: str, route: HeaderRoute | None, source: Object | None, ask: Ask) -> Change:
        target = Target(APISIX_ROUTE, ask.owner.namespace, name)
        wanted = partial(header_route, target=target, route=route, source=source, ask=ask)
        return Change(target=target, wanted=wanted)
