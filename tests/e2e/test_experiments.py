"""A step that runs both versions side by side: it gets its share of the traffic, and passes or aborts by what is measured."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.kube.kinds import EXPERIMENT, HTTP_ROUTE, SERVICE, Object
from tidegate.testing import (
    Endpoint,
    Reply,
    Request,
    Scene,
    a_rollout,
    a_service,
    an_analysis_template,
    an_http_route,
    degraded,
    eventually,
    healthy_on,
)

pytestmark = pytest.mark.e2e

BLUE, YELLOW = "demo:blue", "demo:yellow"


@pytest.fixture
def metrics() -> Iterator[Endpoint]:
    """`/<name>/<hash>` says that all is well, of any name but `bad`."""

    def answer(request: Request) -> Reply:
        return Reply(body=json.dumps({"data": {"good": not request.path.startswith("/bad/")}}).encode())

    with Endpoint(answer) as endpoint:
        yield endpoint


async def at_the_step(scene: Scene, metrics: Endpoint, path: str, *, canary: Any = None, **step: Any) -> None:
    """Yellow is asked for, and measured beside blue in the middle."""
    metric = {
        "name": "good",
        "successCondition": "result == true",
        "provider": {"web": {"url": f"{metrics.url}/{path}/{{{{args.hash}}}}", "jsonPath": "{$.data.good}"}},
    }
    await scene.apply(an_analysis_template("good", metric, args=["hash"]))
    args = [{"name": "hash", "value": "{{templates.cand.podTemplateHash}}"}]
    analysis = {"name": "compared", "templateName": "good", "args": args}
    manifest = a_rollout(steps=({"setWeight": 34}, {"experiment": {**step, "analyses": [analysis]}}), canary=canary)
    manifest["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 8080}]
    await scene.apply(manifest)
    await scene.until("web", healthy_on(BLUE))
    assert (await scene.request_image("web", YELLOW)).accepted


async def experiment(scene: Scene) -> Object:
    found, _ = await scene.kube.list(EXPERIMENT, scene.namespace)
    return found[0] if len(found) == 1 else {}


async def backends(scene: Scene) -> dict[str, int]:
    route = await scene.kube.get(HTTP_ROUTE, scene.namespace, "web")
    return {each["name"]: each["weight"] for each in route["spec"]["rules"][0]["backendRefs"]}


async def test_a_good_one_gets_its_share_of_the_traffic_and_lets_the_rollout_pass(scene: Scene, metrics: Endpoint) -> None:
    await scene.apply(a_service("web-stable", app="web"), a_service("web-canary", app="web"))
    await scene.apply(an_http_route("web", stable="web-stable", canary="web-canary"))
    plugin = {"argoproj-labs/gatewayAPI": {"httpRoute": "web", "namespace": scene.namespace}}
    canary = {"stableService": "web-stable", "canaryService": "web-canary", "trafficRouting": {"plugins": plugin}}
    templates = [{"name": "base", "specRef": "stable", "weight": 5}, {"name": "cand", "specRef": "canary", "weight": 10}]
    await at_the_step(scene, metrics, "good", canary=canary, templates=templates, scaleDownDelaySeconds=1)

    run = await eventually(lambda: experiment(scene), measured, what="the experiment to be measured")
    name = run["metadata"]["name"]
    wanted = {"web-stable": 51, "web-canary": 34, f"{name}-base": 5, f"{name}-cand": 10}
    await eventually(lambda: backends(scene), lambda seen: seen == wanted, what="the experiment's share")
    service = await scene.kube.get(SERVICE, scene.namespace, f"{name}-cand")
    assert [each.path for each in metrics.requests] == [f"/good/{service['spec']['selector'][POD_TEMPLATE_HASH]}"]
    await scene.until("web", shares_recorded)

    await scene.kube.merge_patch(EXPERIMENT, scene.namespace, name, {"spec": {"terminate": True}})
    await scene.until("web", healthy_on(YELLOW))
    await eventually(
        lambda: backends(scene), lambda seen: seen == {"web-stable": 100, "web-canary": 0}, what="stable to have it all"
    )
    created = ("ExperimentCreated", f"Created Experiment '{name}'")
    await eventually(lambda: scene.events("web"), lambda events: created in events, what="the experiment to be told")

    async def services() -> list[str]:
        found, _ = await scene.kube.list(SERVICE, scene.namespace)
        return sorted(each["metadata"]["name"] for each in found if each["metadata"]["name"].startswith("web"))

    await eventually(services, lambda seen: seen == ["web-canary", "web-stable"], what="the experiment's Services to go")


def measured(found: Object) -> bool:
    status = found.get("status") or {}
    return status.get("phase") == "Running" and [each["phase"] for each in status["analysisRuns"]] == ["Successful"]


def shares_recorded(rollout: Object) -> bool:
    weights = (rollout["status"].get("canary") or {}).get("weights") or {}
    return [each["weight"] for each in weights.get("additional") or ()] == [5, 10]


async def test_a_bad_one_aborts_with_what_was_measured_and_blue_serves_again(scene: Scene, metrics: Endpoint) -> None:
    templates = [{"name": "base", "specRef": "stable"}, {"name": "cand", "specRef": "canary"}]
    await at_the_step(scene, metrics, "bad", templates=templates, duration="1m")
    rollout = await scene.until("web", degraded("RolloutAborted"))
    words = 'Experiment analysis phase is error/failed: Metric "good" assessed Failed due to failed (1) > failureLimit (0)'
    assert words in rollout["status"]["message"]
    assert (await experiment(scene))["status"]["phase"] == "Failed"
    await scene.until_told("web", "rolled-back", revision=2)
    told = [told.outcome.verb for told in scene.outcomes.of(scene.namespace, "web", revision=2)]
    assert told.index("analysis-concluded") < told.index("aborted") < told.index("rolled-back")
