"""A spec that the planner answers with InvalidSpec passes the schema (argo-behaviour.md 1.5); a wrong type does not."""

from typing import Any

import jsonschema_rs
import pytest

from tidegate.crd.generate import schemas

VALIDATORS = {kind: jsonschema_rs.validator_for(schema) for kind, schema in schemas().items()}


def accepted(kind: str, spec: dict[str, Any]) -> bool:
    return VALIDATORS[kind].is_valid({"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": "a"}, "spec": spec})


def canary(**fields: Any) -> dict[str, Any]:
    return {"strategy": {"canary": fields}}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="empty spec"),
        pytest.param({"replicas": -1}, id="negative replicas"),
        pytest.param({"minReadySeconds": -1, "revisionHistoryLimit": -1, "progressDeadlineSeconds": -1}, id="negative limits"),
        pytest.param({"selector": {}}, id="empty selector"),
        pytest.param({"selector": {"matchExpressions": [{"key": "a"}]}}, id="selector without operator"),
        pytest.param({"template": {"spec": {}}}, id="no containers"),
        pytest.param({"strategy": {}}, id="no strategy"),
        pytest.param({"strategy": {"canary": {}, "blueGreen": {}}}, id="both strategies, no active service"),
        pytest.param(canary(steps=[{}]), id="empty step"),
        pytest.param(canary(steps=[{"setWeight": 20, "pause": {}}]), id="two kinds in a step"),
        pytest.param(canary(steps=[{"setWeight": 120}, {"setWeight": -5}]), id="weight out of range"),
        pytest.param(canary(steps=[{"pause": {"duration": -1}}, {"pause": {"duration": "soon"}}]), id="bad pause"),
        pytest.param(canary(steps=[{"setHeaderRoute": {}}, {"setMirrorRoute": {}}]), id="routes without name"),
        pytest.param(canary(steps=[{"analysis": {}}, {"experiment": {}}, {"plugin": {}}]), id="steps without content"),
        pytest.param(canary(maxSurge=0, maxUnavailable="0"), id="no surge and no unavailable"),
        pytest.param(canary(canaryService="a", stableService="a", pingPong={"pingService": "a"}), id="services"),
        pytest.param(canary(trafficRouting={"alb": {}, "nginx": {}, "istio": {}, "maxTrafficWeight": -1}), id="empty routers"),
        pytest.param(canary(antiAffinity={"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 500}}), id="affinity"),
        pytest.param({"workloadRef": {"kind": "CronJob", "scaleDown": "maybe"}}, id="workload"),
    ],
)
def test_a_senseless_rollout_reaches_the_planner(spec: dict[str, Any]) -> None:
    assert accepted("Rollout", spec)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"replicas": "3"}, id="replicas as text"),
        pytest.param({"restartAt": 5}, id="time as number"),
        pytest.param({"selector": {"matchLabels": {"a": 1}}}, id="label as number"),
        pytest.param({"template": {"metadata": {"labels": {"a": True}}}}, id="pod label as boolean"),
        pytest.param(canary(steps={"setWeight": 20}), id="steps as object"),
        pytest.param(canary(steps=[{"setWeight": "20%"}]), id="weight as text"),
        pytest.param(canary(steps=[{"pause": {"duration": 1.5}}]), id="fractional pause"),
        pytest.param(canary(trafficRouting={"plugins": ["argoproj-labs/gatewayAPI"]}), id="plugins as list"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(spec: dict[str, Any]) -> None:
    assert not accepted("Rollout", spec)


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("AnalysisRun", {"metrics": []}),
        ("AnalysisRun", {"metrics": [{}, {"provider": {}}, {"provider": {"web": {}, "job": {}, "kayenta": {}}}]}),
        ("AnalysisTemplate", {}),
        ("ClusterAnalysisTemplate", {"templates": [{"templateName": "a"}]}),
        ("Experiment", {"templates": [{}]}),
    ],
)
def test_a_senseless_analysis_or_experiment_reaches_its_service(kind: str, spec: dict[str, Any]) -> None:
    assert accepted(kind, spec)


@pytest.mark.parametrize(("kind", "spec"), [("AnalysisRun", {}), ("Experiment", {})])
def test_metrics_and_templates_are_required(kind: str, spec: dict[str, Any]) -> None:
    assert not accepted(kind, spec)


@pytest.mark.parametrize("body", [{"a": 1}, ["a", 1], "text", 1.5])
def test_a_json_body_may_be_any_json(body: Any) -> None:
    assert accepted("AnalysisRun", {"metrics": [{"provider": {"web": {"jsonBody": body}}}]})
