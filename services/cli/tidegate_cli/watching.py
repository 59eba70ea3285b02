"""Show rollouts and experiments: once, or again whenever they have changed. Reads only.

Watching polls once a second: the ages have to be redrawn as often anyway, and it survives a restart of the API server unseen.
One that never answered ends it (`connected`): an address that is wrong today is wrong tomorrow.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

from tidegate.kube.errors import Transient
from tidegate_cli import health, terminal
from tidegate_cli.cluster import Place, connected
from tidegate_cli.connection import Connection
from tidegate_cli.info import ExperimentInfo, RolloutInfo, Tree, as_json
from tidegate_cli.listing import WIDE_COLUMNS, columns, experiment_columns, experiment_line, line
from tidegate_cli.phases import DEGRADED, HEALTHY, phase_and_message
from tidegate_cli.render import plain
from tidegate_cli.terminal import Output
from tidegate_cli.tree import Object, Seen, experiment_info, rollout_info

EVERY = 1.0
T = TypeVar("T")


async def show_rollout(connection: Connection, name: str, *, watch: bool, output: Output | None, seconds: float) -> None:
    async with connected(connection) as place:

        async def read() -> RolloutInfo:
            return rollout_info(await place.seen(name))

        await _show(read, watch=watch, output=output, seconds=seconds)


async def show_experiment(connection: Connection, name: str, *, watch: bool, output: Output | None) -> None:
    async with connected(connection) as place:

        async def read() -> ExperimentInfo:
            experiment, seen = await place.seen_experiment(name)
            return experiment_info(experiment, seen)

        await _show(read, watch=watch, output=output, seconds=0)


async def _show(read: Callable[[], Awaitable[Tree]], *, watch: bool, output: Output | None, seconds: float) -> None:
    if not watch:
        _print(await read(), output=output)
        return
    try:
        async with asyncio.timeout(seconds or None):
            await _follow(read, output=output)
    except TimeoutError:
        return


def _print(info: Tree, *, output: Output | None) -> None:
    if output is Output.JSON:
        terminal.print_json(as_json(info))
    elif terminal.is_terminal():
        from tidegate_cli.render.pretty import tree_view

        screen = terminal.console()
        screen.print(tree_view(info, now=terminal.now(), width=screen.width, wide=output is Output.WIDE))
    else:
        terminal.say(plain.tree_text(info, now=terminal.now(), wide=output is Output.WIDE))


async def _follow(read: Callable[[], Awaitable[Tree]], *, output: Output | None) -> None:
    """A live view on a terminal; in a pipe one block (or one JSON document) per change, blocks parted by an empty line."""
    if terminal.is_terminal() and output is not Output.JSON:
        from tidegate_cli.render.pretty import tree_view

        screen = terminal.console()
        with terminal.live_view(screen) as show:
            async for info in readings(read):
                show(tree_view(info, now=terminal.now(), width=screen.width, wide=output is Output.WIDE))
        return
    before: Tree | None = None
    async for info in readings(read):
        if before is None or info != before:
            if before is not None and output is not Output.JSON:
                terminal.say("")
            _print(info, output=output)
        before = info


async def show_experiments(connection: Connection, *, everywhere: bool, watch: bool, output: Output | None) -> None:
    async with connected(connection) as place:

        async def read() -> list[Object]:
            found = await place.experiments(everywhere=everywhere)
            return sorted(found, key=lambda each: (each["metadata"]["namespace"], each["metadata"]["name"]))

        def shown(experiments: list[Object]) -> None:
            if output is Output.JSON:
                terminal.print_json([as_json(experiment_info(each)) for each in experiments])
                return
            lines = [experiment_line(each, now=terminal.now(), everywhere=everywhere) for each in experiments]
            _print_table(experiment_columns(everywhere=everywhere), lines, "experiments", place, everywhere=everywhere)

        await _show_list(read, shown, watch=watch)


async def show_rollouts(connection: Connection, *, everywhere: bool, name: str | None, watch: bool, output: Output | None) -> None:
    async with connected(connection) as place:

        async def read() -> list[Object]:
            found = await place.rollouts(everywhere=everywhere)
            return sorted(
                (each for each in found if name in (None, each["metadata"]["name"])),
                key=lambda each: (each["metadata"]["namespace"], each["metadata"]["name"]),
            )

        def shown(rollouts: list[Object]) -> None:
            if output is Output.JSON:
                terminal.print_json([as_json(rollout_info(Seen(rollout=each))) for each in rollouts])
                return
            wide = output is Output.WIDE
            heads = (*columns(everywhere=everywhere), *(WIDE_COLUMNS if wide else ()))
            lines = [line(each, everywhere=everywhere, wide=wide) for each in rollouts]
            what = "rollouts" if name is None else f'rollouts named "{name}"'
            _print_table(heads, lines, what, place, everywhere=everywhere)

        await _show_list(read, shown, watch=watch)


async def _show_list(read: Callable[[], Awaitable[list[Object]]], show: Callable[[list[Object]], None], *, watch: bool) -> None:
    if not watch:
        show(await read())
        return
    before: list[Object] | None = None
    async for found in readings(read):
        if found != before:
            show(found)
        before = found


def _print_table(heads: Sequence[str], lines: Sequence[Sequence[str]], what: str, place: Place, *, everywhere: bool) -> None:
    if not lines:
        terminal.complain(f"no {what} found" + ("" if everywhere else f' in namespace "{place.namespace}"'))
        return
    if not terminal.is_terminal():
        terminal.say(plain.table(heads, lines))
        return
    from tidegate_cli.render.pretty import list_view

    icon = health.run_icon if what == "experiments" else health.icon
    terminal.console().print(list_view(heads, lines, icon=icon), soft_wrap=True)


async def show_status(connection: Connection, name: str, *, watch: bool, seconds: float) -> int:
    """The exit code: 0 Healthy (or, unwatched, on its way), 1 Degraded or out of time (`argo-behaviour.md` 13)."""
    async with connected(connection) as place:
        if not watch:
            return _told(*await _state(place, name), watching=False)
        try:
            async with asyncio.timeout(seconds or None):
                return await _watched_status(place, name)
        except TimeoutError:
            return timed_out()


async def _state(place: Place, name: str) -> tuple[str, str]:
    rollout = await place.rollout(name)
    return phase_and_message(rollout, await place.known_workload(rollout))


def timed_out() -> int:
    """Out of time, or interrupted: scripts of the peer's users look for this text."""
    terminal.complain("Rollout status watch exceeded timeout")
    return 1


async def _watched_status(place: Place, name: str) -> int:
    before: tuple[str, str] | None = None
    async for state in readings(lambda: _state(place, name)):
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


async def readings(read: Callable[[], Awaitable[T]], *, every: float = EVERY) -> AsyncIterator[T]:
    """What `read` finds, once a second, for ever. An API server that is away is waited for, and said once."""
    away = False
    while True:
        try:
            found: Any = await read()
            away = False
        except Transient as error:
            if not away:
                terminal.complain(f"{error}; still trying")
            away = True
        else:
            yield found
        await asyncio.sleep(every)
