"""More replicas than one: sharing the work, taking over, and, where two planners each believe to be alone, doing no harm."""

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest
from nats.aio.msg import Msg

from tidegate.bus import NOTIFIER_EVENTS, SHIFTER_REQUESTS, Bus
from tidegate.bus.roll import BEAT_SECONDS, SILENCE_SECONDS
from tidegate.bus.server import LocalNats
from tidegate.config import Settings
from tidegate.errors import KubeError, Retry
from tidegate.keys import API_VERSION
from tidegate.kube.cache import Cache
from tidegate.kube.kinds import ANALYSIS_RUN, REPLICA_SET
from tidegate.testing import ApiCall, Endpoint, Fault, FaultProxy, Fleet, Hang, Outcomes, Scene, eventually, healthy_on
from tidegate.testing.fleet import MIXED, PLAIN, ROUTED, Kind
from tidegate.testing.manifests import YELLOW
from tidegate.testing.waiting import PATIENCE, POLL
from tidegate_embedded import ControlPlane

pytestmark = pytest.mark.e2e


class Way:
    """Through a proxy of its own: when each object was first written there, since the last `clear`. While it is `stuck`, writes get
    no answer, and what was to be written is `held`."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.kubeconfig = str(proxy.kubeconfig)
        self.written: dict[str, float] = {}
        self.stuck = False
        self.held: set[str] = set()
        proxy.faults = self._note

    def _note(self, call: ApiCall) -> Fault | None:
        found = re.search(r"/(?:rollouts|analysisruns|httproutes|services)/([^/?]+)|/events$", call.path)
        if not call.is_write or not found:
            return None
        name = found[1] or "an Event"
        if self.stuck:
            self.held.add(name)
            return Hang(3600)
        self.written.setdefault(name, time.monotonic())
        return None


class Answers:
    """From when to when somebody who asks the API server again and again waited for each answer. It, and the proxy in this process,
    are what a killed one's share waits for besides the survivor."""

    def __init__(self) -> None:
        self._waits: list[tuple[float, float]] = []

    @classmethod
    @asynccontextmanager
    async def waited_for(cls, look: Callable[[], Awaitable[object]]) -> "AsyncIterator[Answers]":
        answers = cls()
        asking = asyncio.create_task(answers._ask(look))
        try:
            yield answers
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    async def _ask(self, look: Callable[[], Awaitable[object]]) -> None:
        while True:
            began = time.monotonic()
            try:
                with suppress(KubeError, Retry):
                    await asyncio.sleep(POLL)
                    await look()
            finally:
                self._waits.append((began, time.monotonic()))

    def slowest_before(self, moment: float) -> float:
        return max(end - began for began, end in self._waits if began <= moment)


class Heartbeats:
    """The members' own words, with the moment that each was heard here.

    Time is counted in beats of the survivor: on a machine that is busy both its beats and its work are late, and the test is none
    the stricter for it.
    """

    def __init__(self) -> None:
        self.moments: dict[str, list[float]] = defaultdict(list)

    @classmethod
    async def heard(cls, bus: Bus, group: str) -> "Heartbeats":
        beats = cls()

        async def hear(msg: Msg) -> None:
            beats.moments[msg.subject.rsplit(".", 1)[-1]].append(time.monotonic())

        await bus.client.subscribe(f"tidegate.members.{group}.*", cb=hear)
        return beats

    async def until_known(self, count: int) -> None:
        """So many beat, each often enough for all others to have heard it."""

        async def often() -> int:
            return sum(len(moments) >= 4 for moments in self.moments.values())

        await eventually(often, lambda seen: seen == count, what=f"{count} members that beat")

    def were_steady(self, since: float) -> bool:
        """Nobody was held up for so long that another may have taken it for dead, or been late to hear it. Else two work on one
        object for a moment, which is allowed (`roll`)."""
        now = time.monotonic()
        heard = ([since, *(each for each in moments if each > since), now] for moments in self.moments.values())
        gaps = (later - earlier for moments in heard for earlier, later in pairwise(moments))
        return max(gaps) < SILENCE_SECONDS - 1.5 * BEAT_SECONDS

    def assert_taken_over_within_three_seconds(self, claimed: float, answers: Answers) -> None:
        """Besides what the first object that is claimed takes: two writes, and a look before them."""
        beats = self.survivors_between_the_last_word_of_the_dead_and(claimed)
        assert beats * BEAT_SECONDS <= 3 + 3 * answers.slowest_before(claimed)

    def survivors_between_the_last_word_of_the_dead_and(self, moment: float) -> int:
        """How many beats of the survivor came after the dead one's last and before `moment`."""
        silent_since, dead = min((moments[-1], member) for member, moments in self.moments.items())
        alive = next(member for member in self.moments if member != dead)
        return sum(silent_since < each <= moment for each in self.moments[alive])


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


