"""The registry of metric providers, and nothing else: the key under a metric's `provider` -> its class."""

from collections.abc import Callable, Mapping
from typing import Final

from tidegate_analyzer.provider import Provider, Providers, Tools
from tidegate_analyzer.providers import (
    cloud_watch,
    datadog,
    graphite,
    influxdb,
    job,
    kayenta,
    new_relic,
    plugin,
    prometheus,
    skywalking,
    wavefront,
    web,
)

PROVIDERS: Final[Mapping[str, Callable[[Tools], Provider]]] = {
    cloud_watch.NAME: cloud_watch.CloudWatch,
    datadog.NAME: datadog.Datadog,
    graphite.NAME: graphite.Graphite,
    influxdb.NAME: influxdb.Influxdb,
    job.NAME: job.Job,
    kayenta.NAME: kayenta.Kayenta,
    new_relic.NAME: new_relic.NewRelic,
    plugin.NAME: plugin.Plugin,
    prometheus.NAME: prometheus.Prometheus,
    skywalking.NAME: skywalking.Skywalking,
    wavefront.NAME: wavefront.Wavefront,
    web.NAME: web.Web,
}


def built(tools: Tools) -> Providers:
    return {name: make(tools) for name, make in PROVIDERS.items()}
