"""GetMetricData of Amazon CloudWatch (`argo-behaviour.md` 8.8), in its JSON protocol, signed.

`result` is the list of MetricDataResult under Amazon's names: `result[0].Values[0]`. Their Timestamps are RFC 3339 texts here, for
conditions see JSON. The measurement's `messages` are JSON; the peer prints addresses of its memory.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

import orjson

from tidegate.aws.login import Aws
from tidegate.aws.sigv4 import signed
from tidegate.outbound import Answer, Call
from tidegate_analyzer import expression
from tidegate_analyzer.answers import NotJson, document, inside, is_number
from tidegate_analyzer.arguments import redacted
from tidegate_analyzer.expression import ExpressionError
from tidegate_analyzer.metrics import span, timestamp
from tidegate_analyzer.provider import Config, Context, Measured, NotMeasured, OnlyAsks, Tools

NAME: Final = "cloudWatch"
SECONDS: Final = 30.0
OPERATION: Final = "operation error CloudWatch: GetMetricData, https response error StatusCode"
HEADERS: Final = (
    ("Content-Type", "application/x-amz-json-1.0"),
    ("X-Amz-Target", "GraniteServiceVersion20100801.GetMetricData"),
)


class CloudWatch(OnlyAsks):
    """See the module's docstring."""

    offers: ClassVar[tuple[str, ...]] = ("metric math", "several queries", "IRSA/Pod Identity/keys", "AWS_ENDPOINT_URL")

    def __init__(self, tools: Tools) -> None:
        self._outbound = tools.outbound
        self._aws = Aws(tools.settings.aws, tools.own_outbound or tools.outbound, tools.clock)

    async def measure(self, config: Config, context: Context) -> Measured:
        region = self._aws.region()
        body = request_of(config, context.now)
        call = Call(
            method="POST",
            url=self._aws.endpoint("CLOUDWATCH", "monitoring", region),
            headers=HEADERS,
            body=orjson.dumps(body),
            timeout=SECONDS,
        )
        keys = await self._aws.keys(region=region)
        answer = await self._outbound.send(signed(call, keys, service="monitoring", region=region, now=context.now))
        return measured(answer, token=keys.token)


def request_of(config: Config, now: datetime) -> dict[str, Any]:
    """Pure."""
    try:
        interval = span(config.get("interval") or "5m")
    except ExpressionError as error:
        raise NotMeasured(str(error)) from error
    return {
        "StartTime": (now - interval).timestamp(),
        "EndTime": now.timestamp(),
        "MetricDataQueries": [_query(each) for each in config.get("metricDataQueries") or ()],
    }


def _query(query: Config) -> dict[str, Any]:
    return _present(
        Id=query.get("id"),
        Expression=query.get("expression"),
        Label=query.get("label"),
        MetricStat=_stat(query["metricStat"]) if query.get("metricStat") else None,
        Period=_whole(query, "period"),
        ReturnData=query.get("returnData"),
    )


def _stat(stat: Config) -> dict[str, Any]:
    metric = stat.get("metric") or {}
    dimensions = [{"Name": each.get("name"), "Value": each.get("value")} for each in metric.get("dimensions") or ()]
    return _present(
        Metric=_present(MetricName=metric.get("metricName"), Namespace=metric.get("namespace"), Dimensions=dimensions or None),
        Period=_whole(stat, "period"),
        Stat=stat.get("stat"),
        Unit=stat.get("unit") or None,
    )


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _whole(config: Config, field: str) -> int | None:
    value = config.get(field)
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError) as error:
        raise NotMeasured(f"{field} must be a whole number of seconds, got {value!r}") from error


def measured(answer: Answer, *, token: str = "") -> Measured:
    """The value in an answer. Amazon explains a wrong signature by what it should have signed, the token included. Pure."""
    try:
        body = document(answer.body)
    except NotJson as error:
        raise NotMeasured(f"{OPERATION}: {answer.status}, the answer is not JSON") from error
    if not answer.is_success:
        raise NotMeasured(redacted(_failure(answer, body), [token]))
    results = inside(body, "MetricDataResults")
    if not isinstance(results, list):
        raise NotMeasured(f"{OPERATION}: {answer.status}, the answer holds no MetricDataResults")
    seen = [_result(each) for each in results if isinstance(each, Mapping)]
    messages = inside(body, "Messages")
    return Measured(
        result=seen,
        value=expression.text_of([each["Values"] for each in seen]),
        metadata={"messages": expression.json_of(messages)} if messages else {},
    )


def _result(result: Mapping[str, Any]) -> dict[str, Any]:
    values = [value for value in result.get("Values") or () if is_number(value)]
    times = [timestamp(datetime.fromtimestamp(moment, UTC)) for moment in result.get("Timestamps") or () if is_number(moment)]
    return {**result, "Values": values, "Timestamps": times}


def _failure(answer: Answer, body: Any) -> str:
    """`__type` is a name with its model before it: `com.amazonaws.cloudwatch#ValidationError`."""
    code = str(inside(body, "__type") or "UnknownError").rpartition("#")[2]
    message = inside(body, "message") or inside(body, "Message") or ""
    request = next((value for name, value in answer.headers.items() if name.lower() == "x-amzn-requestid"), "")
    return f"{OPERATION}: {answer.status}, RequestID: {request}, api error {code}: {message}"
