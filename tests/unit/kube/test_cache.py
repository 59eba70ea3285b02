"""A cache over the in-memory API: hooks, own writes, filters, and a view that lags."""

import asyncio

import pytest
from structlog.testing import capture_logs

from tidegate.kube.cache import Cache
from tidegate.kube.errors import Conflict, Gone
from tidegate.kube.kinds import REPLICA_SET, ROLLOUT
from tidegate.kube.memory import MemoryKube


def a_rollout(name: str = "web", *, labels: dict | None = None, **spec) -> dict:
    return {"metadata": {"name": name, "namespace": "shop", "labels": labels or {}}, "spec": spec}


def a_fed_cache(kube: MemoryKube, **options) -> Cache:
    cache = Cache(kube, ROLLOUT, **options)
    kube.feed(cache, ROLLOUT, namespace=options.get("namespace"), labels=options.get("labels"))
    return cache


async def test_an_own_write_is_in_the_cache_before_the_watch_brings_it():
    kube = MemoryKube()
    await kube.create(ROLLOUT, a_rollout(replicas=1))
    cache = Cache(kube, ROLLOUT)
    feed = kube.feed(cache, ROLLOUT)
    feed.pause()
    answer = await kube.merge_patch(ROLLOUT, "shop", "web", {"spec": {"replicas": 5}})
    assert cache.get("shop", "web")["spec"] == {"replicas": 1}
    cache.note_write(answer)
    assert cache.get("shop", "web")["spec"] == {"replicas": 5}


async def test_an_own_write_and_its_echo_are_one_change_to_listeners():
    kube = MemoryKube()
    cache = Cache(kube, ROLLOUT)
    feed = kube.feed(cache, ROLLOUT)
    heard = []
    cache.on_change(lambda event, old, new: heard.append((event, old and old["spec"], new and new["spec"])))
    feed.pause()
    cache.note_write(await kube.create(ROLLOUT, a_rollout(replicas=1)))
    cache.note_write(await kube.merge_patch(ROLLOUT, "shop", "web", {"spec": {"replicas": 2}}))
    feed.resume()
    assert heard == [("ADDED", None, {"replicas": 1}), ("MODIFIED", {"replicas": 1}, {"replicas": 2})]


async def test_an_own_write_outside_the_caches_scope_stays_out():
    kube = MemoryKube()
    cache = Cache(kube, ROLLOUT, namespace="shop", labels="tier=web")
    created = await kube.create(ROLLOUT, a_rollout(labels={"tier": "api"}))
    cache.note_write(created)
    elsewhere = {**created, "metadata": {**created["metadata"], "namespace": "bank", "labels": {"tier": "web"}}}
    cache.note_write(elsewhere)
    assert len(cache) == 0


async def test_a_write_decided_from_a_lagging_view_conflicts_and_does_no_harm():
    kube = MemoryKube()
    await kube.create(ROLLOUT, a_rollout(replicas=1))
    cache = Cache(kube, ROLLOUT)
    kube.feed(cache, ROLLOUT).pause()
    await kube.merge_patch(ROLLOUT, "shop", "web", {"spec": {"replicas": 9}})
    seen = cache.get("shop", "web")
    with pytest.raises(Conflict):
        await kube.merge_patch(
            ROLLOUT, "shop", "web", {"spec": {"replicas": 2}}, resource_version=seen["metadata"]["resourceVersion"]
        )
    assert kube.snapshot(ROLLOUT)[0]["spec"] == {"replicas": 9}


