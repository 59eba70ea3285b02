"""A cache over a real API server that dies and comes back."""

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from tidegate.kube.cache import Cache
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.errors import ServerUnavailable
from tidegate.kube.kinds import CONFIG_MAP
from tidegate_embedded import ControlPlane, Options

pytestmark = pytest.mark.integration


@pytest.fixture
def control_plane() -> Iterator[ControlPlane]:
    """One of its own: the shared one must not be killed under other tests."""
    with ControlPlane(Options()) as running:
        yield running


async def test_a_cache_survives_the_death_of_the_api_server_and_goes_on(control_plane):
    # Given a cache that has seen an object
    async with Kube(load(control_plane.kubeconfig), user_agent="tidegate-test/1") as kube:
        cache = Cache(kube, CONFIG_MAP, namespace="default", labels="app=web")
        heard = asyncio.Queue()
        cache.on_change(lambda event, old, new: heard.put_nowait((event, (new or old)["metadata"]["name"])))
        following = asyncio.create_task(cache.run())
        async with asyncio.timeout(300):
            await cache.synced.wait()
            await kube.create(CONFIG_MAP, a_config_map("before"))
            assert await heard.get() == ("ADDED", "before")

            # When the API server is killed and started again
            with capture_logs():
                await asyncio.to_thread(control_plane.kill_apiserver)
                with pytest.raises(ServerUnavailable):  # refused, or cut on a connection not yet known to be dead
                    await kube.create(CONFIG_MAP, a_config_map("meanwhile"))
                assert cache.get("default", "before") is not None
                await asyncio.to_thread(control_plane.restart_apiserver)

                # Then the view stays, and what happens next is heard
                await kube.create(CONFIG_MAP, a_config_map("after"))
                assert await heard.get() == ("ADDED", "after")
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def a_config_map(name: str) -> dict:
    return {"metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}}, "data": {}}
