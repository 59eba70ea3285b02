"""Whether AWS has what an Ingress asks for (`argo-behaviour.md` 9.2), judged by what its API says. Pure.

The peer looks at one weight per target group, the last it comes across. A canary's target group also stands behind header routes,
with all of their traffic, and behind several listeners. Here an action counts if it forwards to every Service of the split, and
each that does must have every weight as asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tidegate.kube.kinds import Object
from tidegate.messages import Destination, Record
from tidegate_shifter.alb_actions import Context

VERIFIED: Final = "TargetGroupVerified"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer:
    name: str
    arn: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetGroup:
    name: str
    arn: str
    tags: Mapping[str, str]


Forward = Mapping[str, int | None]
"""One action of a listener or rule: ARN of each target group it forwards to -> its weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Of one Ingress. `weight` is what the canary's target group has; `status` is its entry in `status.albs`."""

    problem: str = ""
    weight: int | None = None
    records: tuple[Record, ...] = ()
    status: Mapping[str, Any] = field(default_factory=dict)


def hostnames(ingress: Object) -> list[str]:
    """The load balancers that the controller has given it."""
    held = ((ingress.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return [each["hostname"] for each in held if each.get("hostname")]


def resource_id(service: str, context: Context) -> str:
    """How the controller tags the target group of a Service that an Ingress names."""
    return f"{context.target.namespace}/{context.target.name}-{service}:{context.port(service)}"


def unallocated(context: Context) -> Verdict:
    return Verdict(problem=f"{context.target} has no load balancer yet")


def unknown(hostname: str, context: Context) -> Verdict:
    told = Record(type="Warning", reason="LoadBalancerNotFound", message=f"Failed to find load balancer: {hostname}")
    return Verdict(problem=f"{context.target}: AWS knows no load balancer {hostname}", records=(told,))


def unanswered(error: Exception, context: Context) -> Verdict:
    service = context.split.canary.service
    message = f"Failed to verify Service {service} (TargetGroup unknown): {error}"
    told = (Record(type="Warning", reason="TargetGroupVerifyError", message=message), _weight_error(error))
    return Verdict(problem=f"{context.target}: AWS could not be asked: {error}", records=told)


def _weight_error(error: Exception) -> Record:
    return Record(type="Warning", reason="WeightVerifyError", message=f"Failed to verify weight: {error}")


def judged(
    found: LoadBalancer, groups: Iterable[TargetGroup], forwards: Sequence[Forward], context: Context, *, tag: str
) -> Verdict:
    """What the load balancer does, compared with the split."""
    split, by_id = context.split, {each.tags.get(tag, ""): each for each in groups}
    sides = (split.canary, *split.additional, split.stable)
    held = {each.service: by_id.get(resource_id(each.service or "", context)) for each in sides}
    status = _status(found, held, context)
    missing = [each.service for each in sides if held[each.service] is None]
    if missing:
        wanted = resource_id(missing[0] or "", context)
        return Verdict(problem=f"{context.target}: load balancer {found.name} has no target group of {wanted}", status=status)
    arns = {held[each.service].arn: each for each in sides}  # type: ignore[union-attr]  # none is missing
    dividing = [each for each in forwards if set(arns) <= set(each)]
    if not dividing:
        names = ", ".join(str(each.service) for each in sides)
        return Verdict(problem=f"{context.target}: no rule of load balancer {found.name} divides between {names}", status=status)
    canary = next(arn for arn, each in arns.items() if each is split.canary)
    weights = [forward[canary] for forward in dividing]
    seen = next((weight for weight in weights if weight != split.canary.weight), weights[0])
    wrong = [(arn, each, forward[arn]) for forward in dividing for arn, each in arns.items() if forward[arn] != each.weight]
    if wrong:
        records = {_unverified(arn, each, weight): None for arn, each, weight in wrong if each is not split.stable}
        arn, each, weight = wrong[0]
        problem = f"{context.target}: AWS gives {each.service} weight {weight}, {each.weight} is asked ({arn.rpartition(':')[2]})"
        return Verdict(problem=problem, weight=seen, records=tuple(records), status=status)
    told = tuple(_verified(arn, each) for arn, each in arns.items() if each is not split.stable)
    return Verdict(weight=seen, records=told, status=status)


def _verified(arn: str, side: Destination) -> Record:
    message = f"Service {side.service} (TargetGroup {arn}) verified: canary weight {side.weight} set"
    return Record(reason=VERIFIED, message=message)


def _unverified(arn: str, side: Destination, weight: int | None) -> Record:
    told = f"not verified: canary weight {side.weight} not yet set (current: {weight})"
    return Record(type="Warning", reason="TargetGroupUnverified", message=f"Service {side.service} (TargetGroup {arn}) {told}")


def _status(found: LoadBalancer, held: Mapping[str | None, TargetGroup | None], context: Context) -> dict[str, Any]:
    status: dict[str, Any] = {"ingress": context.target.name, "loadBalancer": named(found, 2)}
    for key, side in (("canaryTargetGroup", context.split.canary), ("stableTargetGroup", context.split.stable)):
        if group := held.get(side.service):
            status[key] = named(group, 1)
    return status


def named(resource: LoadBalancer | TargetGroup, parts: int) -> dict[str, str]:
    """`fullName` is the ARN without what all of its kind begin with, cut as by the peer: people's queries hold it."""
    return {"name": resource.name, "arn": resource.arn, "fullName": "/".join(resource.arn.split("/")[parts:])}
