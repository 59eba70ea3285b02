"""One request for traffic, carried out: Services first, then every router, then an answer for each of them.

Nothing here knows the bus. `Shifter.shift` may be called any number of times with the same request; it writes only what differs.

What one part cannot do does not stop the others, with one exception: while a Service does not choose the pods it should, or its
target group at AWS does not hold them, or they are no endpoints yet, no traffic is moved to the canary (it would go to pods of
another revision, or to none). A split that gives the canary nothing goes through all the same, because an abort must not wait for
a Service that somebody deleted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from tidegate.errors import KubeError, Retry, UnknownName
from tidegate.kube.errors import Transient
from tidegate.messages import Record, Router, RouterReport, Split, TrafficApplied, TrafficRequested
from tidegate_shifter import endpoints
from tidegate_shifter.easing import SECONDS, between
from tidegate_shifter.router import Ask, KnowsAdditional, Owner, Refused, Stale, TrafficRouter, needed_features, split_within
from tidegate_shifter.seen_through import SeenThrough
from tidegate_shifter.services import switch_services
from tidegate_shifter.target_groups import TargetGroups
from tidegate_shifter.writing import Api

State = Literal["applied", "pending", "failed"]
FROM_BEST_TO_WORST: Final[tuple[State, ...]] = ("applied", "pending", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """What came of a request. `again` says why it is worth trying or looking again, "" that only a new request can change it."""

    answer: TrafficApplied
    records: tuple[Record, ...] = ()
    again: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    """What came of one router."""

    report: RouterReport
    again: bool
    records: tuple[Record, ...] = ()


def _ignore(_record: Record) -> None:
    """Not everyone wants to hear of it."""


_Routing = Callable[[str, TrafficRouter, Ask], Awaitable[_Part]]


class Shifter:
    """Holds one instance of each router; `routers` is the registry. `target_groups` where AWS is asked about them."""

    def __init__(
        self,
        *,
        kube: Api,
        routers: Mapping[str, Callable[[Api], TrafficRouter]],
        target_groups: TargetGroups | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._kube = kube = SeenThrough(kube)
        self._routers = {name: build(kube) for name, build in routers.items()}
        self._target_groups = target_groups
        self._endpoints = endpoints.Endpoints(kube, sleep=sleep)
        self._sleep = sleep

    async def shift(self, request: TrafficRequested, *, did: Callable[[Record], None] = _ignore) -> Shift:
        """`did` hears at once of what is done: the answer is lost to whoever stops to wait for it."""
        owner = Owner(namespace=request.namespace, name=request.name, uid=request.uid)
        records, problems = await switch_services(self._kube, request.services, owner=owner, fence=request.fence)
        for record in records:
            did(record)
        parts = [] if problems else [*await self._registered(request, owner), *await self._reachable(request, owner)]
        unready = bool(problems) or any(part.again for part in parts)
        if request.split is not None:
            blocked = unready and not _gives_the_canary_nothing(request.split)
            route = self._look if blocked else self._route
            asked = [
                (each, Ask(owner=owner, fence=request.fence, split=each.split or request.split, config=each.config, tell=did))
                for each in request.routers
            ]
            routed = (self._part(route, each, ask) for each, ask in asked)
            parts += _results(await asyncio.gather(*routed, return_exceptions=True))
        reports = tuple(part.report for part in parts)
        troubles = [f"{report.router}: {report.message}" for report in reports if report.state != "applied"]
        answer = TrafficApplied(
            namespace=request.namespace,
            name=request.name,
            uid=request.uid,
            fence=request.fence,
            digest=request.digest,
            state=worst_of(*(state_of(problem) for problem in problems), *(report.state for report in reports)),
            reports=reports,
            message="; ".join([*map(str, problems), *troubles]),
        )
        worthwhile = any(map(may_pass, problems)) or any(part.again for part in parts)
        records += [record for part in parts for record in part.records]
        return Shift(answer=answer, records=tuple(records), again=answer.message or answer.state if worthwhile else "")

    async def _registered(self, request: TrafficRequested, owner: Owner) -> list[_Part]:
        """What AWS has of the Services' pods; a Service that was switched sends nobody to them before."""
        if self._target_groups is None or not request.services:
            return []
        report, records = await self._target_groups.report(request.services, owner)
        return [] if report is None else [_Part(report, again=report.state != "applied", records=tuple(records))]

    async def _reachable(self, request: TrafficRequested, owner: Owner) -> list[_Part]:
        """Told only where it has to be waited for."""
        if request.split is None or _gives_the_canary_nothing(request.split):
            return []
        splits = [each.split or request.split for each in request.routers]
        waits_for = await self._endpoints.awaited([each for place, each in enumerate(splits) if each not in splits[:place]], owner)
        report = RouterReport(router=endpoints.NAME, state="pending", verified=False, message=waits_for)
        return [_Part(report, again=True)] if waits_for else []

    async def _part(self, route: _Routing, named: Router, asked: Ask) -> _Part:
        router = self._routers.get(named.router)
        if router is None:
            unknown = UnknownName("traffic router", named.router, self._routers)
            return _Part(RouterReport(router=named.router, state="failed", message=str(unknown)), again=False)
        told: list[Record] = []

        def tell(record: Record) -> None:
            told.append(record)
            asked.tell(record)

        split = split_within(asked.split, router.supports)
        part = await route(named.router, router, replace(asked, split=split, tell=tell))
        part = replace(part, records=(*told, *part.records))
        if part.report.state == "failed" or not (left_out := ", ".join(sorted(needed_features(asked.split) - router.supports))):
            return part
        message = "; ".join(filter(None, [part.report.message, f"left out, since it cannot do them: {left_out}"]))
        return replace(part, report=part.report.model_copy(update={"message": message}))

    async def _route(self, name: str, router: TrafficRouter, ask: Ask) -> _Part:
        try:
            report = await self._applied(router, ask)
        except Stale as stale:
            weight = await _seen_weight(router, ask)
            return _Part(RouterReport(router=name, state="failed", weight=weight, message=str(stale)), again=False)
        except (Refused, KubeError, Retry) as problem:
            part = _Part(RouterReport(router=name, state=state_of(problem), message=str(problem)), again=may_pass(problem))
            return part if part.report.state == "pending" else replace(part, records=warnings_of(problem))
        return _Part(report, again=report.state != "applied")

    async def _applied(self, router: TrafficRouter, ask: Ask) -> RouterReport:
        """By way of a split that tells the data plane what is to come, and what is to go."""
        if eased := between(await _additional(router, ask), ask.split):
            await router.apply(replace(ask, split=eased, tell=_ignore))
            await self._sleep(SECONDS)
        return await router.apply(ask)

    async def _look(self, name: str, router: TrafficRouter, ask: Ask) -> _Part:
        weight = await _seen_weight(router, ask)
        return _Part(RouterReport(router=name, state="pending", weight=weight, message="left as it is"), again=False)


