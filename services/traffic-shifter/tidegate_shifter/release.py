"""Objects of Rollouts that are gone, or name them no more, get back what was taken from them (`argo-behaviour.md` 9.10).

Such a Service still chooses the pods of one ReplicaSet, which go with the Rollout: it would lead nowhere. The hash leaves its
selector, and our annotations go; what routers left is in `leftovers.py`. No message says that a Rollout was deleted while everyone
was away, so objects are looked through now and then; a Rollout is read anew before its object is touched, and the write is for just
the object that was read.
"""

import asyncio
import random
from collections.abc import Iterator, Mapping
from typing import Any, Final

import structlog

from tidegate.config import Settings
from tidegate.errors import KubeError
from tidegate.keys import FENCE, MANAGED_BY, POD_TEMPLATE_HASH
from tidegate.kube.errors import Forbidden
from tidegate.kube.kinds import ROLLOUT, SERVICE, Object
from tidegate.kube.patches import merge_difference
from tidegate_shifter.fence import annotation_of, entries, entries_text, with_annotation
from tidegate_shifter.leftovers import LEFTOVERS, Leftover, holders_left
from tidegate_shifter.router import Owner
from tidegate_shifter.writing import Api, Target, read

RESYNCS: Final = 10
"""How many resyncs between two looks: one list of all Services, which few of them need."""

log = structlog.get_logger(__name__)


class Releases:
    """`run` for as long as the service lives; any number of replicas may do it at once."""

    def __init__(self, kube: Api, settings: Settings) -> None:
        self._kube = kube
        self._settings = settings

    async def run(self) -> None:
        while True:
            try:
                await self.sweep()
                for leftover in LEFTOVERS.values():
                    await self.sweep_routes(leftover)
            except KubeError as error:
                log.warning("release.postponed", reason=str(error))
            await asyncio.sleep(RESYNCS * self._settings.resync * random.uniform(0.8, 1.2))  # noqa: S311 - spreads replicas

    async def sweep(self) -> None:
        services, _ = await self._kube.list(SERVICE, self._settings.namespace)
        for service in services:
            if (rollout := annotation_of(service, MANAGED_BY)) and not _has_owner(service):
                await self._look_at(service, rollout)

    async def sweep_routes(self, leftover: Leftover) -> None:
        """Of one router. Nobody asks for what the cluster does not serve; what may not be read is somebody else's."""
        if not await self._kube.serves(leftover.sign):
            return
        try:
            found, _ = await self._kube.list(leftover.kind, self._settings.namespace)
        except Forbidden as error:
            log.debug("release.left-alone", kind=str(leftover.kind), reason=str(error))
            return
        for each in found:
            if holders := leftover.holders(each):
                await self._look_at_route(leftover, each, holders)

    async def _look_at_route(self, leftover: Leftover, found: Object, holders: set[str]) -> None:
        namespace, name = found["metadata"]["namespace"], found["metadata"]["name"]
        try:
            rollouts = {each: await read(self._kube, Target(ROLLOUT, namespace, each)) for each in sorted(holders)}
            staying = list(holders_left(rollouts.values(), leftover, name))
            gone = set(holders) - {each["metadata"]["name"] for each in staying}
            wish = found
            for rollout in sorted(gone):
                wish = leftover.released(wish, Owner(namespace=namespace, name=rollout, uid=""), staying)
            if patch := merge_difference(found, wish):
                version = found["metadata"]["resourceVersion"]
                await self._kube.merge_patch(leftover.kind, namespace, name, patch, resource_version=version)
                log.info("release.done", kind=leftover.kind.kind, object=f"{namespace}/{name}", rollouts=sorted(gone))
        except KubeError as error:
            log.info("release.postponed", kind=leftover.kind.kind, object=f"{namespace}/{name}", reason=str(error))

    async def _look_at(self, service: Object, rollout: str) -> None:
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        try:
            found = await read(self._kube, Target(ROLLOUT, namespace, rollout))
            if found is not None and (name in (named := named_services(found)) or not named):
                return  # a Rollout that names none may be half written
            version = service["metadata"]["resourceVersion"]
            patch = merge_difference(service, released(service, f"{namespace}/{rollout}"))
            await self._kube.merge_patch(SERVICE, namespace, name, patch, resource_version=version)
        except KubeError as error:  # changed meanwhile, or away for a moment: there is a next time
            log.info("release.postponed", service=f"{namespace}/{name}", reason=str(error))
            return
        log.info("release.done", service=f"{namespace}/{name}", rollout=rollout)


def released(service: Object, owner: str) -> Object:
    """The Service as it was before the Rollout took it over. Pure."""
    spec = service.get("spec", {})
    selector = {key: value for key, value in (spec.get("selector") or {}).items() if key != POD_TEMPLATE_HASH}
    fences = {key: value for key, value in entries(annotation_of(service, FENCE)).items() if key != owner}
    left = with_annotation(with_annotation(service, MANAGED_BY, None), FENCE, entries_text(fences))
    return {**left, "spec": {**spec, "selector": selector}}


def named_services(rollout: Object) -> set[str]:
    """Every Service that a Rollout names, in whatever strategy. Pure."""
    strategy = _under(_under(rollout, "spec"), "strategy")
    canary, blue_green = _under(strategy, "canary"), _under(strategy, "blueGreen")
    return {
        *_names(canary, "stableService", "canaryService"),
        *_names(blue_green, "activeService", "previewService"),
        *_names(_under(canary, "pingPong"), "pingService", "pongService"),
    }


def _under(value: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    found = value.get(field)
    return found if isinstance(found, Mapping) else {}


def _names(value: Mapping[str, Any], *fields: str) -> Iterator[str]:
    yield from (value[each] for each in fields if isinstance(value.get(each), str))


def _has_owner(service: Object) -> bool:
    """An experiment's Service goes with its owner."""
    return any(each.get("controller") for each in service["metadata"].get("ownerReferences") or ())
