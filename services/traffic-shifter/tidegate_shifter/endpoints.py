"""Whether the pods that are to get traffic can be reached yet: they are ready in the EndpointSlices (N14, AR#1026, AR#2507).

A ReplicaSet counts a pod as available as soon as the kubelet says so; the EndpointSlices, which every data plane goes by, follow a
moment later, or seconds on a busy control plane. Weight that arrives before them is answered 503: through Envoy 82 of 15,864
requests of one canary were.

Only what can be known is waited for. Where the pods of the stable version are in no EndpointSlice either, nobody keeps them up to
date here, and their silence about the canary says nothing. Pods are told apart by their names, which begin with the ReplicaSet's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from tidegate.errors import KubeError
from tidegate.kube.kinds import ENDPOINT_SLICE, Object
from tidegate.messages import Split
from tidegate_shifter.router import Owner
from tidegate_shifter.writing import Api

NAME: Final = "endpoints"
OF_SERVICE: Final = "kubernetes.io/service-name"
PAUSES: Final = (0.05, 0.1, 0.2, 0.3, 0.35)
"""Seconds between looks. Within the first second it is no news that they are behind; they always are."""
LONGEST_BASE: Final = 58
"""Characters of a generated pod name that are its ReplicaSet's; the API server cuts off the rest to make room for its own five."""


class Endpoints:
    def __init__(self, kube: Api, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._kube = kube
        self._sleep = sleep

    async def awaited(self, splits: Sequence[Split], owner: Owner) -> str:
        """What these splits must wait for, "" if for nothing that can be seen."""
        for pause in (*PAUSES, None):
            waits = [text for split in splits if (text := await self._waits_for(split, owner))]
            if not waits or pause is None:
                break
            await self._sleep(pause)
        return "; ".join(dict.fromkeys(waits))

    async def _waits_for(self, split: Split, owner: Owner) -> str:
        services = [each.service for each in (split.stable, split.canary, *split.additional)]
        named = all(services) and f"{OF_SERVICE} in ({','.join(sorted({each for each in services if each}))})"
        try:
            slices, _ = await self._kube.list(ENDPOINT_SLICE, owner.namespace, labels=named or None)
        except KubeError:
            return ""  # not granted or not there: then it cannot be waited for
        return missing(split, owner, slices)


# --- pure ----------------------------------------------------------------------------------------------------------------


def missing(split: Split, owner: Owner, slices: Iterable[Object]) -> str:
    """Which destination with a weight has no ready endpoint, "" if all have, or if nothing is known of the stable version's."""
    ready = {(service, pod) for each in slices for service, pod in _ready_in(each)}
    if not _is_there(ready, split.stable.service, _pods_of(owner, split.stable.hash)):
        return ""
    routes = split.header_routes or split.mirror_routes
    if (split.canary.weight or routes) and not _is_there(ready, split.canary.service, _pods_of(owner, split.canary.hash)):
        behind = f"Service {split.canary.service}" if split.canary.service else "any Service"
        return f"no pod of {split.canary.hash} is a ready endpoint of {behind} yet"
    for each in split.additional:  # pods of an experiment have other names, and its Services have no other pods
        if each.weight and each.service and not _is_there(ready, each.service, ""):
            return f"Service {each.service} has no ready endpoint yet"
    return ""


def _ready_in(manifest: Object) -> Iterable[tuple[str, str]]:
    service = (manifest["metadata"].get("labels") or {}).get(OF_SERVICE, "")
    for endpoint in manifest.get("endpoints") or ():
        if (endpoint.get("conditions") or {}).get("ready") is not False:  # unset means ready
            yield service, str((endpoint.get("targetRef") or {}).get("name", ""))


def _pods_of(owner: Owner, template_hash: str) -> str:
    return f"{owner.name}-{template_hash}-"[:LONGEST_BASE]


def _is_there(ready: Iterable[tuple[str, str]], service: str | None, pods: str) -> bool:
    return any(pod.startswith(pods) and service in (None, "", of) for of, pod in ready)
