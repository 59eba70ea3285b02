"""`tidegate request` and `tidegate events` on a real NATS server, with a planner that answers as told."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from tidegate.bus import PLANNER_REQUESTS, Bus, Envelope
from tidegate.bus.server import LocalNats
from tidegate.config import Settings
from tidegate.messages import RequestAnswered, RolloutOutcome, RolloutRequested

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-c", "from tidegate_cli.app import main; main()", "--namespace", "shop"]


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    out: str
    err: str


Cli = Callable[..., Awaitable[Done]]


@pytest.fixture(scope="module")
def nats() -> Iterator[LocalNats]:
    with LocalNats() as server:
        yield server


@pytest.fixture
async def bus(nats: LocalNats) -> AsyncIterator[Bus]:
    async with Bus.connect(Settings(nats_url=nats.url), service="planner", answer_seconds=300) as bus:
        yield bus


@pytest.fixture
def cli(nats: LocalNats) -> Cli:
    environment = {**os.environ, "NATS_URL": nats.url}

    async def run(*words: str) -> Done:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*COMMAND, *words, env=environment, stdout=pipe, stderr=pipe)
        async with asyncio.timeout(300):
            out, err = await process.communicate()
        return Done(process.returncode or 0, out.decode(), err.decode())

    return run


def an_outcome(verb: Any, *, name: str = "web", revision: int = 2, **more: Any) -> RolloutOutcome:
    return RolloutOutcome(namespace="shop", name=name, verb=verb, uid="u", revision=revision, hash="h", **more)


class Planner:
    """Answers each request, then tells these outcomes."""

    def __init__(self, bus: Bus, *, reason: str = "", outcomes: tuple[str, ...] = ()) -> None:
        self.asked: list[tuple[RolloutRequested, Envelope]] = []
        self._bus, self._reason, self._outcomes = bus, reason, outcomes
        bus.consume(PLANNER_REQUESTS, {RolloutRequested: self.on_requested})

    async def on_requested(self, request: RolloutRequested, envelope: Envelope) -> None:
        self.asked.append((request, envelope))
        answer = RequestAnswered(namespace="shop", name=request.name, accepted=not self._reason, reason=self._reason)
        await self._bus.answer(envelope, answer)
        for verb in self._outcomes:
            await self._bus.publish(an_outcome(verb, name=request.name), cause=envelope)


async def test_an_accepted_request_names_its_correlation_and_its_sender(bus: Bus, cli: Cli) -> None:
    planner = Planner(bus)
    done = await cli("request", "web", "--image", "app=demo:2", "--as", "ci@example.org")
    assert (done.code, done.err) == (0, "")
    ((request, envelope),) = planner.asked
    assert request.images == {"app": "demo:2"}
    assert envelope.authid == "ci@example.org"
    assert done.out == f"rollout 'web' request accepted (correlation {envelope.correlation})\n"


async def test_a_refused_request_tells_the_reason(bus: Bus, cli: Cli) -> None:
    Planner(bus, reason='unable to find container named "app"')
    done = await cli("request", "web", "--image", "app=demo:2", "--wait")
    assert (done.code, done.out, done.err) == (1, "", 'tidegate: refused: unable to find container named "app"\n')


@pytest.mark.parametrize(("last", "code"), [("completed", 0), ("aborted", 1)])
async def test_waiting_prints_outcomes_up_to_the_last_one(bus: Bus, cli: Cli, last: str, code: int) -> None:
    Planner(bus, outcomes=("started", "paused", last, "started"))
    done = await cli("request", f"waits-{last}", "--image", "app=demo:2", "--wait", "--timeout", "300s")
    assert (done.code, done.err) == (code, "")
    assert [line.split()[4] for line in done.out.splitlines()[1:]] == ["started", "paused", last]


async def test_a_planner_that_is_away_is_told_and_the_request_stays(bus: Bus, cli: Cli) -> None:
    done = await cli("request", "lonely", "--image", "app=demo:2", "--timeout", "1s")
    assert done.code == 1
    assert done.err == "tidegate: no answer within 1 s; the request is stored and will be carried out\n"
    planner = Planner(bus)
    async with asyncio.timeout(300):
        while not planner.asked:  # noqa: ASYNC110 - filled by a consumer
            await asyncio.sleep(0.05)


async def test_events_shows_what_is_stored_and_ends(bus: Bus, cli: Cli) -> None:
    told = ["started", "paused", "resumed", "paused", "resumed", "completed"]
    for verb in told:
        await bus.publish(an_outcome(verb, name="told"))
    done = await cli("events", "told")
    assert (done.code, done.err) == (0, "")
    assert [line.split()[4] for line in done.out.splitlines()] == told


async def test_events_of_a_rollout_nothing_was_heard_of_says_so(cli: Cli) -> None:
    done = await cli("events", "silent")
    said = 'tidegate: no outcomes of rollout "silent" in namespace "shop" in the last 30 days\n'
    assert (done.code, done.out, done.err) == (0, "", said)


async def test_events_as_json_are_cloudevents_one_per_line(bus: Bus, cli: Cli) -> None:
    await bus.publish(an_outcome("completed", name="json", weight=100))
    (event,) = [orjson.loads(line) for line in (await cli("events", "json", "-o", "json")).out.splitlines()]
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "dev.tidegate.rollout.completed", "shop/json")
    assert event["data"]["weight"] == 100


async def test_no_bus_is_one_clear_line_without_the_password(nats: LocalNats) -> None:
    environment = {**os.environ, "NATS_URL": "nats://sender:secret@127.0.0.1:1"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*COMMAND, "events", env=environment, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    said = "tidegate: no NATS server with JetStream answered at nats://127.0.0.1:1 within 15 s: "
    assert err.decode() == f"{said}[Errno 111] Connect call failed ('127.0.0.1', 1)\n"
