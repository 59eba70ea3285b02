"""A namespace of its own and a live view of one kind in it, both gone at the end."""

import asyncio
from typing import Self

from tidegate.kube.cache import Cache
from tidegate.kube.client import Kube
from tidegate.kube.kinds import NAMESPACE, Kind


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
