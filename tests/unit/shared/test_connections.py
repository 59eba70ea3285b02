"""Calls do not wait for each other's connections, and those that are kept are used again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tidegate.connections import KEPT
from tidegate.outbound import Call, Outbound

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


@dataclass
class Server:
    """Answers when as many calls are waiting as a round has; counts connections."""

    together: int = 1
    accepted: int = 0
    waiting: int = 0
    port: int = 0
    hangs_up: bool = False
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.waiting += 1
                if self.waiting == self.together:
                    self.arrived.set()
                await self.arrived.wait()
                writer.write(HEAD + b"ok")
                await writer.drain()
                if self.hangs_up:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def again(self) -> None:
        self.waiting = 0
        self.arrived.clear()


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[Server]:
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


async def ask(outbound: Outbound, server: Server) -> bytes:
    answer = await outbound.send(Call(method="GET", url=f"http://127.0.0.1:{server.port}/", timeout=300))
    return answer.body


async def test_all_calls_to_a_server_are_under_way_at_once_and_the_next_use_what_is_kept() -> None:
    async with serving(Server(together=KEPT + 50)) as server, Outbound() as outbound:
        for kept in (0, KEPT, KEPT):
            before = server.accepted
            answers = await asyncio.gather(*(ask(outbound, server) for _ in range(server.together)))
            assert answers == [b"ok"] * server.together
            assert server.accepted - before == server.together - kept
            server.again()


async def test_one_after_the_other_they_use_one_connection() -> None:
    async with serving(Server()) as server, Outbound() as outbound:
        for _ in range(5):
            await ask(outbound, server)
        assert server.accepted == 1


async def test_a_connection_that_the_other_side_has_closed_is_not_used_again() -> None:
    async with serving(Server(hangs_up=True)) as server, Outbound() as outbound:
        for _ in range(3):
            assert await ask(outbound, server) == b"ok"
            await asyncio.sleep(0.05)  # for its end to arrive
        assert server.accepted == 3


async def test_a_call_that_was_given_up_leaves_no_connection_behind_that_another_could_take() -> None:
    async with serving(Server(together=2)) as server, Outbound() as outbound:
        given_up = asyncio.create_task(ask(outbound, server))
        while not server.waiting:  # noqa: ASYNC110 - filled by the server
            await asyncio.sleep(0.01)
        given_up.cancel()  # as a time-out does, only not before the server has it
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert await ask(outbound, server) == b"ok"
        assert server.accepted == 2
