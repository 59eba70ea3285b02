"""The life of a service process, the same for all: settings, logs, health, bus, handlers, a graceful end.

    async def compose(service: Service) -> Reactions:
        kube = await service.enter(Kube.connect(service.settings))
        service.ready_when("cache", cache.synced)
        service.spawn(cache.run(), name="cache")
        return {PLANNER_REQUESTS: {RolloutRequested: handle}}

    def main() -> None:
        run("planner", compose)

- NATS or the API server absent at the start: waits, says so in the log, is alive but not ready.
- A background task that fails ends the process with code 1 and the reason; Kubernetes starts it again. Never half-dead.
- SIGTERM or SIGINT: stops taking work, lets running handlers finish, closes what was entered in reverse order, code 0.
- An unusable setting: one line, code 2.

This file and the CLI are the only readers of the process environment.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, NoReturn, TypeVar

import structlog
from faststream import FastStream

from tidegate.bus import Bus, Consumer, Handlers
from tidegate.bus.application import application
from tidegate.bus.rights import streams_of
from tidegate.config import Settings, settings_from
from tidegate.errors import SettingError
from tidegate.health import Health
from tidegate.lean import narrow_tls_buffers
from tidegate.logs import configure_logging

T = TypeVar("T")
Reactions = Mapping[Consumer, Handlers]

BAD_SETTING = 2
FAILED = 1


class Service:
    """What `compose` gets: settings and bus, and the ways to tie something to the life of the process."""

    def __init__(self, name: str, settings: Settings, bus: Bus, stack: AsyncExitStack) -> None:
        self.name = name
        self.settings = settings
        self.bus = bus
        self.conditions: dict[str, Callable[[], bool]] = {"nats": lambda: bus.connected}
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stack = stack
        self._tasks: set[asyncio.Task[Any]] = set()

    async def enter(self, resource: AbstractAsyncContextManager[T]) -> T:
        """Open something that is closed at the end, after the handlers are done with it."""
        return await self._stack.enter_async_context(resource)

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str) -> None:
        """Run something beside the handlers. If it fails, the process ends."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def ready_when(self, what: str, holds: Callable[[], bool]) -> None:
        """A condition of `/readyz`."""
        self.conditions[what] = holds

    async def cancel_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and not self.failed.done():
            error.add_note(f"in the background task {task.get_name()!r}")
            self.failed.set_exception(error)


Compose = Callable[[Service], Awaitable[Reactions]]


def run(name: str, compose: Compose, environ: Mapping[str, str] | None = None) -> NoReturn:
    """The whole life of the process; ends it."""
    try:
        settings = settings_from(os.environ if environ is None else environ)
    except SettingError as error:
        print(f"tidegate-{name}: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
        sys.exit(BAD_SETTING)
    configure_logging(service=name, level=settings.log_level, as_json=settings.log_json)
    narrow_tls_buffers()
    sys.exit(asyncio.run(serve(name, compose, settings)))


async def serve(name: str, compose: Compose, settings: Settings) -> int:
    """Run until a signal or a failure; the exit code."""
    log = structlog.get_logger(__name__)
    life = asyncio.create_task(_live(name, compose, settings), name=name)
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, life.cancel)
    try:
        await life
    except asyncio.CancelledError:
        log.info("service.stopped")
        return 0
    except Exception:
        log.exception("service.failed")
        return FAILED
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
    return 0


async def _live(name: str, compose: Compose, settings: Settings) -> None:
    conditions: dict[str, Callable[[], bool]] = {"started": lambda: False}
    async with Health(settings.health_port, conditions), AsyncExitStack() as stack:
        bus = await stack.enter_async_context(Bus.connect(settings, service=name, streams=streams_of(name)))
        service = Service(name, settings, bus, stack)
        stack.push_async_callback(service.cancel_tasks)
        conditions.update(service.conditions)
        app: FastStream = application(name, bus, await compose(service))
        async with app:
            conditions.update(service.conditions)
            del conditions["started"]
            structlog.get_logger(__name__).info("service.started")
            await asyncio.wait({service.failed, bus.failed}, return_when=asyncio.FIRST_COMPLETED)
            for failure in (service.failed, bus.failed):
                if failure.done():
                    failure.result()
