"""Liveness and readiness over HTTP: `/healthz` answers while the event loop turns, `/readyz` when all that is needed is there.

Two paths of a protocol that the kubelet speaks; a web framework would cost more memory than the rest of a service.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Self

import orjson

READ_SECONDS = 5.0
_REASONS = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}

Conditions = Mapping[str, Callable[[], bool]]


def verdict(path: str, conditions: Conditions) -> tuple[int, dict[str, object]]:
    """Status and body for a path; `/readyz` names what is missing."""
    if path == "/healthz":
        return 200, {"status": "alive"}
    if path == "/readyz":
        missing = [name for name, holds in conditions.items() if not holds()]
        return (503, {"status": "waiting", "missing": missing}) if missing else (200, {"status": "ready"})
    return 404, {"status": "unknown path", "known": ["/healthz", "/readyz"]}


class Health:
    """`async with Health(port, conditions)`; port 0 turns it off. `conditions` may grow while it runs."""

    def __init__(self, port: int, conditions: Conditions) -> None:
        self._port = port
        self._conditions = conditions
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        if self._port:
            self._server = await asyncio.start_server(self._answer, host="", port=self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(READ_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            tokens = head.split(b" ", 2)
            path = tokens[1].decode("ascii", "replace").partition("?")[0] if len(tokens) == 3 else ""
            status, body = verdict(path, self._conditions)
            content = orjson.dumps(body) + b"\n"
            writer.write(
                f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode()
                + content
            )
            await writer.drain()
        writer.close()
