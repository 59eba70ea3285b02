"""The life of a service process: a real process, a real server, real signals."""

import asyncio
import json
import os
import signal
import sys
import urllib.error
import urllib.request

import pytest

from tidegate.bus import Bus
from tidegate.children import free_port
from tidegate.messages import REQUESTS, RolloutCommanded

pytestmark = pytest.mark.integration

PROGRAM = """
import asyncio, sys
from tidegate.bus import PLANNER_REQUESTS
from tidegate.messages import REQUESTS, RolloutCommanded
from tidegate.service import run
import structlog
log = structlog.get_logger()

async def work(message, envelope):
    log.info("working")
    if message.verb == "abort":
        service_.spawn(crash(), name="the cache")
    await asyncio.sleep(1)
    log.info("worked")

async def crash():
    raise RuntimeError("the cache is broken")

async def compose(service):
    global service_
    service_ = service
    return {PLANNER_REQUESTS: {RolloutCommanded: work}}

run("planner", compose)
"""


@pytest.fixture(autouse=True)
async def clean_requests(bus):
    """What a process that was killed here had in hand is not the next test's."""
    await bus.js.purge_stream(REQUESTS)


class Process:
    def __init__(self, process, port):
        self.process, self.port, self.lines = process, port, []

    async def read(self):
        async for line in self.process.stderr:
            self.lines.append(line.decode().rstrip())

    @property
    def events(self):
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def said(self, event):
        return any(each["event"] == event for each in self.events)

    async def get(self, path):
        def fetch():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=300) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)

        return await asyncio.to_thread(fetch)


@pytest.fixture
async def started(nats):
    processes = []

    async def start(**environ):
        port = free_port()
        settings = {"NATS_URL": nats.url, "TIDEGATE_LOG_FORMAT": "json", "TIDEGATE_HEALTH_PORT": str(port)} | environ
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, stderr=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"], **settings}
        )
        wrapped = Process(process, port)
        processes.append((wrapped, asyncio.create_task(wrapped.read())))
        return wrapped

    yield start
    for wrapped, reading in processes:
        if wrapped.process.returncode is None:
            wrapped.process.kill()
        await wrapped.process.wait()
        await reading


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_the_running_handler_finish_and_ends_with_code_0(bus, started, name, until, how):
    process = await started()
    await until(lambda: process.said("service.started"))
    await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="pause"))
    await until(lambda: process.said("working"))
    process.process.send_signal(how)
    async with asyncio.timeout(300):
        assert await process.process.wait() == 0
    await until(lambda: process.said("service.stopped"))
    assert process.said("worked")


async def test_every_log_line_names_the_service_and_the_rollout_where_known(bus, started, name, until):
    process = await started()
    await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="pause"))
    await until(lambda: process.said("worked"))
    assert {each["service"] for each in process.events} == {"planner"}
    assert {each["rollout"] for each in process.events if each["event"] == "working"} == {f"bus/{name}"}


async def test_a_background_task_that_fails_ends_the_process_with_the_reason(bus, started, name, until):
    process = await started()
    await bus.publish(RolloutCommanded(namespace="bus", name=name, verb="abort"))
    async with asyncio.timeout(300):
        assert await process.process.wait() == 1
    await until(lambda: process.said("service.failed"))
    reason = next(each["exception"] for each in process.events if each["event"] == "service.failed")
    assert "the cache is broken" in reason
    assert "in the background task 'the cache'" in reason


async def test_an_unusable_setting_is_one_line_and_code_2(started, until):
    process = await started(TIDEGATE_LOG_LEVEL="loud")
    assert await process.process.wait() == 2
    await until(lambda: process.lines)
    assert process.lines == ["tidegate-planner: TIDEGATE_LOG_LEVEL is 'loud'; it must be one of debug, info, warning, error"]


async def test_without_nats_the_service_is_alive_but_not_ready_and_can_be_stopped(started, until):
    process = await started(NATS_URL="nats://127.0.0.1:1")
    await until(lambda: process.said("bus.connection_error"))
    assert await process.get("/healthz") == (200, {"status": "alive"})
    assert await process.get("/readyz") == (503, {"status": "waiting", "missing": ["started"]})
    process.process.terminate()
    async with asyncio.timeout(300):
        assert await process.process.wait() == 0


async def test_readiness_follows_the_connection(nats, settings, started, until):
    process = await started()
    await until(lambda: process.said("service.started"))
    assert await process.get("/readyz") == (200, {"status": "ready"})
    await asyncio.to_thread(nats.kill)
    try:
        await until(lambda: process.said("bus.disconnected"))
        assert await process.get("/readyz") == (503, {"status": "waiting", "missing": ["nats"]})
    finally:
        await asyncio.to_thread(nats.start)
    await until(lambda: process.said("bus.reconnected"))
    assert (await process.get("/readyz"))[0] == 200
    async with Bus.connect(settings, service="check"):
        assert (await process.get("/nowhere"))[0] == 404
