"""What can be said about a provider's part of a metric without asking anyone: what its question would be made of. Pure.

It is tried by making the question, with log-ins that only look like some.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tidegate.config import DatadogLogin
from tidegate_analyzer.provider import Config, Context, NotMeasured
from tidegate_analyzer.providers import (
    PROVIDERS,
    cloud_watch,
    datadog,
    graphite,
    influxdb,
    job,
    kayenta,
    new_relic,
    prometheus,
    skywalking,
    wavefront,
    web,
)

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
CONTEXT: Final = Context(namespace="", run="", uid="", metric="", number=1, now=NOW, interval="1m")
LOGIN: Final = {"address": "https://example.test", "authToken": "t", "org": "o", "personal-api-key": "k", "account-id": "1"}
DATADOG: Final = DatadogLogin(address="https://example.test", api_key="k", app_key="k")
PLUGIN: Final = "plugin"


def fault_of(name: str, config: Mapping[str, Any]) -> str:
    """Why this can never be measured; "" if nothing speaks against it."""
    if name not in _QUESTIONS:
        return f"no such provider; known: {', '.join(sorted({*PROVIDERS, PLUGIN}))}"
    try:
        _QUESTIONS[name](config)
    except NotMeasured as error:
        return str(error)
    return ""


def _prometheus(config: Config) -> None:
    prometheus.call_of(config, prometheus.query_of(config, NOW), default="http://example.test")
    _need(config, "query")


def _web(config: Config) -> None:
    web.call_of(config)
    _need(config, "url")
    web.path_of(config)


def _graphite(config: Config) -> None:
    graphite.call_of(config)
    _need(config, "query")


def _wavefront(config: Config) -> None:
    _need(config, "address", "query")
    if "://" in config["address"]:
        raise NotMeasured(f"address {config['address']!r} must be a host without a scheme, such as example.wavefront.com")
    wavefront.call_of(config, {config["address"]: "t"}, NOW)


def _skywalking(config: Config) -> None:
    _need(config, "address", "query", "interval")
    skywalking.call_of(config, NOW)


def _cloud_watch(config: Config) -> None:
    _need(config, "metricDataQueries")
    cloud_watch.request_of(config, NOW)


def _kayenta(config: Config) -> None:
    _need(config, "address", "application", "canaryConfigName")
    kayenta.scopes_of(config, CONTEXT)


def _job(config: Config) -> None:
    template = ((config.get("spec") or {}).get("template") or {}).get("spec") or {}
    if not template.get("containers"):
        raise NotMeasured("spec.template.spec.containers: a job needs a container")
    if template.get("restartPolicy") not in {"Never", "OnFailure"}:
        raise NotMeasured('spec.template.spec.restartPolicy must be "Never" or "OnFailure"')
    job.manifest_of(config, CONTEXT)


def _plugin(config: Config) -> None:
    if len(config) != 1:
        raise NotMeasured(f"names {len(config)} plugins, it must name exactly one")


def _need(config: Config, *fields: str) -> None:
    for field in fields:
        if not config.get(field):
            raise NotMeasured(f"{field} is missing")


def _of_secret(make: Callable[[Config, Mapping[str, str]], object]) -> Callable[[Config], None]:
    def ask(config: Config) -> None:
        _need(config, "query")
        make(config, LOGIN)

    return ask


_QUESTIONS: Final[Mapping[str, Callable[[Config], object]]] = {
    cloud_watch.NAME: _cloud_watch,
    datadog.NAME: lambda config: datadog.call_of(config, DATADOG, NOW),
    graphite.NAME: _graphite,
    influxdb.NAME: _of_secret(influxdb.call_of),
    job.NAME: _job,
    kayenta.NAME: _kayenta,
    new_relic.NAME: _of_secret(new_relic.call_of),
    PLUGIN: _plugin,
    prometheus.NAME: _prometheus,
    skywalking.NAME: _skywalking,
    wavefront.NAME: _wavefront,
    web.NAME: _web,
}
