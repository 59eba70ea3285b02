"""Show rollouts: once, or again whenever they have changed. Reads only.

Watching polls once a second: the ages have to be redrawn as often anyway, and it survives a restart of the API server unseen.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from tidegate.kube.errors import Transient
from tidegate_cli import terminal
from tidegate_cli.cluster import Place, connected
from tidegate_cli.connection import Connection
from tidegate_cli.info import RolloutInfo, as_json
from tidegate_cli.listing import WIDE_COLUMNS, columns, line
from tidegate_cli.phases import DEGRADED, HEALTHY, phase_and_message
from tidegate_cli.render import plain
from tidegate_cli.terminal import Output
from tidegate_cli.tree import Object, Seen, rollout_info

EVERY = 1.0
T = TypeVar("T")


async def show_rollout(connection: Connection, name: str, *, watch: bool, output: Output | None, seconds: float) -> None:
    async with connected(connection) as place:
        if not watch:
            print_rollout(rollout_info(await place.seen(name)), output=output)
            return
        try:
            async with asyncio.timeout(seconds or None):
                await follow_rollout(place, name, output=output)
        except TimeoutError:
            return


def print_rollout(info: RolloutInfo, *, output: Output | None) -> None:
    if output is Output.JSON:
        terminal.print_json(as_json(info))
    elif terminal.is_terminal():
        from tidegate_cli.render.pretty import rollout_view

        screen = terminal.console()
        screen.print(rollout_view(info, now=terminal.now(), width=screen.width, wide=output is Output.WIDE))
    else:
        terminal.say(plain.rollout_text(info, now=terminal.now(), wide=output is Output.WIDE))


async def follow_rollout(place: Place, name: str, *, output: Output | None) -> None:
    """A live view on a terminal; in a pipe one block (or one JSON document) per change, blocks parted by an empty line."""
    if terminal.is_terminal() and output is not Output.JSON:
        from tidegate_cli.render.pretty import rollout_view

        screen = terminal.console()
        with terminal.live_view(screen) as show:
            async for seen in readings(lambda: place.seen(name)):
                show(rollout_view(rollout_info(seen), now=terminal.now(), width=screen.width, wide=output is Output.WIDE))
        return
    before: RolloutInfo | None = None
    async for seen in readings(lambda: place.seen(name)):
        info = rollout_info(seen)
        if before is None or info != before:
            if before is not None and output is not Output.JSON:
                terminal.say("")
            print_rollout(info, output=output)
        before = info


async def show_rollouts(connection: Connection, *, everywhere: bool, name: str | None, watch: bool, output: Output | None) -> None:
    async with connected(connection) as place:

        async def read() -> list[Object]:
            found = await place.rollouts(everywhere=everywhere)
            return sorted(
                (each for each in found if name in (None, each["metadata"]["name"])),
                key=lambda each: (each["metadata"]["namespace"], each["metadata"]["name"]),
            )

        if not watch:
            _print_list(await read(), place, everywhere=everywhere, output=output)
            return
        before: list[Object] | None = None
        async for rollouts in readings(read):
            if rollouts != before:
                _print_list(rollouts, place, everywhere=everywhere, output=output)
            before = rollouts


def _print_list(rollouts: list[Object], place: Place, *, everywhere: bool, output: Output | None) -> None:
    if output is Output.JSON:
        terminal.print_json([as_json(rollout_info(Seen(rollout=each))) for each in rollouts])
        return
    if not rollouts:
        terminal.complain("no rollouts found" + ("" if everywhere else f' in namespace "{place.namespace}"'))
        return
    wide = output is Output.WIDE
    heads = (*columns(everywhere=everywhere), *(WIDE_COLUMNS if wide else ()))
    lines = [line(each, everywhere=everywhere, wide=wide) for each in rollouts]
    if not terminal.is_terminal():
        terminal.say(plain.table(heads, lines))
        return
    from tidegate_cli.render.pretty import list_view

    terminal.console().print(list_view(heads, lines), soft_wrap=True)


async def show_status(connection: Connection, name: str, *, watch: bool, seconds: float) -> int:
    """The exit code: 0 Healthy (or, unwatched, on its way), 1 Degraded or out of time (`argo-behaviour.md` 13)."""
    async with connected(connection) as place:
        if not watch:
            return _told(*phase_and_message(await place.rollout(name)), watching=False)
        try:
            async with asyncio.timeout(seconds or None):
                return await _watched_status(place, name)
        except TimeoutError:
            return timed_out()


def timed_out() -> int:
    """Out of time, or interrupted: scripts of the peer's users look for this text."""
    terminal.complain("Rollout status watch exceeded timeout")
    return 1


async def _watched_status(place: Place, name: str) -> int:
    before: tuple[str, str] | None = None
    async for rollout in readings(lambda: place.rollout(name)):
        state = phase_and_message(rollout)
        if state != before:
            code = _told(*state, watching=True)
            if state[0] in (HEALTHY, DEGRADED):
                return code
        before = state
    raise AssertionError("unreachable: readings have no end")


def _told(phase: str, message: str, *, watching: bool) -> int:
    if phase == DEGRADED:
        terminal.say(phase if watching else f"{phase} - {message}")
        terminal.complain(f"The rollout is in a degraded state with message: {message}")
        return 1
    terminal.say(f"{phase} - {message}" if message else phase)
    return 0


async def readings(read: Callable[[], Awaitable[T]]) -> AsyncIterator[T]:
    """What `read` finds, once a second, for ever. An API server that is away is waited for, and said once."""
    away = False
    while True:
        try:
            found: Any = await read()
            away = False
        except Transient as error:
            if not away:
                terminal.complain(f"the API server does not answer, still trying: {error}")
            away = True
        else:
            yield found
        await asyncio.sleep(EVERY)
