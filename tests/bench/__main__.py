"""`make bench`: one rollout ten times, two hundred at once, on the embedded control plane with the real processes.

Prints the figures and writes them, with the machine they were measured on, into docs/benchmarks.md. Speed is judged here, by
ratios and counts, never by a time-out in a test: machines are shared and noisy.
"""

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from analyses import Drift, drifted
from floor import Floor
from measuring import AuditLog, Costs, Write
from scenarios import Fleet

from tidegate.bus.server import LocalNats
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate_cli.local.identities import BusUsers, environments, service_accounts
from tidegate_cli.local.services import MODULES, Services
from tidegate_cli.local.stack import install_crds
from tidegate_embedded import ControlPlane, Options

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
ROLLOUTS, ANALYSES = "measured", "measured analyses"
"""What stands between two markers of the document."""
SECOND = "planner-2"
SETTLE = 3.0  # seconds without a write after which everything is told
LONGEST_SETTLE = 180.0  # seconds


@dataclass(kw_only=True)
class Figures:
    """One scenario, `rollouts` of them in each of `rounds`."""

    title: str
    rollouts: int
    seconds: list[float]
    wall: float
    writes: Counter[Write] = field(default_factory=Counter)
    cpu: Mapping[str, float] = field(default_factory=dict)
    rss: Mapping[str, float] = field(default_factory=dict)
    floor: float | None = None

    def per_rollout(self, *, events: bool) -> float:
        return sum(count for write, count in self.writes.items() if write.is_event == events) / self.rollouts


async def measured(title: str, fleet: Fleet, names: list[str], rounds: int, audit: AuditLog, pids: Mapping[str, int]) -> Figures:
    await settled(audit)
    costs = Costs(pids)
    seconds: list[float] = []
    walls: list[float] = []
    for number in range(rounds):
        taken = await fleet.change(names, f"demo:{title[1]}{number}")
        seconds += taken
        walls.append(max(taken))
    writes = await settled(audit)  # Events come after the rollouts, and are counted whole
    return Figures(
        title=title,
        rollouts=len(names) * rounds,
        seconds=seconds,
        wall=statistics.median(walls),
        writes=writes,
        cpu=costs.cpu(),
        rss=costs.rss(),
    )


async def settled(audit: AuditLog) -> Counter[Write]:
    """The writes since the last reading, once nothing is written any more."""
    writes: Counter[Write] = Counter()
    deadline = time.monotonic() + LONGEST_SETTLE
    while time.monotonic() < deadline:
        await asyncio.sleep(SETTLE)
        more = audit.writes()
        if not more:
            return writes
        writes += more
    raise TimeoutError(f"still written to after {LONGEST_SETTLE:.0f} s: {writes.most_common(3)}")


async def floor_of(kube: Kube, namespace: str, apps: list[str], *, replicas: int, rounds: int) -> float:
    """Seconds, the median of `rounds`."""
    async with Floor(kube, namespace) as floor:
        await floor.create(apps, replicas=replicas)
        versions = [f"v{number}" for number in range(rounds + 1)]
        return statistics.median(
            [await floor.change(apps, before, after, replicas=replicas) for before, after in pairwise(versions)]
        )


Pids = Mapping[str, int]
AnotherPlanner = Callable[[], AbstractContextManager[Pids]]


async def run(plane: ControlPlane, pids: Pids, another_planner: AnotherPlanner, sizes: argparse.Namespace) -> list[Figures]:
    audit = AuditLog(plane.audit_log)
    found = []
    async with _kube(plane) as kube:
        async with Fleet(kube, "bench-alone") as fleet:
            await fleet.create(["app"], replicas=5)
            await fleet.change(["app"], "demo:warm")
            found.append(await measured("(a) one rollout, 5 replicas", fleet, ["app"], sizes.alone, audit, pids))
        found[-1].floor = await floor_of(kube, "floor-alone", ["app"], replicas=5, rounds=sizes.alone)
        async with Fleet(kube, "bench-together") as fleet:
            names = _names(sizes.together)
            await fleet.create(names, replicas=2)
            found.append(await measured(f"(b) {len(names)} rollouts at once, 2 replicas", fleet, names, 1, audit, pids))
        found[-1].floor = await floor_of(kube, "floor-together", names, replicas=2, rounds=1)
        if sizes.shared:
            async with Fleet(kube, "bench-shared") as fleet:
                names = _names(sizes.shared)
                await fleet.create(names, replicas=2)
                found.append(await measured(f"(c) {len(names)} rollouts, one planner", fleet, names, 1, audit, pids))
                with another_planner() as more:
                    both = {**pids, **more}
                    found.append(await measured(f"(d) {len(names)} rollouts, two planners", fleet, names, 1, audit, both))
    return found


async def analyses(plane: ControlPlane, pids: Pids, runs: int) -> Drift:
    async with _kube(plane) as kube:
        return await drifted(kube, pids, AuditLog(plane.audit_log), runs=runs, seconds=60.0)


