"""What comes over a connection, in small portions and not without end.

Whoever parses takes all that is there in one go: 64 KiB of one-byte chunks, or of `100 Continue` again and again, kept the loop for
up to 0.7 s, time after time, and everything else in the process waited. Between two portions others have their turn.
"""

import ssl
from typing import Any, Final, Self

import httpcore

PORTION: Final = 8 * 1024


class BoundedStream(httpcore.AsyncNetworkStream):
    """`most` bytes for each answer, with its head and its framing."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, *, most: int) -> None:
        self._stream = stream
        self._most = self._left = most

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's signature
        part = await self._stream.read(min(max_bytes, PORTION), timeout)
        self._left -= len(part)
        if self._left < 0:
            raise httpcore.ReadError(f"the answer, its head and framing included, is larger than {self._most} bytes")
        return part

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's signature
        self._left = self._most  # a question, whose answer begins
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> Self:
        return type(self)(await self._stream.start_tls(ssl_context, server_hostname, timeout), most=self._most)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
