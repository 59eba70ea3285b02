"""AWS Application Load Balancer: weights in the action annotation of each Ingress (`argo-behaviour.md` 9.2).

What an Ingress must look like is `tidegate_shifter.alb_actions`. Every named Ingress is written; the peer stops at the first that
needs no change. Asking AWS which weights its target groups have (`--aws-verify-target-group`) is not here yet: nothing is verified.
"""

from functools import partial
from typing import ClassVar, Final

from tidegate.kube.kinds import INGRESS
from tidegate.messages import RouterReport
from tidegate_shifter.alb_actions import Context, canary_share, patched, records_of
from tidegate_shifter.changes import Change, carry_out, look, one_or_several
from tidegate_shifter.router import Ask, Feature, Refused
from tidegate_shifter.writing import Api, Target

NAME: Final = "alb"


def changes(ask: Ask) -> list[Change]:
    config = ask.config
    if not config.get("servicePort"):
        raise Refused(f"{NAME}: servicePort is {config.get('servicePort')!r}; it must be a port of the Services", lasting=True)
    names = one_or_several(config.get("ingress"), config.get("ingresses"), what=f"{NAME}: ingress, ingresses")
    targets = [Target(INGRESS, ask.owner.namespace, name) for name in names]
    contexts = [Context(owner=ask.owner, split=ask.split, target=target, config=config) for target in targets]
    return [
        Change(
            target=context.target,
            wanted=partial(patched, context=context),
            share=partial(canary_share, context=context),
            records=partial(records_of, context=context),
        )
        for context in contexts
    ]


class Alb:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset({Feature.HEADER_ROUTES, Feature.ADDITIONAL_DESTINATIONS})

    def __init__(self, kube: Api) -> None:
        self._kube = kube

    async def apply(self, ask: Ask) -> RouterReport:
        return await carry_out(self._kube, NAME, changes(ask), ask)

    async def observed(self, ask: Ask) -> RouterReport:
        return await look(self._kube, NAME, changes(ask), ask)
