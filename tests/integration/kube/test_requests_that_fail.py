"""What `Kube` does when requests fail: what is sent again, what is not, and what the caller hears."""

import asyncio
import contextlib

import orjson
import pytest
from aiohttp import web

from tidegate.children import free_port
from tidegate.kube.client import Kube
from tidegate.kube.credentials import BearerToken, Cluster
from tidegate.kube.errors import Gone, Invalid, KubeError, NotFound, ServerUnavailable, TooManyRequests, Unauthorized, Unreachable
from tidegate.kube.kinds import CONFIG_MAP, POD, ROLLOUT

pytestmark = pytest.mark.integration

ROLLOUT_WEB = {"metadata": {"name": "web", "namespace": "shop", "resourceVersion": "7"}}
NEW = {"metadata": {"name": "web", "namespace": "shop"}}


async def reset(request: web.Request) -> web.StreamResponse:
    request.transport.abort()
    return web.Response()


async def hang(_request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


async def test_a_read_is_repeated_until_the_server_recovers_with_growing_pauses(scripted, answer):
    kube, script = await scripted(answer(status=500), answer(status=503), reset, answer(ROLLOUT_WEB))
    assert await kube.get(ROLLOUT, "shop", "web") == ROLLOUT_WEB
    assert script.pauses == [0.2, 0.4, 0.8]


async def test_a_read_that_keeps_failing_ends_with_the_servers_words(scripted, answer):
    kube, script = await scripted(answer(status=500))
    with pytest.raises(ServerUnavailable, match="as scripted"):
        await kube.get(ROLLOUT, "shop", "web")
    assert len(script.requests) == 4


WRITES = {
    "create": lambda kube: kube.create(ROLLOUT, NEW),
    "merge patch": lambda kube: kube.merge_patch(ROLLOUT, "shop", "web", {"spec": {}}),
    "json patch": lambda kube: kube.json_patch(ROLLOUT, "shop", "web", []),
    "apply": lambda kube: kube.apply(ROLLOUT, NEW, field_manager="x"),
    "delete": lambda kube: kube.delete(ROLLOUT, "shop", "web"),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
async def test_a_write_that_the_server_failed_is_not_sent_again(scripted, answer, write):
    kube, script = await scripted(answer(status=500))
    with pytest.raises(ServerUnavailable):
        await write(kube)
    assert len(script.requests) == 1


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
async def test_a_write_whose_answer_was_lost_is_not_sent_again(scripted, write):
    kube, script = await scripted(reset)
    with pytest.raises(ServerUnavailable) as failure:
        await write(kube)
    assert not isinstance(failure.value, Unreachable)
    assert len(script.requests) == 1


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
async def test_a_write_refused_with_429_is_sent_again_after_the_time_the_server_named(scripted, answer, write):
    kube, script = await scripted(answer(status=429, headers={"Retry-After": "2"}), answer(ROLLOUT_WEB))
    assert await write(kube) == ROLLOUT_WEB
    assert script.pauses == [2.5]


async def test_a_long_retry_after_is_the_callers_to_wait(scripted, answer):
    kube, script = await scripted(answer(status=429, headers={"Retry-After": "60"}))
    with pytest.raises(TooManyRequests) as refusal:
        await kube.get(ROLLOUT, "shop", "web")
    assert refusal.value.retry_after == 60.0
    assert script.pauses == []


async def test_an_eviction_that_a_budget_forbids_is_sent_once(scripted, answer):
    kube, script = await scripted(answer(status=429, headers={"Retry-After": "1"}))
    with pytest.raises(TooManyRequests) as refusal:
        await kube.create_subresource(POD, "shop", "web-1", "eviction", {"kind": "Eviction"})
    assert refusal.value.retry_after == 1.0
    assert len(script.requests) == 1


async def test_a_write_that_found_no_server_is_sent_again_when_there_is_one(answer):
    port = free_port()
    runner = web.ServerRunner(web.Server(lambda _request: asyncio.sleep(0, answer(ROLLOUT_WEB).copy())))
    await runner.setup()

    async def start_server(_pause: float) -> None:
        await web.TCPSite(runner, "127.0.0.1", port).start()

    async with Kube(Cluster(f"http://127.0.0.1:{port}"), user_agent="t", sleep=start_server) as kube:
        assert await kube.create(ROLLOUT, NEW) == ROLLOUT_WEB
    await runner.cleanup()


async def test_a_write_that_never_finds_a_server_certainly_did_not_happen():
    async def no_pause(_seconds: float) -> None: ...

    async with Kube(Cluster(f"http://127.0.0.1:{free_port()}"), user_agent="t", sleep=no_pause) as kube:
        with pytest.raises(Unreachable):
            await kube.create(ROLLOUT, NEW)


async def test_a_server_that_never_answers_is_unavailable(scripted):
    kube, _ = await scripted(hang, timeout=0.3)
    with pytest.raises(ServerUnavailable):
        await kube.merge_patch(ROLLOUT, "shop", "web", {})


async def test_an_answer_that_is_no_json_is_an_unavailable_server(scripted, answer):
    kube, _ = await scripted(answer(b"<html>please log in</html>"))
    with pytest.raises(ServerUnavailable, match="not JSON"):
        await kube.create(ROLLOUT, NEW)


async def test_a_redirect_is_not_followed_with_our_token(scripted, answer):
    kube, script = await scripted(answer(status=302, headers={"Location": "http://127.0.0.1:1/steal"}))
    with pytest.raises(KubeError):
        await kube.get(ROLLOUT, "shop", "web")
    assert len(script.requests) == 1


async def test_a_refused_token_is_read_anew_once_and_the_request_repeated(scripted, answer, tmp_path):
    (tmp_path / "token").write_text("old")
    token = BearerToken(tmp_path / "token")
    asked = []

    def headers(again: bool):
        asked.append(again)
        return token(again)

    kube, script = await scripted(answer(status=401), answer(ROLLOUT_WEB), headers=headers)
    assert await kube.merge_patch(ROLLOUT, "shop", "web", {}) == ROLLOUT_WEB
    assert asked.count(True) == 1
    assert len(script.requests) == 2


async def test_a_token_that_stays_refused_is_unauthorized(scripted, answer):
    kube, script = await scripted(answer(status=401), headers=lambda _again: {"Authorization": "Bearer x"})
    with pytest.raises(Unauthorized):
        await kube.get(ROLLOUT, "shop", "web")
    assert len(script.requests) == 2


async def test_many_requests_refused_together_read_the_credentials_once(scripted):
    held, reads = [{"Authorization": "Bearer old"}], []

    def headers(again: bool):
        if again:
            reads.append(again)
            held[0] = {"Authorization": "Bearer new"}
        return held[0]

    async def judge(request: web.Request) -> web.Response:
        fresh = request.headers["Authorization"] == "Bearer new"
        return web.json_response(ROLLOUT_WEB if fresh else {"code": 401}, status=200 if fresh else 401)

    kube, _ = await scripted(judge, headers=headers)
    await asyncio.gather(*(kube.get(ROLLOUT, "shop", "web") for _ in range(20)))
    assert len(reads) == 1


async def test_a_rotated_token_file_is_used_by_the_next_request(scripted, answer, tmp_path):
    file = tmp_path / "token"
    file.write_text("first")
    kube, script = await scripted(answer(ROLLOUT_WEB), headers=BearerToken(file))
    await kube.get(ROLLOUT, "shop", "web")
    (tmp_path / "next").write_text("second")
    (tmp_path / "next").replace(file)  # as the kubelet swaps it
    await kube.get(ROLLOUT, "shop", "web")
    assert [request.headers["Authorization"] for request in script.requests] == ["Bearer first", "Bearer second"]


async def test_a_long_list_is_read_in_pages_of_one_version(scripted, answer):
    def page(names: str, token: str) -> dict:
        items = [{"metadata": {"name": name}} for name in names]
        return {"metadata": {"resourceVersion": "9", "continue": token}, "items": items}

    kube, script = await scripted(answer(page("ab", "next")), answer(page("c", "")))
    items, version = await kube.list(CONFIG_MAP, labels="app=web")
    assert [item["metadata"]["name"] for item in items] == ["a", "b", "c"]
    assert version == "9"
    assert [dict(request.query) for request in script.requests] == [
        {"labelSelector": "app=web", "limit": "500"},
        {"labelSelector": "app=web", "limit": "500", "continue": "next"},
    ]


async def test_a_list_whose_pages_expired_is_read_again_in_one_piece(scripted, answer):
    first = {"metadata": {"resourceVersion": "9", "continue": "next"}, "items": [{"metadata": {"name": "old"}}]}
    whole = {"metadata": {"resourceVersion": "12"}, "items": [{"metadata": {"name": "new"}}]}
    kube, script = await scripted(answer(first), answer(status=410), answer(whole))
    items, version = await kube.list(CONFIG_MAP)
    assert ([item["metadata"]["name"] for item in items], version) == (["new"], "12")
    assert "limit" not in script.requests[-1].query


async def test_a_list_that_is_gone_even_in_one_piece_says_so(scripted, answer):
    kube, _ = await scripted(answer(status=410))
    with pytest.raises(Gone):
        await kube.list(CONFIG_MAP)


async def test_a_delete_carries_its_preconditions(scripted, answer):
    kube, script = await scripted(answer(status=404))
    with pytest.raises(NotFound):
        await kube.delete(ROLLOUT, "shop", "web", uid="u-1", resource_version="7", propagation="Foreground")
    sent = orjson.loads(script.bodies[0])
    assert sent["preconditions"] == {"uid": "u-1", "resourceVersion": "7"}
    assert sent["propagationPolicy"] == "Foreground"


async def test_a_delete_without_a_name_never_leaves_the_process(scripted, answer):
    kube, script = await scripted(answer({}))
    with pytest.raises(Invalid):
        await kube.delete(ROLLOUT, "shop", "")
    assert script.requests == []


async def test_requests_say_who_asks_and_ask_for_plain_bytes(scripted, answer):
    kube, script = await scripted(answer(ROLLOUT_WEB))
    await kube.get(ROLLOUT, "shop", "web")
    headers = script.requests[0].headers
    assert (headers["User-Agent"], headers["Accept-Encoding"]) == ("tidegate-test/1", "identity")


async def test_a_server_behind_a_path_is_reached_by_it(scripted, answer):
    kube, script = await scripted(answer(ROLLOUT_WEB), prefix="/k8s/clusters/c-1")
    await kube.get(ROLLOUT, "shop", "web")
    assert script.requests[0].path == "/k8s/clusters/c-1/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web"


async def test_use_outside_of_its_context_is_a_mistake_that_says_so():
    kube = Kube(Cluster("http://127.0.0.1:1"), user_agent="t")
    with pytest.raises(RuntimeError, match="async with"), contextlib.suppress(KubeError):
        await kube.get(ROLLOUT, "shop", "web")
