"""For tests of whatever calls out: a real HTTP server on loopback that answers what it is told to, and remembers what it was asked.

Each path has its own answers, given in order; the last one is repeated.
"""

import http.server
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

DRIP_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class Reply:
    """`delay` comes before the answer; with `drip` the body comes one byte at a time."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drip: bool = False


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
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

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

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the server."""
        self._ended.wait(seconds)


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
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != http.HTTPStatus.NO_CONTENT:
                self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            for piece in [reply.body[at : at + 1] for at in range(len(reply.body))] if reply.drip else [reply.body]:
                self.wfile.write(piece)
                if reply.drip:
                    time.sleep(DRIP_SECONDS)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names http.server calls

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
            """A test's output is its own."""

    return Handler
