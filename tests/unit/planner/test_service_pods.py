"""A basic canary's stable Service is switched once the new version is stable. Until it was seen to be, it leads to somebody."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tidegate_planner.decide import decide
from tidegate_planner.plan import Plan, ScaleReplicaSet, ShiftTraffic
from tidegate_planner.seen import ReplicaSet, Seen
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of, services_on

STEPS = [{"setWeight": 50}]
NAMED = {"stableService": "stable", "canaryService": "canary"}


def a_promotion(*sets: ReplicaSet, canary: Mapping[str, Any] = NAMED, at: int = 1, choice: str = "v1", **given: Any) -> Seen:
    """Four pods on their way from v1 to v2, the steps behind it; the stable Service chooses `choice`."""
    steps = canary.get("steps", STEPS)
    services = services_on(stable=choice, canary="v2") if "stableService" in canary else {}
    status = {"status": a_status("v2", "v1", at, steps), **given}
    return a_view("v2", *sets, canary={"steps": steps, **canary}, services=services, **status)


def scaled(plan: Plan) -> dict[str, int]:
    names = {hash_of(version): version for version in ("v1", "v2", "v3")}
    scales = (each for each in plan.actions if isinstance(each, ScaleReplicaSet))
    return {names[each.hash]: each.after for each in scales if each.after != each.before}


def test_the_last_old_pods_stay_until_the_service_was_seen_to_choose_the_new_ones() -> None:
    seen = a_promotion(a_set("v2", 4, revision=2), a_set("v1", 1))
    promoting = decide(seen, NOW)
    (asked,) = [each.request for each in promoting.actions if isinstance(each, ShiftTraffic)]
    assert {each.service: each.hash for each in asked.services} == {"stable": hash_of("v2"), "canary": hash_of("v2")}
    assert (promoting.status["stableRS"], scaled(promoting)) == (hash_of("v2"), {})
    waiting = decide(replace(seen, status=promoting.status), NOW)
    assert (waiting.status["phase"], waiting.status["message"], scaled(waiting)) == (
        "Progressing",
        "old replicas are pending termination",
        {},
    )
    switched = replace(seen, status=promoting.status, services=services_on(stable="v2", canary="v2"))
    assert scaled(decide(switched, NOW)) == {"v1": 0}


def test_without_a_stable_service_they_go_with_the_promotion() -> None:
    for canary in ({}, {"canaryService": "canary"}):
        seen = a_promotion(a_set("v2", 4, revision=2), a_set("v1", 1), canary=canary)
        assert scaled(decide(seen, NOW)) == {"v1": 0}


ONE_MISSING = (a_set("v2", 3, revision=2), a_set("v1", 1))
ALL_IN_ONE = {"steps": [{"setWeight": 50}, {"setWeight": 100}]}
THEN_A_PAUSE = {"steps": [{"setWeight": 100}, {"pause": {}}]}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({}, {"v2": 4}, id="the new ones come beside the last old one"),
        pytest.param({"canary": {}}, {"v2": 4, "v1": 0}, id="nobody's Service leads to it"),
        pytest.param({"choice": "v2"}, {"v2": 4, "v1": 0}, id="the Service leads elsewhere"),
        pytest.param({"choice": ""}, {"v2": 4}, id="the Service is about to be adopted, for all that is seen onto the old one"),
        pytest.param({"canary": {**NAMED, "maxSurge": 0}}, {"v2": 4, "v1": 0}, id="no room for both"),
        pytest.param({"canary": {**NAMED, **ALL_IN_ONE}}, {"v2": 4}, id="the last step asks for all pods, then the end"),
        pytest.param({"canary": {**NAMED, **THEN_A_PAUSE}}, {"v2": 4, "v1": 0}, id="a pause with all pods new was asked for"),
        pytest.param({"spec": {"replicas": 0}}, {"v1": 0}, id="no pods are wanted at all"),
    ],
)
def test_while_the_new_pods_come_one_old_one_stays_for_its_service(changed: dict[str, Any], expected: dict[str, int]) -> None:
    assert scaled(decide(a_promotion(*ONE_MISSING, **changed), NOW)) == expected


def test_an_old_pod_that_does_not_serve_keeps_nobody_waiting() -> None:
    assert scaled(decide(a_promotion(a_set("v2", 3, revision=2), a_set("v1", 1, 0)), NOW)) == {"v2": 4, "v1": 0}


def test_a_last_step_that_asks_for_all_pods_is_done_beside_the_one_that_stays() -> None:
    seen = a_promotion(a_set("v2", 4, revision=2), a_set("v1", 1), canary={**NAMED, **ALL_IN_ONE})
    plan = decide(seen, NOW)
    assert (plan.status["currentStepIndex"], plan.status["stableRS"], scaled(plan)) == (2, hash_of("v2"), {})


@pytest.mark.parametrize(
    ("new", "after", "expected"),
    [
        pytest.param(a_set("v2", 4, 3, revision=2), 299, {}, id="they may still come"),
        pytest.param(a_set("v2", 4, 3, revision=2), 300, {"v1": 0}, id="half of the deadline is over"),
        pytest.param(
            a_set("v2", 4, 3, revision=2, failure={"reason": "FailedCreate"}), 1, {"v1": 0}, id="a quota has no room for them"
        ),
        pytest.param(a_set("v2", 2, revision=2), 400, {"v2": 4}, id="those asked for are there"),
    ],
)
def test_it_makes_room_where_new_pods_do_not_come(new: ReplicaSet, after: int, expected: dict[str, int]) -> None:
    """A cluster without a node for one pod more than wanted would never get through otherwise; the peer's rule brings it there."""
    assert scaled(decide(a_promotion(new, a_set("v1", 1)), NOW + after)) == expected


def test_it_looks_again_when_they_may_have_waited_long_enough() -> None:
    assert decide(a_promotion(a_set("v2", 4, 3, revision=2), a_set("v1", 1)), NOW).wake_at == NOW + 300


def test_a_third_version_gets_out_beside_the_pods_that_the_service_still_leads_to() -> None:
    """The second was promoted and broke before the Service was switched, which is why it was not: so nobody may wait for that."""
    services, steps = services_on(stable="v1", canary="v2"), [{"setWeight": 50}]
    broken, old = a_set("v2", 4, 0, revision=2), a_set("v1", 1)
    sizes, status = {"v3": 0, "v2": 4, "v1": 1}, a_status("v2", "v2", 1, steps)
    for _ in range(20):
        sets = (a_set("v3", sizes["v3"], revision=3), replace(broken, replicas=sizes["v2"], current=sizes["v2"]), old)
        plan = decide(a_view("v3", *sets, canary={**NAMED, "steps": steps}, services=services, status=status), NOW)
        sizes, status = {**sizes, **scaled(plan)}, plan.status
        assert sizes["v1"] == 1
        assert sum(sizes.values()) <= 5
    assert (status["stableRS"], sizes) == (hash_of("v3"), {"v3": 4, "v2": 0, "v1": 1})
