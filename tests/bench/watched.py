"""A namespace of its own and a live view of one kind in it, both gone at the end."""

import asyncio
from contextlib import suppress
from typing import Self

from tidegate.kube.cache import Cache
from tidegate.kube.client import Kube
from tidegate.kube.errors import NotFound
from tidegate.kube.kinds import NAMESPACE, Kind

PATIENCE = 600.0  # seconds


class Watched:
    def __init__(self, kube: Kube, kind: Kind, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace
        self._cache = Cache(kube, kind, namespace=namespace)

    async def __aenter__(self) -> Self:
        await self._kube.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}})
        self._task = asyncio.create_task(self._cache.run())
        await self._cache.synced.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._kube.delete(NAMESPACE, None, self._namespace)
        await self._gone()

    async def _gone(self) -> None:
        """Nothing is measured while the cluster takes hundreds of rollouts away: analyses then were up to 6.3 s late, else 0.5."""
        async with asyncio.timeout(PATIENCE):
            with suppress(NotFound):
                while await self._kube.get(NAMESPACE, None, self._namespace):  # noqa: ASYNC110 - it is not watched
                    await asyncio.sleep(1)
