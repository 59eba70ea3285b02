"""Traffic: planner <-> traffic-shifter."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tidegate.messages.base import TRAFFIC, DnsName, Fence, Message, Part


class Destination(Part):
    """One side of a split. `weight` is out of the split's `max_weight`."""

    weight: int = Field(ge=0)
    service: str | None = None
    hash: str = ""


class HeaderRoute(Part):
    """All requests that match go to the canary. `match` entries have the shape of `setHeaderRoute.match`."""

    name: str
    match: tuple[dict[str, Any], ...]


class MirrorRoute(Part):
    """A copy of `percentage` percent of the requests that match goes to the canary."""

    name: str
    match: tuple[dict[str, Any], ...]
    percentage: int | None = Field(default=None, ge=0, le=100)


class Split(Part):
    """The asked traffic, whole: weights sum to `max_weight`, and only the listed managed routes exist."""

    canary: Destination
    stable: Destination
    additional: tuple[Destination, ...] = ()
    header_routes: tuple[HeaderRoute, ...] = ()
    mirror_routes: tuple[MirrorRoute, ...] = ()
    managed_routes: tuple[str, ...] = Field(default=(), description="names that may be created and removed, in order of priority")
    max_weight: int = Field(default=100, gt=0)

    @model_validator(mode="after")
    def _weights_sum_to_max(self) -> Self:
        total = self.canary.weight + self.stable.weight + sum(each.weight for each in self.additional)
        if total != self.max_weight:
            raise ValueError(f"weights sum to {total}, they must sum to max_weight {self.max_weight}")
        return self


class ServiceTarget(Part):
    """A Service whose selector must choose the pods of one ReplicaSet (by `rollouts-pod-template-hash`)."""

    service: DnsName
    hash: str = Field(min_length=1)


class Router(Part):
    """One configured traffic router: its name in the registry and its part of `spec.strategy.canary.trafficRouting`."""

    router: str
    config: dict[str, Any]
    split: Split | None = Field(default=None, description="this router's own, where its Services differ from the others'")


class TrafficRequested(Message):
    """The traffic a rollout must have now: desired state, never a step. `digest` names it; the answer repeats it."""

    stream: ClassVar[str] = TRAFFIC
    subject: ClassVar[str] = "tidegate.traffic.requested.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.traffic.requested"

    uid: str
    fence: Fence
    digest: str
    made_from: int = Field(default=0, ge=0, description="resourceVersion of the Rollout that it was decided from; 0: not told")
    services: tuple[ServiceTarget, ...] = ()
    routers: tuple[Router, ...] = ()
    split: Split | None = None


class RouterReport(Part):
    """What one router was seen to do. `weight` is the canary's observed share, None where nothing could be observed yet."""

    router: str
    state: Literal["applied", "pending", "failed"]
    weight: int | None = None
    verified: bool | None = Field(default=None, description="None: the router cannot be asked; False: asked, not there yet")
    message: str = ""
    status: dict[str, Any] = Field(default_factory=dict, description="fields of the Rollout's status that tell of it: alb, albs")


class TrafficApplied(Message):
    """What the shifter did and saw for the request of this `digest`. `state` is the worst of the reports."""

    stream: ClassVar[str] = TRAFFIC
    subject: ClassVar[str] = "tidegate.traffic.applied.{namespace}.{name}"
    type: ClassVar[str] = "dev.tidegate.traffic.applied"

    uid: str
    fence: Fence
    digest: str
    state: Literal["applied", "pending", "failed"]
    reports: tuple[RouterReport, ...] = ()
    message: str = ""
