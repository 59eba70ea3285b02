"""Keeps what a service never uses out of its memory. For package `__init__` files only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(module: str) -> Iterator[None]:
    """Let imports in here find that an optional `module` is not installed; afterwards it can be imported as ever.

    structlog and httpx import rich with pygments wherever they find them, for tracebacks and a command line that no service
    shows: 3 MB of 60 in each of four processes.
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
