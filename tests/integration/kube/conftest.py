"""An API server that answers as a test scripts it, for the faults a real one does not show on demand."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from tidegate.kube.client import Kube
from tidegate.kube.credentials import Cluster

Answer = web.StreamResponse | Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Script:
    """Answers in turn; the last one is repeated. Requests and the client's pauses are on record."""

    answers: list[Answer]
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        self.bodies.append(await request.read())
        return answer.copy() if isinstance(answer, Fixed) else await answer(request)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    @property
    def methods(self) -> list[str]:
        return [request.method for request in self.requests]


class Fixed(web.Response):
    """A whole answer that can be given more than once."""

    def __init__(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        super().__init__(status=status, body=raw, headers=headers)
        self._parts = (status, raw, headers)

    def copy(self) -> web.Response:
        status, raw, headers = self._parts
        return web.Response(status=status, body=raw, headers=headers)


@pytest.fixture
def answer() -> Callable[..., Fixed]:
    def answer(body: object = None, *, status: int = 200, headers: dict[str, str] | None = None) -> Fixed:
        if body is None:
            body = {"kind": "Status", "code": status, "message": "as scripted"}
        return Fixed(status, body, headers)

    return answer


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[tuple[Kube, Script]]]]:
    """`kube, script = await scripted(first, second, ...)`"""
    async with contextlib.AsyncExitStack() as stack:

        async def scripted(*answers: Answer, prefix: str = "", headers=None, **options) -> tuple[Kube, Script]:
            script = Script(list(answers))
            runner = web.ServerRunner(web.Server(script.serve, handler_cancellation=True), shutdown_timeout=0.1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = runner.addresses[0][1]
            cluster = Cluster(f"http://127.0.0.1:{port}{prefix}", **({"headers": headers} if headers else {}))
            kube = Kube(cluster, user_agent="tidegate-test/1", sleep=script.pause, jitter=lambda: 0.5, **options)
            await stack.enter_async_context(kube)
            return kube, script

        yield scripted
