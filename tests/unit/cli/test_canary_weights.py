"""Step, asked weight and actual weight of a canary (`argo-behaviour.md` 13)."""

from typing import Any

import pytest

from tidegate_cli.canaries import actual_weight, asked_weight, step_text

STEPS = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 40}, {"pause": {"duration": "10s"}}]


def canary(index: int | None, *, steps: Any = STEPS, routing: Any = None, **status: Any) -> dict[str, Any]:
    strategy = {"steps": steps, **({"trafficRouting": routing} if routing is not None else {})}
    return {"spec": {"strategy": {"canary": strategy}}, "status": {"currentStepIndex": index, **status}}


@pytest.mark.parametrize(
    ("index", "step", "asked"), [(None, "0/4", 20), (0, "0/4", 20), (1, "1/4", 20), (2, "2/4", 40), (3, "3/4", 40), (4, "4/4", 100)]
)
def test_the_last_weight_at_or_before_the_step_is_asked_for(index: int | None, step: str, asked: int) -> None:
    assert (step_text(canary(index)), asked_weight(canary(index))) == (step, asked)


def test_nothing_is_asked_before_the_first_weight() -> None:
    assert asked_weight(canary(0, steps=[{"pause": {}}, {"setWeight": 5}])) == 0


def test_an_aborted_update_asks_for_nothing() -> None:
    assert asked_weight(canary(2, abort=True)) == 0


def test_a_plan_without_steps_has_no_step_and_full_weight() -> None:
    rollout = canary(None, steps=None, availableReplicas=4)
    assert (step_text(rollout), asked_weight(rollout), actual_weight(rollout, canary_available=1)) == ("", 100, 100)


@pytest.mark.parametrize(("available", "of", "weight"), [(1, 5, 20), (1, 3, 33), (0, 5, 0), (0, 0, 0)])
def test_without_a_router_the_actual_weight_is_the_share_of_available_pods(available: int, of: int, weight: int) -> None:
    assert actual_weight(canary(1, availableReplicas=of), canary_available=available) == weight


def test_with_a_router_it_is_the_recorded_weight() -> None:
    rollout = canary(1, routing={"nginx": {}}, canary={"weights": {"canary": {"weight": 17}}}, availableReplicas=5)
    assert actual_weight(rollout, canary_available=1) == 17


def test_a_router_may_count_to_more_than_a_hundred() -> None:
    assert asked_weight(canary(4, routing={"nginx": {}, "maxTrafficWeight": 1000})) == 1000
