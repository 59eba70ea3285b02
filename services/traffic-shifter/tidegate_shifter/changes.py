"""Routers whose means are fields of Kubernetes objects, and whose objects say nothing of what the data plane took over.

Such a router is a list of changes, each a pure function and what to read off its result; carrying them out and looking at them
is the same for all of them, and is here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tidegate.kube.kinds import SERVICE, Object
from tidegate.messages import Record, RouterReport
from tidegate_shifter.router import Ask, Refused
from tidegate_shifter.writing import Api, Target, Wanted, Written, read, write_each


def _no_records(_written: Written) -> Iterable[Record]:
    return ()


def _no_share(_manifest: Object) -> int | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One object and what it must become.

    `share` reads the canary's weight, out of the split's `max_weight`, off the object (None where it holds none); `records` are the
    Events of a write that changed something.
    """

    target: Target
    wanted: Wanted
    share: Callable[[Object], int | None] = _no_share
    records: Callable[[Written], Iterable[Record]] = _no_records


async def carry_out(kube: Api, router: str, changes: Sequence[Change], ask: Ask) -> RouterReport:
    """Write each object that is not yet as it must be, and say what is there now."""

    def tell(place: int, written: Written) -> None:
        for record in changes[place].records(written) if written.changed else ():
            ask.tell(record)

    wishes = [(change.target, change.wanted) for change in changes]
    written = await write_each(kube, wishes, owner=ask.owner, fence=ask.fence, told=tell)
    return report(router, zip(changes, (each.after for each in written), strict=True), ask)


async def look(kube: Api, router: str, changes: Sequence[Change], ask: Ask) -> RouterReport:
    seen = [(change, await read(kube, change.target)) for change in changes]
    if missing := [str(change.target) for change, manifest in seen if manifest is None]:
        raise Refused(f"{', '.join(missing)} does not exist")
    return report(router, seen, ask)


def report(router: str, seen: Iterable[tuple[Change, Object | None]], ask: Ask) -> RouterReport:
    """One answer for all objects: the share of one that is not as asked, if any is not. Verified is None: nobody could be asked."""
    asked = ask.split.canary.weight
    found = [(change.target, change.share(manifest)) for change, manifest in seen if manifest is not None]
    shares = [(target, share) for target, share in found if share is not None]
    wrong = [f"{target} gives the canary {share}" for target, share in shares if share != asked]
    return RouterReport(
        router=router,
        state="pending" if wrong else "applied",
        weight=odd_one((share for _, share in shares), asked),
        message="; ".join(wrong),
    )


async def experiment_services(kube: Api, ask: Ask) -> dict[str, Object]:
    """The Services whose ports must be known for `experiment_ports`, stable's among them: none, but for an experiment."""
    sides = (*ask.split.additional, ask.split.stable) if ask.split.additional else ()
    names = [each.service for each in sides if each.service]
    found = {name: await read(kube, Target(SERVICE, ask.owner.namespace, name)) for name in names}
    return {name: service for name, service in found.items() if service}


def odd_one(shares: Iterable[int | None], asked: int) -> int | None:
    """What differs from what was asked if anything does."""
    seen = list(shares)
    return next((share for share in seen if share != asked), seen[0] if seen else None)


def named(config: object, what: str) -> str:
    """A name that must be given."""
    if not isinstance(config, str) or not config:
        raise Refused(f"{what} is {config!r}; it must be the name of an object", lasting=True)
    return config


def one_or_several(one: object, several: object, *, what: str) -> list[str]:
    """`ingress` or `ingresses`, and the like: exactly one of the two forms."""
    if bool(one) == bool(several):
        given = "both are" if one else "neither is"
        raise Refused(f"{what}: {given} given; it must be exactly one of the two", lasting=True)
    return [named(each, what) for each in (several if isinstance(several, list) and several else [one])]
