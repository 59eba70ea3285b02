"""Traefik: weights in a TraefikService (`argo-behaviour.md` 9.5).

Two entries of `spec.weighted.services` are ours, by name; the peer writes the object on every pass, this one only if it differs.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

from tidegate.kube.kinds import Kind, Object
from tidegate.messages import Record, RouterReport
from tidegate_shifter.changes import Change, carry_out, look, named
from tidegate_shifter.router import Ask, Feature, Refused
from tidegate_shifter.writing import Api, Target

NAME: Final = "traefik"
TRAEFIK_SERVICE: Final = Kind("traefik.io", "v1alpha1", "traefikservices", "TraefikService")

Json = Mapping[str, Any]


def patched(manifest: Object | None, *, target: Target, ask: Ask) -> Object:
    """The TraefikService with this split; the same again when applied to its own result."""
    if manifest is None:
        raise _refused(f"{target} does not exist; rollout {ask.owner} sends its traffic through it")
    weighted = manifest["spec"].get("weighted") or {}
    services = weighted.get("services")
    if not services:
        raise _refused(f"spec.weighted.services was not found in traefik service manifest; {target} needs it")
    sides = {"canary": ask.split.canary, "stable": ask.split.stable}
    for what, side in sides.items():
        if not any(_is(entry, side.service, ask) for entry in services):
            raise _refused(f"traefik {what} service was not found; {target} must have {side.service!r} in spec.weighted.services")
    made = []
    for entry in services:
        weight = next((side.weight for side in sides.values() if _is(entry, side.service, ask)), None)
        made.append(entry if weight is None else {**entry, "weight": weight})
    return {**manifest, "spec": {**manifest["spec"], "weighted": {**weighted, "services": made}}}


def _is(entry: Json, service: str | None, ask: Ask) -> bool:
    """A Service of the Rollout's namespace; another TraefikService may have the same name."""
    here = entry.get("namespace") in (None, "", ask.owner.namespace)
    return entry.get("name") == service and entry.get("kind", "Service") == "Service" and here


def _refused(reason: str) -> Refused:
    return Refused(reason, records=(Record(type="Warning", reason="TraefikServiceUpdateError", message=reason),))


def canary_share(manifest: Object, *, ask: Ask) -> int:
    services = (manifest["spec"].get("weighted") or {}).get("services") or ()
    return next((each.get("weight", 1) for each in services if _is(each, ask.split.canary.service, ask)), 0)


class Traefik:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset({Feature.STICKINESS})
    remarks: ClassVar[Mapping[Feature, str]] = {Feature.STICKINESS: "`sticky` of the TraefikService"}

    def __init__(self, kube: Api) -> None:
        self._kube = kube

    async def apply(self, ask: Ask) -> RouterReport:
        return await carry_out(self._kube, NAME, [change(ask)], ask)

    async def observed(self, ask: Ask) -> RouterReport:
        return await look(self._kube, NAME, [change(ask)], ask)


def change(ask: Ask) -> Change:
    name = named(ask.config.get("weightedTraefikServiceName"), f"{NAME}: weightedTraefikServiceName")
    target = Target(TRAEFIK_SERVICE, ask.owner.namespace, name)
    return Change(target=target, wanted=partial(patched, target=target, ask=ask), share=partial(canary_share, ask=ask))
