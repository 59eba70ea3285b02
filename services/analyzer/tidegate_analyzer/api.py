"""The verbs of the API server that the analyzer needs; `Kube` and `MemoryKube` have them."""

from typing import Any, Protocol

from tidegate.kube.cache import Source
from tidegate.kube.kinds import Kind, Object


class Api(Source, Protocol):
    """A part of `tidegate.kube.client.Kube`."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object: ...

    async def create(self, kind: Kind, obj: Object) -> Object: ...

    async def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str = "Background",
    ) -> Object: ...

    async def merge_patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: dict[str, Any],
        *,
        subresource: str | None = None,
        resource_version: str | None = None,
    ) -> Object: ...
