"""Many analysis runs at once: is each measured when it is due, whatever the others wait for?

A run's measurements are timed where they arrive, at a metric server of the bench's own. What counts is the distance between two of
them, less the interval: how far a run drifts.
"""

import asyncio
import statistics
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web
from measuring import AuditLog, Costs

from tidegate.keys import API_VERSION
from tidegate.kube.client import Kube
from tidegate.kube.kinds import ANALYSIS_RUN, NAMESPACE

INTERVAL = 10.0
DEAF = 50
"""Runs beside the others whose server takes their question and never answers."""
AT_ONCE = 50
SOME_TIME = 300.0
ANSWER = {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "0.99"]}]}}


@dataclass(kw_only=True)
class Drift:
    runs: int
    seconds: float
    late: list[float]
    """Of each measurement, seconds beyond the interval since the one before it."""
    cpu: Mapping[str, float]
    rss: Mapping[str, float]
    writes: int
    shared_runs: int
    shared_questions: int

    def report(self) -> str:
        ordered = sorted(self.late)
        p99 = ordered[int(len(ordered) * 0.99)]
        measured = f"{len(ordered)} in {self.seconds:.0f} s"
        times = f"{statistics.median(ordered):.2f} s | {p99:.2f} s | {ordered[-1]:.2f} s"
        costs = f"{self.cpu['analyzer'] / len(ordered):.1f} | {self.writes / len(ordered):.2f} | {self.rss['analyzer']:.0f} MB"
        lines = [
            f"(e) {self.runs} analysis runs at once, each every {INTERVAL:.0f} s, {DEAF} more that are never answered",
            "",
            "| measured | p50 late | p99 late | most | analyzer's CPU ms each | its API writes each | its RSS |",
            "|---|---|---|---|---|---|---|",
            f"| {measured} | {times} | {costs} |",
            "",
            f"{self.shared_runs} runs that ask the same put {self.shared_questions} questions in {INTERVAL:.0f} s.",
        ]
        return "\n".join(lines)


class Metrics:
    """The other side: answers `query` at once, keeps `deaf` waiting, and remembers when each was asked."""

    def __init__(self) -> None:
        self.asked: defaultdict[str, list[float]] = defaultdict(list)

    async def __call__(self, request: web.Request) -> web.Response:
        query = parse_qs(await request.text())["query"][0]
        self.asked[query].append(asyncio.get_running_loop().time())
        if query.startswith("deaf"):
            await asyncio.sleep(SOME_TIME)
        return web.json_response(ANSWER)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_post("/api/v1/query", self)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def analysis_run(namespace: str, name: str, address: str, query: str) -> dict[str, Any]:
    provider = {"prometheus": {"address": address, "query": query}}
    metric = {"name": "rate", "interval": f"{INTERVAL:.0f}s", "successCondition": "result[0] > 0.95", "provider": provider}
    return {
        "apiVersion": API_VERSION,
        "kind": "AnalysisRun",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"metrics": [{**metric, "consecutiveErrorLimit": 1000}]},
    }


async def drifted(kube: Kube, pids: Mapping[str, int], audit: AuditLog, *, runs: int, seconds: float) -> Drift:
    metrics = Metrics()
    async with metrics.serving() as address:
        async with _runs(kube, "bench-analyses", address, [f"run-{number:04}" for number in range(runs)], deaf=DEAF):
            await _until_all(metrics, runs)
            await asyncio.sleep(2 * INTERVAL)  # whoever was created in the rush has found its pace
            costs, began = Costs(pids), asyncio.get_running_loop().time()
            audit.skip()
            await asyncio.sleep(seconds)
            writes = audit.writes()
            ended = asyncio.get_running_loop().time()
            cpu, rss = costs.cpu(), costs.rss()
        late = [
            distance - INTERVAL
            for query, times in metrics.asked.items()
            if query.startswith("run-")
            for distance in _distances(times, began, ended)
        ]
        shared = min(runs, 500)
        async with _runs(kube, "bench-shared-analyses", address, ["same"] * shared, deaf=0):
            await asyncio.sleep(3 * INTERVAL)
            before = len(metrics.asked["same"])
            await asyncio.sleep(INTERVAL)
            questions = len(metrics.asked["same"]) - before
    return Drift(
        runs=runs,
        seconds=ended - began,
        late=late,
        cpu=cpu,
        rss=rss,
        writes=sum(count for write, count in writes.items() if write.agent == "tidegate-analyzer"),
        shared_runs=shared,
        shared_questions=questions,
    )


def _distances(times: list[float], began: float, ended: float) -> list[float]:
    """Between one measurement and the next, if the next lies in the span."""
    return [later - earlier for earlier, later in pairwise(times) if began <= later <= ended]


async def _until_all(metrics: Metrics, runs: int) -> None:
    async with asyncio.timeout(SOME_TIME):
        while sum(1 for query in metrics.asked if query.startswith("run-")) < runs:  # noqa: ASYNC110 - another process measures
            await asyncio.sleep(0.5)


@asynccontextmanager
async def _runs(kube: Kube, namespace: str, address: str, queries: list[str], *, deaf: int) -> AsyncIterator[None]:
    await kube.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    asked = [*queries, *(f"deaf-{number}" for number in range(deaf))]
    slots = asyncio.Semaphore(AT_ONCE)

    async def create(number: int, query: str) -> None:
        async with slots:
            await kube.create(ANALYSIS_RUN, analysis_run(namespace, f"run-{number:04}", address, query))

    async def delete(number: int) -> None:
        async with slots:
            await kube.delete(ANALYSIS_RUN, namespace, f"run-{number:04}")

    await asyncio.gather(*(create(number, query) for number, query in enumerate(asked)))
    try:
        yield
    finally:
        await asyncio.gather(*(delete(number) for number in range(len(asked))))
        await kube.delete(NAMESPACE, None, namespace)
