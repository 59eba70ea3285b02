"""A step that measures: it passes or it aborts, by what a web endpoint says at that time."""

import json
from collections.abc import Iterator

import pytest

from tidegate.kube.kinds import ANALYSIS_RUN
from tidegate.testing import Endpoint, Reply, Request, Scene, a_rollout, an_analysis_template, degraded, healthy_on

pytestmark = pytest.mark.e2e

BLUE, YELLOW = "demo:blue", "demo:yellow"


@pytest.fixture
def metrics() -> Iterator[Endpoint]:
    """`/errors/<share>` says that the share of errors is that."""

    def answer(request: Request) -> Reply:
        return Reply(body=json.dumps({"data": {"errors": float(request.path.rpartition("/")[2])}}).encode())

    with Endpoint(answer) as endpoint:
        yield endpoint


async def measured(scene: Scene, metrics: Endpoint, errors: str) -> None:
    """Yellow is asked for, and its errors are measured twice in the middle."""
    metric = {
        "name": "errors",
        "count": 2,
        "interval": "1s",
        "successCondition": "result < 0.01",
        "provider": {"web": {"url": metrics.url + "/errors/{{args.share}}", "jsonPath": "{$.data.errors}"}},
    }
    analysis = {"templates": [{"templateName": "errors"}], "args": [{"name": "share", "value": errors}]}
    await scene.apply(an_analysis_template("errors", metric, args=["share"]))
    await scene.apply(a_rollout(steps=({"setWeight": 34}, {"analysis": analysis}, {"setWeight": 67})))
    await scene.until("web", healthy_on(BLUE))
    await scene.request_image("web", YELLOW)


async def phases(scene: Scene) -> list[str]:
    found, _ = await scene.kube.list(ANALYSIS_RUN, scene.namespace)
    return [each["status"]["phase"] for each in found]


async def test_a_good_measurement_lets_it_pass(scene: Scene, metrics: Endpoint) -> None:
    await measured(scene, metrics, errors="0.001")
    await scene.until("web", healthy_on(YELLOW))
    assert await phases(scene) == ["Successful"]
    assert [each.path for each in metrics.requests] == ["/errors/0.001"] * 2
    await scene.until_told("web", "completed", revision=2)
    assert "analysis-concluded" in [told.outcome.verb for told in scene.outcomes.of(scene.namespace, "web", revision=2)]


async def test_a_bad_one_aborts_and_blue_serves_again(scene: Scene, metrics: Endpoint) -> None:
    await measured(scene, metrics, errors="0.5")
    await scene.until("web", degraded("RolloutAborted"))
    assert await phases(scene) == ["Failed"]
    await scene.until_told("web", "rolled-back", revision=2)
    told = [told.outcome.verb for told in scene.outcomes.of(scene.namespace, "web", revision=2)]
    assert "completed" not in told
    assert told.index("analysis-concluded") < told.index("rolled-back")
