"""The port that every traffic router implements, and the values that cross it.

A router is told the whole desired traffic, never a step towards it, so it needs no memory of what it was told before and may
be asked the same thing any number of times. It writes through `tidegate_shifter.writing`, which keeps the three promises no
adapter has to think of: nothing is written when nothing differs, a stale request is dropped, a conflict is decided again.

A new router is one file in `routers/`, one line in its registry, its row in `tests/contract/test_routers.py`, and its rights in
`deploy/rbac/routers/` with a scene in `tests/unit/deploy/test_router_rights.py`:

    1. a pure `patched(manifest, ...) -> manifest` that touches only what the Rollout owns in that object
    2. a class of about forty lines: `supports`, `apply` (patch each object, then observe), `observed` (only look); where its
       objects say nothing of what the data plane took over, `changes.py` has both, given the list of changes; and where it
       takes an experiment's Services, `additional` (which of them stand in its objects)
    3. where an object is created and deleted again, write the one that stays first: a deleted object takes its fence along
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

from tidegate.errors import TidegateError
from tidegate.messages import Record, RouterReport, Split


class Feature(StrEnum):
    """What a router can do beyond dividing traffic between canary and stable (the columns of `argo-behaviour.md` 9)."""

    HEADER_ROUTES = "header-routes"
    MIRROR_ROUTES = "mirror-routes"
    ADDITIONAL_DESTINATIONS = "additional-destinations"
    MAX_WEIGHT = "max-weight"
    VERIFICATION = "verification"
    STICKINESS = "stickiness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The Rollout on whose behalf something is changed."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What one router must bring about. `config` is its part of `spec.strategy.canary.trafficRouting`.

    `tell` takes the Event of each thing done, as soon as it is done: what was written before another part failed is told as well.
    """

    owner: Owner
    fence: int
    split: Split
    config: Mapping[str, Any]
    tell: Callable[[Record], None] = field(default=lambda _: None, compare=False)


class Refused(TidegateError):  # noqa: N818 - reads as the fact it states
    """It cannot be done as things stand: an object is missing, belongs to someone else, or lacks what must be changed.

    The text names the kind, namespace and name, and what would be right. `lasting`: only a new request can help.
    `records`: Events in the words that people's alerts know, where the peer has some.
    """

    def __init__(self, reason: str, *, lasting: bool = False, records: tuple[Record, ...] = ()) -> None:
        super().__init__(reason)
        self.lasting = lasting
        self.records = records


class Stale(Refused):
    """The object was changed on behalf of a newer decision than this request's."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, lasting=True)


class TrafficRouter(Protocol):
    """Both methods raise `Refused`, or the `KubeError` they met; `shift` turns either into a failed report.

    `remarks` says in a few words what a feature takes or leaves out; `tidegate support` and docs/support.md show it.
    """

    supports: ClassVar[frozenset[Feature]]
    remarks: ClassVar[Mapping[Feature, str]]

    async def apply(self, ask: Ask) -> RouterReport:
        """Bring the split about, then say what is there."""
        ...

    async def observed(self, ask: Ask) -> RouterReport:
        """Say what is there; change nothing."""
        ...


@runtime_checkable
class KnowsAdditional(Protocol):
    """A router whose objects name an experiment's Services. `easing.py` says what that is asked for; a plugin, which has no objects
    that we know of, eases its splits itself."""

    async def additional(self, ask: Ask) -> Mapping[str, int]:
        """What stands beside canary and stable on the Rollout's behalf, and the least that it weighs anywhere; changes nothing."""
        ...


def needed_features(split: Split) -> frozenset[Feature]:
    wanted = {
        Feature.HEADER_ROUTES: split.header_routes,
        Feature.MIRROR_ROUTES: split.mirror_routes,
        Feature.ADDITIONAL_DESTINATIONS: split.additional,
        Feature.MAX_WEIGHT: split.max_weight != 100,
    }
    return frozenset(feature for feature, asked in wanted.items() if asked)


def split_within(split: Split, supports: frozenset[Feature]) -> Split:
    """The split without what a router cannot do; an experiment's share goes to stable.

    Not an error: a Rollout may use nginx for weights and Istio for header routes at once (`argo-behaviour.md` 9: unsupported
    calls do nothing). `max_weight` stays, since validation admits it only for routers that know it.
    """
    change: dict[str, Any] = {}
    if Feature.HEADER_ROUTES not in supports:
        change["header_routes"] = ()
    if Feature.MIRROR_ROUTES not in supports:
        change["mirror_routes"] = ()
    if Feature.ADDITIONAL_DESTINATIONS not in supports and split.additional:
        share = sum(each.weight for each in split.additional)
        change |= {"additional": (), "stable": split.stable.model_copy(update={"weight": split.stable.weight + share})}
    return split.model_copy(update=change)
