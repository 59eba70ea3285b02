"""NRQL over NerdGraph, New Relic's GraphQL (`argo-behaviour.md` 8.5): one row is a map, several are a list of maps.

The one provider that asks again by itself: New Relic limits how many queries run at once, and says so with a 429 that means "in a
moment". A rejected query or key is not asked again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final

import orjson

from tidegate.outbound import Answer, Call, CallFailed
from tidegate_analyzer.answers import NotJson, document, inside, stored
from tidegate_analyzer.arguments import redacted
from tidegate_analyzer.logins import Logins, quoted
from tidegate_analyzer.provider import Config, Context, Measured, NotMeasured, OnlyAsks, Texts, Tools

NAME: Final = "newRelic"
PROFILE: Final = "newrelic"
SECONDS: Final = 30.0
QUERY_SECONDS: Final = 5
PAUSES: Final = (1.0, 2.0, 4.0)
"""Seconds before each further try."""
URLS: Final = {
    "us": "https://api.newrelic.com/graphql",
    "eu": "https://api.eu.newrelic.com/graphql",
    "staging": "https://staging-api.newrelic.com/graphql",
}
GRAPHQL: Final = (
    "query($query: Nrql!, $accountId: Int!, $timeout: Seconds) "
    "{ actor { account(id: $accountId) { nrql(query: $query, timeout: $timeout) { results } } } }"
)


class NewRelic(OnlyAsks):
    """See the module's docstring."""

    offers: ClassVar[tuple[str, ...]] = ("NRQL", "login by profile", "asks again while busy")

    def __init__(self, tools: Tools, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._outbound = tools.outbound
        self._logins = Logins(tools.kube, tools.settings.own_namespace)
        self._sleep = sleep

    async def measure(self, config: Config, context: Context) -> Measured:  # noqa: ARG002 - the port's
        login = await self._logins.read(config.get("profile") or PROFILE)
        answer = await self._answer(call_of(config, login))
        return measured(answer, key=login["personal-api-key"], about={"ResolvedNewRelicQuery": config.get("query") or ""})

    async def _answer(self, call: Call) -> Answer:
        for pause in PAUSES:
            try:
                answer = await self._outbound.send(call)
            except CallFailed:
                answer = None
            if answer is not None and not _is_passing(answer):
                return answer
            await self._sleep(pause)
        return await self._outbound.send(call)


def _is_passing(answer: Answer) -> bool:
    return answer.status == 429 or (answer.status >= 500 and answer.status != 501)


def call_of(config: Config, login: Texts) -> Call:
    """Pure."""
    timeout = int(config.get("timeout") or 0)
    if timeout < 0:
        raise NotMeasured("timeout value needs to be a positive value")
    key, account = login.get("personal-api-key") or "", login.get("account-id") or ""
    if not key or not account:
        raise NotMeasured("account ID or personal API key not found")
    variables = {"accountId": _whole(account), "query": config.get("query") or "", "timeout": timeout or QUERY_SECONDS}
    return Call(
        method="POST",
        url=_url(login),
        headers=(("Api-Key", key), ("Content-Type", "application/json")),
        body=orjson.dumps({"query": GRAPHQL, "variables": variables}),
        timeout=SECONDS,
    )


def _url(login: Texts) -> str:
    region = (login.get("region") or "us").lower()
    if url := login.get("base-url-nerdgraph"):
        return url
    if region not in URLS:
        raise NotMeasured(f"region {region!r} is not one of {', '.join(URLS)}")
    return URLS[region]


def _whole(account: str) -> int:
    try:
        return int(account)
    except ValueError as error:
        raise NotMeasured(f'could not parse account ID: strconv.Atoi: parsing "{account}": invalid syntax') from error


def measured(answer: Answer, *, about: Texts, key: str = "") -> Measured:
    """The value in an answer. NerdGraph tells most errors with status 200. Pure."""
    try:
        body = document(answer.body)
    except NotJson as error:
        if answer.is_success:
            raise NotMeasured(f"the answer of New Relic is not JSON: {error}") from error
        raise NotMeasured(f"{answer.status} response returned: {quoted(answer, key)}") from error
    errors = inside(body, "errors")
    told = redacted(", ".join(str(inside(each, "message")) for each in errors), [key]) if isinstance(errors, list) else ""
    if not answer.is_success:
        raise NotMeasured(f"{answer.status} response returned: {told or quoted(answer, key)}")
    if told:
        raise NotMeasured(told)
    rows: Any = inside(body, "data", "actor", "account", "nrql", "results")
    if not isinstance(rows, list) or not rows or (len(rows) == 1 and not rows[0]):
        raise NotMeasured("no results returned from NRQL query")
    result = rows[0] if len(rows) == 1 else rows
    return Measured(result=result, value=stored(result), about=about)
