"""The chart API of Wavefront (`argo-behaviour.md` 8.4): of each series, the point nearest to now.

The token is kept under the address it is for, so no metric can send it elsewhere. The peer waits for an answer without an end; here
it is 30 s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from tidegate.outbound import Answer, Call
from tidegate_analyzer.answers import NotJson, document, fixed_number, inside, is_number
from tidegate_analyzer.logins import Logins, quoted
from tidegate_analyzer.provider import Config, Context, Measured, NotMeasured, OnlyAsks, Texts, Tools

NAME: Final = "wavefront"
TOKENS: Final = "wavefront-api-tokens"
SECONDS: Final = 30.0


class Wavefront(OnlyAsks):
    """See the module's docstring. The scheme is not the user's to choose: the token would travel in the open."""

    offers: ClassVar[tuple[str, ...]] = ("ts queries", "a token for each address")

    def __init__(self, tools: Tools, *, scheme: str = "https") -> None:
        self._outbound = tools.outbound
        self._logins = Logins(tools.kube, tools.settings.own_namespace)
        self._scheme = scheme

    async def measure(self, config: Config, context: Context) -> Measured:
        tokens = await self._logins.read(TOKENS)
        answer = await self._outbound.send(call_of(config, tokens, context.now, scheme=self._scheme))
        return measured(answer, context.now, token=tokens[config["address"]])


def call_of(config: Config, tokens: Texts, now: datetime, *, scheme: str = "https") -> Call:
    """Pure."""
    address = config.get("address") or ""
    if not (token := tokens.get(address)):
        raise NotMeasured("API token not found")
    moment = str(int(now.timestamp()) * 1000)
    form = {"q": config.get("query") or "", "s": moment, "e": moment, "p": "1", "g": "s", "i": "true"}
    switches = dict.fromkeys(("autoEvents", "includeObsoleteMetrics", "listmode", "strict"), "false")
    return Call(
        method="GET",
        url=f"{scheme}://{address}/api/v2/chart/api?{urlencode(sorted({**form, **switches}.items()))}",
        headers=(("Authorization", f"Bearer {token}"), ("Accept", "application/json")),
        timeout=SECONDS,
    )


@dataclass(frozen=True, slots=True)
class _Point:
    """`drift` is how far it is from now; times are in seconds."""

    value: float
    at: int
    drift: int


def measured(answer: Answer, now: datetime, *, token: str = "") -> Measured:
    """The value in an answer. Pure."""
    if answer.status != 200:
        raise NotMeasured(f"server returned {answer.status_line}\n{quoted(answer, token)}")
    try:
        body = document(answer.body)
    except NotJson as error:
        raise NotMeasured(f"the answer of Wavefront is not JSON: {error}") from error
    series = inside(body, "timeseries")
    if not isinstance(series, list) or not series:
        raise NotMeasured("No TimeSeries found in response from Wavefront")
    points = [_nearest(inside(each, "data"), int(now.timestamp())) for each in series]
    warnings = inside(body, "warnings")
    return Measured(
        result=points[0].value if len(points) == 1 else [point.value for point in points],
        value=_joined([fixed_number(point.value, 2) for point in points]),
        metadata={
            **({"warnings": str(warnings)} if warnings else {}),
            "timestamps": _joined([str(point.at) for point in points]),
            "drift": _joined([str(point.drift) for point in points]),
        },
    )


def _nearest(given: Any, now: int) -> _Point:
    """0 at the beginning of time if there is none, as for the peer: a series without a point is one that measured nothing."""
    points = given if isinstance(given, list) else []
    if not all(isinstance(point, list) and len(point) == 2 and all(map(is_number, point)) for point in points):
        raise NotMeasured("the answer of Wavefront holds points that are not two numbers")
    at, value = min(points, key=lambda point: abs(point[0] - now), default=(0.0, 0.0))
    return _Point(value=value, at=int(at), drift=int(at - now))


def _joined(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
