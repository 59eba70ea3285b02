"""The cloudWatch provider against moto's server, and its questions against the model that AWS's own client checks them by.

moto answers plain metrics; expressions it takes without a word and answers with nothing, so what they yield is for the contract
tests.
"""

import json
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate.config import Settings
from tidegate.kube.memory import MemoryKube
from tidegate.testing import PatientOutbound
from tidegate.testing.moto import Moto
from tidegate_analyzer.expression import condition
from tidegate_analyzer.provider import Context, Measured, Tools
from tidegate_analyzer.providers import PROVIDERS
from tidegate_analyzer.providers.cloud_watch import request_of

NOW = datetime(2026, 11, 26, 8, 30, tzinfo=UTC)
PUT = """
for name, values in given["metrics"].items():
    cloudwatch.put_metric_data(Namespace=given["namespace"], MetricData=[
        {"MetricName": name, "Dimensions": [{"Name": "app", "Value": "web"}], "Timestamp": given["at"], "Value": value}
        for value in values
    ])
result = None
"""


def query(name: str, stat: str, metric: str, namespace: str, **fields: Any) -> dict[str, Any]:
    dimensions = [{"name": "app", "value": "web"}]
    of = {"namespace": namespace, "metricName": metric, "dimensions": dimensions}
    return {"id": name, "metricStat": {"metric": of, "period": 300, "stat": stat}, **fields}


async def measured(moto: Moto, *queries: dict[str, Any], interval: str = "30m") -> Measured:
    async with PatientOutbound() as outbound:
        tools = Tools(outbound=outbound, kube=MemoryKube(clock=lambda: NOW), clock=lambda: NOW, settings=Settings(aws=moto.environ))
        context = Context(namespace="shop", run="canary", uid="u", metric="m", number=1, now=NOW)
        config = {"interval": interval, "metricDataQueries": list(queries)}
        outcome = await PROVIDERS["cloudWatch"](tools).measure(config, context)
    assert isinstance(outcome, Measured)
    return outcome


async def test_statistics_of_metrics_are_measured_and_judged(moto):
    at = (NOW - timedelta(minutes=10)).isoformat()
    moto.does(PUT, namespace="shop", metrics={"errors": [1, 2, 3], "requests": [100, 200]}, at=at)
    answer = await measured(
        moto, query("errors", "Sum", "errors", "shop", label="e"), query("requests", "Average", "requests", "shop")
    )
    assert [(each["Id"], each["Values"]) for each in answer.result] == [("errors", [6.0]), ("requests", [150.0])]
    assert answer.result[0]["Label"] == "e"
    assert answer.value == "[[6] [150]]"
    assert condition("result[0].Values[0] / result[1].Values[0] < 0.05", answer.result)


async def test_nothing_in_the_interval_is_an_empty_list_of_values(moto):
    moto.does(PUT, namespace="old", metrics={"errors": [1]}, at=(NOW - timedelta(hours=2)).isoformat())
    answer = await measured(moto, query("errors", "Sum", "errors", "old"), interval="5m")
    assert (answer.result[0]["Values"], answer.value) == ([], "[[]]")


VALIDATE = """
import json, sys, botocore.session, botocore.validate
model = botocore.session.get_session().get_service_model("cloudwatch").operation_model("GetMetricData").input_shape
print(botocore.validate.ParamValidator().validate(json.loads(sys.argv[1]), model).generate_report())
"""


def report(moto: Moto, request: dict[str, Any]) -> str:
    command = [moto.python, "-c", VALIDATE, json.dumps(request)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ([query("errors", "Sum", "errors", "shop", label="e", returnData=True)], ""),
        ([{"id": "rate", "expression": "errors / requests", "period": "60"}], ""),
        ([{"expression": "errors / requests"}], 'Missing required parameter in MetricDataQueries[0]: "Id"'),
    ],
    ids=["a metric", "an expression", "without an id"],
)
def test_questions_fit_amazons_own_model(moto, config, said):
    assert said in report(moto, request_of({"metricDataQueries": config}, NOW))
    assert bool(said) == bool(report(moto, request_of({"metricDataQueries": config}, NOW)))
