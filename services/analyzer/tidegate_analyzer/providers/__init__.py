"""The registry of metric providers, and nothing else: the key under a metric's `provider` -> its class."""

from collections.abc import Callable, Mapping
from typing import Final

from tidegate_analyzer.provider import Provider, Providers, Tools
from tidegate_analyzer.providers import job, prometheus, web

PROVIDERS: Final[Mapping[str, Callable[[Tools], Provider]]] = {
    job.NAME: job.Job,
    prometheus.NAME: prometheus.Prometheus,
    web.NAME: web.Web,
}


def built(tools: Tools) -> Providers:
    return {name: make(tools) for name, make in PROVIDERS.items()}
