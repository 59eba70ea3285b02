"""The protocol of docs/plugins.md, held against processes that know nothing of Tidegate: Python with nats-py, and bash.

Each kind: what is asked reaches the plugin and its answer comes back; asked again it does the same thing once; killed and started
again it is heard again; silence and nonsense have an end and a name. All of them under the NATS user that plugins have.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import orjson
import pytest
from nats.js.errors import NotFoundError

from tidegate.bus import ANALYZER_ANSWERS, PLANNER_ANSWERS, SHIFTER_ANSWERS, Bus, Calls, NoAnswer
from tidegate.bus.rights import ANALYZER, PLANNER, PLUGIN, SHIFTER, authorization
from tidegate.bus.server import LocalNats
from tidegate.bus.topology import DEAD
from tidegate.config import Settings
from tidegate.errors import UnknownName
from tidegate.kube.memory import MemoryKube
from tidegate.messages import (
    Destination,
    HeaderRoute,
    MetricAnswered,
    PluginMessage,
    RouterAnswered,
    Split,
    StepAnswered,
    StepRequested,
)
from tidegate.testing import PatientOutbound, eventually, patient_bus
from tidegate.testing.plugins import METRIC, ROUTER, STEP, PluginProcess
from tidegate_analyzer.provider import Context, Decided, Measured, NotMeasured, Tools, Unfinished
from tidegate_analyzer.providers.plugin import Plugin as PluginProvider
from tidegate_analyzer.testing import Endpoint, Reply
from tidegate_shifter.router import Ask, Owner, Refused
from tidegate_shifter.routers.plugin import Plugin as PluginRouter

PATIENCE = 300.0
NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
PASSWORDS = {"planner": "p", "traffic-shifter": "t", "analyzer": "a", "plugin": "g"}
BOXES = {
    PLANNER: (StepAnswered, PLANNER_ANSWERS),
    SHIFTER: (RouterAnswered, SHIFTER_ANSWERS),
    ANALYZER: (MetricAnswered, ANALYZER_ANSWERS),
}


@pytest.fixture(scope="module")
def nats() -> Iterator[LocalNats]:
    config = authorization(PASSWORDS)
    config["authorization"]["users"].append({"user": "test", "password": "test"})
    with LocalNats(config={**config, "no_auth_user": "test"}) as server:
        yield server


@pytest.fixture
async def bus(nats: LocalNats) -> AsyncIterator[Bus]:
    async with patient_bus(Settings(nats_url=nats.url), service="test") as connected:
        yield connected


@pytest.fixture
async def calls(nats: LocalNats) -> AsyncIterator[dict[type[PluginMessage], Calls]]:
    """As each service asks: under its own user, here impatiently."""
    async with contextlib.AsyncExitStack() as stack:
        made = {}
        for role, (answer, letters) in BOXES.items():
            settings = Settings(nats_url=nats.url, nats_user=role.user, nats_password=PASSWORDS[role.user])
            connected = await stack.enter_async_context(patient_bus(settings, service=role.user, streams=role.streams))
            made[answer] = Calls(connected, answer, letters=letters, repeat=0.3)
        yield made


@pytest.fixture(scope="module")
def plugin(nats: LocalNats) -> Callable[[str], PluginProcess]:
    return lambda name: PluginProcess(name, nats.url.replace("://", f"://{PLUGIN.user}:{PASSWORDS[PLUGIN.user]}@"))


# --- steps --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def url() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


def step(url: str, number: int | str = 1, **fields: Any) -> StepRequested:
    asked: dict[str, Any] = {
        "namespace": "shop", "name": "web.v2", "plugin": STEP, "id": f"call-{number}", "operation": "Run", "uid": "u", "index": 1,
        "execution": 1, "revision": 2, "hash": "new", "stable_hash": "old",
        "config": {"url": f"{url}go-on", "undo": f"{url}undo"}, **fields,
    }  # fmt: skip
    return StepRequested(**asked)


async def answer_of(calls: Any, url: Endpoint, number: int, **fields: Any) -> StepAnswered:
    """Asked anew where the plugin was not answered itself within its three seconds: by this process, which may stand still."""
    numbers = itertools.count(1)

    async def ask() -> StepAnswered:
        return await calls[StepAnswered].ask(step(url.url(), f"{number}-{next(numbers)}", **fields), patience=PATIENCE)

    return await eventually(ask, lambda answer: not answer.message.endswith("HTTP 0"), what="an answer that rests on the URL's")


@pytest.mark.parametrize(("status", "phase"), [(200, "Successful"), (503, "Running"), (404, "Failed")])
async def test_a_step_ends_goes_on_or_fails_as_the_plugin_finds(plugin, calls, url, status: int, phase: str) -> None:
    url.answer("/go-on", Reply(status))
    with plugin(STEP):
        answer = await answer_of(calls, url, status, status={"tries": 4})
    assert (answer.phase, answer.message, answer.status) == (phase, f"HTTP {status}", {"tries": 5})
    assert (answer.namespace, answer.name, answer.plugin) == ("shop", "web.v2", STEP), "said by the subject, not by the plugin"


async def test_an_abort_calls_what_undoes_the_step(plugin, calls, url) -> None:
    url.answer("/undo", Reply(200))
    with plugin(STEP):
        answer = await answer_of(calls, url, 7, operation="Abort")
    assert (answer.phase, url.asked[-1].method, url.asked[-1].path) == ("Successful", "POST", "/undo")


async def test_a_plugin_that_was_killed_hears_the_question_when_it_is_back(plugin, calls, url) -> None:
    url.answer("/go-on", Reply(200))
    process = plugin(STEP).start()
    process.kill()
    asking = asyncio.create_task(answer_of(calls, url, 8))
    await asyncio.sleep(0.5)
    assert not asking.done()
    with process:
        assert (await asking).phase == "Successful"


# --- routers ------------------------------------------------------------------------------------------------------------


def split(canary: int) -> Split:
    header = HeaderRoute(name="first", match=({"headerName": "X", "headerValue": {"exact": "y"}},))
    sides = {"canary": Destination(weight=canary, service="c"), "stable": Destination(weight=100 - canary, service="s")}
    return Split(**sides, header_routes=(header,), managed_routes=("first",))


def routing(folder: Path, canary: int, fence: int, uid: str = "u") -> Ask:
    owner = Owner(namespace="shop", name="web", uid=uid)
    return Ask(owner=owner, fence=fence, split=split(canary), config={"folder": str(folder)})


async def test_a_router_brings_the_split_about_once_and_says_what_is_there(plugin, calls, tmp_path: Path) -> None:
    router = PluginRouter(ROUTER, calls[RouterAnswered], patience=PATIENCE)
    with plugin(ROUTER):
        before = await router.observed(routing(tmp_path, 20, 5))
        applied = await router.apply(routing(tmp_path, 20, 5))
        file = tmp_path / "shop.web.json"
        written = file.stat().st_mtime_ns
        again = await router.apply(routing(tmp_path, 20, 6))
        assert file.stat().st_mtime_ns == written, "asked for what is there, it writes nothing"
    assert (before.state, before.weight) == ("pending", None)
    assert (applied.state, applied.weight, applied.verified, applied.router) == ("applied", 20, True, ROUTER)
    assert again == applied
    assert orjson.loads(file.read_bytes())["split"] == split(20).model_dump(mode="json"), "header routes and names too"


async def test_a_router_refuses_what_is_older_than_it_has_done(plugin, calls, tmp_path: Path) -> None:
    router = PluginRouter(ROUTER, calls[RouterAnswered], patience=PATIENCE)
    with plugin(ROUTER):
        await router.apply(routing(tmp_path, 50, 9))
        with pytest.raises(Refused, match="stale: traffic was last changed for decision 9"):
            await router.apply(routing(tmp_path, 20, 8))
        assert (await router.apply(routing(tmp_path, 20, 1, uid="of-a-namesake"))).weight == 20


async def test_what_the_plugin_cannot_do_is_said_in_its_words(plugin, calls, tmp_path: Path) -> None:
    router = PluginRouter(ROUTER, calls[RouterAnswered], patience=PATIENCE)
    with plugin(ROUTER), pytest.raises(Refused, match="No such file or directory"):
        await router.apply(routing(tmp_path / "nowhere", 50, 9))


async def test_a_silent_router_is_a_refusal_that_may_pass(calls, tmp_path: Path) -> None:
    router = PluginRouter("acme/silent", calls[RouterAnswered], patience=0.5)
    with pytest.raises(Refused, match=r"plugin acme/silent did not answer within 0\.5 s") as refused:
        await router.apply(routing(tmp_path, 50, 9))
    assert not refused.value.lasting


# --- metrics ------------------------------------------------------------------------------------------------------------


def context(number: int = 1) -> Context:
    return Context(namespace="shop", run="web-1", uid="u", metric="load", number=number, now=NOW)


@pytest.fixture
async def provider(calls) -> AsyncIterator[PluginProvider]:
    settings = Settings(metric_plugins={METRIC: True, "acme/scripted": True, "acme/off": False})
    async with PatientOutbound() as outbound:
        kube = MemoryKube(clock=lambda: NOW)
        yield PluginProvider(Tools(outbound=outbound, kube=kube, clock=lambda: NOW, settings=settings, calls=calls[MetricAnswered]))


async def test_a_value_comes_from_plain_bash(plugin, provider) -> None:
    with plugin(METRIC):
        measured = await asyncio.wait_for(provider.measure({METRIC: {}}, context()), PATIENCE)
    assert isinstance(measured, Measured)
    assert measured.result["load"] >= 0
    assert measured.metadata["host"]


class Scripted:
    """A plugin inside this process that answers what it is told to, as text; `nonsense` comes before the answer."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._said: dict[str, bytes] = {}
        self.asked: list[dict[str, Any]] = []
        self.answers: list[bytes] = []
        self.nonsense: list[bytes] = []

    async def __aenter__(self) -> Self:
        await self._bus.client.subscribe("tidegate.metric.requested.acme/scripted.>", cb=self._asked)
        await self._bus.client.flush()
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def _asked(self, msg: Any) -> None:
        question = orjson.loads(msg.data)
        if self.nonsense:
            await msg.respond(self.nonsense.pop())
            return
        if question["id"] not in self._said:
            self.asked.append(question)
            self._said[question["id"]] = self.answers[len(self._said)]
        await msg.respond(self._said[question["id"]])