def a_run_without_end(name: str, url: str) -> dict:
    provider = {"web": {"url": url, "jsonPath": "{$.errors}"}}
    metric = {"name": "errors", "interval": "1s", "successCondition": "result == 0", "provider": provider}
    return {
        "apiVersion": API_VERSION,
        "kind": "AnalysisRun",
        "metadata": {"name": name},
        "spec": {"metrics": [metric]},
    }


def refused_writes(control_plane: ControlPlane, namespace: str) -> int:
    """Conflicts and failed preconditions that the API server answered to planners."""
    whole, _, _ = control_plane.audit_log.read_bytes().rpartition(b"\n")  # the last line may be under way
    entries = (json.loads(line) for line in whole.split(b"\n"))
    ours = (each for each in entries if each.get("userAgent", "").startswith("tidegate-planner"))
    there = (each for each in ours if (each.get("objectRef") or {}).get("namespace") == namespace)
    return sum((each.get("responseStatus") or {}).get("code") in {409, 422} for each in there)


async def test_two_that_each_believe_to_be_alone_do_no_harm(
    started, scene: Scene, other_bus: LocalNats, sizes: Sizes, metrics: Endpoint, control_plane: ControlPlane
) -> None:
    """On two buses that know nothing of each other, both own every rollout of the one cluster, each with a traffic-shifter and an
    analyzer of its own: nothing but the preconditions of their writes and the fence on the routes keeps them apart."""
    services = ("planner", "traffic-shifter", "analyzer")
    suite = started(*services)
    for service in services:
        suite.add(service, name=f"usurping-{service}", NATS_URL=other_bus.url).start()
    heard = Outcomes()
    async with Bus.connect(Settings(nats_url=other_bus.url), service="test") as bus:
        heard.listen(bus)
        plan = {"kinds": MIXED, "metrics": metrics.url, "tells_events": False}
        fleet = Fleet(scene, **plan)
        await fleet.create()
        sizes.of.clear()  # the first deployment has its own ups
        await fleet.drive()
        await fleet.judge()
        there = Fleet(Scene(kube=scene.kube, bus=bus, namespace=scene.namespace, outcomes=heard), **plan)
        await there.judge()
    assert refused_writes(control_plane, scene.namespace) > 0, "they never met, so this showed nothing"
    assert sizes.flapping() == {}
    for name in fleet.names:
        one, other = scene.outcomes.of(scene.namespace, name), heard.of(scene.namespace, name)
        assert {told.id for told in one} == {told.id for told in other}, "the same outcomes, under the same ids"
    assert suite.ended() == []


@pytest.fixture
def counted(control_plane: ControlPlane, tmp_path: Path) -> Iterator[list[Way]]:
    """Two ways to the API server that note which objects are written through them, and when."""
    with ExitStack() as stack:
        ways = []
        for number in range(2):
            folder = tmp_path / str(number)
            folder.mkdir()
            proxy = FaultProxy(control_plane.server, ca=control_plane.ca, token=control_plane.token, folder=folder)
            ways.append(Way(stack.enter_context(proxy)))
        yield ways


async def test_they_share_the_rollouts_and_a_killed_ones_share_is_taken_over_within_three_seconds(
    counted: list[Way], started, scene: Scene
) -> None:
    """The resync is put out of the way: only the silence of the one can wake the other."""
    first, second = counted
    suite = started("planner", KUBECONFIG=first.kubeconfig, TIDEGATE_RESYNC_SECONDS="600")
    suite.add("planner", name="planner-2", KUBECONFIG=second.kubeconfig).start()
    heartbeats = await Heartbeats.heard(scene.bus, "planner")
    await heartbeats.until_known(2)
    since = time.monotonic()
    fleet = Fleet(scene, size=12, replicas=1, steps=({"setWeight": 50},), tells_events=False)
    await fleet.create()
    share, others = set(first.written), set(second.written)
    assert share | others == set(fleet.names)
    assert not share & others or not heartbeats.were_steady(since), "each rollout has one that works on it"
    assert share
    assert others

    was_alive = heartbeats.were_steady(time.monotonic() - SILENCE_SECONDS)  # else its share may have been taken over before
    async with Answers.waited_for(lambda: scene.rollout("web-0")) as answers:
        suite["planner-2"].kill()
        first.written.clear()
        await fleet.drive(stagger=0)
    assert set(first.written) == set(fleet.names)
    if was_alive:
        claimed = min(at for name, at in first.written.items() if name in others)
        heartbeats.assert_taken_over_within_three_seconds(claimed, answers)


