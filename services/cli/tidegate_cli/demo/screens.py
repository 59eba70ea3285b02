"""Where the demonstration is seen: redrawn in place on a terminal, one line per change everywhere else."""

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tidegate.errors import TidegateError
from tidegate_cli import terminal
from tidegate_cli.demo.progress import marked_steps, progress_line
from tidegate_cli.info import RolloutInfo

QUESTION = "\nThe canary is waiting for a person. Promote or abort it? [p/a] "


class Screen(Protocol):
    def say(self, text: str) -> None: ...

    def show(self, info: RolloutInfo) -> None: ...

    def hide(self) -> None:
        """Leave the picture where it is; the next `show` begins below it."""

    async def ask_to_promote(self) -> bool: ...


class Lines:
    def __init__(self) -> None:
        self._began = time.monotonic()
        self._before = ""

    def say(self, text: str) -> None:
        terminal.say(text)

    def show(self, info: RolloutInfo) -> None:
        line = progress_line(info)
        if line != self._before:
            terminal.say(f"{time.monotonic() - self._began:6.1f}s  {line}")
        self._before = line

    def hide(self) -> None:
        pass

    async def ask_to_promote(self) -> bool:
        return await _answer()


class Picture:
    """The tree, and beside a wide enough one the steps. Nothing is drawn between two `show`s, so a question can be asked."""

    def __init__(self) -> None:
        from rich.live import Live

        self._console = terminal.console()
        self._draw: type[Live] = Live
        self._live: Live | None = None

    def say(self, text: str) -> None:
        self.hide()
        terminal.say(text)

    def show(self, info: RolloutInfo) -> None:
        from rich.columns import Columns
        from rich.console import Group
        from rich.text import Text

        from tidegate_cli.render.pretty import STYLES, status, tree

        if self._live is None:
            self._live = self._draw(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._live.start()
        marked = (Text(f"{icon} {words}", style=STYLES[icon], no_wrap=True) for icon, words in marked_steps(info))
        steps = Columns(marked, padding=(0, 3))
        head = Text.assemble(
            status(info.status, info.icon), f"   step {info.step}   weight {info.actual_weight} %   {info.message}"
        )
        width = self._console.width
        self._live.update(Group(Text(), head, steps, Text(), tree(info, now=terminal.now(), width=width)), refresh=True)

    def hide(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    async def ask_to_promote(self) -> bool:
        self.hide()
        return await _answer()


async def _answer() -> bool:
    while True:
        print(QUESTION, end="", flush=True)
        answer = (await _line()).strip().lower()
        if answer in ("p", "promote", "a", "abort"):
            return answer.startswith("p")


async def _line() -> str:
    """The next line typed. Not in a thread: Ctrl-C could not end one that waits for a key."""
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        loop.remove_reader(sys.stdin)
        typed.set_result(sys.stdin.readline())

    loop.add_reader(sys.stdin, read)
    try:
        line = await typed
    finally:
        loop.remove_reader(sys.stdin)
    if not line:
        raise TidegateError("there was no answer; give --yes to promote or --abort to abort")
    return line


@contextmanager
def screen() -> Iterator[Screen]:
    shown: Screen = Picture() if terminal.is_terminal() else Lines()
    try:
        yield shown
    finally:
        shown.hide()
