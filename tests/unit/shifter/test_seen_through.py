"""What was begun at the API server has its end before anybody goes on."""

import asyncio
from operator import methodcaller

import pytest

from tidegate.kube.errors import ServerUnavailable
from tidegate.kube.kinds import CONFIG_MAP
from tidegate_shifter.seen_through import SeenThrough


class Slow:
    """An API server whose writes land when they are let."""

    def __init__(self, outcome=None):
        self.outcome = outcome
        self.begun, self.lands = asyncio.Event(), asyncio.Event()
        self.landed = []

    async def write(self, *arguments, **_options):
        self.begun.set()
        await self.lands.wait()
        if self.outcome:
            raise self.outcome
        self.landed.append(arguments)
        return {}

    create = merge_patch = delete = write

    async def read(self):
        """Cancelled like anything else."""

    get = list = serves = read


WRITES = {
    "create": methodcaller("create", CONFIG_MAP, {}),
    "merge_patch": methodcaller("merge_patch", CONFIG_MAP, "shop", "web", {}, resource_version="1"),
    "delete": methodcaller("delete", CONFIG_MAP, "shop", "web", resource_version="1"),
}


@pytest.mark.parametrize("outcome", [None, ServerUnavailable("away", status=503)], ids=["it lands", "it fails"])
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
async def test_a_write_that_began_is_seen_through_when_nobody_waits_for_it_any_more(write, outcome):
    server = Slow(outcome)
    writing = asyncio.create_task(write(SeenThrough(server)))
    await server.begun.wait()
    writing.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not writing.done()
    server.lands.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert len(server.landed) == (0 if outcome else 1)
