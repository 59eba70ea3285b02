"""What a `Cache` does when its watch breaks in each of the known ways: it goes on, loses nothing, and hammers nobody."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from tidegate.kube.cache import Cache
from tidegate.kube.kinds import ROLLOUT

pytestmark = pytest.mark.integration


def an_object(name: str, version: int, **content) -> dict:
    return {"metadata": {"namespace": "shop", "name": name, "resourceVersion": str(version)}, **content}


def a_list(version: int, *items: dict) -> dict:
    return {"metadata": {"resourceVersion": str(version)}, "items": list(items)}


def line(event: str, obj: dict) -> bytes:
    return orjson.dumps({"type": event, "object": obj}) + b"\n"


def streaming(*chunks: bytes, then: str = "stay") -> Callable:
    """A watch that sends chunks, and then stays open, ends as a server ends it, or is cut."""

    async def respond(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
        if then == "stay":
            await asyncio.sleep(3600)
        elif then == "cut":
            request.transport.abort()
        return response

    return respond


class Followed:
    """A running cache, what its listeners heard, and how long it would have waited."""

    def __init__(self, kube, **options) -> None:
        self.pauses: list[float] = []
        self.heard: asyncio.Queue = asyncio.Queue()
        self.cache = Cache(kube, ROLLOUT, sleep=self._pause, jitter=lambda: 0.5, **options)
        self.cache.on_change(lambda event, old, new: self.heard.put_nowait((event, (new or old)["metadata"]["name"])))

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0.01)

    async def hear(self, count: int) -> list:
        async with asyncio.timeout(300):
            return [await self.heard.get() for _ in range(count)]


@contextlib.asynccontextmanager
async def following(kube, **options) -> AsyncIterator[Followed]:
    followed = Followed(kube, **options)
    with capture_logs():
        task = asyncio.create_task(followed.cache.run())
        try:
            yield followed
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(300):
        while not condition():  # noqa: ASYNC110 - what is waited for is inside a server
            await asyncio.sleep(0.01)


def watched_from(script) -> list[str]:
    return [request.query["resourceVersion"] for request in script.requests if "watch" in request.query]


async def test_a_watch_cut_mid_line_resumes_after_the_last_whole_event(scripted, answer):
    half = line("MODIFIED", an_object("a", 7))[:-20]
    kube, script = await scripted(
        answer(a_list(5)),
        streaming(line("ADDED", an_object("a", 6)) + half, then="cut"),
        streaming(line("MODIFIED", an_object("a", 7))),
    )
    async with following(kube) as followed:
        assert await followed.hear(2) == [("ADDED", "a"), ("MODIFIED", "a")]
    assert watched_from(script) == ["5", "6"]
    assert followed.cache.lists == 1


@pytest.mark.parametrize("how", ["http status", "error event"])
async def test_a_version_that_is_gone_leads_to_a_new_list_and_deleted_events(scripted, answer, how):
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    gone = answer(status, status=410) if how == "http status" else streaming(line("ERROR", status))
    kube, script = await scripted(
        answer(a_list(5, an_object("kept", 1), an_object("vanished", 2))),
        gone,
        answer(a_list(90, an_object("kept", 1), an_object("new", 80))),
        streaming(),
    )
    async with following(kube) as followed:
        assert await followed.hear(4) == [("ADDED", "kept"), ("ADDED", "vanished"), ("ADDED", "new"), ("DELETED", "vanished")]
        await until(lambda: len(watched_from(script)) == 2)
    assert watched_from(script) == ["5", "90"]


async def test_a_bookmark_moves_the_point_to_resume_from(scripted, answer):
    bookmark = line("BOOKMARK", {"kind": "Rollout", "metadata": {"resourceVersion": "5000"}})
    kube, script = await scripted(answer(a_list(5)), streaming(bookmark, then="end"), streaming())
    async with following(kube):
        await until(lambda: len(watched_from(script)) == 2)
    assert watched_from(script) == ["5", "5000"]


async def test_a_silent_watch_is_taken_for_dead_and_opened_again(scripted, answer):
    kube, script = await scripted(answer(a_list(5)), streaming(), streaming(line("ADDED", an_object("a", 6))))
    async with following(kube, quiet_limit=0.3) as followed:
        assert await followed.hear(1) == [("ADDED", "a")]
    assert watched_from(script)[:2] == ["5", "5"]


async def test_a_server_that_ends_every_watch_at_once_is_not_hammered(scripted, answer):
    kube, _ = await scripted(answer(a_list(5)), streaming(then="end"))
    async with following(kube) as followed:
        await until(lambda: len(followed.pauses) >= 9)
    assert followed.pauses[:9] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


async def test_a_server_that_is_down_at_the_start_is_waited_for(scripted, answer):
    down = answer(status=503)
    kube, _ = await scripted(*[down] * 8, answer(a_list(5, an_object("a", 1))), streaming())
    async with following(kube) as followed:
        assert not followed.cache.synced.is_set()
        assert await followed.hear(1) == [("ADDED", "a")]
        assert followed.cache.synced.is_set()
    assert followed.pauses == [0.5, 1]  # each list is four requests before the cache itself waits


async def test_a_view_stays_served_while_its_watch_is_broken(scripted, answer):
    kube, _ = await scripted(answer(a_list(5, an_object("a", 1))), answer(status=500))
    async with following(kube) as followed:
        await until(lambda: len(followed.pauses) >= 2)
        assert followed.cache.synced.is_set()
        assert followed.cache.get("shop", "a") is not None


async def test_events_that_are_older_than_what_is_held_are_ignored(scripted, answer):
    stale = line("MODIFIED", an_object("a", 3, spec="stale")) + line("ADDED", an_object("b", 6))
    kube, _ = await scripted(answer(a_list(5, an_object("a", 5, spec="fresh"))), streaming(stale))
    async with following(kube) as followed:
        assert await followed.hear(2) == [("ADDED", "a"), ("ADDED", "b")]
        assert followed.cache.get("shop", "a")["spec"] == "fresh"


async def test_an_object_of_three_megabytes_arrives_whole(scripted, answer):
    event = line("ADDED", an_object("big", 6, data="x" * 3_000_000))
    chunks = [event[at : at + 50_000] for at in range(0, len(event), 50_000)]
    kube, _ = await scripted(answer(a_list(5)), streaming(*chunks))
    async with following(kube) as followed:
        await followed.hear(1)
        assert len(followed.cache.get("shop", "big")["data"]) == 3_000_000


async def test_what_is_no_event_breaks_the_watch_and_not_the_cache(scripted, answer):
    kube, script = await scripted(
        answer(a_list(5)), streaming(b"upstream connect error\n"), streaming(line("ADDED", an_object("a", 6)))
    )
    async with following(kube) as followed:
        assert await followed.hear(1) == [("ADDED", "a")]
    assert watched_from(script) == ["5", "5"]


async def test_a_kind_that_is_optional_and_absent_counts_as_empty(scripted, answer):
    kube, _ = await scripted(answer(status=404), answer(a_list(5, an_object("a", 1))), streaming())
    async with following(kube, optional=True) as followed:
        async with asyncio.timeout(300):
            await followed.cache.synced.wait()
        assert await followed.hear(1) == [("ADDED", "a")]  # its CRD was installed later
    assert followed.pauses == [60.0]


async def test_a_kind_that_is_needed_and_absent_is_not_taken_for_empty(scripted, answer):
    kube, _ = await scripted(answer(status=404))
    async with following(kube) as followed:
        await until(lambda: len(followed.pauses) >= 3)
        assert not followed.cache.synced.is_set()


async def test_a_watch_asks_for_bookmarks_its_selector_and_an_end(scripted, answer):
    kube, script = await scripted(answer(a_list(5)), streaming())
    async with following(kube, labels="rollouts-pod-template-hash", namespace="shop"):
        await until(lambda: len(watched_from(script)) == 1)
    query = dict(script.requests[1].query)
    assert query == {
        "watch": "1",
        "allowWatchBookmarks": "true",
        "resourceVersion": "5",
        "labelSelector": "rollouts-pod-template-hash",
        "timeoutSeconds": "450",
    }
    assert script.requests[1].path.endswith("/namespaces/shop/rollouts")
