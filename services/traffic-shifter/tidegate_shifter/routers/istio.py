"""Istio: weights in VirtualServices, by host or by the subsets of a DestinationRule; header and mirror routes.

What the objects must look like is `tidegate_shifter.istio_routes` and `istio_subsets`. Here: which objects, and in which order. A
stage begins only when the one before it is through: traffic goes to a subset that chooses the right pods, or stays.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Final

from tidegate.kube.kinds import DESTINATION_RULE, VIRTUAL_SERVICE, Object
from tidegate.messages import RouterReport
from tidegate_shifter import istio_routes, istio_subsets
from tidegate_shifter.changes import Change, carry_out, experiment_services, look, named
from tidegate_shifter.easing import least
from tidegate_shifter.istio_routes import Choice, Context, Subsets
from tidegate_shifter.router import Ask, Feature, Refused
from tidegate_shifter.writing import Api, Target, read

NAME: Final = "istio"
NONE_KNOWN: Final[Mapping[str, Object]] = {}


def virtual_services_in(ask: Ask, known: Mapping[str, Object] = NONE_KNOWN) -> list[Context]:
    one, several = ask.config.get("virtualService"), ask.config.get("virtualServices")
    if bool(one) == bool(several):
        given = "both are" if one else "neither is"
        raise Refused(f"{NAME}: {given} given; it must be either virtualService or virtualServices", lasting=True)
    return [replace(_virtual_service(each, ask), services=known) for each in (several or [one])]


def _virtual_service(config: Mapping[str, Any], ask: Ask) -> Context:
    full = named(config.get("name"), f"{NAME}: virtualService.name")
    name, _, namespace = full.rpartition(".") if "." in full else (full, "", "")
    return Context(
        owner=ask.owner,
        split=ask.split,
        target=Target(VIRTUAL_SERVICE, namespace or ask.owner.namespace, name),
        choice=Choice(
            http=tuple(config.get("routes") or ()),
            tls=tuple(config.get("tlsRoutes") or ()),
            tcp=tuple(config.get("tcpRoutes") or ()),
        ),
        subsets=_subsets(ask),
    )


def _subsets(ask: Ask) -> Subsets:
    rule = ask.config.get("destinationRule")
    if not rule:
        return Subsets()
    return Subsets(
        canary=named(rule.get("canarySubsetName"), f"{NAME}: destinationRule.canarySubsetName"),
        stable=named(rule.get("stableSubsetName"), f"{NAME}: destinationRule.stableSubsetName"),
        additional=frozenset(rule.get("additionalSubsetNames") or ()),
    )


def services(ask: Ask, known: Mapping[str, Object] = NONE_KNOWN) -> list[Change]:
    """`known`: the Services whose ports an experiment's destinations are given by."""
    return [
        Change(
            target=context.target,
            wanted=partial(istio_routes.patched, context=context),
            share=partial(istio_routes.canary_share, context=context),
            records=istio_routes.records_of(context),
        )
        for context in virtual_services_in(ask, known)
    ]


def rules(ask: Ask, *, ahead: bool) -> list[Change]:
    rule = ask.config.get("destinationRule")
    if not rule:
        return []
    target = Target(DESTINATION_RULE, ask.owner.namespace, named(rule.get("name"), f"{NAME}: destinationRule.name"))
    context = Context(owner=ask.owner, split=ask.split, target=target, subsets=_subsets(ask))
    wanted = partial(istio_subsets.patched, context=context, ahead=ahead)
    return [Change(target=target, wanted=wanted, records=istio_subsets.records_of(context))]


class Istio:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset(
        {Feature.HEADER_ROUTES, Feature.MIRROR_ROUTES, Feature.ADDITIONAL_DESTINATIONS}
    )
    remarks: ClassVar[Mapping[Feature, str]] = {}

    def __init__(self, kube: Api) -> None:
        self._kube = kube

    async def apply(self, ask: Ask) -> RouterReport:
        await carry_out(self._kube, NAME, rules(ask, ahead=True), ask)
        report = await carry_out(self._kube, NAME, services(ask, await experiment_services(self._kube, ask)), ask)
        await carry_out(self._kube, NAME, rules(ask, ahead=False), ask)
        return report

    async def observed(self, ask: Ask) -> RouterReport:
        return await look(self._kube, NAME, services(ask), ask)

    async def additional(self, ask: Ask) -> Mapping[str, int]:
        found = [(context, await read(self._kube, context.target)) for context in virtual_services_in(ask)]
        return least(each for context, vs in found if vs for each in istio_routes.additional_in(vs, context))
