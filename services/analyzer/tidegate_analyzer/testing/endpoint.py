"""For tests of whatever calls out: a real HTTP server on loopback that answers what it is told to, and remembers what it was asked.

Each path has its own answers, given in order; the last one is repeated.
"""

import http.server
import itertools
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

DRIP_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Reply:
    """`delay` comes before the answer; with `drip` the body comes one byte at a time, with `endless` again and again."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: bool = False
    endless: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Endpoint:
    """`with Endpoint() as endpoint: endpoint.answer("/rate", Reply(body=b"0.99")); endpoint.url("/rate")`."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._replies: dict[str, list[Reply]] = {}
        self._ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _handler(self))

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def answer(self, path: str, *replies: Reply) -> None:
        self._replies[path] = list(replies)

    def reply_to(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        waiting: Sequence[Reply] = self._replies.get(asked.path.partition("?")[0], [Reply(404)])
        return self._replies[asked.path.partition("?")[0]].pop(0) if len(waiting) > 1 else waiting[0]

    @property
    def is_over(self) -> bool:
        return self._ended.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the server."""
        self._ended.wait(seconds)


def _length(reply: Reply) -> Iterator[tuple[str, str]]:
    if reply.endless:
        yield "Transfer-Encoding", "chunked"
    elif reply.status != http.HTTPStatus.NO_CONTENT:
        yield "Content-Length", str(len(reply.body))


def _pieces(reply: Reply) -> Iterator[bytes]:
    if reply.endless:
        yield from itertools.repeat(b"%x\r\n%b\r\n" % (len(reply.body), reply.body))
    elif reply.drip:
        yield from (bytes([byte]) for byte in reply.body)
    else:
        yield reply.body


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Of a client that goes away in the middle of an answer nothing is printed: that is what it is tested for."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _handler(endpoint: Endpoint) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reply = endpoint.reply_to(Asked(self.command, self.path, dict(self.headers.items()), body))
            endpoint.wait(reply.delay)
            try:
                self._send(reply)
            except OSError:
                self.close_connection = True  # who asked did not want to wait

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in (*reply.headers.items(), *_length(reply)):
                self.send_header(name, value)
            self.end_headers()
            for piece in _pieces(reply):
                self.wfile.write(piece)
                endpoint.wait(DRIP_SECONDS if reply.drip else 0.0)
                if endpoint.is_over:
                    return

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
            """A test's output is its own."""

    return Handler
