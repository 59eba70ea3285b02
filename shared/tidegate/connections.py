"""HTTP connections that are kept for the next call, each used by one call at a time.

httpcore's own pool hands one idle connection to all calls that wait, of which all but one find it taken and wait anew: measured,
of 300 calls at once to a server with a hundred kept connections, two hundred had no answer after 8 s. Here a call takes a kept
connection or makes one, and nobody waits for anybody.
"""

import ssl
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from types import TracebackType
from typing import Final, Self

import httpcore

KEPT: Final = 200
"""Idle connections, all servers together; what comes back beyond that is closed."""
KEPT_SECONDS: Final = 30.0


class Connections:
    """What httpx's transport needs of a pool."""

    def __init__(self, *, trust: ssl.SSLContext, backend: httpcore.AsyncNetworkBackend) -> None:
        self._trust = trust
        self._backend = backend
        self._idle: deque[httpcore.AsyncHTTPConnection] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        while self._idle:
            await self._idle.popleft().aclose()

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        scheme = request.url.scheme.decode()
        if scheme not in {"http", "https"}:
            raise httpcore.UnsupportedProtocol(f"the URL must begin with http:// or https://, not with {scheme!r}")
        connection = await self._taken(request.url.origin)
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await connection.aclose()
            raise
        assert isinstance(response.stream, AsyncIterable)
        body = _Body(response.stream, self, connection)
        return httpcore.Response(response.status, headers=response.headers, content=body, extensions=response.extensions)

    async def back(self, connection: httpcore.AsyncHTTPConnection) -> None:
        """From a call that is over; one that was not read to its end cannot be used again."""
        if not connection.is_idle():
            await connection.aclose()
            return
        self._idle.append(connection)
        while self._idle and (len(self._idle) > KEPT or self._idle[0].has_expired()):
            await self._idle.popleft().aclose()

    async def _taken(self, origin: httpcore.Origin) -> httpcore.AsyncHTTPConnection:
        """The one that was used last, for it is the least likely to have been closed by the other side; else a new one."""
        while (connection := next((each for each in reversed(self._idle) if each.can_handle_request(origin)), None)) is not None:
            self._idle.remove(connection)
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return httpcore.AsyncHTTPConnection(
            origin=origin, ssl_context=self._trust, keepalive_expiry=KEPT_SECONDS, network_backend=self._backend
        )


class _Body:
    """An answer's body, whose end gives the connection back."""

    def __init__(self, stream: AsyncIterable[bytes], connections: Connections, connection: httpcore.AsyncHTTPConnection) -> None:
        self._stream = stream
        self._connections = connections
        self._connection = connection

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._stream:
            yield part

    async def aclose(self) -> None:
        if hasattr(self._stream, "aclose"):
            await self._stream.aclose()
        await self._connections.back(self._connection)
