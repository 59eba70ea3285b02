"""Runs a template's metrics here and now, without a cluster: what `tidegate analyze FILE` does.

The same worker as the service's, on an API server in memory, so that what is seen here is what a rollout would see. Two things need
a cluster and are refused by name: Jobs, and Secrets. The values of those that arguments need are given as arguments instead; a
provider's own are found in the settings, as far as it looks there.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from tidegate.arguments import overridden
from tidegate.config import Settings
from tidegate.errors import TidegateError
from tidegate.kube.cache import Cache
from tidegate.kube.kinds import ANALYSIS_RUN, ANALYSIS_TEMPLATE, CLUSTER_ANALYSIS_TEMPLATE
from tidegate.kube.memory import MemoryKube
from tidegate.messages import AnalysisConcluded, AnalysisMeasured, Message
from tidegate.outbound import Outbound
from tidegate_analyzer import arguments
from tidegate_analyzer.measure import Measurer
from tidegate_analyzer.provider import Providers, Tools
from tidegate_analyzer.providers import PROVIDERS, job
from tidegate_analyzer.rounds import Json
from tidegate_analyzer.run import Runs
from tidegate_analyzer.teller import Key, Teller
from tidegate_analyzer.worker import worker_on

KINDS: Final = (ANALYSIS_TEMPLATE.kind, CLUSTER_ANALYSIS_TEMPLATE.kind, ANALYSIS_RUN.kind)
KEY: Final[Key] = ("local", "analysis")

Report = Callable[[AnalysisMeasured], None]


class NotAnalyzable(TidegateError):  # noqa: N818 - reads as the fact it states
    """A manifest that cannot be run here; the text says which field and what would be right."""


async def analyze(
    manifest: Mapping[str, Any],
    args: Mapping[str, str],
    report: Report,
    *,
    clock: Callable[[], datetime],
    limit: float | None = None,
    settings: Settings | None = None,
) -> Json:
    """The status that a run of this template ends with; each measurement is reported when it is taken.

    After `limit` seconds the run is ended, as a rollout ends its background analysis: metrics without a count go on for ever.
    """
    spec = run_spec(manifest, args)
    refuse_what_cannot_measure(spec)
    settings = settings or Settings()
    async with Outbound(allow=settings.outbound_allow) as outbound, Outbound(allow_metadata=True) as own:
        tools = Tools(outbound=outbound, kube=MemoryKube(clock=clock), clock=clock, settings=settings, own_outbound=own)
        providers = {name: make(tools) for name, make in PROVIDERS.items() if name != job.NAME}
        return await measured(spec, report, providers=providers, clock=clock, limit=limit)


def run_spec(manifest: Mapping[str, Any], args: Mapping[str, str]) -> Json:
    """The spec of the run that a rollout would make of this template with these arguments. Pure."""
    kind, spec = manifest.get("kind"), manifest.get("spec") or {}
    if kind not in KINDS:
        raise NotAnalyzable(f"kind is {kind!r}, it must be one of {', '.join(KINDS)}")
    if spec.get("templates"):
        raise NotAnalyzable("spec.templates names other templates, which are in a cluster; give one that holds all its metrics")
    known = [argument["name"] for argument in spec.get("args") or []]
    if unknown := sorted(set(args) - set(known)):
        raise NotAnalyzable(f"argument {unknown[0]!r} is not one of the template's: {', '.join(known) or 'it has none'}")
    resolved = overridden(spec.get("args") or [], [{"name": name, "value": value} for name, value in args.items()])
    for name, wanted in arguments.needed_secrets(resolved).items():
        raise NotAnalyzable(f"argument {name!r} comes from Secret {wanted.name!r}, which is in a cluster; give its value")
    return {**{field: value for field, value in spec.items() if field != "ttlStrategy"}, "args": resolved}


def refuse_what_cannot_measure(spec: Mapping[str, Any]) -> None:
    """At once: a person who waits would see the same error five times before the verdict. In a cluster the run says so."""
    known = sorted(PROVIDERS.keys() - {job.NAME})
    for index, metric in enumerate(spec.get("metrics") or []):
        provider = metric.get("provider") if isinstance(metric, Mapping) else None
        for name in provider if isinstance(provider, Mapping) else ():
            if name not in known:
                why = "needs a cluster" if name == job.NAME else "is unknown"
                raise NotAnalyzable(f"spec.metrics[{index}].provider: {name!r} {why}; known: {', '.join(known)}")


async def measured(
    spec: Json, report: Report, *, providers: Providers, clock: Callable[[], datetime], limit: float | None = None
) -> Json:
    """Measure a run's spec to its end; its status."""
    kube, ended = MemoryKube(clock=clock), asyncio.Event()
    cache = Cache(kube, ANALYSIS_RUN)
    kube.put(ANALYSIS_RUN, {"metadata": {"namespace": KEY[0], "name": KEY[1]}, "spec": spec})
    kube.feed(cache, ANALYSIS_RUN)
    teller = Teller(_Reporting(report, ended), clock=clock)
    runs = Runs(kube=kube, cache=cache, measurer=Measurer(providers, clock=clock), teller=teller, clock=clock)
    worker = worker_on(runs, clock=clock)
    cache.on_change(lambda _type, _old, _new: worker.wake(KEY))
    try:
        worker.start()
        worker.wake(KEY)
        try:
            await asyncio.wait_for(ended.wait(), limit)
        except TimeoutError:
            await kube.merge_patch(ANALYSIS_RUN, *KEY, {"spec": {"terminate": True}})
            await ended.wait()
    finally:
        await worker.close()
        await runs.close()
        await teller.close()
    status: Json = (await kube.get(ANALYSIS_RUN, *KEY))["status"]
    return status


class _Reporting:
    """Stands where the bus stands in the service; the conclusion is always told last."""

    def __init__(self, report: Report, ended: asyncio.Event) -> None:
        self._report = report
        self._ended = ended

    async def publish(self, message: Message, *, id: str | None = None) -> None:  # noqa: A002, ARG002 - the bus's signature
        if isinstance(message, AnalysisMeasured):
            self._report(message)
        elif isinstance(message, AnalysisConcluded):
            self._ended.set()