OUTCOMES = [
    (b'{"result": 0.25}', Measured(result=0.25, value="0.25")),
    (b'{"result": null}', Measured(result=None, value="null")),
    (b'{"result": [1, 2], "value": "two"}', Measured(result=[1.0, 2.0], value="two")),
    (b'{"phase": "Failed", "message": "m", "value": "9"}', Decided(phase="Failed", message="m", value="9")),
    (b'{"phase": "Successful", "result": {"a": 1}}', Decided(phase="Successful", value='{"a":1}')),
    (
        b'{"phase": "Running", "resume_after": 5, "metadata": {"job": "7"}}',
        Unfinished(resume_at=NOW.replace(second=5), metadata={"job": "7"}),
    ),
]


@pytest.mark.parametrize(("answer", "outcome"), OUTCOMES, ids=lambda value: value.decode() if isinstance(value, bytes) else "")
async def test_conditions_judge_a_value_and_a_phase_judges_itself(bus, provider, answer: bytes, outcome: Any) -> None:
    async with Scripted(bus) as scripted:
        scripted.answers = [answer]
        assert await provider.measure({"acme/scripted": {"query": "q"}}, context()) == outcome
    assert scripted.asked[0] == {
        "namespace": "shop", "name": "web-1", "plugin": "acme/scripted", "id": scripted.asked[0]["id"], "operation": "Run",
        "uid": "u", "metric": "load", "number": 1, "config": {"query": "q"}, "metadata": {},
    }  # fmt: skip


