"""Routes of the Gateway API as they must be for a split. Pure: manifest in, manifest out.

In each rule that names the stable Service, two backendRefs are written, the stable's and the canary's; everybody else's
backendRefs, weights, rules, filters and annotations stay as they are (GW#203).

* Managed header and mirror routes are rules placed before the others, known by their names (`name`, `name-1`, ...: one for each
  rule they are made from) or, where the cluster drops those, by a note on the route itself; and by leading to our Services only.
  No index is kept elsewhere that a restart could lose (GW#191), and all are computed anew, so they cannot pile up (AR#3276).
* A backendRef that only we put there is noted in an annotation, and removed: the canary's beside a lone stable when its weight is
  0, an experiment's when that is not named any more. So is what stable weighed. A finished rollout leaves the list as it was (N46).
* While traffic is divided the route carries the plugin's in-progress label and its list of active rollouts, which GitOps ignore
  rules are written against.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate.kube.kinds import HTTP_ROUTE, Kind, Object
from tidegate.messages import HeaderRoute, Split
from tidegate_shifter.added import MANAGED_RULES, RESTING_WEIGHTS, added_by, with_added
from tidegate_shifter.experiment_ports import port_of
from tidegate_shifter.fence import annotation_of, with_annotation, with_label
from tidegate_shifter.managed import ManagedRoute, in_order, string_match
from tidegate_shifter.router import Owner, Refused
from tidegate_shifter.writing import Target

Json = Mapping[str, Any]

DEFAULT_MATCHES: Final[Mapping[str, list[Json]]] = {
    "HTTPRoute": [{"path": {"type": "PathPrefix", "value": "/"}}],
    "GRPCRoute": [{}],
}
CORE: Final = ("", "core")
"""The group of Services, and what Linkerd's users write for it."""
PATH_TYPES: Final = {"exact": "Exact", "prefix": "PathPrefix", "regex": "RegularExpression"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route to write. `rule` limits it to the rule of that name; `headers` says whether managed header routes go there."""

    kinds: tuple[Kind, ...]
    name: str
    rule: str = ""
    headers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a route carries while its traffic is divided. Keys and defaults are the plugin's."""

    label: str = "rollouts.argoproj.io/gatewayapi-canary"
    value: str = "in-progress"
    active: str = "rollouts.argoproj.io/gatewayapi-active-rollouts"
    disabled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Whose traffic, divided how, in which route. `services`: those of an experiment, and stable's, for their ports."""

    owner: Owner
    split: Split
    route: Route
    target: Target
    marks: Marks
    services: Mapping[str, Object] = field(default_factory=dict)

    @property
    def weights(self) -> dict[str, int]:
        """Service -> weight, of everything this Rollout sends traffic to; stable last."""
        split = self.split
        every = (split.canary, *split.additional, split.stable)
        return {each.service: each.weight for each in every if each.service}

    @property
    def named(self) -> set[str]:
        """The Services that must stand in the route: whatever has a share, and an experiment's before it has one."""
        there = {service for service, weight in self.weights.items() if weight}
        return there | {each.service for each in self.split.additional if each.service}

    @property
    def is_divided(self) -> bool:
        """Whether anything but stable gets a share."""
        return bool(self.split.canary.weight or self.split.additional)

    def service_of(self, ref: Json) -> str | None:
        """The Service of the Rollout's own namespace that a backendRef leads to."""
        is_service = ref.get("group", "") in CORE and ref.get("kind", "Service") == "Service"
        is_ours = ref.get("namespace", self.target.namespace) == self.owner.namespace
        return ref["name"] if is_service and is_ours else None

    def ref_in(self, rule: Json, service: str | None) -> Json | None:
        return next((ref for ref in rule.get("backendRefs") or () if service and self.service_of(ref) == service), None)


def patched(manifest: Object | None, context: Context) -> Object:
    """The route with this split: weights, managed rules and marks; the same again when applied to its own result."""
    if manifest is None:
        raise Refused(f"{context.target} does not exist; rollout {context.owner} sends its traffic through it")
    rules = own_rules(manifest, context)
    ours = [rule for rule in rules if is_weighted(rule, context)]
    if not ours:
        which = f"rule {context.route.rule!r}" if context.route.rule else "rule"
        raise Refused(f"{context.target} has no {which} with a backendRef to the stable Service {context.split.stable.service!r}")
    added, resting = notes_of(manifest, ours, context)
    weighted = [with_weights(rule, context, added, resting) if is_weighted(rule, context) else rule for rule in rules]
    managed = list(managed_rules([rule for rule in weighted if is_weighted(rule, context)], context))
    result = {**manifest, "spec": {**manifest["spec"], "rules": [*managed, *weighted]}}
    noted = with_added(result, context.owner, map(fingerprint, managed), key=MANAGED_RULES)
    if not context.is_divided:
        added, resting = set(), {}
    noted = with_added(noted, context.owner, added)
    noted = with_added(noted, context.owner, (f"{key}@{weight}" for key, weight in resting.items()), key=RESTING_WEIGHTS)
    return with_marks(noted, context)


def notes_of(manifest: Object, ours: list[Json], context: Context) -> tuple[set[str], dict[str, int]]:
    """What was noted when the traffic was first divided, or is to be noted now: the backendRefs that are not the author's, as
    `<service>@<rule>`, and the weight of stable in each rule."""
    added = added_by(context.owner, manifest)
    held = added_by(context.owner, manifest, key=RESTING_WEIGHTS)
    resting = {key: int(weight) for key, _, weight in (each.partition("@") for each in held) if weight.isdigit()}
    for rule in ours:
        key = rule_key(rule)
        missing = {service for service in context.named if not context.ref_in(rule, service)}
        added |= {f"{service}@{key}" for service in missing}
        if not held and not (context.ref_in(rule, context.split.canary.service) or {}).get("weight"):
            resting[key] = (context.ref_in(rule, context.split.stable.service) or {}).get("weight", 1)
    return added, resting


def additional_in(manifest: Object, context: Context) -> Iterator[dict[str, int]]:
    """Of each weighted rule: what stands there beside canary and stable on this Rollout's behalf, and what it weighs."""
    sides = {context.split.canary.service, context.split.stable.service}
    noted = {each.partition("@")[0] for each in added_by(context.owner, manifest)}
    ours = (noted | {each.service for each in context.split.additional}) - sides
    for rule in own_rules(manifest, context):
        if is_weighted(rule, context):
            held = {service: context.ref_in(rule, service) for service in ours if service}
            yield {service: ref.get("weight", 1) for service, ref in held.items() if ref}


def rule_key(rule: Json) -> str:
    known = json.dumps([rule.get("name"), rule.get("matches")], sort_keys=True)
    return hashlib.blake2b(known.encode(), digest_size=4).hexdigest()


def own_rules(manifest: Object, context: Context) -> list[Json]:
    """Those of the route's author: all but the managed ones."""
    made = added_by(context.owner, manifest, key=MANAGED_RULES)
    return [rule for rule in manifest["spec"].get("rules") or () if not is_managed(rule, made, context)]


def fingerprint(rule: Json) -> str:
    """Tells a managed rule where rules have no names: the standard channel drops them before Gateway API 1.4.

    By what it matches, where it leads and what it mirrors, never all the same in an author's rule; not by its weights.
    """
    leads = sorted(ref.get("name", "") for ref in rule.get("backendRefs") or ())
    mirrors = [each["requestMirror"] for each in rule.get("filters") or () if "requestMirror" in each]
    known = json.dumps([rule.get("matches"), leads, [each["backendRef"]["name"] for each in mirrors]], sort_keys=True)
    return hashlib.blake2b(known.encode(), digest_size=6).hexdigest()


def is_weighted(rule: Json, context: Context) -> bool:
    named = not context.route.rule or rule.get("name") == context.route.rule
    return named and context.ref_in(rule, context.split.stable.service) is not None


def with_weights(rule: Json, context: Context, added: set[str], resting: Mapping[str, int]) -> Json:
    """While nothing is divided stable weighs what its author gave it: all of ours is its, whatever the number."""
    weights, named, key = context.weights, context.named, rule_key(rule)
    stable = context.split.stable.service
    if not context.is_divided and stable:
        weights[stable] = resting.get(key) or context.split.max_weight
    refs: list[Json] = []
    for ref in rule["backendRefs"]:
        service = context.service_of(ref)
        if f"{service}@{key}" in added and service not in named:
            continue
        refs.append({**ref, "weight": weights[service]} if service in weights else ref)
    for service, weight in weights.items():
        if service in named and not context.ref_in({"backendRefs": refs}, service):
            refs.append({**ref_to(service, rule, context), "weight": weight})
    return {**rule, "backendRefs": refs}


def ref_to(service: str, rule: Json, context: Context) -> Json:
    """A reference to a Service in the shape of the stable's: same port, same namespace."""
    model = context.ref_in(rule, service) or context.ref_in(rule, context.split.stable.service) or {}
    shape = {key: model[key] for key in ("group", "namespace", "port") if key in model}
    if "port" in shape:
        services, stable = context.services, context.split.stable.service or ""
        shape["port"] = port_of(services.get(service), services.get(stable), shape["port"])
    return {"group": "", "kind": "Service", "name": service, **shape}


def with_marks(manifest: Object, context: Context) -> Object:
    marks, split, key = context.marks, context.split, str(context.owner)
    if marks.disabled:
        return manifest
    divided = bool(context.is_divided or split.header_routes or split.mirror_routes)
    active = [name for name in (annotation_of(manifest, marks.active) or "").split(",") if name and name != key]
    active = sorted({*active, key}) if divided else active
    labels = manifest["metadata"].get("labels") or {}
    if not active and labels.get(marks.label) not in (None, marks.value):
        return manifest
    return with_label(with_annotation(manifest, marks.active, ",".join(active)), marks.label, marks.value if active else None)


def is_managed(rule: Json, made: set[str], context: Context) -> bool:
    """A rule made here: it has a managed name, or matches what was noted, and leads nowhere but to this Rollout's Services.

    The second half matters on shared routes: two teams may both call their managed route `canary-header`.
    """
    split = context.split
    asked: tuple[ManagedRoute, ...] = (*split.header_routes, *split.mirror_routes)
    names = {*split.managed_routes, *(route.name for route in asked)}
    name = rule.get("name") or ""
    stem, _, number = name.rpartition("-")
    refs = rule.get("backendRefs") or ()
    known = name in names or (stem in names and number.isdigit()) or (not name and fingerprint(rule) in made)
    return known and all(context.service_of(ref) in (split.canary.service, split.stable.service) for ref in refs)


def managed_rules(sources: list[Json], context: Context) -> Iterator[Json]:
    """The managed routes in their order of priority, each once for every rule it is made from."""
    split, kind = context.split, context.target.kind.kind
    headers = split.header_routes if context.route.headers else ()
    mirrors = split.mirror_routes if kind == HTTP_ROUTE.kind else ()
    routes: tuple[ManagedRoute, ...] = (*headers, *mirrors)
    for route in in_order(routes, split.managed_routes):
        seen: list[Json] = []
        number = 0
        for source in sources:
            own = source.get("matches") or DEFAULT_MATCHES[kind]
            narrow = [narrowed(match, extra) for match in own for extra in extras(route)]
            matches = [match for index, match in enumerate(narrow) if match not in seen and match not in narrow[:index]]
            if matches:
                seen += matches
                name = f"{route.name}-{number}" if number else route.name
                yield {**source, "name": name, "matches": matches, **destination_of(route, source, context)}
                number += 1


def extras(route: ManagedRoute) -> list[Json]:
    """What requests must have on top of the rule's own match: all headers at once (the plugin's reading), or any mirror match."""
    if isinstance(route, HeaderRoute):
        return [{"headers": [header_match(route.name, each["headerName"], each.get("headerValue") or {}) for each in route.match]}]
    return [mirror_match(route.name, each) for each in route.match]


def header_match(route: str, name: str, value: Json) -> Json:
    form, text = string_match(route, f"header {name!r}", value)
    if form == "exact":
        return {"name": name, "type": "Exact", "value": text}
    return {"name": name, "type": "RegularExpression", "value": re.escape(text) + ".*" if form == "prefix" else text}


def mirror_match(route: str, match: Json) -> Json:
    """A `setMirrorRoute.match` in the words of HTTPRoute."""
    result: dict[str, Any] = {}
    if match.get("path"):
        form, text = string_match(route, "path", match["path"])
        result["path"] = {"type": PATH_TYPES[form], "value": text}
    if match.get("method"):
        form, text = string_match(route, "method", match["method"])
        if form != "exact":
            raise Refused(
                f"managed route {route!r}: method has {form} {text!r}; Gateway API matches methods by exact only", lasting=True
            )
        result["method"] = text
    if headers := match.get("headers"):
        result["headers"] = [header_match(route, name, value) for name, value in sorted(headers.items())]
    return result


def narrowed(match: Json, extra: Json) -> Json:
    """A rule's match with more demands; where both speak of one thing the managed route's word counts."""
    names = {header["name"].lower() for header in extra.get("headers", ())}
    headers = [header for header in match.get("headers", ()) if header["name"].lower() not in names]
    merged = {**match, **extra, "headers": [*headers, *extra.get("headers", ())]}
    return merged if merged["headers"] else {key: value for key, value in merged.items() if key != "headers"}


def destination_of(route: ManagedRoute, source: Json, context: Context) -> Json:
    """Where a managed rule leads: all to the canary, or as the rule it mirrors, with a copy to the canary."""
    canary = ref_to(context.split.canary.service or "", source, context)
    if isinstance(route, HeaderRoute):
        return {"backendRefs": [{**canary, "weight": 1}]}
    percent = {} if route.percentage is None else {"percent": route.percentage}
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": canary, **percent}}
    ours = (context.split.canary.service, context.split.stable.service)
    own = [ref for ref in source["backendRefs"] if context.service_of(ref) in ours]
    return {"backendRefs": own, "filters": [*source.get("filters", ()), mirror]}
