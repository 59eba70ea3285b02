"""A proxy in front of a real API server that does to requests and watches what networks, load balancers and busy servers do.

Clients speak plain HTTP to it on loopback, it speaks TLS to the server and passes their credentials on. Which call meets which
fault is a function of the test's own, so that a fault can depend on who asks for what, on a count, or on a seeded chance.
One call per connection: a proxy that kept them open would need to know where each answer ends, and would hide half of the faults.
"""

import asyncio
import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

PIECE = 64 * 1024
LONGEST_HEAD = 64 * 1024
START_SECONDS = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """`agent` is the user agent up to the first slash."""

    method: str
    path: str
    agent: str
    is_watch: bool

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answered at once and not carried out."""

    status: int
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class LoseRequest:
    """The connection is reset before the server has it."""


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """The server carries it out; the connection is reset before the client hears of it."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Silence for so long, then a reset. The server never had it."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """A watch that breaks after so long, perhaps in the middle of an event."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Lag:
    """Everything that a watch or a read brings comes so much later: whoever looks sees the past."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Expire:
    """A watch that ends with 410: the server no longer has what it was asked to go on from."""


Fault = Refuse | LoseRequest | LoseAnswer | Hang | Cut | Lag | Expire
Decision = Callable[[ApiCall], Fault | None]


class FaultProxy:
    """`with FaultProxy(server, ca=..., token=..., folder=...) as proxy: proxy.kubeconfig`. `faults` may be set at any time."""

    def __init__(self, server: str, *, ca: Path, token: str, folder: Path) -> None:
        self.faults: Decision = lambda _: None
        self.met: Counter[str] = Counter()
        self.kubeconfig = folder / "through-the-proxy.yaml"
        self._upstream = urlsplit(server)
        self._tls = ssl.create_default_context(cafile=str(ca))
        self._token = token
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        opening = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=LONGEST_HEAD)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(START_SECONDS)
        port = self._server.sockets[0].getsockname()[1]
        self.kubeconfig.write_text(json.dumps(_kubeconfig(f"http://127.0.0.1:{port}", self._token)))  # JSON is YAML
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(START_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        await asyncio.sleep(0.1)  # what was accepted just now has its task by then
        running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0.1)  # aborted connections close their sockets in a later turn of the loop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)  # the loop itself keeps weak references only, and a stuck exchange is a cycle
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
                await self._exchange(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, call = _read_head(await reader.readuntil(b"\r\n\r\n"))
        body = await reader.readexactly(int(head.get("content-length") or 0))
        fault = self.faults(call)
        if fault is not None:
            self.met[type(fault).__name__] += 1
        await self._answer(writer, fault, _request_bytes(call.method, head, body))

    async def _answer(self, client: asyncio.StreamWriter, fault: Fault | None, request: bytes) -> None:
        match fault:
            case Refuse():
                client.write(_refusal(fault))
                await _finish(client)
            case Expire():
                client.write(_expired())
                await _finish(client)
            case LoseRequest():
                return
            case Hang():
                await asyncio.sleep(fault.seconds)
            case Cut():
                with suppress(TimeoutError):
                    async with asyncio.timeout(fault.seconds):
                        await self._pass_on(client, request)
            case LoseAnswer():
                await self._pass_on(client, request, deaf=True)
            case Lag():
                await self._pass_on(client, request, lag=fault.seconds)
            case None:
                await self._pass_on(client, request)

    async def _pass_on(self, client: asyncio.StreamWriter, request: bytes, *, lag: float = 0.0, deaf: bool = False) -> None:
        assert self._upstream.hostname is not None
        reader, writer = await asyncio.open_connection(self._upstream.hostname, self._upstream.port, ssl=self._tls)
        try:
            writer.write(request)
            if lag:
                await _relay_late(reader, client, lag)
                return
            while piece := await reader.read(PIECE):
                if not deaf:
                    client.write(piece)
                    await client.drain()
            if not deaf:
                await _finish(client)
        finally:
            writer.transport.abort()


async def _relay_late(reader: asyncio.StreamReader, client: asyncio.StreamWriter, lag: float) -> None:
    """Each piece `lag` seconds after it came, in order, without slowing the reading down."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        while piece := await reader.read(PIECE):
            pieces.put_nowait((loop.time() + lag, piece))
        pieces.put_nowait((loop.time() + lag, b""))

    reading = asyncio.create_task(read())
    try:
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not piece:
                break
            client.write(piece)
            await client.drain()
        await _finish(client)
    finally:
        reading.cancel()


async def _finish(client: asyncio.StreamWriter) -> None:
    client.close()
    await client.wait_closed()


def _read_head(raw: bytes) -> tuple[dict[str, str], ApiCall]:
    """The headers (":target" is the request's target), and what they ask for."""
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    parts = urlsplit(target)
    agent = headers.get("user-agent", "").partition("/")[0]
    watch = "watch" in parse_qs(parts.query)
    return {**headers, ":target": target}, ApiCall(method=method, path=parts.path, agent=agent, is_watch=watch)


def _request_bytes(method: str, headers: dict[str, str], body: bytes) -> bytes:
    kept = {name: value for name, value in headers.items() if name not in {":target", "connection", "expect"}}
    lines = [f"{method} {headers[':target']} HTTP/1.1", *(f"{name}: {value}" for name, value in kept.items()), "connection: close"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def _refusal(fault: Refuse) -> bytes:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "as the test wants it", "code": fault.status}
    extra = "" if fault.retry_after is None else f"retry-after: {fault.retry_after}\r\n"
    return _response(fault.status, json.dumps(status).encode(), extra)


def _expired() -> bytes:
    gone = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "message": "too old", "code": 410}
    return _response(200, json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n", "")


def _response(status: int, body: bytes, extra: str) -> bytes:
    fixed = f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
    return f"HTTP/1.1 {status} Fault\r\n{fixed}{extra}\r\n".encode() + body


def _kubeconfig(server: str, token: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "proxy", "cluster": {"server": server}}],
        "users": [{"name": "proxy", "user": {"token": token}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        "current-context": "proxy",
    }
