"""The rollouts that are timed: from the accepted change of the image to Healthy on the new one."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from watched import Watched

from tidegate.keys import API_VERSION
from tidegate.kube.client import Kube
from tidegate.kube.kinds import ROLLOUT

PATIENCE = 240.0
STEPS = [{"setWeight": weight} for weight in (20, 40, 60, 80)]


def rollout(namespace: str, name: str, *, replicas: int, image: str = "demo:v0") -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "demo", "image": image}]},
            },
            "strategy": {"canary": {"steps": STEPS}},
        },
    }


class Fleet(Watched):
    """Rollouts in one namespace, watched."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        super().__init__(kube, ROLLOUT, namespace)
        self._changed = asyncio.Event()
        self._cache.on_change(lambda *_: self._changed.set())
        self._done_at: dict[str, float] = {}

    async def create(self, names: list[str], *, replicas: int) -> None:
        await asyncio.gather(*(self._kube.create(ROLLOUT, rollout(self._namespace, name, replicas=replicas)) for name in names))
        await self._healthy(dict.fromkeys(names, 1))

    async def change(self, names: list[str], image: str) -> list[float]:
        """Seconds each rollout took. All are changed at once; each one's clock starts when the API server took its change."""
        started: dict[str, float] = {}
        generations: dict[str, int] = {}

        async def change(name: str) -> None:
            operation = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image}
            changed = await self._kube.json_patch(ROLLOUT, self._namespace, name, [operation])
            started[name] = time.monotonic()
            generations[name] = changed["metadata"]["generation"]

        self._done_at = {}
        await asyncio.gather(*(change(name) for name in names))
        await self._healthy(generations)
        return [self._done_at[name] - started[name] for name in names]

    async def _healthy(self, generations: Mapping[str, int]) -> None:
        deadline = time.monotonic() + PATIENCE
        waiting = set(generations)
        while waiting:
            self._changed.clear()
            for name in list(waiting):
                if self._is_done(name, generations[name]):
                    self._done_at[name] = time.monotonic()
                    waiting.remove(name)
            if waiting and time.monotonic() > deadline:
                raise TimeoutError(f"not Healthy after {PATIENCE:.0f} s: {len(waiting)} rollouts, {sorted(waiting)[:3]} among them")
            if waiting:
                try:
                    await asyncio.wait_for(self._changed.wait(), 1)
                except TimeoutError:
                    continue

    def _is_done(self, name: str, generation: int) -> bool:
        status = (self._cache.get(self._namespace, name) or {}).get("status") or {}
        promoted = status.get("stableRS") == status.get("currentPodHash")
        return promoted and status.get("phase") == "Healthy" and int(status.get("observedGeneration") or 0) >= generation
