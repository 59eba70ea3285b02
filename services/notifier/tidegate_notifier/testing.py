"""A webhook receiver on loopback that answers as it is told, faults included; for tests of channels and of whole services."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from tidegate.children import free_port


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer. `delay` in seconds before it; `reset` breaks the connection instead; `endless` never ends the body."""

    status: int = 204
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delay: float = 0.0
    reset: bool = False
    endless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = orjson.loads(self.body)
        return event


@dataclass(slots=True)
class Receiver:
    """`async with receiver.listening(): receiver.url`. Answers with `replies` in turn, then with `usual`."""

    usual: Reply = field(default_factory=Reply)
    replies: list[Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    _open: set["asyncio.Task[Any]"] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator["Receiver"]:
        """Can be used again after it ended: then on the same port, so that a receiver is seen to go away and to come back."""
        self.port = self.port or free_port()  # nobody else's while it is away
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        try:
            yield self
        finally:
            server.close()
            for each in self._open:
                each.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._exchange(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append(await _request(reader))
            await _answer(writer, self.replies.pop(0) if self.replies else self.usual)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the sender went away, which senders may
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def _request(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
    pairs = (line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    headers = {name.lower(): value for name, value in pairs}
    return Request(headers=headers, body=await reader.readexactly(int(headers["content-length"])))


async def _answer(writer: asyncio.StreamWriter, reply: Reply) -> None:
    await asyncio.sleep(reply.delay)
    if reply.reset:
        writer.transport.abort()
        return
    length = () if reply.endless else (("Content-Length", str(len(reply.body))),)
    fields = "".join(f"{name}: {value}\r\n" for name, value in (*reply.headers, *length, ("Connection", "close")))
    writer.write(f"HTTP/1.1 {reply.status} Answer\r\n{fields}\r\n".encode() + reply.body)
    await writer.drain()
    while reply.endless:
        writer.write(b"x" * 1024)
        await writer.drain()
        await asyncio.sleep(0)