async def test_one_that_goes_on_is_asked_with_what_it_left_and_ended_when_nobody_waits(bus, provider) -> None:
    async with Scripted(bus) as scripted:
        scripted.answers = [b'{"phase": "Running"}', b'{"result": 1}', b'{"phase": "Running"}']
        config, later = {"acme/scripted": None}, replace(context(), now=NOW.replace(second=10))
        await provider.resume(config, context(), {"job": "7"})
        assert await provider.resume(config, later, {"job": "7"}) == Measured(result=1.0, value="1")
        ended = await provider.terminate(config, later, {"job": "7"})
    assert [(each["operation"], each["metadata"]) for each in scripted.asked] == [
        ("Resume", {"job": "7"}), ("Resume", {"job": "7"}), ("Terminate", {"job": "7"}),
    ]  # fmt: skip
    assert len({each["id"] for each in scripted.asked}) == 3
    assert (ended.phase, ended.message) == ("Inconclusive", "Metric Terminated")


async def test_an_analyzer_that_starts_anew_asks_for_the_same_measurement_under_the_same_name(bus, provider) -> None:
    async with Scripted(bus) as scripted:
        scripted.answers = [b'{"result": 1}', b'{"result": 2}']
        measured = [
            await provider.measure({"acme/scripted": {}}, replace(context(number), now=NOW.replace(second=second)))
            for number, second in ((1, 0), (1, 30), (2, 30))
        ]
    assert [each.value for each in measured] == ["1", "1", "2"]


