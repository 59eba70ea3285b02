"""A misspelt field is found, with its path and the name that was meant."""

from typing import Any

import pytest

from tidegate.crd.strict import unknown_fields
from tidegate.errors import UnknownName


def rollout(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "a"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ({"replica": 1}, "spec.replica (did you mean replicas?)"),
        ({"strategy": {"bluegreen": {}}}, "spec.strategy.bluegreen (did you mean blueGreen?)"),
        (
            {"strategy": {"canary": {"steps": [{"setWeight": 1}, {"setWieght": 20}]}}},
            "spec.strategy.canary.steps[1].setWieght (did you mean setWeight?)",
        ),
        ({"strategy": {"canary": {"trafficRouting": {"envoy": {}}}}}, "spec.strategy.canary.trafficRouting.envoy"),
        ({"template": {"specs": {}}}, "spec.template.specs (did you mean spec?)"),
        (
            {"strategy": {"canary": {"steps": [{"setMirrorRoute": {"match": [{"headers": {"X-A": {"exakt": "b"}}}]}}]}}},
            "spec.strategy.canary.steps[0].setMirrorRoute.match[0].headers.X-A.exakt (did you mean exact?)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_misspelt_field_is_found(spec: dict[str, Any], found: str) -> None:
    assert unknown_fields(rollout(spec)) == [found]


def test_a_field_beside_the_spec_is_found() -> None:
    assert unknown_fields(rollout({}) | {"specs": {}}) == ["specs (did you mean spec?)"]


def test_all_are_found_in_the_order_of_the_manifest() -> None:
    assert unknown_fields(rollout({"zzz": 1, "qqq": 2})) == ["spec.zzz", "spec.qqq"]


@pytest.mark.parametrize(
    "spec",
    [
        {"template": {"metadata": {"name": "a"}, "spec": {"fieldOfTomorrow": {"deep": 1}}}},
        {"strategy": {"canary": {"trafficRouting": {"plugins": {"a/b": {"any": {"thing": 1}}}}}}},
        {"strategy": {"canary": {"steps": [{"plugin": {"name": "a/b", "config": {"any": {"thing": 1}}}}]}}},
        {"strategy": {"canary": {"canaryMetadata": {"labels": {"any": "label"}}}}},
    ],
)
def test_nothing_is_known_about_free_places(spec: dict[str, Any]) -> None:
    assert unknown_fields(rollout(spec)) == []


def test_a_value_of_the_wrong_type_is_not_an_unknown_field() -> None:
    assert unknown_fields(rollout({"strategy": "canary", "replicas": {"a": 1}})) == []


def test_another_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match=r"unknown kind 'Deployment'; known: AnalysisRun, .*, Rollout"):
        unknown_fields({"apiVersion": "apps/v1", "kind": "Deployment"})
