"""What a Rollout that is gone, or names an object no more, leaves in objects that are not its own (`argo-behaviour.md` 9.10). Pure.

Services have `release.py`. Of the routers these two would lead nowhere:

* DestinationRule: subsets choose pods by the hash of ReplicaSets that went along. The hash goes, so they choose whatever is there.
* Ingress of the AWS controller: its action may divide between Services of which one has no pods any more. It is reset to all of the
  traffic for the action's own Service, stickiness kept, and header routes go, as in the peer.

Elsewhere both Services are named, and these choose any pods again, so weights stay as they are; what a router made goes with its
Rollout. An App Mesh node keeps its hash, as in the peer: two nodes may not choose the same pods, and AWS ended that service.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tidegate.keys import FENCE, MANAGED_ALB_ANNOTATIONS, MANAGED_BY, POD_TEMPLATE_HASH
from tidegate.kube.kinds import DESTINATION_RULE, INGRESS, TARGET_GROUP_BINDING, Kind, Object
from tidegate_shifter.added import ADDED, added_by, with_added
from tidegate_shifter.alb_actions import without_routes
from tidegate_shifter.fence import annotation_of, entries, entries_text, with_annotation
from tidegate_shifter.router import Owner

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A kind of object with something to be taken back. `sign`: where the cluster does not serve that, nobody looks.

    `holders` are names of Rollouts of the object's namespace; `names` says whether a Rollout still names the object.
    """

    kind: Kind
    sign: Kind
    holders: Callable[[Object], set[str]]
    names: Callable[[Object, str], bool]
    released: Callable[[Object, Owner, Iterable[Object]], Object]
    """The object without what that Rollout left, given those of the other holders that still name it."""


# --- DestinationRules ----------------------------------------------------------------------------------------------------


def _holders_of_rule(rule: Object) -> set[str]:
    """Who wrote to it, and whom the peer says it belongs to."""
    home = rule["metadata"]["namespace"]
    fenced = (key.partition("/") for key in entries(annotation_of(rule, FENCE)))
    return {name for namespace, _, name in fenced if namespace == home} | set(filter(None, [annotation_of(rule, MANAGED_BY)]))


def _names_rule(rollout: Object, name: str) -> bool:
    return bool(_rule_in(rollout).get("name") == name)


def _rule_in(rollout: Object) -> Json:
    return _under(_under(_routing(rollout), "istio"), "destinationRule")


def released_rule(rule: Object, owner: Owner, others: Iterable[Object]) -> Object:
    """Subsets of those that still use the rule keep their pods."""
    kept: set[str] = set()
    for each in others:
        kept |= {_rule_in(each).get(key, "") for key in ("canarySubsetName", "stableSubsetName")}
        kept |= added_by(Owner(namespace=owner.namespace, name=each["metadata"]["name"], uid=""), rule)
    subsets = [each if each.get("name") in kept else _of_any_pods(each) for each in rule["spec"].get("subsets") or ()]
    left = {**rule, "spec": {**rule["spec"], "subsets": subsets}} if subsets else rule
    if annotation_of(left, MANAGED_BY) == owner.name:
        left = with_annotation(left, MANAGED_BY, None)
    return with_added(_without_fence(left, owner), owner, (), key=ADDED)


def _of_any_pods(subset: Json) -> Json:
    labels = subset.get("labels") or {}
    if POD_TEMPLATE_HASH not in labels:
        return subset
    return {**subset, "labels": {key: value for key, value in labels.items() if key != POD_TEMPLATE_HASH}}


# --- Ingresses of the AWS controller -------------------------------------------------------------------------------------


def _managed(ingress: Object) -> dict[str, list[str]]:
    """What cannot be read is nobody's."""
    try:
        found = json.loads(annotation_of(ingress, MANAGED_ALB_ANNOTATIONS) or "{}")
    except ValueError:
        return {}
    return {name: keys for name, keys in found.items() if isinstance(keys, list)} if isinstance(found, dict) else {}


def _names_ingress(rollout: Object, name: str) -> bool:
    alb = _under(_routing(rollout), "alb")
    return name in (alb.get("ingress"), *(alb.get("ingresses") or ()))


def released_ingress(ingress: Object, owner: Owner, _others: Iterable[Object] = ()) -> Object:
    managed = _managed(ingress)
    mine = managed.pop(owner.name, [])
    routes = {key.partition("/conditions.")[2] for key in mine} - {""}
    annotations = {**(ingress["metadata"].get("annotations") or {})}
    for key in mine:
        service = key.partition("/actions.")[2]
        if not service or service in routes:
            annotations.pop(key, None)
        elif key in annotations:
            annotations[key] = _all_to(service, annotations[key])
    annotations[MANAGED_ALB_ANNOTATIONS] = json.dumps(managed, separators=(",", ":"))
    if not managed:
        del annotations[MANAGED_ALB_ANNOTATIONS]
    left = {**ingress, "metadata": {**ingress["metadata"], "annotations": annotations}}
    return _without_fence(without_routes(left, routes), owner)


def _all_to(service: str, action: str) -> str:
    """By the port that the Service has in the action, or stable's, which stands last. Somebody else's words stay."""
    try:
        found = json.loads(action)
        forward = found["ForwardConfig"]
        ports = {each["ServiceName"]: each["ServicePort"] for each in forward["TargetGroups"]}
        group = {"ServiceName": service, "ServicePort": ports.get(service, [*ports.values()][-1]), "Weight": 100}
    except (ValueError, KeyError, TypeError, IndexError):
        return action
    return json.dumps({**found, "ForwardConfig": {**forward, "TargetGroups": [group]}}, separators=(",", ":"))


# --- of both -------------------------------------------------------------------------------------------------------------


def _without_fence(manifest: Object, owner: Owner) -> Object:
    fences = {key: value for key, value in entries(annotation_of(manifest, FENCE)).items() if key != str(owner)}
    return with_annotation(manifest, FENCE, entries_text(fences))


def has_strategy(rollout: Object) -> bool:
    """One that has none may be half written: nothing is concluded from it."""
    return bool(_under(_under(rollout, "spec"), "strategy"))


def _routing(rollout: Object) -> Json:
    return _under(_under(_under(_under(rollout, "spec"), "strategy"), "canary"), "trafficRouting")


def _under(value: Json, field: str) -> Json:
    found = value.get(field)
    return found if isinstance(found, Mapping) else {}


def holders_left(found: Iterable[Object | None], leftover: Leftover, name: str) -> Iterator[Object]:
    """Of the Rollouts that were read, those that still name the object."""
    yield from (each for each in found if each is not None and (leftover.names(each, name) or not has_strategy(each)))


LEFTOVERS: Final[Mapping[str, Leftover]] = {
    "istio": Leftover(
        kind=DESTINATION_RULE, sign=DESTINATION_RULE, holders=_holders_of_rule, names=_names_rule, released=released_rule
    ),
    "alb": Leftover(
        kind=INGRESS,
        sign=TARGET_GROUP_BINDING,  # whoever has that has the AWS controller
        holders=lambda ingress: set(_managed(ingress)),
        names=_names_ingress,
        released=released_ingress,
    ),
}
