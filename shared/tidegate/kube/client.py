"""The verbs of the Kubernetes API: one call, one request, raw dicts in and out; every refusal is an exception of `errors`.

Every write can carry what it was decided from: `resource_version`, `uid`, a JSON patch's `test`, a field manager (DESIGN.md 3).
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final, Self

from tidegate.kube.credentials import Cluster
from tidegate.kube.errors import Gone, Invalid, NotFound
from tidegate.kube.kinds import Kind, Object
from tidegate.kube.transport import Transport
from tidegate.kube.watch import Lines, WatchEvent, events

PAGE: Final = 500
QUIET_LIMIT: Final = 90.0
"""The API server sends a bookmark about every minute; a watch without one for so long is a dead connection nobody closed."""

Objects = list[Object]
Operations = Sequence[Mapping[str, Any]]

MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"  # JSON is YAML


class Kube:
    """A connection to one API server. The user agent's part before `/` becomes the field manager of plain writes.

    Each of the up to `connections`, watches among them, costs 0.3 MB, in a service 0.1 MB (`lean.narrow_tls_buffers`).
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        user_agent: str,
        timeout: float = 30.0,
        connections: int = 16,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._transport = Transport(
            cluster, user_agent=user_agent, timeout=timeout, connections=connections, sleep=sleep, jitter=jitter
        )

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """The newest state; never an older one than a write that has been answered."""
        found: Object = await self._transport.request("GET", kind.path(namespace, name))
        return found

    async def list(self, kind: Kind, namespace: str | None = None, labels: str | None = None) -> tuple[Objects, str]:
        """All objects and the resourceVersion to watch from. Read in pages, consistent as one."""
        try:
            return await self._pages(kind, namespace, labels, limit=PAGE)
        except Gone:
            # The pages took longer than etcd keeps old revisions (5 min). One piece is heavy, but can't expire.
            return await self._pages(kind, namespace, labels, limit=None)

    async def serves(self, kind: Kind) -> bool:
        """Whether the cluster has this kind in this version. Everyone who is authenticated may ask, whatever else is granted."""
        path, _, _ = kind.path().rpartition("/")
        try:
            found = await self._transport.request("GET", path)
        except NotFound:
            return False
        return any(each["name"] == kind.plural for each in found.get("resources") or ())

    async def create(self, kind: Kind, obj: Object) -> Object:
        metadata = obj["metadata"]
        if metadata.get("resourceVersion"):
            # The API server answers 500 to this, which would be taken for an outage and tried again for ever.
            raise Invalid("resourceVersion must not be set on objects to be created", status=400, reason="BadRequest")
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
        path = kind.path(metadata.get("namespace", "") if kind.namespaced else None)
        created: Object = await self._transport.request("POST", path, body=body)
        return created

    async def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str = "Background",
    ) -> Object:
        """With `uid`, a namesake created meanwhile survives (Conflict). A custom resource answers itself, others a `Status`."""
        preconditions = {key: value for key, value in (("uid", uid), ("resourceVersion", resource_version)) if value is not None}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation, "preconditions": preconditions}
        answer: Object = await self._transport.request("DELETE", kind.path(namespace, name), body=options)
        return answer

    async def merge_patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Object,
        *,
        subresource: str | None = None,
        resource_version: str | None = None,
    ) -> Object:
        """RFC 7396: null removes, lists are replaced. With `resource_version`, Conflict unless the object is still that one."""
        if resource_version is not None:
            patch = {**patch, "metadata": {**patch.get("metadata", {}), "resourceVersion": resource_version}}
        return await self._patch(kind.path(namespace, name, subresource), patch, MERGE_PATCH)

    async def json_patch(
        self, kind: Kind, namespace: str | None, name: str, operations: Operations, *, subresource: str | None = None
    ) -> Object:
        """RFC 6902. A `test` that does not hold raises PreconditionFailed, and nothing is changed."""
        return await self._patch(kind.path(namespace, name, subresource), list(operations), JSON_PATCH)

    async def apply(
        self, kind: Kind, obj: Object, *, field_manager: str, force: bool = True, subresource: str | None = None
    ) -> Object:
        """Server-side apply: own exactly the fields in `obj`. Without `force`, Conflict if another manager owns one of them."""
        metadata = obj["metadata"]
        body = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
        path = kind.path(metadata.get("namespace"), metadata["name"], subresource)
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        return await self._patch(path, body, APPLY_PATCH, query)

    async def create_subresource(self, kind: Kind, namespace: str | None, name: str, subresource: str, body: Object) -> Object:
        """A pod's eviction, a service account's token. Sent once: a 429 means a disruption budget, which may hold for hours."""
        path = kind.path(namespace, name, subresource)
        answer: Object = await self._transport.request("POST", path, body=body, patient=False)
        return answer

    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        labels: str | None = None,
        *,
        resource_version: str,
        seconds: int,
        quiet_limit: float = QUIET_LIMIT,
    ) -> AsyncGenerator[WatchEvent, None]:
        """What happens after `resource_version`, for `seconds` at most; bookmarks included. `Cache` is the one to use."""
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
            **({"labelSelector": labels} if labels else {}),
        }
        lines = Lines()
        async with aclosing(self._transport.chunks(kind.path(namespace), query, quiet_limit=quiet_limit)) as chunks:
            async for chunk in chunks:
                for event in events(lines.feed(chunk)):
                    yield event

    async def _patch(self, path: str, body: object, content_type: str, query: Mapping[str, str] | None = None) -> Object:
        patched: Object = await self._transport.request("PATCH", path, query=query, body=body, content_type=content_type)
        return patched

    async def _pages(self, kind: Kind, namespace: str | None, labels: str | None, *, limit: int | None) -> tuple[Objects, str]:
        query = {"labelSelector": labels} if labels else {}
        if limit is not None:
            query["limit"] = str(limit)
        items: Objects = []
        while True:
            page = await self._transport.request("GET", kind.path(namespace), query=query)
            items += page.get("items") or ()
            metadata = page["metadata"]
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        for item in items:  # inside a list the API server leaves them out for its own kinds; a watch sends them
            item.setdefault("apiVersion", kind.api_version)
            item.setdefault("kind", kind.kind)
        return items, metadata["resourceVersion"]
