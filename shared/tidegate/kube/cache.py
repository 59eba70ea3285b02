"""A live view of one kind: list, then watch, for ever. `run()` never ends and never raises for what a network or a server does.

- 410: list again, at once unless that was done just now, and tell listeners what vanished meanwhile.
- Broken, cut, refused, silent: reconnect from the last version, bookmarks included, after a jittered back-off.
- A hook that can't read one object (index, slim, listener) is logged; it does not hide the other objects.
- `note_write` puts the answer of our own write in at once, so that the next decision does not run on a stale view.

Listeners are called in the loop, in order, and should only note a key to look at; a slow one delays everything here.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Final, Protocol

import structlog

from tidegate.errors import KubeError
from tidegate.kube.client import QUIET_LIMIT, Objects
from tidegate.kube.errors import Gone, NotFound
from tidegate.kube.kinds import Kind, Object, key_of
from tidegate.kube.selectors import labels_match
from tidegate.kube.store import Change, ChangeType, IndexKeys, Store
from tidegate.kube.watch import EventType, WatchEvent

WATCH_SECONDS: Final = 300
"""A watch is asked to end after one to two times this: connections spread over API servers again after one was restarted."""
HEALTHY_AFTER: Final = 5.0
FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
ABSENT_PAUSE: Final = 60.0

Listener = Callable[[ChangeType, Object | None, Object | None], None]

log = structlog.get_logger(__name__)


class Source(Protocol):
    """Where a cache reads; `Kube` and `MemoryKube` are two."""

    async def list(self, kind: Kind, namespace: str | None = None, labels: str | None = None) -> tuple[Objects, str]: ...

    def watch(
        self,
        kind: Kind,
        namespace: str | None = None,
        labels: str | None = None,
        *,
        resource_version: str,
        seconds: int,
        quiet_limit: float = QUIET_LIMIT,
    ) -> AsyncGenerator[WatchEvent, None]: ...


class Cache:
    """Objects of one kind in one namespace (or all), by name and by index. They are shared: read them, never change them.

    `optional` is for kinds whose CRD need not be installed: absent means empty, and it is looked for every minute.
    """

    def __init__(  # noqa: PLR0913 - all but two are keyword-only and have a default
        self,
        source: Source,
        kind: Kind,
        *,
        namespace: str | None = None,
        labels: str | None = None,
        slim: Callable[[Object], Object] | None = None,
        optional: bool = False,
        quiet_limit: float = QUIET_LIMIT,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self.labels = labels
        self.synced = asyncio.Event()
        self.lists = 0
        self.first_version = 0  # of the first list: everything up to it has been seen
        self.watches = 0
        self.trouble: KubeError | None = None  # why there is no view: it was refused, or the server is away
        self.heard_at: float | None = None  # the loop's time of the last event or bookmark, for readiness
        self._source = source
        self._slim = slim
        self._optional = optional
        self._quiet_limit = quiet_limit
        self._sleep = sleep
        self._jitter = jitter
        self._store = Store()
        self._listeners: list[Listener] = []
        self._resume_from: str | None = None
        self._log = log.bind(kind=str(kind), namespace=namespace or "*")

    def __len__(self) -> int:
        return len(self._store)

    def get(self, namespace: str | None, name: str) -> Object | None:
        return self._store.get(namespace, name)

    def all(self) -> list[Object]:
        return list(self._store)

    def by_index(self, index: str, key: str) -> list[Object]:
        return self._store.by_index(index, key)

    def add_index(self, name: str, keys_of: IndexKeys) -> None:
        """Objects are then found under each key that `keys_of` gives for them. It must be pure."""

        def guarded(obj: Object) -> Iterable[str]:
            try:
                return tuple(keys_of(obj))
            except Exception:  # noqa: BLE001 - one odd object must not hide the others
                self._log.exception("an object cannot be indexed", index=name, object=key_of(obj))
                return ()

        self._store.add_index(name, guarded)

    def on_change(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def note_write(self, obj: Object) -> None:
        """Take the API server's answer to our own write. What the watch already knows better, or selects out, is dropped."""
        metadata = obj["metadata"]
        if self.namespace is not None and metadata.get("namespace") != self.namespace:
            return
        if labels_match(self.labels, metadata.get("labels")):
            self._announce(self._store.written(self._slimmed(obj)))

    def receive(self, event: EventType, obj: Object) -> None:
        """One event of a watch."""
        version = obj["metadata"]["resourceVersion"]
        if event == "BOOKMARK":
            self._store.told_progress(int(version))
        elif event == "DELETED":
            self._announce(self._store.told_deleted(obj))
        else:
            self._announce(self._store.told(self._slimmed(obj)))
        self._resume_from = version

    def replace(self, items: Objects, version: str) -> None:
        """A whole list; vanished objects are announced as DELETED."""
        for change in self._store.listed([self._slimmed(item) for item in items], int(version)):
            self._announce(change)
        self._resume_from = version
        self.first_version = self.first_version or int(version)
        self.trouble = None
        self.synced.set()

    async def run(self) -> None:
        """Keep the view live until cancelled."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began, resumed = loop.time(), self._resume_from is not None
            try:
                await self._list_and_watch(loop)
                failed = False
            except (Gone, NotFound) as error:
                self._resume_from = None
                if self._optional and isinstance(error, NotFound):
                    await self._stay_empty()
                    continue
                failed = self._failed(error)
                if resumed and isinstance(error, Gone):
                    continue  # a server that was away is back, with an answer: it is not waited for again
            except KubeError as error:
                failed = self._failed(error)
            # A watch that ends too soon is as good as broken: a proxy that closes every connection must not be hammered.
            if loop.time() - began >= HEALTHY_AFTER:
                failures = 1 if failed else 0
            else:
                failures += 1
            if failures:
                await self._sleep(min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE) * (0.5 + self._jitter()))

    async def _list_and_watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._resume_from is None:
            self.lists += 1
            items, version = await self._source.list(self.kind, self.namespace, self.labels)
            self.replace(items, version)
            self.heard_at = loop.time()
        assert self._resume_from is not None
        self.watches += 1
        stream = self._source.watch(
            self.kind,
            self.namespace,
            self.labels,
            resource_version=self._resume_from,
            seconds=int(WATCH_SECONDS * (1 + self._jitter())),
            quiet_limit=self._quiet_limit,
        )
        async with aclosing(stream):
            async for event, obj in stream:
                self.receive(event, obj)
                self.heard_at = loop.time()

    async def _stay_empty(self) -> None:
        for change in self._store.emptied():
            self._announce(change)
        self.synced.set()
        await self._sleep(ABSENT_PAUSE * (0.5 + self._jitter()))

    def _failed(self, error: KubeError) -> bool:
        self.trouble = error
        self._log.warning("watch interrupted", status=error.status, error=str(error), resume_from=self._resume_from)
        return True

    def _slimmed(self, obj: Object) -> Object:
        # managedFields are often a third of an object, and nobody here reads them.
        metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
        whole = {**obj, "metadata": metadata}
        if self._slim is None:
            return whole
        try:
            return self._slim(whole)
        except Exception:  # noqa: BLE001 - as above
            self._log.exception("an object cannot be slimmed, so it is kept whole", object=key_of(obj))
            return whole

    def _announce(self, change: Change | None) -> None:
        if change is None:
            return
        for listener in self._listeners:
            try:
                listener(change.type, change.old, change.new)
            except Exception:  # noqa: BLE001 - as above, and the other listeners must hear of it
                self._log.exception("a listener failed", object=key_of(change.new or change.old or {}))
