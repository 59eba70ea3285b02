"""What the pods of one ReplicaSet wait for, read when it is asked and kept in no cache: nearly nobody asks (`failfast`)."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from tidegate import keys
from tidegate.kube.client import Objects
from tidegate.kube.kinds import POD, Kind
from tidegate_planner.seen import Seen, WaitingContainer

Json = Mapping[str, Any]


class Lists(Protocol):
    """The part of `tidegate.kube.client.Kube` that is used here."""

    async def list(self, kind: Kind, namespace: str | None = None, labels: str | None = None) -> tuple[Objects, str]: ...


async def waiting_containers(kube: Lists, seen: Seen, template_hash: str) -> tuple[WaitingContainer, ...]:
    """Of the pods that belong to this rollout: a namesake of the hash may be somebody else's."""
    pods, _ = await kube.list(POD, seen.namespace, f"{keys.POD_TEMPLATE_HASH}={template_hash}")
    ours = {each.name for each in seen.replica_sets if each.hash == template_hash}
    return tuple(each for pod in pods if _owner(pod) in ours for each in waiting_in(pod))


def waiting_in(pod: Json) -> Iterable[WaitingContainer]:
    """The containers of a pod that wait, those that prepare it first. A pod that is going tells nothing any more."""
    if pod["metadata"].get("deletionTimestamp"):
        return
    status = pod.get("status") or {}
    for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            yield WaitingContainer(
                pod=pod["metadata"]["name"],
                container=each.get("name", ""),
                reason=waiting["reason"],
                message=waiting.get("message", ""),
                restarts=int(each.get("restartCount") or 0),
            )


def _owner(pod: Json) -> str:
    return next((each["name"] for each in pod["metadata"].get("ownerReferences") or () if each.get("controller")), "")
