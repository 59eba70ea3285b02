"""VirtualServices as they must be for a split (`argo-behaviour.md` 9.3). Pure: manifest in, manifest out.

In the chosen routes the weights of the canary's and the stable's destinations are written, and those of running experiments,
which are added and taken away again. Three differences from the peer:

* A destination that is neither ours nor noted as added by us stays, with its weight (N19); the peer deletes it.
* A destination by another namespace's full host name (`canary.other.svc...`) is a namesake, not ours.
* Without named routes, only what holds both sides is chosen: a lone TLS route to somebody else is none of our business.

Managed routes are placed first, and known by a managed name together with a destination of ours: two Rollouts that share a
VirtualService may both call theirs `canary-header`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate.kube.kinds import Object
from tidegate.messages import Destination, HeaderRoute, Record, Split
from tidegate_shifter.added import added_by, with_added
from tidegate_shifter.experiment_ports import port_of
from tidegate_shifter.managed import ManagedRoute, in_order, string_match
from tidegate_shifter.router import Owner, Refused
from tidegate_shifter.writing import Target, Written

Json = Mapping[str, Any]
Place = tuple[str, int]
"""Protocol and index of a route."""

PROTOCOLS: Final = ("http", "tls", "tcp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subsets:
    """The names in a DestinationRule; all empty where traffic is told apart by host."""

    canary: str = ""
    stable: str = ""
    additional: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which routes of a VirtualService carry the split; nothing named means those that can."""

    http: tuple[str, ...] = ()
    tls: tuple[Json, ...] = ()
    tcp: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Whose traffic, divided how, in which VirtualService. `services`: those of an experiment, and stable's, for their ports."""

    owner: Owner
    split: Split
    target: Target
    choice: Choice = Choice()
    subsets: Subsets = Subsets()
    services: Mapping[str, Object] = field(default_factory=dict)

    def party(self, route: Json) -> Destination | None:
        """The side of the split that a weighted destination stands for; None for everybody else's."""
        split, subsets = self.split, self.subsets
        destination = route.get("destination") or {}
        subset, service = destination.get("subset") or "", self.service_of(destination.get("host") or "")
        if subset and subsets.canary:
            sides = {each.service: each for each in split.additional}
            sides |= {subsets.stable: split.stable, subsets.canary: split.canary}
            return sides.get(subset)
        return next((each for each in (split.canary, split.stable, *split.additional) if service and each.service == service), None)

    def service_of(self, host: str) -> str:
        """`canary`, `canary.shop`, `canary.shop.svc.cluster.local`; "" if it is in another namespace."""
        labels = host.split(".")
        away = labels[2:3] == ["svc"] and labels[1] != self.owner.namespace
        return "" if away else labels[0]

    def name_of(self, route: Json) -> str:
        """What tells an experiment's destination from others: its subset, or its Service."""
        destination = route.get("destination") or {}
        if self.subsets.canary:
            return destination.get("subset") or ""
        return self.service_of(destination.get("host") or "")


# --- which routes --------------------------------------------------------------------------------------------------------


def holds_both(route: Json, context: Context) -> bool:
    parties = [context.party(each) for each in route.get("route") or ()]
    return all(any(party is side for party in parties) for side in (context.split.canary, context.split.stable))


def weighted_places(spec: Json, context: Context) -> list[Place]:
    """Where the split is written; managed routes are not in `spec` any more."""
    named = [*_named_places(spec, context), *_ported_places(spec, context)]
    for place in named:
        if not holds_both(_at(spec, place), context):
            protocol, index = place
            name = _at(spec, place).get("name") or f"number {index}"
            raise Refused(f"{context.target}: {protocol} route {name!r} must have both {_sides(context)}")
    found = [*named, *(place for place in _obvious_places(spec, context) if holds_both(_at(spec, place), context))]
    if not found:
        raise Refused(
            f"{context.target} has no route with both {_sides(context)}; a route that should carry them, out of several,"
            " must be named in routes, tlsRoutes or tcpRoutes"
        )
    return found


def _obvious_places(spec: Json, context: Context) -> Iterator[Place]:
    """Of each protocol of which none is named: a lone route, or the first HTTP route that has no name."""
    for protocol in PROTOCOLS:
        routes = () if getattr(context.choice, protocol) else spec.get(protocol) or ()
        if len(routes) == 1:
            yield protocol, 0
        elif protocol == "http":
            yield from [(protocol, index) for index, route in enumerate(routes) if not route.get("name")][:1]


