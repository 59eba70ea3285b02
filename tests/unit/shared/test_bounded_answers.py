"""Answers that are small and yet cost much: a server chooses how its bytes are framed, and must not keep us busy with it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpcore
import pytest

from tidegate.bounded_stream import PORTION, BoundedStream
from tidegate.outbound import MOST_PIECES, Call, CallFailed, Outbound

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@asynccontextmanager
async def saying(before: bytes, again: bytes) -> AsyncIterator[str]:
    """The URL of a server that says something, and then something else for as long as it is listened to."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(before)
            while not writer.is_closing():
                writer.write(again)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def told(url: str) -> str:
    async with Outbound() as outbound:
        with pytest.raises(CallFailed) as failure:
            await outbound.send(Call(method="GET", url=url, timeout=300))
    return str(failure.value)


async def test_an_answer_of_crumbs_is_not_read_to_its_end():
    async with saying(HEAD, b"1\r\nx\r\n" * 1000) as url:
        assert f"the answer comes in more than {MOST_PIECES} pieces" in await told(url)


@pytest.mark.parametrize(
    "again",
    [b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 1000],
    ids=["continue", "early hints"],
)
async def test_an_answer_that_never_begins_is_not_waited_for_to_the_end_of_its_time(again):
    async with saying(b"", again) as url:
        assert "the answer, its head and framing included, is larger than" in await told(url)


async def test_trailers_without_end_are_not_read():
    async with saying(HEAD + b"0\r\n", b"X-Trailer: x\r\n" * 1000) as url:
        assert await told(url)


class Scripted(httpcore.AsyncNetworkStream):
    """Has any number of bytes."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109 - httpcore's signature
        self.asked.append(max_bytes)
        return bytes(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's signature
        """Nobody reads it."""


async def read(stream: BoundedStream, sizes: Sequence[int]) -> int:
    return sum([len(await stream.read(size)) for size in sizes])


async def test_a_portion_is_small_so_that_others_have_their_turn_between_two():
    inner = Scripted()
    assert await read(BoundedStream(inner, most=1 << 20), [64 * 1024, 10]) == PORTION + 10
    assert inner.asked == [PORTION, 10]


async def test_each_answer_on_a_kept_connection_has_its_own_bound():
    stream = BoundedStream(Scripted(), most=100)
    for _ in range(3):
        await stream.write(b"GET")
        assert await read(stream, [60, 40]) == 100
    with pytest.raises(httpcore.ReadError, match="larger than 100 bytes"):
        await stream.read(1)