async def test_managed_fields_are_never_kept():
    kube = MemoryKube()
    cache = a_fed_cache(kube)
    rollout = a_rollout()
    rollout["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    kube.put(ROLLOUT, rollout)
    assert "managedFields" not in cache.get("shop", "web")["metadata"]


async def test_slim_decides_what_is_kept():
    kube = MemoryKube()
    cache = a_fed_cache(kube, slim=lambda obj: {**obj, "spec": {"replicas": obj["spec"]["replicas"]}})
    await kube.create(ROLLOUT, a_rollout(replicas=1, template={"big": "thing"}))
    assert cache.get("shop", "web")["spec"] == {"replicas": 1}


async def test_an_object_that_slim_cannot_read_is_kept_whole_and_said():
    kube = MemoryKube()
    cache = a_fed_cache(kube, slim=lambda obj: {**obj, "spec": obj["spec"]["replicas"]})
    with capture_logs() as logs:
        await kube.create(ROLLOUT, a_rollout(paused=True))
    assert cache.get("shop", "web")["spec"] == {"paused": True}
    assert logs[0]["event"] == "an object cannot be slimmed, so it is kept whole"


async def test_an_object_that_an_index_cannot_read_does_not_hide_the_others():
    kube = MemoryKube()
    cache = a_fed_cache(kube)
    cache.add_index("template", lambda obj: [obj["spec"]["workloadRef"]["name"]])
    with capture_logs() as logs:
        await kube.create(ROLLOUT, a_rollout("odd", workloadRef=None))
    await kube.create(ROLLOUT, a_rollout("even", workloadRef={"name": "deploy"}))
    assert [obj["metadata"]["name"] for obj in cache.by_index("template", "deploy")] == ["even"]
    assert cache.get("shop", "odd") is not None
    assert logs[0]["event"] == "an object cannot be indexed"


async def test_a_listener_that_fails_does_not_keep_the_others_from_hearing():
    kube = MemoryKube()
    cache = a_fed_cache(kube)
    heard = []
    cache.on_change(lambda *_: 1 / 0)
    cache.on_change(lambda event, _old, _new: heard.append(event))
    with capture_logs() as logs:
        await kube.create(ROLLOUT, a_rollout())
    assert heard == ["ADDED"]
    assert logs[0]["event"] == "a listener failed"


async def test_a_filtered_cache_forgets_what_leaves_its_selector():
    kube = MemoryKube()
    cache = a_fed_cache(kube, labels="tier=web")
    await kube.create(ROLLOUT, a_rollout(labels={"tier": "web"}))
    assert len(cache) == 1
    await kube.merge_patch(ROLLOUT, "shop", "web", {"metadata": {"labels": {"tier": "api"}}})
    assert len(cache) == 0


async def test_the_in_memory_api_hands_out_copies():
    kube = MemoryKube()
    cache = a_fed_cache(kube)
    created = await kube.create(ROLLOUT, a_rollout(replicas=1))
    created["spec"]["replicas"] = 7
    cache.get("shop", "web")["spec"]["replicas"] = 8
    assert (await kube.get(ROLLOUT, "shop", "web"))["spec"] == {"replicas": 1}


async def test_an_answer_can_be_lost_after_the_write_happened():
    kube = MemoryKube()

    def lose(_call) -> None:
        raise ConnectionResetError

    kube.after = lose
    with pytest.raises(ConnectionResetError):
        await kube.create(ROLLOUT, a_rollout())
    assert len(kube.snapshot(ROLLOUT)) == 1


async def test_a_request_can_be_lost_before_it_arrives():
    kube = MemoryKube()

    def lose(_call) -> None:
        raise ConnectionRefusedError

    kube.before = lose
    with pytest.raises(ConnectionRefusedError):
        await kube.create(ROLLOUT, a_rollout())
    assert kube.snapshot(ROLLOUT) == []


async def test_every_call_is_on_record():
    kube = MemoryKube()
    await kube.create(ROLLOUT, a_rollout())
    await kube.merge_patch(ROLLOUT, "shop", "web", {"status": {"phase": "Healthy"}}, subresource="status")
    calls = [(call.verb, call.kind.kind, call.name, call.subresource) for call in kube.calls]
    assert calls == [("create", "Rollout", "web", None), ("merge_patch", "Rollout", "web", "status")]


async def test_what_others_do_can_be_put_with_its_status():
    kube = MemoryKube()
    replica_set = {"metadata": {"name": "web-1", "namespace": "shop"}, "spec": {"replicas": 2}, "status": {"readyReplicas": 2}}
    kube.put(REPLICA_SET, replica_set)
    kube.put(REPLICA_SET, {**replica_set, "status": {"readyReplicas": 1}})
    (stored,) = kube.snapshot(REPLICA_SET)
    assert stored["status"] == {"readyReplicas": 1}
    assert stored["metadata"]["generation"] == 1


async def test_a_forgotten_past_makes_a_running_cache_list_again_and_tell_what_vanished():
    # Given a cache that has lost its watch
    kube = MemoryKube()
    await kube.create(ROLLOUT, a_rollout("old"))
    pauses = asyncio.Queue()

    async def wait(seconds: float) -> None:
        await pauses.put(seconds)
        await asyncio.sleep(0)

    cache = Cache(kube, ROLLOUT, sleep=wait)
    heard = asyncio.Queue()
    cache.on_change(lambda event, old, new: heard.put_nowait((event, (new or old)["metadata"]["name"])))
    following = asyncio.create_task(cache.run())
    assert await heard.get() == ("ADDED", "old")
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)

    # When things happen, and the history that would tell of them is compacted
    await kube.delete(ROLLOUT, "shop", "old")
    await kube.create(ROLLOUT, a_rollout("new"))
    kube.compact()
    following = asyncio.create_task(cache.run())

    # Then it lists, and tells the difference
    assert sorted([await heard.get(), await heard.get()]) == [("ADDED", "new"), ("DELETED", "old")]
    assert cache.lists == 2
    following.cancel()


class Forgetful:
    """A server that answers each attempt to go on with 410, also right after a list."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def list(self, *_):
        self.said.append("list")
        return [], "7"

    async def watch(self, *_, resource_version, **__):
        self.said.append(f"410 from {resource_version}")
        raise Gone("too old", status=410)
        yield


async def test_a_past_that_is_gone_is_listed_again_at_once_but_not_over_and_over():
    # Given a server that was away, for which a cache waits longer each time, and that comes back without its past
    server, enough = Forgetful(), asyncio.Event()

    async def wait(seconds: float) -> None:
        server.said.append("wait")
        if server.said.count("wait") == 2:
            enough.set()
            await asyncio.sleep(3600)

    cache = Cache(server, ROLLOUT, sleep=wait)
    cache.replace([], "3")
    following = asyncio.create_task(cache.run())
    await enough.wait()
    following.cancel()

    # Then it does not wait once more before it lists
    assert server.said == ["410 from 3", "list", "410 from 7", "wait", "list", "410 from 7", "wait"]