def _named_places(spec: Json, context: Context) -> Iterator[Place]:
    routes = spec.get("http") or ()
    for name in context.choice.http:
        found = [("http", index) for index, route in enumerate(routes) if route.get("name") == name]
        if not found:
            there = ", ".join(repr(route["name"]) for route in routes if route.get("name")) or "none"
            raise Refused(f"{context.target} has no HTTP route named {name!r}; named ones are: {there}")
        yield from found


def _ported_places(spec: Json, context: Context) -> Iterator[Place]:
    for protocol, wanted in (("tls", context.choice.tls), ("tcp", context.choice.tcp)):
        routes = spec.get(protocol) or ()
        for each in wanted:
            found = [(protocol, index) for index, route in enumerate(routes) if _meets(route, each)]
            if not found:
                raise Refused(f"{context.target} has no {protocol.upper()} route that matches {dict(each)!r}")
            yield from found


def _meets(route: Json, wanted: Json) -> bool:
    """Some match has the port, and exactly the server names, where they are given."""
    port, names = wanted.get("port"), set(wanted.get("sniHosts") or ())
    return any(
        (not port or match.get("port") == port) and (not names or set(match.get("sniHosts") or ()) == names)
        for match in route.get("match") or ()
    )


def _at(spec: Json, place: Place) -> Json:
    protocol, index = place
    route: Json = spec[protocol][index]
    return route


def _sides(context: Context) -> str:
    split, subsets = context.split, context.subsets
    if subsets.canary:
        return f"subsets {subsets.canary!r} and {subsets.stable!r}"
    return f"hosts {split.canary.service!r} and {split.stable.service!r}"


# --- the VirtualService --------------------------------------------------------------------------------------------------


def patched(manifest: Object | None, context: Context) -> Object:
    """The VirtualService with this split; the same again when applied to its own result."""
    if manifest is None:
        gone = Record(type="Warning", reason="VirtualServiceNotFound", message=f"VirtualService `{context.target.name}` not found")
        raise Refused(f"{context.target} does not exist; rollout {context.owner} sends its traffic through it", records=(gone,))
    spec = without_managed(manifest["spec"], context)
    places = weighted_places(spec, context)
    added = added_by(context.owner, manifest)
    present = {context.name_of(each) for place in places for each in _at(spec, place)["route"]}
    added |= {each.service or "" for each in context.split.additional} - present
    for protocol, index in places:
        routes = [*spec[protocol]]
        routes[index] = weighted(routes[index], context, added)
        spec = {**spec, protocol: routes}
    kept = added & {each.service for each in context.split.additional}
    managed = list(managed_routes([_at(spec, place) for place in places if place[0] == "http"], context))
    if managed:
        spec = {**spec, "http": [*managed, *spec["http"]]}
    return with_added({**manifest, "spec": spec}, context.owner, filter(None, kept))


def weighted(route: Json, context: Context, added: set[str]) -> Json:
    """A route with the split's weights. What only we had put there is left out once it is over."""
    split = context.split
    going = added - {each.service for each in split.additional}
    held = [each for each in route["route"] if context.party(each) or context.name_of(each) not in going]
    additional = context.subsets.additional
    reserved = sum(each.get("weight", 0) for each in held if (each.get("destination") or {}).get("subset") in additional)
    weights = {id(each): each.weight for each in (split.canary, *split.additional)}
    weights[id(split.stable)] = max(0, split.stable.weight - reserved)
    destinations = []
    for each in held:
        party = context.party(each)
        destinations.append(each if party is None else {**each, "weight": weights[id(party)]})
    missing = [each for each in split.additional if not any(context.party(other) is each for other in held)]
    coming = [
        {"destination": beside_stable(each.service or "", held, context), "weight": each.weight}
        for each in sorted(missing, key=lambda each: each.service or "")
    ]
    return {**route, "route": [*destinations, *coming]}


def additional_in(manifest: Object, context: Context) -> Iterator[dict[str, int]]:
    """Of each chosen route: what stands there beside canary and stable on this Rollout's behalf, and what it weighs."""
    spec = without_managed(manifest["spec"], context)
    ours = added_by(context.owner, manifest) | {each.service or "" for each in context.split.additional}
    for place in weighted_places(spec, context):
        held = {context.name_of(each): each.get("weight", 0) for each in _at(spec, place)["route"]}
        yield {name: weight for name, weight in held.items() if name in ours}


def destination_of(side: Destination, routes: Iterable[Json], context: Context) -> dict[str, Any]:
    """As the weighted route has it; chosen routes have both sides."""
    return next(dict(each["destination"]) for each in routes if context.party(each) is side)


