"""The one way in which the traffic-shifter changes an object: read, compute what it must be, write the difference, fenced.

Every write is a merge patch of exactly what differs, with the resourceVersion of what it was computed from. The precondition
is the whole object on purpose: three things are decided from it (the state, the fence, who owns it), and a narrower one would
let a fence slip in unseen. A conflict costs one more read and is never an error to a user (N10: in the peer it aborts rollouts).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from tidegate.errors import KubeError, Retry
from tidegate.kube.errors import AlreadyExists, Conflict, NotFound
from tidegate.kube.kinds import Kind, Object
from tidegate.kube.patches import merge_difference
from tidegate_shifter.fence import fence_on, with_fence
from tidegate_shifter.router import Owner, Refused, Stale

ATTEMPTS: Final = 8
"""Each lost race means that somebody else's write went through; nobody writes one route eight times within eight round trips."""

Wanted = Callable[[Object | None], Object | None]
"""Pure: the manifest as it must be, from the manifest as it is. None is absence, on either side. May raise `Refused`."""


class Api(Protocol):
    """The part of `Kube` that the shifter uses."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object: ...

    async def list(self, kind: Kind, namespace: str | None = None, labels: str | None = None) -> tuple[list[Object], str]: ...

    async def create(self, kind: Kind, obj: Object) -> Object: ...

    async def merge_patch(
        self, kind: Kind, namespace: str | None, name: str, patch: Object, *, resource_version: str | None = None
    ) -> Object: ...

    async def delete(self, kind: Kind, namespace: str | None, name: str, *, resource_version: str | None = None) -> Object: ...

    async def serves(self, kind: Kind) -> bool: ...


@dataclass(frozen=True, slots=True)
class Target:
    """An object to be written; reads as people name it."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Written:
    """An object before and after. The same one twice if it already was as it must be."""

    before: Object | None
    after: Object | None

    @property
    def changed(self) -> bool:
        return self.before is not self.after


async def read(kube: Api, target: Target) -> Object | None:
    try:
        return await kube.get(target.kind, target.namespace, target.name)
    except NotFound:
        return None


async def write(kube: Api, target: Target, wanted: Wanted, *, owner: Owner, fence: int) -> Written:
    """Make the object what `wanted` says, on behalf of the owner's decision `fence`. Raises `Stale` if a newer one was here."""
    for _ in range(ATTEMPTS):
        found = await read(kube, target)
        if found is not None and fence < (there := fence_on(found, owner)):
            raise Stale(f"dropped: {target} was last changed for decision {there}, this request is of the older decision {fence}")
        wish = wanted(found)
        if wish == found:
            return Written(found, found)
        try:
            return Written(found, await _put(kube, target, found, wish and with_fence(wish, owner, fence)))
        except (Conflict, AlreadyExists, NotFound):
            continue
    raise Retry(f"{target} was changed by others {ATTEMPTS} times in a row while it was being patched")


async def _put(kube: Api, target: Target, found: Object | None, wish: Object | None) -> Object | None:
    if found is None:
        assert wish is not None  # `wish == found` was ruled out
        return await kube.create(target.kind, wish)
    version = found["metadata"]["resourceVersion"]
    if wish is None:
        await kube.delete(target.kind, target.namespace, target.name, resource_version=version)
        return None
    patch = merge_difference(found, wish)
    return await kube.merge_patch(target.kind, target.namespace, target.name, patch, resource_version=version)


def _nobody(_place: int, _written: Written) -> None:
    """Not everyone wants to hear of each write."""


async def write_each(
    kube: Api,
    wishes: Iterable[tuple[Target, Wanted]],
    *,
    owner: Owner,
    fence: int,
    told: Callable[[int, Written], None] = _nobody,
) -> list[Written]:
    """Write several objects; one that cannot be written does not keep the others from it (a lost route must not block an abort).

    `told` hears of each write at once, with the place of its wish: the list is lost where a later one raises.
    """
    done: list[Written] = []
    problems: list[Refused | KubeError | Retry] = []
    for place, (target, wanted) in enumerate(wishes):
        try:
            written = await write(kube, target, wanted, owner=owner, fence=fence)
        except (Refused, KubeError, Retry) as problem:
            problems.append(problem)
            continue
        told(place, written)
        done.append(written)
    if len(problems) == 1:
        raise problems[0]
    if any(isinstance(problem, Stale) for problem in problems):
        raise Stale("; ".join(str(problem) for problem in problems))  # of a superseded request nothing else is worth another try
    if problems:
        lasting = all(isinstance(problem, Refused) and problem.lasting for problem in problems)
        records = tuple(record for problem in problems if isinstance(problem, Refused) for record in problem.records)
        raise Refused("; ".join(str(problem) for problem in problems), lasting=lasting, records=records)
    return done
