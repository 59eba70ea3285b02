"""The phase a client shows is never an older revision's (`argo-behaviour.md` 6.4)."""

from typing import Any

import pytest

from tidegate.keys import WORKLOAD_GENERATION
from tidegate_cli.phases import phase_and_message

OBSERVED = {"observedGeneration": "3", "phase": "Healthy", "message": ""}


def rollout(*, status: dict[str, Any], spec: dict[str, Any] | None = None, workload: str = "") -> dict[str, Any]:
    annotations = {WORKLOAD_GENERATION: workload} if workload else {}
    return {"metadata": {"name": "web", "generation": 3, "annotations": annotations}, "spec": spec or {}, "status": status}


def test_an_observed_status_is_believed() -> None:
    assert phase_and_message(rollout(status=OBSERVED)) == ("Healthy", "")


@pytest.mark.parametrize("observed", ["2", "", None])
def test_a_status_of_an_older_generation_is_progressing(observed: str | None) -> None:
    status = {**OBSERVED, "observedGeneration": observed}
    assert phase_and_message(rollout(status=status)) == ("Progressing", "waiting for rollout spec update to be observed")


@pytest.mark.parametrize("observed", ["4", "5f9c7d"])
def test_a_larger_or_unreadable_generation_counts_as_observed(observed: str) -> None:
    assert phase_and_message(rollout(status={**OBSERVED, "observedGeneration": observed}))[0] == "Healthy"


def test_a_promotion_not_yet_acted_on_is_no_longer_paused() -> None:
    status = {**OBSERVED, "phase": "Paused", "controllerPause": True, "pauseConditions": None}
    assert phase_and_message(rollout(status=status)) == ("Progressing", "waiting for rollout to unpause")


def test_a_pause_that_holds_is_paused() -> None:
    conditions = [{"reason": "CanaryPauseStep"}]
    status = {**OBSERVED, "phase": "Paused", "message": "CanaryPauseStep", "controllerPause": True, "pauseConditions": conditions}
    assert phase_and_message(rollout(status=status)) == ("Paused", "CanaryPauseStep")


@pytest.mark.parametrize(("observed", "phase"), [("7", "Progressing"), ("8", "Healthy")])
def test_a_changed_workload_is_waited_for(observed: str, phase: str) -> None:
    spec = {"workloadRef": {"kind": "Deployment", "name": "web"}}
    status = {**OBSERVED, "workloadObservedGeneration": observed}
    assert phase_and_message(rollout(status=status, spec=spec, workload="8"))[0] == phase


@pytest.mark.parametrize(("newest", "phase"), [(8, "Healthy"), (9, "Progressing")])
def test_a_workload_changed_a_moment_ago_is_waited_for_though_nobody_has_noticed_yet(newest: int, phase: str) -> None:
    """`tidegate set image` and then `tidegate status` must not tell of the former image's health."""
    spec, status = {"workloadRef": {"kind": "Deployment", "name": "web"}}, {**OBSERVED, "workloadObservedGeneration": "8"}
    workload = {"metadata": {"name": "web", "generation": newest}}
    assert phase_and_message(rollout(status=status, spec=spec, workload="8"), workload)[0] == phase


def test_a_workload_that_makes_the_spec_invalid_is_told_and_not_waited_for() -> None:
    spec = {"workloadRef": {"kind": "Deployment", "name": "web"}}
    degraded = {"phase": "Degraded", "message": "InvalidSpec: no", "conditions": [{"type": "InvalidSpec", "status": "True"}]}
    status = {**OBSERVED, "workloadObservedGeneration": "8", **degraded}
    told = phase_and_message(rollout(status=status, spec=spec, workload="8"), {"metadata": {"generation": 9}})
    assert told == ("Degraded", "InvalidSpec: no")


def test_a_rollout_nobody_has_looked_at_is_progressing() -> None:
    assert phase_and_message({"metadata": {"name": "web", "generation": 1}, "spec": {}})[0] == "Progressing"