async def test_an_error_is_no_value_with_the_plugins_reason(bus, provider) -> None:
    async with Scripted(bus) as scripted:
        scripted.answers = [b'{"phase": "Error", "message": "no such table"}']
        with pytest.raises(NotMeasured, match="no such table"):
            await provider.measure({"acme/scripted": {}}, context())


@pytest.mark.parametrize("name", ["acme/unheard-of", "acme/off"])
async def test_a_metric_plugin_that_may_not_be_used_is_named_with_those_that_may(provider, name: str) -> None:
    with pytest.raises(UnknownName, match=f"unknown metric plugin '{name}'; known: acme/scripted, example/load"):
        await provider.measure({name: {}}, context())


@pytest.mark.parametrize(("config", "named"), [({}, "none"), ({"a/b": {}, "c/d": {}}, "a/b, c/d")])
async def test_a_metric_names_exactly_one_plugin(provider, config: Any, named: str) -> None:
    with pytest.raises(NotMeasured, match=f"must name exactly one plugin, got {named}"):
        await provider.measure(config, context())


# --- nonsense -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nonsense", [b"yes", b"{}", b'{"phase": "Done"}', b'{"result": 1, "name": "other"}', b'{"results": 1}'])
async def test_what_cannot_be_read_is_put_aside_and_the_question_repeated(bus, provider, nonsense: bytes) -> None:
    async with Scripted(bus) as scripted:
        scripted.answers, scripted.nonsense = [b'{"result": 1}'], [nonsense]
        assert await provider.measure({"acme/scripted": {}}, context()) == Measured(result=1.0, value="1")

    async def letters() -> list[bytes]:
        try:
            return [(await bus.js.get_last_msg(DEAD, f"tidegate.dead.{ANALYZER_ANSWERS}")).data or b""]
        except NotFoundError:
            return []

    await eventually(letters, lambda found: found == [nonsense], what="the dead letter of the answer")


async def test_no_plugin_answers_for_another(bus, provider) -> None:
    async with Scripted(bus) as scripted:
        scripted.answers, scripted.nonsense = [b'{"result": 1}'], [b"not now"]  # so that the other one is heard first

        async def meddle(msg: Any) -> None:
            await bus.client.publish(msg.reply.replace("acme/scripted", "acme/meddler"), b'{"result": 2}')

        meddling = await bus.client.subscribe("tidegate.metric.requested.acme/scripted.>", cb=meddle)
        assert await provider.measure({"acme/scripted": {}}, context()) == Measured(result=1.0, value="1")
        await meddling.unsubscribe()


async def test_silence_has_an_end(calls, url) -> None:
    with pytest.raises(NoAnswer, match=f"plugin {STEP} did not answer within 0.4 s"):
        await calls[StepAnswered].ask(step(url.url(), 99), patience=0.4)