def _kube(plane: ControlPlane) -> Kube:
    return Kube(load(plane.kubeconfig), user_agent="tidegate-bench", connections=200)


def _names(count: int) -> list[str]:
    return [f"app-{number:03}" for number in range(count)]


def report(figures: list[Figures]) -> str:
    lines = [
        "| scenario | wall | floor | p50 | p99 | API writes each | Events each | CPU ms each | RSS of the services |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(each) for each in figures]
    for each in figures:
        lines += ["", f"{each.title}: writes per rollout by who and what", ""]
        lines += ["| user agent | verb | resource | per rollout |", "|---|---|---|---|"]
        for write, count in sorted(each.writes.items(), key=lambda item: -item[1]):
            refused = " (refused)" if write.refused else ""
            lines.append(f"| {write.agent} | {write.verb} | {write.resource}{refused} | {count / each.rollouts:.2f} |")
        lines += ["", "| process | CPU ms per rollout | RSS MB |", "|---|---|---|"]
        lines += [f"| {name} | {each.cpu[name] / each.rollouts:.1f} | {each.rss[name]:.0f} |" for name in each.cpu]
    return "\n".join(lines)


def _row(each: Figures) -> str:
    ordered = sorted(each.seconds)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    services = sum(size for name, size in each.rss.items() if name != "nats")
    floor = "" if each.floor is None else f"{each.floor:.2f} s"
    times = f"{each.wall:.2f} s | {floor} | {statistics.median(ordered):.2f} s | {p99:.2f} s"
    writes = f"{each.per_rollout(events=False):.1f} | {each.per_rollout(events=True):.1f}"
    return f"| {each.title} | {times} | {writes} | {sum(each.cpu.values()) / each.rollouts:.1f} | {services:.0f} MB |"


def machine() -> str:
    model = next(line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    when = datetime.now(UTC).date()  # noqa: TID251 - a report says when
    load = os.getloadavg()[0]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"Measured {when} on {os.cpu_count()} cores of {model}, {python}, load {load:.1f}."


def store(part: str, text: str) -> None:
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    before = DOCUMENT.read_text() if DOCUMENT.exists() else "# Benchmarks\n"
    head, found, rest = before.partition(begin)
    if not found:
        head, rest = f"{head}\n", f"{end}\n"
    DOCUMENT.write_text(f"{head}{begin}\n\n{text}\n\n{end}{rest.partition(end)[2]}")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alone", type=int, default=10, help="rounds of the single rollout")
    parser.add_argument("--together", type=int, default=200, help="rollouts changed at once")
    parser.add_argument("--shared", type=int, default=400, help="rollouts for one planner, then for two; 0 leaves it out")
    parser.add_argument("--analyses", type=int, default=2000, help="analysis runs measured at once; 0 leaves it out")
    parser.add_argument("--only-analyses", action="store_true", help="leave the rollouts out")
    parser.add_argument("--dry", action="store_true", help="do not touch docs/benchmarks.md")
    parser.add_argument("--logs", action="store_true", help="print the logs of the services")
    return parser.parse_args()


@dataclass(frozen=True, kw_only=True)
class Ground:
    """A control plane, a bus, and who the services are there: each has its own rights, as in an installation."""

    plane: ControlPlane
    nats: LocalNats
    own: Mapping[str, Mapping[str, str]]
    folder: Path

    def services(self, modules: Mapping[str, str] = MODULES) -> Services:
        environment = {**os.environ, "NATS_URL": self.nats.url, "TIDEGATE_LOG_LEVEL": "warning"}
        return Services(environment, own=self.own, logs=self.folder, modules=modules)

    @contextmanager
    def another_planner(self) -> Iterator[Pids]:
        with self.services({SECOND: MODULES["planner"]}) as more:
            yield more.pids


@contextmanager
def ground() -> Iterator[Ground]:
    users = BusUsers.fresh()
    with (
        ControlPlane(Options(nodes=4)) as plane,
        LocalNats(config=users.server_config) as nats,
        tempfile.TemporaryDirectory(prefix="tidegate-") as folder,
        service_accounts(plane.kubeconfig, Path(folder)) as accounts,
    ):
        asyncio.run(install_crds(plane.kubeconfig))
        own = environments(accounts, users)
        yield Ground(plane=plane, nats=nats, own={**own, SECOND: own["planner"]}, folder=Path(folder))


def main() -> None:
    given, texts = options(), {}
    with ground() as place, place.services() as services:
        pids = {**services.pids, "nats": place.nats.pid}
        if not given.only_analyses:
            texts[ROLLOUTS] = f"{machine()}\n\n{report(asyncio.run(run(place.plane, pids, place.another_planner, given)))}"
        if given.analyses:
            texts[ANALYSES] = f"{machine()}\n\n{asyncio.run(analyses(place.plane, pids, given.analyses)).report()}"
        if given.logs:
            print(*(path.read_text() for path in place.folder.glob("*.log")))
    for part, text in texts.items():
        print(f"\n{text}")
        if not given.dry:
            store(part, text)


if __name__ == "__main__":
    main()
