"""The floor under the rollouts that are timed: the same ReplicaSets of the same sizes, resized by hand.

No Rollout, no status, no Event, no bus, nothing decided: what is left is what the API server, the ReplicaSet controller, the
scheduler and the pods take. A rollout's time divided by this one's says what the suite adds, whatever else the machine is doing.
"""

import asyncio
import time
from typing import Any

from watched import Watched

from tidegate.kube.client import Kube
from tidegate.kube.kinds import REPLICA_SET

PATIENCE = 240.0


def replica_set(namespace: str, app: str, version: str, *, replicas: int) -> dict[str, Any]:
    labels = {"app": app, "version": version}
    return {
        "metadata": {"name": f"{app}-{version}", "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "demo", "image": f"demo:{version}"}]},
            },
        },
    }


class Floor(Watched):
    """ReplicaSets in one namespace, watched."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        super().__init__(kube, REPLICA_SET, namespace)
        self._waits: dict[str, asyncio.Event] = {}
        self._cache.on_change(lambda _type, old, new: self._changed(new or old))

    async def create(self, apps: list[str], *, replicas: int) -> None:
        await asyncio.gather(*(self._grow(app, "v0", replicas, replicas) for app in apps))

    async def change(self, apps: list[str], before: str, after: str, *, replicas: int) -> float:
        """Seconds until all apps have only pods of `after`: one pod up, then one down, as steps of 20 % with a surge do it."""
        began = time.monotonic()
        await asyncio.gather(*(self._replace(app, before, after, replicas) for app in apps))
        return time.monotonic() - began

    async def _replace(self, app: str, before: str, after: str, replicas: int) -> None:
        for grown in range(1, replicas + 1):
            await self._grow(app, after, grown, 1)
            await self._resize(f"{app}-{before}", replicas - grown)

    async def _grow(self, app: str, version: str, replicas: int, first: int) -> None:
        """To `replicas` pods, all available; the ReplicaSet is made with its `first`."""
        name = f"{app}-{version}"
        wait = self._waits.setdefault(name, asyncio.Event())
        if replicas == first:
            await self._kube.create(REPLICA_SET, replica_set(self._namespace, app, version, replicas=replicas))
        else:
            await self._resize(name, replicas)
        async with asyncio.timeout(PATIENCE):
            while self._available(name) < replicas:
                wait.clear()
                await wait.wait()

    async def _resize(self, name: str, replicas: int) -> None:
        await self._kube.json_patch(
            REPLICA_SET, self._namespace, name, [{"op": "replace", "path": "/spec/replicas", "value": replicas}]
        )

    def _available(self, name: str) -> int:
        held = self._cache.get(self._namespace, name) or {}
        return int((held.get("status") or {}).get("availableReplicas") or 0)

    def _changed(self, changed: dict[str, Any] | None) -> None:
        if changed is not None:
            self._waits.setdefault(changed["metadata"]["name"], asyncio.Event()).set()
