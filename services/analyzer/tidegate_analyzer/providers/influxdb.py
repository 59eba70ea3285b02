"""Flux over the HTTP API of InfluxDB 2 (`argo-behaviour.md` 8.7): the `_value` of every record, in the order of the answer.

The answer is annotated CSV. What Flux reports as an error in the middle of an answer is an Error here; the peer judges the records
that came before it, as if they were all.
"""

from typing import ClassVar, Final
from urllib.parse import urlencode

import orjson

from tidegate.outbound import Answer, Call
from tidegate_analyzer import expression
from tidegate_analyzer.annotated_csv import BadCsv, column
from tidegate_analyzer.answers import NotJson, document, inside
from tidegate_analyzer.logins import Logins, quoted
from tidegate_analyzer.provider import Config, Context, Measured, NotMeasured, OnlyAsks, Texts, Tools

NAME: Final = "influxdb"
PROFILE: Final = "influxdb"
SECONDS: Final = 30.0
DIALECT: Final = {"annotations": ["datatype", "group", "default"], "delimiter": ",", "header": True}
BUSY: Final = {429: "too many requests: exceeded rate limit", 503: "unavailable: service temporarily unavailable"}
"""What an answer without a text means."""


class Influxdb(OnlyAsks):
    """See the module's docstring."""

    offers: ClassVar[tuple[str, ...]] = ("Flux", "login by profile")

    def __init__(self, tools: Tools) -> None:
        self._outbound = tools.outbound
        self._logins = Logins(tools.kube, tools.settings.own_namespace)

    async def measure(self, config: Config, context: Context) -> Measured:  # noqa: ARG002 - the port's
        login = await self._logins.read(config.get("profile") or PROFILE)
        answer = await self._outbound.send(call_of(config, login))
        return measured(answer, token=login["authToken"])


def call_of(config: Config, login: Texts) -> Call:
    """Pure."""
    token, org, address = (login.get(key) or "" for key in ("authToken", "org", "address"))
    if not (token and org and address):
        raise NotMeasured("authToken, org, or address not found")
    return Call(
        method="POST",
        url=f"{address.rstrip('/')}/api/v2/query?{urlencode({'org': org})}",
        headers=(("Authorization", f"Token {token}"), ("Content-Type", "application/json")),
        body=orjson.dumps({"dialect": DIALECT, "query": config.get("query") or "", "type": "flux"}),
        timeout=SECONDS,
    )


def measured(answer: Answer, *, token: str = "") -> Measured:
    """The value in an answer. Pure."""
    if not answer.is_success:
        raise NotMeasured(_failure(answer, token))
    try:
        values = column(answer.body.decode(errors="replace"), "_value")
    except BadCsv as error:
        raise NotMeasured(str(error)) from error
    if not values:
        raise NotMeasured("no results returned from flux query")
    return Measured(result=values, value=expression.text_of(values))


def _failure(answer: Answer, token: str) -> str:
    try:
        told = document(answer.body)
    except NotJson:
        told = None
    code, message = inside(told, "code"), inside(told, "message")
    if isinstance(code, str) and isinstance(message, str):
        return f"{code}: {message}"
    if not answer.body and answer.status in BUSY:
        return BUSY[answer.status]
    return f"{answer.status_line}: {quoted(answer, token)}"