def _results(parts: Iterable[_Part | BaseException]) -> list[_Part]:
    """Of routers of which none is left half-way, whatever became of another."""
    done: list[_Part] = []
    for each in parts:
        if isinstance(each, BaseException):
            raise each
        done.append(each)
    return done


def worst_of(*states: State) -> State:
    return max(states, key=FROM_BEST_TO_WORST.index, default="applied")


def state_of(problem: Exception) -> State:
    """An API server that is away for a moment has refused nothing: what was asked is still to come."""
    return "pending" if isinstance(problem, Transient | Retry) else "failed"


def may_pass(problem: Exception) -> bool:
    """Whether the same request may succeed later: a missing object may be created, a permission granted, a conflict end."""
    return not (isinstance(problem, Refused) and problem.lasting)


def warnings_of(problem: Exception) -> tuple[Record, ...]:
    """The Events of a refusal: its own, and the one that stands for every kind of it."""
    own = problem.records if isinstance(problem, Refused) else ()
    return (*own, Record(type="Warning", reason="TrafficRoutingError", message=str(problem)))


def _gives_the_canary_nothing(split: Split) -> bool:
    return not (split.canary.weight or split.additional or split.header_routes or split.mirror_routes)


async def _additional(router: TrafficRouter, ask: Ask) -> Mapping[str, int]:
    """What cannot be read now cannot be written either, and it is then that it is said."""
    if not isinstance(router, KnowsAdditional):
        return {each.service or "": each.weight for each in ask.split.additional}
    try:
        return await router.additional(ask)
    except (Refused, KubeError):
        return {}


async def _seen_weight(router: TrafficRouter, ask: Ask) -> int | None:
    try:
        return (await router.observed(ask)).weight
    except (Refused, KubeError):
        return None
