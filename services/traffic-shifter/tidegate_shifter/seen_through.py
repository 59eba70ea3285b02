"""Writes that are seen through, also when nobody waits for their end any more.

A request that is overtaken is left in the middle. Whoever is next reads the objects, and what is read must not be changed by
something that is still on its way: of two writes the fence and the resourceVersion decide, but where the newer request finds what
it wants in place, it writes nothing that could win.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from tidegate.kube.kinds import Kind, Object
from tidegate_shifter.writing import Api


class SeenThrough:
    """The API server as `Api` has it."""

    def __init__(self, kube: Api) -> None:
        self._kube = kube
        self.get, self.list, self.serves = kube.get, kube.list, kube.serves

    async def create(self, kind: Kind, obj: Object) -> Object:
        return await _to_its_end(self._kube.create(kind, obj))

    async def merge_patch(
        self, kind: Kind, namespace: str | None, name: str, patch: Object, *, resource_version: str | None = None
    ) -> Object:
        return await _to_its_end(self._kube.merge_patch(kind, namespace, name, patch, resource_version=resource_version))

    async def delete(self, kind: Kind, namespace: str | None, name: str, *, resource_version: str | None = None) -> Object:
        return await _to_its_end(self._kube.delete(kind, namespace, name, resource_version=resource_version))


async def _to_its_end(writing: Coroutine[Any, Any, Object]) -> Object:
    task = asyncio.create_task(writing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
