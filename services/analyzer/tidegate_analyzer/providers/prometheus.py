"""PromQL over the HTTP API of Prometheus, or of what speaks it (`argo-behaviour.md` 8.1).

A scalar is a number; a vector or a matrix is the flat list of its values in the order of the answer, without labels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final
from urllib.parse import urlencode, urlsplit

import orjson

from tidegate.aws.login import Aws
from tidegate.aws.sigv4 import signed
from tidegate.outbound import Answer, Call
from tidegate_analyzer import expression
from tidegate_analyzer.answers import plain_number
from tidegate_analyzer.authentication import basic, bearer
from tidegate_analyzer.expression import ExpressionError
from tidegate_analyzer.metrics import span
from tidegate_analyzer.provider import Config, Context, Measured, NotMeasured, OnlyAsks, Tools

NAME: Final = "prometheus"
DEFAULT_SECONDS: Final = 30.0
NOT_BY_POST: Final = frozenset({403, 405, 501})
"""What servers and proxies answer that do not take queries by POST; the same is then asked by GET."""
MANAGED_BY_AWS: Final = "aps-workspaces"


@dataclass(frozen=True, slots=True)
class Query:
    """One query as the API takes it."""

    path: str
    form: tuple[tuple[str, str], ...]


class Prometheus(OnlyAsks):
    """See the module's docstring."""

    offers: ClassVar[tuple[str, ...]] = (
        "instant and range queries", "headers", "OAuth2", "basic auth", "SigV4", "insecure TLS", "timeout",
    )  # fmt: skip

    def __init__(self, tools: Tools) -> None:
        self._outbound = tools.outbound
        self._address = tools.settings.prometheus_address
        self._aws = Aws(tools.settings.aws, tools.own_outbound or tools.outbound, tools.clock)

    async def measure(self, config: Config, context: Context) -> Measured:
        query = query_of(config, context.now)
        call = call_of(config, query, default=self._address)
        call = replace(call, headers=(*call.headers, *await self._authorization(config, call)))
        answer = await self._outbound.send(await self._signed(config, call, context.now))
        if answer.status in NOT_BY_POST:
            answer = await self._outbound.send(await self._signed(config, by_get(call), context.now))
        return measured(answer, about={"ResolvedPrometheusQuery": config.get("query") or ""})

    async def _signed(self, config: Config, call: Call, now: datetime) -> Call:
        given = (config.get("authentication") or {}).get("sigv4") or {}
        if MANAGED_BY_AWS not in call.url or not any(given.values()):
            return call
        profile = given.get("profile") or ""
        region = self._aws.region(given.get("region") or "", profile)
        keys = await self._aws.keys(region=region, profile=profile, role=given.get("roleArn") or "")
        return signed(call, keys, service="aps", region=region, now=now)

    async def _authorization(self, config: Config, call: Call) -> list[tuple[str, str]]:
        authentication = config.get("authentication") or {}
        plain = authentication.get("basicAuth") or {}
        headers = []
        if plain.get("username") or plain.get("password"):
            for field in ("username", "password"):
                if not plain.get(field):
                    raise NotMeasured(f"missing mandatory parameter in metric for basic auth setup: {field}")
            headers.append(basic(plain["username"], plain["password"]))
        oauth2 = authentication.get("oauth2") or {}
        token = await bearer(oauth2, self._outbound, seconds=call.timeout, insecure=call.insecure)
        return [*headers, *([token] if token else [])]


# -- the question


def query_of(config: Config, now: datetime) -> Query:
    """The query for this moment. Pure."""
    text, ranged = config.get("query") or "", config.get("rangeQuery")
    if not ranged:
        return Query("/api/v1/query", (("query", text), ("time", _seconds(now.timestamp()))))
    moments = [(field, _seconds(_moment(ranged, field, now).timestamp())) for field in ("start", "end")]
    return Query("/api/v1/query_range", (("query", text), *moments, ("step", _step(ranged))))


def _moment(ranged: Config, field: str, now: datetime) -> datetime:
    try:
        value = expression.compile(ranged.get(field) or "").evaluate(None, now=now)
    except ExpressionError as error:
        raise NotMeasured(f"failed to parse rangeQuery.{field} as time: {error}") from error
    if not isinstance(value, datetime):
        raise NotMeasured(f"failed to parse rangeQuery.{field} as time: it yields {expression.text_of(value)}")
    return value


def _step(ranged: Config) -> str:
    try:
        return _seconds(span(ranged.get("step") or "").total_seconds())
    except ExpressionError as error:
        raise NotMeasured(f"failed to parse rangeQuery.step as duration: {error}") from error


def call_of(config: Config, query: Query, *, default: str = "") -> Call:
    """The call for a query. `default` is the address of metrics that name none. Pure."""
    address = (config.get("address") or default).rstrip("/")
    if not address:
        raise NotMeasured("prometheus address is not configured")
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if not parts.scheme or not parts.netloc:
        raise NotMeasured("prometheus address is not is url format")
    timeout = float(config.get("timeout") or 0)
    if timeout < 0:
        raise NotMeasured("prometheus timeout should not be negative")
    headers = [(header["key"], header.get("value") or "") for header in config.get("headers") or ()]
    return Call(
        method="POST",
        url=address + query.path,
        headers=(("Content-Type", "application/x-www-form-urlencoded"), *headers),
        body=urlencode(query.form).encode(),
        timeout=timeout or DEFAULT_SECONDS,
        insecure=bool(config.get("insecure")),
    )


def by_get(call: Call) -> Call:
    """The same question in the URL. A space is %20 there: a signature takes `+` for itself. Pure."""
    return replace(call, method="GET", url=f"{call.url}?{call.body.decode().replace('+', '%20')}", body=b"")


def _seconds(value: float) -> str:
    return f"{Decimal(repr(round(value, 3))).normalize():f}"


# -- the answer


def measured(answer: Answer, *, about: Mapping[str, str]) -> Measured:
    """The value in an answer. Pure."""
    body = _body(answer)
    values, is_scalar = _values(body.get("data") or {})
    texts = [plain_number(value) for value in values]
    warnings = ", ".join(f'"{warning}"' for warning in body.get("warnings") or ())
    return Measured(
        result=values[0] if is_scalar else values,
        value=texts[0] if is_scalar else f"[{','.join(texts)}]",
        metadata={"warnings": warnings} if warnings else {},
        about=about,
    )


def _body(answer: Answer) -> Mapping[str, Any]:
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, Mapping) or body.get("status") not in {"success", "error"}:
        if answer.is_success:
            raise NotMeasured("bad_response: the answer is not one of the Prometheus HTTP API")
        side = "server" if answer.status >= 500 else "client"
        raise NotMeasured(f"{side}_error: {side} error: {answer.status}")
    if body["status"] == "error":
        raise NotMeasured(f"{body.get('errorType', '')}: {body.get('error', '')}")
    return body


def _values(data: Mapping[str, Any]) -> tuple[list[float], bool]:
    kind, result = data.get("resultType"), data.get("result")
    if kind not in {"scalar", "vector", "matrix"}:
        raise NotMeasured("Prometheus metric type not supported")
    try:
        return [float(text) for text in _texts(kind, result)], kind == "scalar"
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise NotMeasured(f"bad_response: a {kind} that cannot be read") from error


def _texts(kind: str, result: Any) -> Iterator[str]:
    if kind == "scalar":
        yield result[1]
        return
    for series in result:
        points = [series["value"]] if kind == "vector" else series["values"]
        yield from (point[1] for point in points)
