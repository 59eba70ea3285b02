"""Lint finds every mistake of a file at once."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

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


def test_an_unknown_kind_of_the_group_lists_the_known_ones() -> None:
    (found,) = complaints([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rolout", "metadata": {"name": "web"}}])
    assert found.startswith("Rolout/web: kind is 'Rolout'; argoproj.io has AnalysisRun")
