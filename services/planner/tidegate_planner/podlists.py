"""The pods of one rollout, listed while a decision needs them (`podneeds`): no watch, no cache of what a cluster has most of.

A list is used for a second, with our own writes put into it: while hundreds of pods are restarted their ReplicaSet's counts wake
the planner many times a second, and each list would be as long as the rollout is large.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from tidegate import keys
from tidegate.kube.client import Objects
from tidegate.kube.errors import Forbidden
from tidegate.kube.kinds import POD, Kind
from tidegate.rollout import selector_text
from tidegate_planner.podneeds import needs_pods, with_pods
from tidegate_planner.seen import Pod, Seen

Json = Mapping[str, Any]
FRESH_FOR = 1.0  # seconds

log = structlog.get_logger(__name__)


class Lists(Protocol):
    """The part of `tidegate.kube.client.Kube` that is used here."""

    async def list(self, kind: Kind, namespace: str | None = None, labels: str | None = None) -> tuple[Objects, str]: ...


@dataclass(slots=True)
class _Listed:
    at: float
    pods: dict[str, Pod]
    reused: bool = False


class Pods:
    def __init__(self, kube: Lists, clock: Callable[[], float]) -> None:
        self._kube = kube
        self._clock = clock
        self._listed: dict[str, _Listed] = {}

    async def look(self, seen: Seen, now: float) -> Seen:
        """The same view, with the pods where the decision needs them."""
        return with_pods(seen, await self.of(seen)) if needs_pods(seen, now) else seen

    async def of(self, seen: Seen) -> tuple[Pod, ...] | None:
        """Those of its ReplicaSets. None where nobody may know: the rollout is not understood, or the role is an older one. Nothing
        else of the rollout may wait for this."""
        if seen.spec is None:
            return None
        now, held = self._clock(), self._listed.get(seen.uid)
        if held is None or not held.at <= now < held.at + FRESH_FOR:
            selector = ",".join((selector_text(seen.spec.selector), keys.POD_TEMPLATE_HASH))
            try:
                found, _ = await self._kube.list(POD, seen.namespace, selector)
            except Forbidden as error:
                log.warning("pods not looked at", namespace=seen.namespace, rollout=seen.name, error=str(error))
                return None
            self._listed = {uid: each for uid, each in self._listed.items() if each.at <= now < each.at + FRESH_FOR}
            held = self._listed[seen.uid] = _Listed(now, {each["metadata"]["uid"]: pod_of(each) for each in found})
        else:
            held.reused = True
        return tuple(held.pods.values())

    def look_again_at(self, uid: str) -> float | None:
        """When a list that was used a second time, and so may lack what woke us, is to be renewed."""
        held = self._listed.get(uid)
        return held.at + FRESH_FOR if held is not None and held.reused else None

    def note_gone(self, uid: str, pod: str) -> None:
        held = self._listed.get(uid)
        if held is not None and pod in held.pods:
            held.pods[pod] = replace(held.pods[pod], deleting=True)

    def note(self, uid: str, manifest: Json) -> None:
        held = self._listed.get(uid)
        if held is not None:
            held.pods[manifest["metadata"]["uid"]] = pod_of(manifest)


def pod_of(manifest: Json) -> Pod:
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    owners = (each["uid"] for each in metadata.get("ownerReferences") or () if each.get("controller"))
    conditions = status.get("conditions") or ()
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        owner=next(owners, ""),
        created=metadata.get("creationTimestamp") or "",
        ready=any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions),
        deleting=metadata.get("deletionTimestamp") is not None,
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
    )
