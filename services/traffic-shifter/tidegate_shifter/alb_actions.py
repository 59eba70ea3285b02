"""Ingresses of the AWS load balancer controller as they must be for a split (`argo-behaviour.md` 9.2). Pure.

The weights are one JSON annotation, the action of a service that exists in the Ingress's rules by name only. A header route is an
action, a condition and a path. `managed-alb-annotations` says which annotations are whose, and is how they are found again.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate.keys import MANAGED_ALB_ANNOTATIONS
from tidegate.kube.kinds import Object
from tidegate.messages import Destination, HeaderRoute, Record, Split
from tidegate_shifter.experiment_ports import port_of
from tidegate_shifter.fence import annotation_of
from tidegate_shifter.managed import in_order, string_match
from tidegate_shifter.router import Owner, Refused
from tidegate_shifter.writing import Target, Written

PREFIX: Final = "alb.ingress.kubernetes.io"
LONGEST_STICKINESS: Final = 604_800
"""Seconds, a week: AWS's limit."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Whose traffic, divided how, in which Ingress. `services`: those of an experiment, and stable's, for their ports."""

    owner: Owner
    split: Split
    target: Target
    config: Json
    services: Mapping[str, Object] = field(default_factory=dict)

    @property
    def root(self) -> str:
        return self.config.get("rootService") or self.split.stable.service or ""

    def key(self, word: str, name: str) -> str:
        return f"{self.config.get('annotationPrefix') or PREFIX}/{word}.{name}"

    def port(self, service: str | None) -> str:
        """`servicePort`, or where the Service does not have it, the port of the Service that leads to the same container."""
        asked = self.config.get("servicePort", "")
        if not isinstance(asked, int) or service is None or service not in self.services:
            return str(asked)
        return str(port_of(self.services[service], self.services.get(self.split.stable.service or ""), asked))

    @property
    def weights_key(self) -> str:
        return self.key("actions", self.root)


def patched(manifest: Object | None, context: Context) -> Object:
    """The Ingress with this split; the same again when applied to its own result."""
    if manifest is None:
        raise Refused(f"{context.target} does not exist; rollout {context.owner} sends its traffic through it")
    rules = manifest["spec"].get("rules") or []
    if not any(_service_of(path) == context.root for rule in rules for path in _paths(rule)):
        raise Refused(f"ingress does not have service `{context.root}` in rules; {context.target} needs it, port use-annotation")
    held = manifest["metadata"].get("annotations") or {}
    managed = _managed_in(held, context)
    mine = managed.get(context.owner.name, [])
    noted = _noted_routes(mine, context)
    wanted = {context.weights_key: weights_action(context)} | _untaken(header_annotations(context), managed, context)
    going = {context.key(word, name) for name in noted for word in ("actions", "conditions")} - set(wanted)
    kept = [key for key in mine if key not in going]
    managed[context.owner.name] = [*kept, *(key for key in wanted if key not in kept)]
    annotations = {key: text for key, text in held.items() if key not in going} | wanted
    annotations[MANAGED_ALB_ANNOTATIONS] = _json(dict(sorted(managed.items())))
    ours = in_order(context.split.header_routes, context.split.managed_routes)
    theirs = {name for rollout, keys in managed.items() if rollout != context.owner.name for name in _noted_routes(keys, context)}
    everyone = {*noted, *(route.name for route in ours), *(set(context.split.managed_routes) - theirs)}
    rules = [_with_header_paths(rule, [route.name for route in ours], everyone) for rule in rules]
    spec = {**manifest["spec"]} | ({"rules": rules} if rules else {})
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}, "spec": spec}


# --- annotations ---------------------------------------------------------------------------------------------------------


def weights_action(context: Context) -> str:
    split = context.split
    return action((split.canary, *split.additional, split.stable), context)


def action(destinations: Iterable[Destination], context: Context) -> str:
    groups = [
        {"ServiceName": each.service, "ServicePort": context.port(each.service), "Weight": each.weight} for each in destinations
    ]
    forward: dict[str, Any] = {"TargetGroups": groups} | stickiness(context)
    return _json({"Type": "forward", "ForwardConfig": forward})


def stickiness(context: Context) -> dict[str, Any]:
    config = context.config.get("stickinessConfig") or {}
    if not config.get("enabled"):
        return {}
    seconds = config.get("durationSeconds") or 0
    if not 1 <= seconds <= LONGEST_STICKINESS:
        raise Refused(
            f"alb: stickinessConfig.durationSeconds is {seconds}; it must be 1 to {LONGEST_STICKINESS} seconds (7 days)",
            lasting=True,
        )
    return {"TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": seconds}}


def header_annotations(context: Context) -> dict[str, str]:
    found = {}
    for route in in_order(context.split.header_routes, context.split.managed_routes):
        if isinstance(route, HeaderRoute):
            all_to_canary = context.split.canary.model_copy(update={"weight": 100})
            found[context.key("actions", route.name)] = action((all_to_canary,), context)
            found[context.key("conditions", route.name)] = _json(conditions(route))
    return found


def conditions(route: HeaderRoute) -> list[dict[str, Any]]:
    """One for each header; several values of one header are alternatives."""
    values: dict[str, list[str]] = {}
    for match in route.match:
        name = match["headerName"]
        form, text = string_match(route.name, f"header {name!r}", match.get("headerValue") or {})
        if form != "exact":
            raise Refused(
                f"managed route {route.name!r}: header {name!r} has {form} {text!r}; ALB matches by exact only", lasting=True
            )
        values.setdefault(name, []).append(text)
    return [
        {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": name, "values": texts}} for name, texts in values.items()
    ]


def _untaken(wanted: dict[str, str], managed: Mapping[str, list[str]], context: Context) -> dict[str, str]:
    for rollout, keys in managed.items():
        if rollout != context.owner.name and (taken := [key for key in keys if key in wanted]):
            raise Refused(f"{context.target}: {taken[0]} belongs to rollout {rollout!r}; the managed route must get another name")
    return wanted


def _managed_in(annotations: Mapping[str, str], context: Context) -> dict[str, list[str]]:
    text = annotations.get(MANAGED_ALB_ANNOTATIONS) or "{}"
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(keys, list) for keys in found.values()):
        raise Refused(
            f'{context.target}: annotation {MANAGED_ALB_ANNOTATIONS} is {text!r}; it must be JSON, {{"rollout": ["key"]}}'
        )
    return found


def _noted_routes(keys: Iterable[str], context: Context) -> list[str]:
    """The header routes of ours that are there, also those that the Rollout does not name any more."""
    stem = context.key("conditions", "")
    return [key.removeprefix(stem) for key in keys if key.startswith(stem)]


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


# --- rules ---------------------------------------------------------------------------------------------------------------


def _with_header_paths(rule: Json, names: list[str], everyone: set[str]) -> Json:
    """The rule with a path for each header route first; without those that are over."""
    if not rule.get("http"):
        return rule
    rest = [path for path in _paths(rule) if not (_service_of(path) in everyone and _by_annotation(path))]
    return {**rule, "http": {**rule["http"], "paths": [*(_header_path(name) for name in names), *rest]}}


def without_routes(manifest: Object, names: set[str]) -> Object:
    """The Ingress without the paths of these header routes."""
    if not names or not manifest["spec"].get("rules"):
        return manifest
    rules = [_with_header_paths(each, [], names) for each in manifest["spec"]["rules"]]
    return {**manifest, "spec": {**manifest["spec"], "rules": rules}}


def _header_path(name: str) -> dict[str, Any]:
    backend = {"service": {"name": name, "port": {"name": "use-annotation"}}}
    return {"path": "/*", "pathType": "ImplementationSpecific", "backend": backend}


def _paths(rule: Json) -> list[Json]:
    return (rule.get("http") or {}).get("paths") or []


def _service(path: Json) -> Json:
    return (path.get("backend") or {}).get("service") or {}


def _service_of(path: Json) -> str | None:
    name: str | None = _service(path).get("name")
    return name


def _by_annotation(path: Json) -> bool:
    return bool((_service(path).get("port") or {}).get("name") == "use-annotation")


# --- what is seen and told -----------------------------------------------------------------------------------------------


def weights_in(manifest: Object, context: Context) -> dict[str, int]:
    """By Service; an action that cannot be read has none."""
    try:
        groups = json.loads(annotation_of(manifest, context.weights_key) or "{}")["ForwardConfig"]["TargetGroups"]
        return {each["ServiceName"]: int(each["Weight"]) for each in groups}
    except (ValueError, KeyError, TypeError):
        return {}


def canary_share(manifest: Object, context: Context) -> int:
    return weights_in(manifest, context).get(context.split.canary.service or "", 0)


def records_of(written: Written, context: Context) -> list[Record]:
    name, told = context.target.name, []
    before, after = ((each or {"metadata": {}})["metadata"].get("annotations") or {} for each in (written.before, written.after))
    if before.get(context.weights_key) != after.get(context.weights_key):
        told.append(f"to desiredWeight '{context.split.canary.weight}'")
    for route in context.split.header_routes:
        keys = [context.key(word, route.name) for word in ("actions", "conditions")]
        if any(before.get(key) != after.get(key) for key in keys):
            told.append(f"to headerRoute '{route.name}'")
    mine = _noted_routes(_managed_in(before, context).get(context.owner.name, []), context)
    if mine and not context.split.header_routes:
        told.append("removing managed routes")
    return [Record(reason="PatchingALBIngress", message=f"Updating Ingress `{name}` {each}") for each in told]
