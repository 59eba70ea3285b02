"""`MemoryKube`: the verbs of `Kube` on a state in memory.

It keeps the API's promises that decisions rest on: versions that only grow, conflicts, `test` operations, the status subresource,
generations, finalizers, owners; a write that changes nothing changes no version. `tests/contract/test_kube.py` holds it and the
real API server to the same suite. It does not validate, default, or run controllers.

Every verb yields to the loop before its effect and before its answer, as a network does: a double that never yields hides races.
`before` and `after` may raise: the request never arrived, or it was carried out and its answer is lost.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from tidegate.kube.client import QUIET_LIMIT, Objects, Operations
from tidegate.kube.errors import Invalid, NotFound, PreconditionFailed
from tidegate.kube.kinds import Kind, Object, key_of
from tidegate.kube.memory.feed import Feed, Receiver
from tidegate.kube.memory.journal import Happening, Scope, copy_of
from tidegate.kube.memory.state import WITHOUT_STATUS, State, require
from tidegate.kube.patches import PatchFailed, json_patched, merged
from tidegate.kube.watch import WatchEvent

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, for `before`, `after` and `calls`."""

    verb: str
    kind: Kind
    namespace: str
    name: str = ""
    body: Any = None
    subresource: str | None = None


def success() -> Object:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


class MemoryKube:
    """One API server. Give the same instance to all who share a cluster."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime] = lambda: EPOCH,
        without_status: Iterable[Kind] = WITHOUT_STATUS,
        user_agent: str = "memory",
    ) -> None:
        self.before: Callable[[Call], None] = lambda _call: None
        self.after: Callable[[Call], None] = lambda _call: None
        self.calls: list[Call] = []
        self._state = State(clock=clock, without_status=without_status)
        self._manager = user_agent.partition("/")[0]

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._state.journal.version

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        call = Call("get", kind, namespace or "", name)
        return await self._serve(call, lambda: copy_of(self._stored(call)))

    async def list(self, kind: Kind, namespace: str | None = None, labels: str | None = None) -> tuple[Objects, str]:
        call = Call("list", kind, namespace or "")
        return await self._serve(call, lambda: (self.snapshot(kind, namespace, labels), str(self.version)))

    async def serves(self, kind: Kind) -> bool:
        """Every kind: definitions are no more than objects here."""
        return bool(kind.plural)

    async def create(self, kind: Kind, obj: Object) -> Object:
        metadata = obj["metadata"]
        call = Call("create", kind, metadata.get("namespace", ""), metadata.get("name", ""), body=obj)
        return await self._serve(call, lambda: copy_of(self._state.create(kind, obj, self._manager)))

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
        call = Call("delete", kind, namespace or "", name)

        def effect() -> Object:
            stored = self._stored(call)
            require(stored, uid=uid, resource_version=resource_version)
            left = self._state.delete(kind, stored, cascade=propagation != "Orphan")
            return copy_of(left) if left is not None else success()

        return await self._serve(call, effect)

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
        call = Call("merge_patch", kind, namespace or "", name, patch, subresource)

        def effect() -> Object:
            stored = self._stored(call)
            require(stored, resource_version=resource_version)
            return self._update(call, stored, merged(stored, patch))

        return await self._serve(call, effect)

    async def json_patch(
        self, kind: Kind, namespace: str | None, name: str, operations: Operations, *, subresource: str | None = None
    ) -> Object:
        call = Call("json_patch", kind, namespace or "", name, list(operations), subresource)

        def effect() -> Object:
            stored = self._stored(call)
            try:
                patched = json_patched(stored, operations)
            except PatchFailed as error:
                tested = any(operation.get("op") == "test" for operation in operations)
                raise (PreconditionFailed if tested else Invalid)(str(error), status=422, reason="Invalid") from error
            return self._update(call, stored, patched)

        return await self._serve(call, effect)

    async def apply(
        self, kind: Kind, obj: Object, *, field_manager: str, force: bool = True, subresource: str | None = None
    ) -> Object:
        call = Call("apply", kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"], obj, subresource)

        def effect() -> Object:
            return copy_of(self._state.apply(kind, obj, field_manager, force=force, subresource=subresource))

        return await self._serve(call, effect)

    async def create_subresource(self, kind: Kind, namespace: str | None, name: str, subresource: str, body: Object) -> Object:
        call = Call("create", kind, namespace or "", name, body, subresource)

        def effect() -> Object:
            stored = self._stored(call)
            if subresource == "eviction":
                self._state.delete(kind, stored, cascade=True)
                return success()
            if subresource == "token":
                return {**body, "status": {"token": f"token-of-{name}", "expirationTimestamp": self._state.now()}}
            raise NotFound("the server could not find the requested resource", status=404, reason="NotFound")

        return await self._serve(call, effect)

    async def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        labels: str | None = None,
        *,
        resource_version: str,
        seconds: int,
        quiet_limit: float = QUIET_LIMIT,  # noqa: ARG002 - the port's; memory is never silent by fault
    ) -> AsyncGenerator[WatchEvent, None]:
        scope = Scope(kind, namespace, labels)
        happenings: asyncio.Queue[Happening] = asyncio.Queue()
        for happening in self._state.journal.since(int(resource_version)):
            happenings.put_nowait(happening)
        end = self._state.journal.subscribe(happenings.put_nowait)
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            while (left := until - loop.time()) > 0:
                try:
                    happening = await asyncio.wait_for(happenings.get(), left)
                except TimeoutError:
                    return
                if event := scope.event(happening):
                    yield event
        finally:
            end()

    # --- for tests and the simulation: at once, without hooks ---

    def feed(self, receiver: Receiver, kind: Kind, *, namespace: str | None = None, labels: str | None = None) -> Feed:
        """Fill a `Cache` and keep it live within each write. The feed can be paused, for a view that lags behind."""
        receiver.replace(self.snapshot(kind, namespace, labels), str(self.version))
        return Feed(self._state.journal, Scope(kind, namespace, labels), receiver)

    def snapshot(self, kind: Kind, namespace: str | None = None, labels: str | None = None) -> Objects:
        scope = Scope(kind, namespace, labels)
        return [copy_of(obj) for _, obj in sorted(self._state.of(kind).items()) if scope.holds(obj)]

    def put(self, kind: Kind, obj: Object) -> Object:
        """Create or replace an object whole, status included: what someone else in the cluster did."""
        stored = self._state.of(kind).get(key_of(obj))
        if stored is None:
            stored = self._state.create(kind, obj, "put")
        else:
            whole = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
            stored = self._state.update(kind, stored, whole, subresource=None, manager="put")
        if "status" in obj and self._state.has_status(kind):
            changed = {**stored, "status": obj["status"]}
            stored = self._state.update(kind, stored, changed, subresource="status", manager="put")
        return copy_of(stored)

    def compact(self) -> None:
        """Forget the past, as etcd does: a watch from an older version gets Gone."""
        self._state.journal.compact()

    def _update(self, call: Call, old: Object, changed: Object) -> Object:
        return copy_of(self._state.update(call.kind, old, changed, subresource=call.subresource, manager=self._manager))

    def _stored(self, call: Call) -> Object:
        return self._state.stored(call.kind, call.namespace if call.kind.namespaced else None, call.name)

    async def _serve(self, call: Call, effect: Callable[[], T]) -> T:
        await asyncio.sleep(0)
        self.calls.append(call)
        self.before(call)
        answer = effect()
        self.after(call)
        await asyncio.sleep(0)
        return answer