async def test_a_killed_analyzers_share_is_taken_over_within_three_seconds(
    counted: list[Way], started, scene: Scene, metrics: Endpoint
) -> None:
    """Twelve runs that measure once a second, and no resync."""
    first, second = counted
    suite = started("analyzer", KUBECONFIG=first.kubeconfig, TIDEGATE_RESYNC_SECONDS="600")
    suite.add("analyzer", name="analyzer-2", KUBECONFIG=second.kubeconfig).start()
    heartbeats = await Heartbeats.heard(scene.bus, "analyzer")
    await heartbeats.until_known(2)
    since = time.monotonic()
    names = {f"run-{number}" for number in range(12)}
    await scene.apply(*(a_run_without_end(name, metrics.url) for name in sorted(names)))

    async def written() -> set[str]:
        return set(first.written) | set(second.written)

    await eventually(written, lambda seen: seen == names, what="every run to be measured")
    others = set(second.written)
    assert others
    assert not others & set(first.written) or not heartbeats.were_steady(since), "each run has one that measures it"

    was_alive = heartbeats.were_steady(time.monotonic() - SILENCE_SECONDS)  # else its share may have been taken over before
    async with Answers.waited_for(lambda: scene.kube.get(ANALYSIS_RUN, scene.namespace, "run-0")) as answers:
        suite["analyzer-2"].kill()
        first.written.clear()
        await eventually(written, lambda _: set(first.written) == names, what="the other one's runs to be measured")
    if was_alive:
        claimed = min(at for name, at in first.written.items() if name in others)
        heartbeats.assert_taken_over_within_three_seconds(claimed, answers)


@pytest.mark.parametrize(("service", "kind"), [("traffic-shifter", ROUTED), ("notifier", PLAIN)])
async def test_what_a_killed_one_had_in_hand_comes_to_another_two_seconds_later(
    service: str, kind: Kind, counted: list[Way], started, scene: Scene
) -> None:
    """These share messages, not objects. One takes all there are and gets no answer to its writes; it is killed when the other is
    there. Nobody asks again, since there is no resync. The two seconds are the server's own, asked of it: what a busy machine adds
    is no promise of ours."""
    first, second = counted
    started("planner", TIDEGATE_RESYNC_SECONDS="600")
    suite = started(service, KUBECONFIG=second.kubeconfig)
    fleet = Fleet(scene, kinds=(kind,), steps=({"setWeight": 50},), tells_events=False)
    await fleet.create()
    second.stuck = True
    for name in fleet.names:
        await scene.set_image(name, YELLOW)

    async def held() -> set[str]:
        return second.held

    if kind.shifts:
        await eventually(held, lambda names: len(names) >= fleet.size, what="each rollout's traffic to be in hand")
    else:
        for name in fleet.names:
            await scene.until(name, healthy_on(YELLOW))
        await eventually(held, lambda names: names, what="Events to be in hand")
    suite.add(service, name=f"{service}-2", KUBECONFIG=first.kubeconfig).start()
    suite[service].kill()

    async def written() -> dict[str, float]:
        return first.written

    await eventually(written, lambda seen: second.held <= seen.keys(), what=f"{second.held} to be written by the other one")
    consumer = SHIFTER_REQUESTS if kind.shifts else NOTIFIER_EVENTS
    js = scene.bus.client.jetstream(timeout=PATIENCE)
    assert (await js.consumer_info(consumer.stream, consumer.name)).config.ack_wait == 2.0
    await fleet.drive()
    await fleet.judge()


async def test_a_new_one_takes_its_share_and_leaves_the_rest(counted: list[Way], started, scene: Scene) -> None:
    first, second = counted
    suite = started("planner", KUBECONFIG=first.kubeconfig, TIDEGATE_RESYNC_SECONDS="600")
    heartbeats = await Heartbeats.heard(scene.bus, "planner")
    fleet = Fleet(scene, size=12, replicas=1, steps=({"setWeight": 50},), tells_events=False)
    await fleet.create()
    suite.add("planner", name="planner-2", KUBECONFIG=second.kubeconfig).start()
    await heartbeats.until_known(2)
    await asyncio.sleep(1)  # both have heard each other too
    since = time.monotonic()
    first.written.clear()
    await fleet.drive(stagger=0)
    await fleet.judge()
    share, others = set(first.written), set(second.written)
    assert share | others == set(fleet.names)
    assert not share & others or not heartbeats.were_steady(since)
    assert 0 < len(others) < len(fleet.names)