def beside_stable(service: str, routes: Iterable[Json], context: Context) -> dict[str, Any]:
    """An experiment's destination in the shape of the stable's: its host or its form of host, and where its port leads."""
    model = destination_of(context.split.stable, routes, context)
    if context.subsets.canary:
        return {**model, "subset": service}
    _, dot, domain = model["host"].partition(".")
    if number := (model.get("port") or {}).get("number"):
        stable = context.services.get(context.split.stable.service or "")
        model["port"] = {"number": port_of(context.services.get(service), stable, number)}
    return {**model, "host": f"{service}{dot}{domain}"}


def canary_share(manifest: Object, context: Context) -> int:
    """The canary's weight; of several routes, one that is not as asked."""
    spec = without_managed(manifest["spec"], context)
    routes = (_at(spec, place)["route"] for place in weighted_places(spec, context))
    shares: list[int] = [each.get("weight", 0) for route in routes for each in route if context.party(each) is context.split.canary]
    return next((share for share in shares if share != context.split.canary.weight), shares[0])


# --- managed routes ------------------------------------------------------------------------------------------------------


def is_managed(route: Json, context: Context) -> bool:
    split = context.split
    asked: tuple[ManagedRoute, ...] = (*split.header_routes, *split.mirror_routes)
    names = {*split.managed_routes, *(each.name for each in asked)}
    return route.get("name") in names and any(context.party(each) for each in route.get("route") or ())


def without_managed(spec: Json, context: Context) -> dict[str, Any]:
    kept = [route for route in spec.get("http") or () if not is_managed(route, context)]
    return {**spec, "http": kept} if "http" in spec else dict(spec)


def managed_routes(sources: list[Json], context: Context) -> Iterator[Json]:
    """In their order of priority, each in the shape of the first weighted HTTP route; none where there is no such route."""
    asked: tuple[ManagedRoute, ...] = (*context.split.header_routes, *context.split.mirror_routes)
    for route in in_order(asked if sources else (), context.split.managed_routes):
        canary = destination_of(context.split.canary, sources[0]["route"], context)
        if isinstance(route, HeaderRoute):
            headers = [header_match(route.name, {each["headerName"]: each.get("headerValue") or {}}) for each in route.match]
            yield {"name": route.name, "match": headers, "route": [{"destination": canary, "weight": 100}]}
            continue
        yield {
            "name": route.name,
            "match": [mirror_match(route.name, each) for each in route.match],
            "route": sources[0]["route"],
            "mirror": canary,
            "mirrorPercentage": {"value": 100 if route.percentage is None else route.percentage},
        }


def header_match(route: str, headers: Json) -> dict[str, Any]:
    return {"headers": {name: _string(route, f"header {name!r}", value) for name, value in sorted(headers.items())}}


def mirror_match(route: str, match: Json) -> dict[str, Any]:
    """A `setMirrorRoute.match` in the words of a VirtualService."""
    result = {word: _string(route, key, match[key]) for key, word in (("method", "method"), ("path", "uri")) if match.get(key)}
    return result | (header_match(route, match["headers"]) if match.get("headers") else {})


def _string(route: str, what: str, value: Json) -> dict[str, str]:
    form, text = string_match(route, what, value)
    return {form: text}


# --- what is told --------------------------------------------------------------------------------------------------------


def records_of(context: Context) -> Callable[[Written], list[Record]]:
    """The Events of a write: of the weights, of managed routes that came, and that all of them went."""

    def records(written: Written) -> list[Record]:
        before, after = ((each or {}).get("spec") or {} for each in (written.before, written.after))
        name, found = context.target.name, []
        if without_managed(before, context) != without_managed(after, context):
            found.append(f"VirtualService `{name}` set to desiredWeight '{context.split.canary.weight}'")
        held, there = (_managed_in(each, context) for each in (before, after))
        if held and not there:
            found.append(f"VirtualService `{name}` removed all managed routes.")
        for word, asked in (("headerRoute", context.split.header_routes), ("mirrorRoute", context.split.mirror_routes)):
            told = [each.name for each in asked if each.name in there and each.name not in held]
            found += [f"VirtualService `{name}` set {word} '{each}'" for each in told]
        return [Record(reason="Updated VirtualService", message=message) for message in found]

    return records


def _managed_in(spec: Json, context: Context) -> set[str]:
    return {route["name"] for route in spec.get("http") or () if is_managed(route, context)}
