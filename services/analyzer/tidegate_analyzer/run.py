"""One look at one AnalysisRun: begin what is due, write down what is finished, say when to look again.

The object is the only record. What is due follows from its status, so a restarted analyzer goes on where the last one stopped;
a finished measurement is written before anything is done because of it; every write carries the resourceVersion it was decided
from, so two analyzers on one run measure more often at the worst, and count nothing twice.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog

from tidegate.arguments import ArgumentError
from tidegate.kube.cache import Cache
from tidegate.kube.errors import Conflict, NotFound
from tidegate.kube.kinds import ANALYSIS_RUN
from tidegate.kube.patches import merge_difference
from tidegate_analyzer import arguments, judge
from tidegate_analyzer.api import Api
from tidegate_analyzer.arguments import HIDDEN
from tidegate_analyzer.measure import Measurer
from tidegate_analyzer.metrics import DEFAULT_MEASUREMENTS_KEPT, SpecInvalid, instant, kept_measurements, timestamp
from tidegate_analyzer.provider import Context
from tidegate_analyzer.rounds import Json, Taken, is_finished, is_news, next_number, resolved, result_of, with_taken
from tidegate_analyzer.schedule import Begun, Schedule, expires_at, kept_pace, schedule
from tidegate_analyzer.secret_values import Secrets
from tidegate_analyzer.teller import Key, Teller

GATHER: Final = 0.2
"""Seconds that a look waits for measurements under way, so that those of one round, and a quick first one, are one write."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Rest:
    """Nothing is to be done for the run of this version until then; None: until something wakes it."""

    version: str
    until: datetime | None


@dataclass(slots=True)
class _Life:
    """What this process has under way for one run."""

    uid: str
    tasks: dict[str, asyncio.Task[Taken]] = field(default_factory=dict)
    begun: dict[str, Begun] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    gathering: bool = False
    """A look waits for what ends now, and will write it down."""
    secrets: frozenset[str] | None = None
    """Values of Secrets, to be hidden; None until they were fetched."""
    specs: tuple[Json, Json] | None = None
    """A spec, and the same with its arguments put in and checked, which is half of what a look costs."""
    rest: _Rest | None = None


