"""The render API of Graphite (`argo-behaviour.md` 8.6): the points of the first target, without their times, nulls left out."""

from collections.abc import Iterator
from typing import Any, ClassVar, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from tidegate.outbound import Answer, Call
from tidegate_analyzer import expression
from tidegate_analyzer.answers import NotJson, document, fixed_number, inside, is_number
from tidegate_analyzer.logins import quoted
from tidegate_analyzer.provider import Config, Context, Measured, NotMeasured, OnlyAsks, Tools

NAME: Final = "graphite"
SECONDS: Final = 10.0


class Graphite(OnlyAsks):
    """See the module's docstring."""

    offers: ClassVar[tuple[str, ...]] = ("functions of the render API",)

    def __init__(self, tools: Tools) -> None:
        self._outbound = tools.outbound

    async def measure(self, config: Config, context: Context) -> Measured:  # noqa: ARG002 - the port's
        return measured(await self._outbound.send(call_of(config)))


def call_of(config: Config) -> Call:
    """The query is a query string; white space is for the reader of the template and is not sent. Pure."""
    address = config.get("address") or ""
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if not parts.scheme or not parts.netloc:
        raise NotMeasured(f"Graphite address {address} is not a valid URL")
    pairs = parse_qsl("".join((config.get("query") or "").split()), keep_blank_values=True)
    sent = sorted([*(pair for pair in pairs if pair[0] != "format"), ("format", "json")], key=lambda pair: pair[0])
    url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/render?{urlencode(sent)}"
    return Call(method="GET", url=url, timeout=SECONDS)


def measured(answer: Answer) -> Measured:
    """The value in an answer. Pure."""
    if answer.status >= 400:
        raise NotMeasured(f"error response: {quoted(answer)}")
    try:
        targets = document(answer.body)
    except NotJson as error:
        raise NotMeasured(f"the answer of Graphite is not JSON: {error}") from error
    if not isinstance(targets, list):
        raise NotMeasured("the answer of Graphite is not a list of targets")
    points = inside(targets[0], "datapoints") if targets else None
    if not isinstance(points, list) or not points:
        raise NotMeasured("no values found")
    values = list(_values(points))
    return Measured(result=values, value=f"[{','.join(fixed_number(value, 6) for value in values)}]")


def _values(points: list[Any]) -> Iterator[float]:
    for point in points:
        if not isinstance(point, list) or len(point) != 2:
            raise NotMeasured(f"error unmarshaling data point: {expression.text_of(point)}")
        value = point[0]
        if value is None:
            continue
        try:
            if not (is_number(value) or isinstance(value, str)):
                raise ValueError  # noqa: TRY301 - one message for all that is no number
            yield float(value)
        except ValueError as error:
            raise NotMeasured(f"error unmarshaling value: {expression.text_of(value)}") from error
