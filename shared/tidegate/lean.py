"""Keeps what a service never uses out of its memory."""

import asyncio.sslproto
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TLS_BUFFER = 32 * 1024


@contextmanager
def without(module: str) -> Iterator[None]:
    """Let imports in here find that an optional `module` is not installed; afterwards it can be imported as ever. For package
    `__init__` files only.

    structlog imports rich, and httpx its own command line with click and pygments, wherever they find them, for what no service
    shows: 3 MB and 1.5 MB of 60 in each process.
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


def narrow_tls_buffers() -> None:
    """For the whole process, before its first connection: a TLS record is 16 KiB at most, yet asyncio gives each connection
    256 KiB to read into, touched as a whole. A planner that writes for 200 rollouts at once is 10 MB smaller."""
    asyncio.sslproto.SSLProtocol.max_size = TLS_BUFFER  # there is no public way; a test notices if this one goes
