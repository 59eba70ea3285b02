"""SIGTERM and SIGHUP as Ctrl-C: however we are told to end, the same `finally` blocks run."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Both go the way SIGINT goes at that moment: KeyboardInterrupt in plain code, a cancelled main task within `asyncio.run`.

    Raised within a running loop it would come up in whichever callback runs, and one that catches BaseException ends it there: the
    program then went on to its end as if never told.
    """

    def end(number: int, frame: FrameType | None) -> None:
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):  # ignored, as a shell does for what it starts in the background
            raise KeyboardInterrupt
        interrupt(number, frame)

    before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
