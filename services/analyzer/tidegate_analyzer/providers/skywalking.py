"""GraphQL of SkyWalking (`argo-behaviour.md` 8.9): the answer's data as it is.

The query declares `$duration`; it gets the last `interval`, in minutes of this process's local time, which must be the server's.
"""

from datetime import datetime, timedelta
from typing import ClassVar, Final

import orjson

from tidegate.outbound import Answer, Call
from tidegate_analyzer.answers import NotJson, document, inside, stored
from tidegate_analyzer.expression import ExpressionError
from tidegate_analyzer.metrics import span
from tidegate_analyzer.provider import Config, Context, Measured, NotMeasured, OnlyAsks, Tools

NAME: Final = "skywalking"
SECONDS: Final = 30.0
JSON: Final = "application/json; charset=utf-8"
MINUTES: Final = "%Y-%m-%d %H%M"


class Skywalking(OnlyAsks):
    """See the module's docstring."""

    offers: ClassVar[tuple[str, ...]] = ("GraphQL with $duration",)

    def __init__(self, tools: Tools) -> None:
        self._outbound = tools.outbound

    async def measure(self, config: Config, context: Context) -> Measured:
        return measured(await self._outbound.send(call_of(config, context.now.astimezone())))


def call_of(config: Config, now: datetime) -> Call:
    """`now` in the zone of the server. Pure."""
    try:
        interval: timedelta = span(config.get("interval") or "")
    except ExpressionError as error:
        raise NotMeasured(str(error)) from error
    duration = {"start": (now - interval).strftime(MINUTES), "end": now.strftime(MINUTES), "step": "MINUTE"}
    return Call(
        method="POST",
        url=f"{(config.get('address') or '').rstrip('/')}/graphql",
        headers=(("Content-Type", JSON), ("Accept", JSON)),
        body=orjson.dumps({"query": config.get("query") or "", "variables": {"duration": duration}}),
        timeout=SECONDS,
    )


def measured(answer: Answer) -> Measured:
    """The value in an answer. A refused query is HTTP 400 with the reason in GraphQL's own errors. Pure."""
    try:
        body = document(answer.body)
    except NotJson as error:
        if not answer.is_success:
            raise NotMeasured(f"graphql: server returned a non-200 status code: {answer.status}") from error
        raise NotMeasured(f"decoding response: {error}") from error
    errors = inside(body, "errors")
    if isinstance(errors, list) and errors:
        raise NotMeasured(f"graphql: {inside(errors[0], 'message') or 'an error without a message'}")
    if not answer.is_success:
        raise NotMeasured(f"graphql: server returned a non-200 status code: {answer.status}")
    data = inside(body, "data")
    if data is None:
        raise NotMeasured("no results returned from SkyWalking query")
    return Measured(result=data, value=stored(data))
