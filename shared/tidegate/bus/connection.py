"""The connection to NATS: for ever reconnecting, buffering nothing, and saying in the log what it is doing.

nats-py's defaults give up after 60 attempts, print a traceback for each, and keep up to 2 MiB of publishes for a server that is
away; a caller would take them for sent. Here such a publish fails at once (`pending_size=0`).
"""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import structlog
from nats.aio.client import Client

from tidegate.bus.rights import inbox_prefix
from tidegate.config import Settings

log = structlog.get_logger(__name__)

PING_SECONDS = 10  # with 2 outstanding: a silent server is left after 30 s, against 6 minutes by default
SAME_ERROR_SECONDS = 30.0
_USER = re.compile(r"(?<=://)[^@/,]*@")


def connection_options(settings: Settings, *, service: str) -> dict[str, Any]:
    """The arguments of `nats.connect`."""
    credentials = settings.nats_credentials
    return {
        "servers": [server.strip() for server in settings.nats_url.split(",")],
        "name": f"tidegate-{service}",
        "inbox_prefix": inbox_prefix(user_of(settings)),
        "user": settings.nats_user,
        "password": settings.nats_password,
        "user_credentials": str(credentials) if credentials else None,
        "max_reconnect_attempts": -1,
        "reconnect_time_wait": 0.5,
        "connect_timeout": 5,
        "ping_interval": PING_SECONDS,
        "max_outstanding_pings": 2,
        "pending_size": 0,
        "drain_timeout": 5,
    }


def user_of(settings: Settings) -> str | None:
    """Who we are by password, given apart or in the URL."""
    return settings.nats_user or urlsplit(settings.nats_url.split(",")[0].strip()).username


def address(url: str) -> str:
    """`url` without who we are there: a password or a token does not belong into a log or on a screen."""
    return _USER.sub("", url)


async def connect(
    settings: Settings,
    *,
    service: str,
    reporter: "Reporter",
    reconnected: Callable[[], None],
    closing: Callable[[], bool],
    closed: Callable[[str], None],
) -> Client:
    """Connect, waiting as long as it takes. `closed` is called if the client gives up for good (credentials revoked)."""
    server, leaving = address(settings.nats_url), False

    async def on_error(error: Exception) -> None:
        reporter.report(error)

    async def on_reconnected() -> None:
        log.info("bus.reconnected", server=server)
        reporter.forget()
        reconnected()

    async def on_disconnected() -> None:
        if not (leaving or closing()):
            log.warning("bus.disconnected", server=server)

    async def on_closed() -> None:
        if not leaving:
            closed(reporter.last)

    client = Client()
    try:
        await client.connect(
            **connection_options(settings, service=service),
            error_cb=on_error,
            reconnected_cb=on_reconnected,
            disconnected_cb=on_disconnected,
            closed_cb=on_closed,
        )
    except asyncio.CancelledError:  # amid the greeting, say: nats-py leaves the connection open then
        leaving = True
        await client.close()
        raise
    log.info("bus.connected", server=server)
    reporter.forget()
    return client


class Reporter:
    """Two attempts a second make the same error; it is logged when it changes and every half minute."""

    def __init__(self, url: str) -> None:
        self._server = address(url)
        self._at = 0.0
        self._heard: deque[str] = deque(maxlen=4)  # who is refused by name may next find the connection reset

    @property
    def last(self) -> str:
        return self._heard[-1] if self._heard else ""

    @property
    def causes(self) -> str:
        return ", ".join(dict.fromkeys(self._heard)) or "no reason was given"

    def report(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        now = time.monotonic()
        if text != self.last or now - self._at > SAME_ERROR_SECONDS:
            log.warning("bus.connection_error", server=self._server, reason=text, next="trying again")
            self._at = now
        self._heard.append(text)

    def forget(self) -> None:
        self._heard.clear()
