"""What is said when no answer comes. The rest of the transport: tests/contract/test_kube.py."""

import asyncio

import pytest

from tidegate.children import free_port
from tidegate.kube.client import Kube
from tidegate.kube.credentials import Cluster
from tidegate.kube.errors import Unreachable
from tidegate.kube.kinds import ROLLOUT


async def refusal(server: str) -> str:
    async def at_once(_seconds: float) -> None:
        await asyncio.sleep(0)

    async with Kube(Cluster(server=server), user_agent="test", sleep=at_once) as kube:
        with pytest.raises(Unreachable) as refused:
            await kube.get(ROLLOUT, "shop", "web")
    return str(refused.value)


async def test_a_server_that_is_not_there_is_said_by_address_and_cause():
    port = free_port()
    expected = f"the API server could not be reached: 127.0.0.1:{port}: Connection refused"
    assert await refusal(f"http://127.0.0.1:{port}") == expected
