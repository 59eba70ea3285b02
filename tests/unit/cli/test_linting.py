"""Lint finds every mistake of a file at once."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.testing import a_deployment, a_referring_rollout
from tidegate_cli.linting import complaints

SEED = yaml.safe_load((Path(__file__).parents[3] / "deploy/examples/seed-rollout.yaml").read_text())


def changed(**canary: Any) -> dict[str, Any]:
    rollout = deepcopy(SEED)
    rollout["spec"]["strategy"]["canary"].update(canary)
    return rollout


def test_the_example_is_clean() -> None:
    assert complaints([SEED]) == []


def test_a_misspelt_field_is_named_with_what_was_probably_meant() -> None:
    (first, *_) = complaints([changed(steps=[{"setWieght": 20}])])
    assert "unknown field spec.strategy.canary.steps[0].setWieght (did you mean setWeight?)" in first


def test_all_broken_rules_are_told_not_just_the_first() -> None:
    found = complaints([changed(steps=[{"setWeight": 120}], maxSurge=0, maxUnavailable=0)])
    assert any("SetWeight needs to be between 0 and 100" in each for each in found)
    assert any("MaxSurge and MaxUnavailable both can not be zero" in each for each in found)


def service(name: str, app: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": app}}}


def test_a_service_in_the_same_file_must_fit() -> None:
    rollout = changed(canaryService="canary", stableService="stable")
    fits, other = service("stable", "rollout-canary-demo"), service("canary", "other")
    assert complaints([rollout, fits]) == [], "what is not in the file may be in the cluster"
    assert ['Service "canary" has unmatch label "app" in rollout' in each for each in complaints([rollout, fits, other])] == [True]


@pytest.mark.parametrize("manifest", [{"apiVersion": "v1", "kind": "ConfigMap"}, {"apiVersion": "apps/v1", "kind": "Deployment"}])
def test_objects_of_other_groups_are_none_of_its_business(manifest: dict[str, Any]) -> None:
    assert complaints([manifest]) == []


def test_pods_that_a_workload_describes_are_checked_where_it_is_in_the_file() -> None:
    broken = a_deployment()
    del broken["spec"]["template"]["spec"]["containers"][0]["image"]
    assert complaints([a_referring_rollout()]) == [], "what is not in the file may be in the cluster"
    assert complaints([a_referring_rollout(), a_deployment()]) == []
    (found,) = complaints([a_referring_rollout(), broken])
    assert found == "Rollout/web: spec.template.spec.containers[0].image: Required value"


@pytest.mark.parametrize("beside", [(), (a_deployment(),)], ids=["alone", "with the Deployment"])
def test_a_template_beside_a_reference_is_a_mistake(beside: tuple[dict[str, Any], ...]) -> None:
    both = a_referring_rollout(template=a_deployment()["spec"]["template"])
    (found,) = complaints([both, *beside])
    assert "template must be empty for workload reference rollout" in found


def test_a_workload_that_cannot_be_referred_to_is_named() -> None:
    reference = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}
    (found,) = complaints([a_referring_rollout(workloadRef=reference)])
    assert found == "Rollout/web: workload of type apps/StatefulSet is not supported"


def test_labels_of_pods_that_are_described_elsewhere_are_not_guessed() -> None:
    services = {"canaryService": "canary", "stableService": "stable"}
    rollout = a_referring_rollout(strategy={"canary": services})
    assert complaints([rollout, service("stable", "web"), service("canary", "web")]) == []
    found = complaints([rollout, a_deployment(), service("stable", "web"), service("canary", "other")])
    assert ['Service "canary" has unmatch label "app" in rollout' in each for each in found] == [True]


def test_an_unknown_kind_of_the_group_lists_the_known_ones() -> None:
    (found,) = complaints([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rolout", "metadata": {"name": "web"}}])
    assert found.startswith("Rolout/web: kind is 'Rolout'; argoproj.io has AnalysisRun")


DECLARED = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "argo-rollouts-config"},
    "data": {"stepPlugins": "[{name: acme/approval}]", "trafficRouterPlugins": "", "metricProviderPlugins": "[acme/metric]"},
}
ROUTED = {"plugins": {"acme/router": {}, "argoproj-labs/gatewayAPI": {}}}


def template(plugin: str) -> dict[str, Any]:
    metric = {"name": "m", "provider": {"plugin": {plugin: {}}}}
    kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "t"}}
    return {**kind, "spec": {"metrics": [metric]}}


def test_plugins_are_only_missed_where_the_file_declares_some() -> None:
    documents = [changed(steps=[{"plugin": {"name": "acme/other"}}], trafficRouting=ROUTED), template("acme/other")]
    assert complaints(documents) == []
    step, router, metric = sorted(complaints([*documents, DECLARED]), key=lambda text: ("steps" not in text, "Routing" not in text))
    assert 'spec.strategy.steps[0].plugin.name: Invalid value: "acme/other": step plugin is not registered; known: acme/app' in step
    assert "trafficRouting.plugins: plugin 'acme/router' is not declared; known: none" in router
    assert "spec.metrics[0].provider.plugin: plugin 'acme/other' is not declared; known: acme/metric" in metric


def test_a_declaration_that_cannot_be_read_is_named() -> None:
    (found,) = complaints([{**DECLARED, "data": {"stepPlugins": "name: acme/approval"}}])
    assert found == "ConfigMap/argo-rollouts-config: data.stepPlugins must be a YAML list of plugins: [{name: owner/name}]"
