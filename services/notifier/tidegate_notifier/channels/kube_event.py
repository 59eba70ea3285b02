"""Notes as core/v1 Events with the peer's fields (`argo-behaviour.md` 12.3), so that `kubectl describe` and tools see them.

An Event's name is derived from the note's id: written again it already exists, which is as good as written. Events are hot
(each step of each rollout), so this is one POST and nothing else: no read, no aggregation, no patch of a count.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Protocol

from tidegate.errors import GiveUp, KubeError, Retry
from tidegate.keys import API_VERSION
from tidegate.kube.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, Transient
from tidegate.kube.kinds import EVENT, Kind
from tidegate_notifier.channel import Note

COMPONENT = "rollouts-controller"
REPORTER = "tidegate"
_NAME_LENGTH = 253
_DIGEST_BYTES = 8


class Creator(Protocol):
    """The one verb of `tidegate.kube` used here."""

    async def create(self, kind: Kind, obj: dict[str, Any]) -> Any: ...


class KubeEvents:
    def __init__(self, kube: Creator) -> None:
        self._kube = kube

    async def send(self, note: Note) -> None:
        try:
            await self._kube.create(EVENT, event_of(note))
        except (AlreadyExists, NotFound):
            return  # written before; or the namespace is gone, and with it the object
        except Forbidden as error:
            if "being terminated" in str(error):
                return
            raise Retry(f"Events may not be written in {note.about.namespace}: {error}") from error
        except Invalid as error:
            raise GiveUp(f"the API server does not accept the Event: {error}") from error
        except Transient as error:
            raise Retry(f"the API server is away: {error}", after=error.retry_after) from error
        except (Conflict, KubeError) as error:
            raise Retry(f"the Event was not written: {error}") from error


def event_of(note: Note) -> dict[str, Any]:
    """The Event object."""
    digest = blake2b(note.id.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    about = note.about
    at = kubernetes_time(note.at)
    involved: Mapping[str, str] = {
        "apiVersion": API_VERSION,
        "kind": about.kind,
        "namespace": about.namespace,
        "name": about.name,
        "uid": about.uid,
    }
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{about.name[: _NAME_LENGTH - 2 * _DIGEST_BYTES - 1].rstrip('.-')}.{digest}",
            "namespace": about.namespace,
        },
        "involvedObject": involved,
        "type": note.type,
        "reason": note.reason,
        "message": note.text,
        "source": {"component": COMPONENT},
        "reportingComponent": REPORTER,
        "reportingInstance": "",
        "count": 1,
        "firstTimestamp": at,
        "lastTimestamp": at,
    }


def kubernetes_time(at: datetime) -> str:
    """metav1.Time: UTC, whole seconds."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
