"""A name whose owner changes its address between our look at it and the connection leads nowhere it may not (DNS rebinding)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tidegate.outbound import Call, CallFailed, Outbound

HERE, METADATA = "127.0.0.1", "169.254.169.254"


class Rebinding:
    """A name server that gives another answer each time, the last one for ever."""

    def __init__(self, *answers: str) -> None:
        self._answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int) -> Sequence[str]:  # noqa: ARG002 - every name is its own
        self.asked += 1
        return [self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]]


@asynccontextmanager
async def serving(head: str) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HERE, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def to(port: int, host: str = "rebinding.example") -> Call:
    return Call(method="GET", url=f"http://{host}:{port}/", timeout=300)


async def test_the_address_that_was_checked_is_the_one_connected_to_though_a_second_look_up_would_say_another():
    names = Rebinding(HERE, METADATA)
    async with serving("200 OK") as port, Outbound(look_up=names) as outbound:
        assert (await outbound.send(to(port))).body == b"ok"
        assert names.asked == 1


async def test_each_new_connection_is_checked_anew():
    async with serving("200 OK") as port, Outbound(look_up=Rebinding(HERE, METADATA)) as outbound:
        await outbound.send(to(port))
        with pytest.raises(CallFailed, match="link-local or metadata"):
            await outbound.send(to(port))


async def test_a_redirect_to_a_name_that_is_a_metadata_service_is_not_followed():
    async with (
        serving("302 Found\r\nLocation: http://elsewhere.example/latest/meta-data") as port,
        Outbound(look_up=Rebinding(HERE, METADATA)) as outbound,
    ):
        with pytest.raises(CallFailed, match=r"elsewhere\.example is a link-local or metadata"):
            await outbound.send(to(port))


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "0xa9fea9fe", "[::ffff:169.254.169.254]"])
async def test_a_metadata_service_is_refused_however_its_address_is_written(host):
    async with Outbound() as outbound:
        with pytest.raises(CallFailed, match="link-local or metadata"):
            await outbound.send(to(80, host))


@pytest.mark.parametrize("address", [METADATA, f"::ffff:{METADATA}", "fd00:ec2::254"])
async def test_metadata_google_internal_is_refused_by_its_address(address):
    async with Outbound(look_up=Rebinding(address)) as outbound:
        with pytest.raises(CallFailed, match="link-local or metadata"):
            await outbound.send(to(80, "metadata.google.internal"))
