"""Traefik: weights in a TraefikService (`argo-behaviour.md` 9.5).

Two entries of `spec.weighted.services` are ours, by name; the peer writes the object on every pass, this one only if it differs.
The group is `traefik.io` since Traefik 2.10, and `traefik.containo.us` before 3: where the newer one has no TraefikService of that
name the older one is looked at. The peer has a flag for it (AR#3615).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from tidegate.kube.kinds import Kind, Object
from tidegate.messages import Record, RouterReport
from tidegate_shifter.changes import Change, carry_out, look, named
from tidegate_shifter.router import Ask, Feature, Refused
from tidegate_shifter.writing import Api, Target, read

NAME: Final = "traefik"
TRAEFIK_SERVICE: Final = Kind("traefik.io", "v1alpha1", "traefikservices", "TraefikService")
OLDER: Final = Kind("traefik.containo.us", "v1alpha1", "traefikservices", "TraefikService")

Json = Mapping[str, Any]


def patched(manifest: Object | None, *, target: Target, ask: Ask) -> Object:
    """The TraefikService with this split; the same again when applied to its own result."""
    if manifest is None:
        raise _refused(f"{target} does not exist; rollout {ask.owner} sends its traffic through it")
    weighted = manifest["spec"].get("weighted") or {}
    services = weighted.get("services")
    if not services:
        raise _refused(f"spec.weighted.services was not found in traefik service manifest; {target} needs it")
    weights: dict[int, int] = {}
    for what, side in (("canary", ask.split.canary), ("stable", ask.split.stable)):
        place = _place_of(side.service, services, ask)
        if place is None:
            raise _refused(f"traefik {what} service was not found; {target} must have {side.service!r} in spec.weighted.services")
        weights[place] = side.weight
    made = [{**entry, "weight": weights[place]} if place in weights else entry for place, entry in enumerate(services)]
    return {**manifest, "spec": {**manifest["spec"], "weighted": {**weighted, "services": made}}}


def _place_of(service: str | None, services: Sequence[Json], ask: Ask) -> int | None:
    """Of the Service, in the Rollout's namespace; else of a TraefikService of that name, since the peer goes by names alone."""
    namespaces = (None, "", ask.owner.namespace)
    here = [place for place, each in enumerate(services) if each.get("name") == service and each.get("namespace") in namespaces]
    return min(here, key=lambda place: services[place].get("kind", "Service") != "Service", default=None)


def _refused(reason: str) -> Refused:
    return Refused(reason, records=(Record(type="Warning", reason="TraefikServiceUpdateError", message=reason),))


def canary_share(manifest: Object, *, ask: Ask) -> int:
    services = (manifest["spec"].get("weighted") or {}).get("services") or ()
    place = _place_of(ask.split.canary.service, services, ask)
    return 0 if place is None else services[place].get("weight", 1)


class Traefik:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset({Feature.STICKINESS})
    remarks: ClassVar[Mapping[Feature, str]] = {Feature.STICKINESS: "`sticky` of the TraefikService"}

    def __init__(self, kube: Api) -> None:
        self._kube = kube

    async def apply(self, ask: Ask) -> RouterReport:
        return await carry_out(self._kube, NAME, [await self._change(ask)], ask)

    async def observed(self, ask: Ask) -> RouterReport:
        return await look(self._kube, NAME, [await self._change(ask)], ask)

    async def _change(self, ask: Ask) -> Change:
        newer, older = change(ask), change(ask, kind=OLDER)
        is_older = await read(self._kube, newer.target) is None and await read(self._kube, older.target) is not None
        return older if is_older else newer


def change(ask: Ask, *, kind: Kind = TRAEFIK_SERVICE) -> Change:
    name = named(ask.config.get("weightedTraefikServiceName"), f"{NAME}: weightedTraefikServiceName")
    target = Target(kind, ask.owner.namespace, name)
    return Change(target=target, wanted=partial(patched, target=target, ask=ask), share=partial(canary_share, ask=ask))
