"""More planners than one: sharing the rollouts, taking over, and, when each believes to be alone, doing no harm."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tidegate.bus import Bus
from tidegate.bus.server import LocalNats
from tidegate.config import Settings
from tidegate.kube.cache import Cache
from tidegate.kube.kinds import REPLICA_SET
from tidegate.testing import ApiCall, FaultProxy, Fleet, Outcomes, Scene
from tidegate_embedded import ControlPlane

pytestmark = pytest.mark.e2e


class Sizes:
    """Every size that each ReplicaSet of a namespace was given, in order."""

    def __init__(self) -> None:
        self.of: dict[str, list[int]] = defaultdict(list)

    def hear(self, _: object, __: object, new: dict | None) -> None:
        if new is not None:
            sizes = self.of[new["metadata"]["name"]]
            if not sizes or sizes[-1] != new["spec"]["replicas"]:
                sizes.append(new["spec"]["replicas"])

    def flapping(self) -> dict[str, list[int]]:
        """Those that went both up and down: in an update that only goes forward there are none."""
        return {name: sizes for name, sizes in self.of.items() if sizes not in (sorted(sizes), sorted(sizes, reverse=True))}


@pytest.fixture
async def sizes(scene: Scene) -> AsyncIterator[Sizes]:
    seen = Sizes()
    cache = Cache(scene.kube, REPLICA_SET, namespace=scene.namespace)
    cache.on_change(seen.hear)
    watching = asyncio.create_task(cache.run())
    await cache.synced.wait()
    yield seen
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


@pytest.fixture
def other_bus() -> Iterator[LocalNats]:
    with LocalNats() as server:
        yield server


def refused_writes(control_plane: ControlPlane, namespace: str) -> int:
    """Conflicts and failed preconditions that the API server answered to planners."""
    entries = (json.loads(line) for line in control_plane.audit_log.read_text().splitlines())
    ours = (each for each in entries if each.get("userAgent", "").startswith("tidegate-planner"))
    there = (each for each in ours if (each.get("objectRef") or {}).get("namespace") == namespace)
    return sum((each.get("responseStatus") or {}).get("code") in {409, 422} for each in there)


async def test_two_that_each_believe_to_be_alone_do_no_harm(
    started, scene: Scene, other_bus: LocalNats, sizes: Sizes, control_plane: ControlPlane
) -> None:
    """On two buses that know nothing of each other, both own every rollout of the one cluster: nothing but the preconditions of
    their writes keeps them apart."""
    suite = started("planner")
    suite.add("planner", name="usurper", NATS_URL=other_bus.url).start()
    heard = Outcomes()
    async with Bus.connect(Settings(nats_url=other_bus.url), service="test") as bus:
        heard.listen(bus)
        fleet = Fleet(scene)
        await fleet.create()
        sizes.of.clear()  # the first deployment has its own ups
        await fleet.drive()
        await fleet.judge()
        there = Fleet(Scene(kube=scene.kube, bus=bus, namespace=scene.namespace, outcomes=heard))
        await there.judge()
    assert refused_writes(control_plane, scene.namespace) > 0, "they never met, so this showed nothing"
    assert sizes.flapping() == {}
    for name in fleet.names:
        one, other = scene.outcomes.of(scene.namespace, name), heard.of(scene.namespace, name)
        assert {told.id for told in one} == {told.id for told in other}, "the same outcomes, under the same ids"
    assert suite.ended() == []


@pytest.fixture
def counted(control_plane: ControlPlane, tmp_path: Path) -> Iterator[list[tuple[FaultProxy, set[str]]]]:
    """Two ways to the API server that note which rollouts are written through them."""
    with ExitStack() as stack:
        ways = []
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            way = FaultProxy(control_plane.server, ca=control_plane.ca, token=control_plane.token, folder=folder)
            stack.enter_context(way)
            ways.append((way, noting(way)))
        yield ways


def noting(proxy: FaultProxy) -> set[str]:
    written: set[str] = set()

    def note(call: ApiCall) -> None:
        if call.is_write and "/rollouts/" in call.path:
            written.add(call.path.partition("/rollouts/")[2].partition("/")[0])

    proxy.faults = note
    return written


async def test_they_share_the_rollouts_and_a_killed_ones_share_is_taken_over(counted, started, scene: Scene) -> None:
    """The resync is put out of the way: only the news that one is gone can wake the other."""
    (first, by_first), (second, by_second) = counted
    suite = started("planner", KUBECONFIG=str(first.kubeconfig), TIDEGATE_RESYNC_SECONDS="600")
    suite.add("planner", name="planner-2", KUBECONFIG=str(second.kubeconfig)).start()
    await asyncio.sleep(2)  # two beats: they know each other
    fleet = Fleet(scene, size=12, replicas=1, steps=({"setWeight": 50},))
    by_first.clear()
    await fleet.create()
    assert by_first | by_second == set(fleet.names)
    assert not by_first & by_second, "each rollout has one that works on it"
    assert by_first
    assert by_second

    suite["planner-2"].kill()
    by_first.clear()
    began = asyncio.get_running_loop().time()
    await fleet.drive(stagger=0)
    assert by_first == set(fleet.names)
    # Three seconds of silence, one beat, and the rollouts themselves; far below any resync.
    assert asyncio.get_running_loop().time() - began < 60


async def test_a_new_one_takes_its_share_and_leaves_the_rest(counted, started, scene: Scene) -> None:
    (first, by_first), (second, by_second) = counted
    suite = started("planner", KUBECONFIG=str(first.kubeconfig), TIDEGATE_RESYNC_SECONDS="600")
    fleet = Fleet(scene, size=12, replicas=1, steps=({"setWeight": 50},))
    await fleet.create()
    suite.add("planner", name="planner-2", KUBECONFIG=str(second.kubeconfig)).start()
    await asyncio.sleep(2)
    by_first.clear()
    await fleet.drive(stagger=0)
    await fleet.judge()
    assert by_first | by_second == set(fleet.names)
    assert not by_first & by_second
    assert 0 < len(by_second) < len(fleet.names)
