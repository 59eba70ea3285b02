"""Datadog's query API, v1 and v2 (`argo-behaviour.md` 8.3).

v1 answers with the last point of the first series; v2 with a table, of which the first column of numbers counts. A query `by {tag}`
gives a list even if it matches one group, so that `max(result) < 1` works however many there are.
"""

from datetime import datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

import orjson

from tidegate.config import DatadogLogin
from tidegate.outbound import Answer, Call
from tidegate_analyzer.answers import NotJson, document, plain_number
from tidegate_analyzer.datadog_tables import BadTable, Group, Table, groups_text, last_point, table_of
from tidegate_analyzer.expression import ExpressionError
from tidegate_analyzer.logins import Logins, NoLogin, quoted
from tidegate_analyzer.metrics import span
from tidegate_analyzer.provider import Config, Context, Measured, NotMeasured, OnlyAsks, Tools

NAME: Final = "datadog"
SECRET: Final = "datadog"  # noqa: S105 - the name of one
ADDRESS: Final = "https://api.datadoghq.com"
REVIEW: Final = "Please review the Analysis Template."
NO_DATA: Final = Measured(result=None, value="[]")


class Datadog(OnlyAsks):
    """See the module's docstring."""

    offers: ClassVar[tuple[str, ...]] = ("v1 and v2", "queries and formula", "aggregators", "secretRef of the namespace")

    def __init__(self, tools: Tools) -> None:
        self._outbound = tools.outbound
        self._logins = Logins(tools.kube, tools.settings.own_namespace)
        self._own = tools.settings.datadog

    async def measure(self, config: Config, context: Context) -> Measured:
        login = await self._login(config, context.namespace)
        answer = await self._outbound.send(call_of(config, login, context.now))
        return measured(answer, version_of(config), login)

    async def _login(self, config: Config, namespace: str) -> DatadogLogin:
        """The Secret a metric names, and only that; else the environment's, else the Secret all use."""
        reference = config.get("secretRef") or {}
        name, namespaced = reference.get("name") or "", bool(reference.get("namespaced"))
        if namespaced and not name:
            raise NotMeasured("secret name is required for namespaced credentials")
        if not name and self._own is not None:
            return self._own
        missing = "failed to find the credentials for datadog metrics provider"
        try:
            found = await self._logins.read(name or SECRET, namespace=namespace if namespaced else None)
        except NoLogin as error:
            raise NotMeasured(missing) from error
        api_key, app_key = found.get("api-key"), found.get("app-key")
        if not api_key or not app_key:
            raise NotMeasured(missing)
        return DatadogLogin(address=found.get("address") or ADDRESS, api_key=api_key, app_key=app_key)


# -- the question


def version_of(config: Config) -> str:
    version = str(config.get("apiVersion") or "v1")
    if version not in {"v1", "v2"}:
        raise NotMeasured(f"Invalid API version: {version}")
    return version


def call_of(config: Config, login: DatadogLogin, now: datetime) -> Call:
    """Pure."""
    require_valid(config)
    seconds = int(now.timestamp())
    start = seconds - int(_seconds(config, "interval", "5m"))
    headers = (("Content-Type", "application/json"), ("DD-API-KEY", login.api_key), ("DD-APPLICATION-KEY", login.app_key))
    timeout = _seconds(config, "requestTimeout", "10s")
    address = login.address.rstrip("/")
    if version_of(config) == "v1":
        form = urlencode({"from": start, "query": config["query"], "to": seconds})
        return Call(method="GET", url=f"{address}/api/v1/query?{form}", headers=headers, timeout=timeout)
    body = orjson.dumps(scalar_request(config, start * 1000, seconds * 1000))
    return Call(method="POST", url=f"{address}/api/v2/query/scalar", headers=headers, body=body, timeout=timeout)


def scalar_request(config: Config, start: int, end: int) -> dict[str, Any]:
    """The body of v2; times in milliseconds. Pure."""
    query, aggregator = config.get("query"), config.get("aggregator") or "last"
    queries: dict[str, str] = {"query": query} if query else config["queries"]
    attributes = {
        "from": start,
        "to": end,
        "queries": [
            {"aggregator": aggregator, "data_source": "metrics", "name": name, "query": text} for name, text in queries.items()
        ],
        "formulas": [{"formula": config["formula"]}] if config.get("formula") else [],
    }
    return {"data": {"type": "scalar_request", "attributes": attributes}}


def require_valid(config: Config) -> None:
    """Rules that a CRD's schema cannot state, in the peer's order. Pure."""
    query, queries, formula = config.get("query"), config.get("queries") or {}, config.get("formula")
    version = version_of(config)
    rules = (
        (not query and not queries, f"Must have either a query or queries. {REVIEW}"),
        (query and queries, f"Cannot have both a query and queries. {REVIEW}"),
        (
            version == "v1" and not query,
            "Query is empty. API Version v1 only supports using the query parameter in your Analysis Template.",
        ),
        (formula and not queries, f"Formula are only valid when queries are set. {REVIEW}"),
        (not formula and len(queries) > 1, "When multiple queries are provided you must include a formula."),
        (version == "v1" and config.get("aggregator"), f"Aggregator is not supported in v1. {REVIEW}"),
    )
    for broken, message in rules:
        if broken:
            raise NotMeasured(message)
    try:
        positive = span(config.get("requestTimeout") or "10s").total_seconds() > 0
    except ExpressionError as error:
        raise NotMeasured(f"Could not parse the request timeout: {error}. {REVIEW}") from error
    if not positive:
        raise NotMeasured(f"Request timeout must be a positive duration (e.g. 30s). {REVIEW}")


def _seconds(config: Config, field: str, default: str) -> float:
    try:
        return span(config.get(field) or default).total_seconds()
    except ExpressionError as error:
        raise NotMeasured(str(error)) from error


# -- the answer


def measured(answer: Answer, version: str, login: DatadogLogin) -> Measured:
    """The value in an answer. Pure."""
    if answer.status != 200:
        kind = "authentication error" if answer.status in {401, 403} else "non 2xx"
        raise NotMeasured(f"received {kind} response code: {answer.status} {quoted(answer, login.api_key, login.app_key)}")
    try:
        body = document(answer.body)
    except NotJson as error:
        raise NotMeasured(f"Could not parse JSON body: {error}") from error
    try:
        if version == "v2":
            return _grouped(table_of(body))
        value = last_point(body)
    except BadTable as error:
        raise NotMeasured(str(error)) from error
    return NO_DATA if value is None else Measured(result=value, value=plain_number(value))


def _grouped(table: Table) -> Measured:
    if not table.rows:
        return NO_DATA
    values = [row.value for row in table.rows]
    if not table.is_grouped:
        return Measured(result=values[0], value=plain_number(values[0]))
    return Measured(result=values, value=f"[{','.join(map(plain_number, values))}]", metadata=_breakdown(table.rows))


def _breakdown(groups: tuple[Group, ...]) -> dict[str, str]:
    """Which group has which value, for people: a condition sees the values only."""
    text, is_cut = groups_text(groups)
    return {"groups": text, **({"groups_truncated": "true"} if is_cut else {})}
