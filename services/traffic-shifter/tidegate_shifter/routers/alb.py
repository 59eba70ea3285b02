"""AWS Application Load Balancer: weights in the action annotation of each Ingress (`argo-behaviour.md` 9.2).

What an Ingress must look like is `tidegate_shifter.alb_actions`. Every named Ingress is written; the peer stops at the first that
needs no change. Where the installation says so (TIDEGATE_AWS_VERIFY_TARGET_GROUP), AWS is asked whether its load balancers do what
was written, each time: also for an abort, whose pods must not go before (AR#3926).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import ClassVar, Final

from tidegate.kube.kinds import INGRESS, Object
from tidegate.messages import Record, RouterReport, Split
from tidegate_shifter import alb_verification
from tidegate_shifter.alb_actions import Context, canary_share, patched, records_of, weights_in
from tidegate_shifter.alb_verification import Verdict
from tidegate_shifter.changes import Change, carry_out, experiment_services, look, odd_one, one_or_several
from tidegate_shifter.easing import beside, least
from tidegate_shifter.load_balancers import LoadBalancers, NotAnswered
from tidegate_shifter.router import Ask, Feature, Owner, Refused
from tidegate_shifter.writing import Api, Target, read

NAME: Final = "alb"


PAUSE: Final = timedelta(seconds=2)
"""Between two looks at a load balancer that was not there yet: the controller needs seconds, and AWS counts questions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whom to ask, and the tag by which the controller marks target groups (the peer's --alb-tag-key-resource-id)."""

    load_balancers: LoadBalancers
    clock: Callable[[], datetime]
    tag: str = "ingress.k8s.aws/resource"


def contexts(ask: Ask, services: Mapping[str, Object]) -> list[Context]:
    config = ask.config
    if not config.get("servicePort"):
        raise Refused(f"{NAME}: servicePort is {config.get('servicePort')!r}; it must be a port of the Services", lasting=True)
    names = one_or_several(config.get("ingress"), config.get("ingresses"), what=f"{NAME}: ingress, ingresses")
    targets = [Target(INGRESS, ask.owner.namespace, name) for name in names]
    return [Context(owner=ask.owner, split=ask.split, target=target, config=config, services=services) for target in targets]


def changes(found: Iterable[Context]) -> list[Change]:
    return [
        Change(
            target=context.target,
            wanted=partial(patched, context=context),
            share=partial(canary_share, context=context),
            records=partial(records_of, context=context),
        )
        for context in found
    ]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What AWS had not done when it was last asked. Only such an answer is used again: that it was done is always seen anew."""

    split: Split
    at: datetime
    report: RouterReport


class Alb:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset(
        {Feature.HEADER_ROUTES, Feature.ADDITIONAL_DESTINATIONS, Feature.VERIFICATION, Feature.STICKINESS}
    )
    remarks: ClassVar[Mapping[Feature, str]] = {
        Feature.HEADER_ROUTES: "`exact` only",
        Feature.VERIFICATION: "AWS is asked, with `TIDEGATE_AWS_VERIFY_TARGET_GROUP`",
        Feature.STICKINESS: "`stickinessConfig`",
    }

    def __init__(self, kube: Api, verification: Verification | None = None) -> None:
        self._kube = kube
        self._verification = verification
        self._waiting: dict[Owner, _Waiting] = {}

    async def apply(self, ask: Ask) -> RouterReport:
        written: list[Record] = []

        def tell(record: Record) -> None:
            written.append(record)
            ask.tell(record)

        found = await self._contexts(ask)
        report = await carry_out(self._kube, NAME, changes(found), replace(ask, tell=tell))
        if self._verification is None or report.state != "applied":
            return report
        return await self._verified(self._verification, found, ask, changed=bool(written))

    async def observed(self, ask: Ask) -> RouterReport:
        return await look(self._kube, NAME, changes(await self._contexts(ask)), ask)

    async def additional(self, ask: Ask) -> Mapping[str, int]:
        found = [(context, await read(self._kube, context.target)) for context in contexts(ask, {})]
        return least(beside(ask.split, weights_in(ingress, context)) for context, ingress in found if ingress)

    async def _contexts(self, ask: Ask) -> list[Context]:
        return contexts(ask, await experiment_services(self._kube, ask))

    # --- what AWS says -------------------------------------------------------------------------------------------------

    async def _verified(self, verification: Verification, contexts: Iterable[Context], ask: Ask, *, changed: bool) -> RouterReport:
        held, now = self._waiting.pop(ask.owner, None), verification.clock()
        if held is not None and held.split == ask.split and not changed and now - held.at < PAUSE:
            self._waiting[ask.owner] = held
            return held.report
        verdicts = [await self._verdict(verification, context) for context in contexts]
        report = reported(verdicts, ask)
        if not report.verified:
            self._waiting[ask.owner] = _Waiting(ask.split, now, report)
        if held is not None or changed or not report.verified:  # that it is still so is no news
            for record in [each for verdict in verdicts for each in verdict.records]:
                if report.verified or record.type == "Warning":
                    ask.tell(record)
        return report

    async def _verdict(self, verification: Verification, context: Context) -> Verdict:
        ingress = await read(self._kube, context.target)
        names = alb_verification.hostnames(ingress or {})
        if not names:
            return alb_verification.unallocated(context)
        verdicts = [await self._asked(verification, name, context) for name in names]
        return next((each for each in verdicts if each.problem), verdicts[-1])

    async def _asked(self, verification: Verification, name: str, context: Context) -> Verdict:
        balancers = verification.load_balancers
        try:
            found = await balancers.find(name)
            if found is None:
                return alb_verification.unknown(name, context)
            groups, forwards = await balancers.target_groups(found.arn), await balancers.forwards(found.arn)
        except NotAnswered as error:
            balancers.forget(name)
            return alb_verification.unanswered(error, context)
        return alb_verification.judged(found, groups, forwards, context, tag=verification.tag)


def reported(verdicts: Sequence[Verdict], ask: Ask) -> RouterReport:
    """One answer for all Ingresses: verified when each is. Pure."""
    problems = [each.problem for each in verdicts if each.problem]
    statuses = [dict(each.status) for each in verdicts if each.status]
    return RouterReport(
        router=NAME,
        state="pending" if problems else "applied",
        weight=odd_one((each.weight for each in verdicts if each.weight is not None), ask.split.canary.weight),
        verified=not problems,
        message="; ".join(problems),
        status={"alb": statuses[-1], "albs": statuses} if statuses else {},
    )