class Runs:
    """`wake` is called when a measurement has finished, and leads to the next look."""

    def __init__(
        self, *, kube: Api, cache: Cache, measurer: Measurer, teller: Teller, clock: Callable[[], datetime],
        wake: Callable[[Key], None] = lambda _key: None,
    ) -> None:  # fmt: skip
        self._kube = kube
        self._cache = cache
        self._measurer = measurer
        self._teller = teller
        self._clock = clock
        self._secrets = Secrets(kube)
        self._lives: dict[Key, _Life] = {}
        self.wake = wake

    async def look(self, key: Key) -> datetime | None:
        """When to look again, if nothing wakes earlier. Raises Conflict if the run has changed meanwhile, and other KubeErrors."""
        run = self._cache.get(*key)
        if run is None or run["metadata"].get("deletionTimestamp"):
            await self.forget(key)
            return None
        life = await self._life(key, run["metadata"]["uid"])
        self._teller.tell(run, hide=_hiding(run, life))
        if is_finished(run):
            await self._drop(life)
            return await self._retire(run)
        if (rest := life.rest) is not None and self._lasts(rest, run, life):
            return rest.until
        try:
            await self._begin(key, run, life)
            await self._gather(life)
            return await self._record(key, life)
        except SpecInvalid as error:
            await self._write(run, judge.invalid_status(run.get("status") or {}, str(error)))
        except ArgumentError as error:
            reason = f"{arguments.UNRESOLVED}{error}"
            await self._write(run, {**(run.get("status") or {}), "phase": "Error", "message": reason})
        return None

    def _lasts(self, rest: _Rest, run: Json, life: _Life) -> bool:
        """Our own write wakes us as anybody's does, and what follows from it was decided with it."""
        same = rest.version == run["metadata"]["resourceVersion"] and not life.taken
        return same and (rest.until is None or self._clock() < rest.until)

    def is_gone(self, key: Key) -> bool:
        return self._cache.get(*key) is None

    async def forget(self, key: Key) -> None:
        life = self._lives.pop(key, None)
        self._teller.forget(key)
        if life is not None:
            await self._drop(life)

    async def close(self) -> None:
        """Measurements under way are dropped; whoever comes next takes them anew."""
        for life in self._lives.values():
            await self._drop(life)

    # --- what is under way ---------------------------------------------------------------------------------------------

    async def _life(self, key: Key, uid: str) -> _Life:
        life = self._lives.get(key)
        if life is None or life.uid != uid:
            if life is not None:
                await self._drop(life)
            life = self._lives[key] = _Life(uid)
        return life

    async def _drop(self, life: _Life) -> None:
        await self._cancel(life, set(life.tasks))
        life.taken.clear()

    async def _cancel(self, life: _Life, names: set[str]) -> None:
        tasks = [life.tasks.pop(name) for name in names]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self, key: Key, raw: Json, life: _Life) -> None:
        run = _resolved(raw, life)
        due = schedule(run, now=self._clock(), pace=life.begun)
        if judge.is_terminating(run):
            await self._cancel(life, set(life.tasks) - set(due.terminate))
        actions = {name: action for name, action in _actions(due).items() if not self._is_under_way(run, life, name)}
        if not actions:
            return
        args = raw["spec"].get("args") or []
        values = arguments.values(args, await self._secrets.values(key[0], args))
        fetched = {values[name] for name in arguments.needed_secrets(args)}
        life.secrets = (life.secrets or frozenset()) | fetched  # a rotated one may still be in what was measured before
        for metric, shown in zip(raw["spec"]["metrics"], run["spec"]["metrics"], strict=True):
            if action := actions.get(shown["name"]):
                whole = {**arguments.substituted(metric, values), "name": shown["name"]}
                life.tasks[shown["name"]] = self._started(key, run, life, whole, action)

    def _is_under_way(self, run: Json, life: _Life, name: str) -> bool:
        result = result_of(run, name)
        return name in life.tasks or any(each.metric == name and is_news(result, each) for each in life.taken)

    def _started(self, key: Key, run: Json, life: _Life, metric: Mapping[str, Any], action: str) -> "asyncio.Task[Taken]":
        name = metric["name"]
        result = result_of(run, name)
        last = (result.get("measurements") or [None])[-1]
        context = Context(
            namespace=key[0], run=key[1], uid=life.uid, metric=name, number=next_number(result), now=self._clock(),
            interval=str(metric.get("interval") or ""), run_started=instant((run.get("status") or {}).get("startedAt")),
            kept=kept_measurements(run["spec"]).get(name, DEFAULT_MEASUREMENTS_KEPT),
        )  # fmt: skip
        if action == "start":
            meant = kept_pace(metric, result, life.begun.get(name)) or context.now
            life.begun[name] = Begun(context.number, meant)
        before = last if action != "start" else None
        work = self._measurer.take(action, metric, context, before=before, secrets=life.secrets or frozenset())
        task = asyncio.get_running_loop().create_task(work, name=context.key)
        task.add_done_callback(lambda ended: self._ended(key, life, name, ended))
        return task

    def _ended(self, key: Key, life: _Life, name: str, task: "asyncio.Task[Taken]") -> None:
        if life.tasks.get(name) is task:
            del life.tasks[name]
        if not task.cancelled():
            life.taken.append(task.result())
            if not life.gathering:
                self.wake(key)

    async def _gather(self, life: _Life) -> None:
        if not life.tasks:
            return
        life.gathering = True
        try:
            await asyncio.wait(life.tasks.values(), timeout=GATHER)
            await asyncio.sleep(0)  # their callbacks
        finally:
            life.gathering = False

    # --- writing -------------------------------------------------------------------------------------------------------

    async def _record(self, key: Key, life: _Life) -> datetime | None:
        """Write what was taken. Decided from the newest object: it may have changed while this look waited."""
        held = self._cache.get(*key)
        if held is None or held["metadata"]["uid"] != life.uid or is_finished(held):
            return self._clock()
        run, folded = _resolved(held, life), list(life.taken)
        measured = {**run, "status": with_taken(run, folded)}
        status = judge.assessed_status(measured, now=self._clock())
        written = await self._write(held, status)
        life.taken = [each for each in life.taken if each not in folded]
        until = self._next_look({**run, "status": written.get("status")}, life)
        life.rest = _Rest(written["metadata"]["resourceVersion"], until)
        return until

    def _next_look(self, run: Json, life: _Life) -> datetime | None:
        now = self._clock()
        due = schedule(run, now=now, pace=life.begun)
        if any(name not in life.tasks for name in _actions(due)):
            return now
        return due.wake_at

    async def _write(self, run: Json, status: Json) -> Json:
        patch = merge_difference(run.get("status") or {}, status)
        if not patch:
            return run
        metadata = run["metadata"]
        written = await self._kube.merge_patch(
            ANALYSIS_RUN,
            metadata["namespace"],
            metadata["name"],
            {"status": patch},
            resource_version=metadata["resourceVersion"],
        )
        self._cache.note_write(written)
        return written

    async def _retire(self, run: Json) -> datetime | None:
        """Delete the run if its time to live is over."""
        until = expires_at(run)
        if until is None or self._clock() < until:
            return until
        metadata = run["metadata"]
        try:
            await self._kube.delete(
                ANALYSIS_RUN, metadata["namespace"], metadata["name"],
                uid=metadata["uid"], resource_version=metadata["resourceVersion"],
            )  # fmt: skip
        except (NotFound, Conflict):
            return None  # gone already, or changed: the watch says which
        log.info("run.expired", run=f"{metadata['namespace']}/{metadata['name']}", since=timestamp(until))
        return None


def _resolved(run: Json, life: _Life) -> Json:
    if life.specs is None or life.specs[0] != run["spec"]:
        life.specs = (run["spec"], resolved(run)["spec"])
    return {**run, "spec": life.specs[1]}


def _actions(due: Schedule) -> dict[str, str]:
    named = {"start": due.start, "resume": due.resume, "terminate": due.terminate}
    return {name: action for action, names in named.items() for name in names}


def _hiding(run: Json, life: _Life) -> Callable[[str], str]:
    """Where a run uses Secrets that this process has not read yet, nothing is told of what they may be part of."""
    if not arguments.needed_secrets(run["spec"].get("args") or []):
        return lambda text: text
    secrets = life.secrets
    if secrets is None:
        return lambda text: HIDDEN if text else ""
    return lambda text: arguments.redacted(text, secrets)
