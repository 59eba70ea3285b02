"""The analyzer put together: cache, worker, handlers, and what wakes what. The only place where its parts meet."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self

from tidegate import keys
from tidegate.bus import Bus, Envelope
from tidegate.config import Settings
from tidegate.kube.cache import Cache
from tidegate.kube.kinds import ANALYSIS_RUN, key_of
from tidegate.kube.store import ChangeType
from tidegate.messages import ANALYSIS, Message
from tidegate_analyzer.api import Api
from tidegate_analyzer.measure import Measurer
from tidegate_analyzer.provider import Providers
from tidegate_analyzer.requests import Requests
from tidegate_analyzer.run import Runs
from tidegate_analyzer.teller import Teller
from tidegate_analyzer.worker import worker_on

Object = dict[str, Any]

FEED_PATIENCE: Final = 5.0
"""Seconds to wait for what was told before; NATS may be away, and a run must not wait for it."""


class Analyzer:
    """`async with Analyzer(...) as analyzer:` and `run()` for as long as the service lives."""

    def __init__(
        self, *, settings: Settings, kube: Api, bus: Bus, providers: Providers, clock: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._settings, self._bus = settings, bus
        self._cache = Cache(kube, ANALYSIS_RUN, namespace=settings.namespace)
        self._teller = Teller(bus, clock=clock)
        runs = Runs(kube=kube, cache=self._cache, measurer=Measurer(providers, clock=clock), teller=self._teller, clock=clock)
        self._runs, self._worker = runs, worker_on(runs, clock=clock)
        self.requests = Requests(kube=kube, namespace=settings.namespace)
        self._cache.on_change(self._wake)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._worker.close()
        await self._runs.close()
        await self._teller.close()

    @property
    def is_synced(self) -> bool:
        return self._cache.synced.is_set()

    async def run(self) -> None:
        """Never ends."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._cache.run())
            group.create_task(self._serve())

    async def _serve(self) -> None:
        members = self._bus.members("analyzer", lambda live: self._worker.share_with(live, members.me))
        told = self._bus.feed(ANALYSIS, "tidegate.analysis.concluded.*.*", self._hear_concluded)
        await self._cache.synced.wait()
        with contextlib.suppress(TimeoutError):  # then ends of the last hour are told again, under the same ids
            await asyncio.wait_for(told.caught_up.wait(), FEED_PATIENCE)
        self._worker.start()
        while True:
            await asyncio.sleep(self._settings.resync * random.uniform(0.8, 1.2))  # noqa: S311 - spreads replicas, hides nothing
            self._worker.wake_all()

    # --- what wakes what -----------------------------------------------------------------------------------------------

    def _wake(self, _type: ChangeType, old: Object | None, new: Object | None) -> None:
        run = new or old
        if run is not None and is_ours(run, self._settings.instance_id):
            self._worker.wake(key_of(run))

    def _hear_concluded(self, message: Message, envelope: Envelope) -> None:
        self._teller.hear_concluded((message.namespace, message.name), envelope.id)


def is_ours(run: Object, instance: str) -> bool:
    """Objects of another instance are left alone; without an id, those that carry any (`argo-behaviour.md` 14)."""
    labels: dict[str, str] = run["metadata"].get("labels") or {}
    return labels.get(keys.INSTANCE_ID, "") == instance
