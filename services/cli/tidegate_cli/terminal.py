"""Where output goes and when it is: the console, its width, the clock. Everything else is told."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TextIO

import orjson

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


class Output(StrEnum):
    JSON = "json"
    WIDE = "wide"


def quiet_logs() -> None:
    """What goes wrong is told in the command's own words; the libraries' warnings would only come between."""
    import logging

    import structlog

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR), logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )
    logging.disable(logging.ERROR)


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - this is the shell that hands the time to the pure part


def is_terminal() -> bool:
    return sys.stdout.isatty()


def console() -> "Console":
    from rich.console import Console  # 60 ms that a pipe need not pay

    return Console(highlight=False, soft_wrap=False)


def print_json(value: Any) -> None:
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
    sys.stdout.flush()


def print_json_line(value: Any) -> None:
    """One document per line, for streams."""
    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """One plain line, on its way at once: whoever reads a pipe waits for it."""
    print(text, flush=True)


def complain(text: str) -> None:
    print(f"tidegate: {text}", file=sys.stderr, flush=True)


def leave_line_of_interrupt(errors: TextIO | None = None) -> None:
    """A terminal shows ^C where the cursor stood; what comes next, a prompt or a message, begins on a line of its own."""
    screen = errors or sys.stderr
    if screen.isatty():
        print(file=screen, flush=True)


@contextmanager
def live_view(screen: "Console") -> Iterator[Any]:
    """`show(renderable)` redraws in place. What does not fit is cut off at the bottom instead of scrolling past."""
    from rich.live import Live

    with Live(console=screen, auto_refresh=False, vertical_overflow="crop") as live:

        def show(view: "RenderableType") -> None:
            live.update(view, refresh=True)

        yield show
