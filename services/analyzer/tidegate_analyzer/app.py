"""The analyzer, wired: what reacts to what, and with which parts. Nothing runs when this is imported."""

from datetime import UTC, datetime
from typing import NoReturn

from tidegate.bus import ANALYZER_ANSWERS, ANALYZER_REQUESTS, Calls
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.messages import AnalysisRequested, MetricAnswered
from tidegate.outbound import Outbound
from tidegate.service import Reactions, Service, run
from tidegate_analyzer.composition import Analyzer
from tidegate_analyzer.provider import Tools
from tidegate_analyzer.providers import built

NAME = "analyzer"


async def compose(service: Service) -> Reactions:
    kube = await service.enter(Kube(load(service.settings.kubeconfig), user_agent=f"tidegate-{NAME}"))
    outbound = await service.enter(Outbound(allow=service.settings.outbound_allow))
    own_outbound = await service.enter(Outbound(allow_metadata=True))
    calls = Calls(service.bus, MetricAnswered, letters=ANALYZER_ANSWERS)
    tools = Tools(outbound=outbound, kube=kube, clock=now, settings=service.settings, own_outbound=own_outbound, calls=calls)
    providers = built(tools)
    analyzer = await service.enter(Analyzer(settings=service.settings, kube=kube, bus=service.bus, providers=providers, clock=now))
    service.ready_when("analysisruns", lambda: analyzer.is_synced)
    service.spawn(analyzer.run(), name="analyzer")
    return {ANALYZER_REQUESTS: {AnalysisRequested: analyzer.requests.handle}}


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the composition root gives the clock to everyone else


def main() -> NoReturn:
    run(NAME, compose)


if __name__ == "__main__":
    main()
