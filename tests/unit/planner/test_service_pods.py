"""A basic canary's stable Service is switched once the new version is stable. Until it was seen to be, it leads to somebody."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_planner.decide import decide
from tidegate_planner.plan import CreateReplicaSet, Plan, ScaleReplicaSet, ShiftTraffic
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


@pytest.mark.parametrize(("replicas", "weight"), [(4, 50), (10, 25)])
def test_a_third_version_gets_out_beside_the_pods_that_the_service_still_leads_to(replicas: int, weight: int) -> None:
    """The second was promoted and broke before the Service was switched, which is why it was not: so nobody may wait for that.

    A quarter of ten pods is best met by three beside eight, and there is room for ten."""
    services, canary = services_on(stable="v1", canary="v2"), {**NAMED, "steps": [{"setWeight": weight}], "maxSurge": 1}
    sets, status = (a_set("v2", replicas, 0, revision=2), a_set("v1", 1)), a_status("v2", "v2", 1, canary["steps"])
    for _ in range(40):
        plan = decide(a_view("v3", *sets, canary=canary, services=services, status=status, spec={"replicas": replicas}), NOW)
        sets, status = carried_out(sets, plan, serving={"v3", "v1"}), plan.status
        sizes = {each.hash: each.replicas for each in sets}
        assert sizes[hash_of("v1")] == 1
        assert sum(sizes.values()) <= replicas + 1
    assert (status["stableRS"], sizes) == (hash_of("v3"), {hash_of("v3"): replicas, hash_of("v2"): 0, hash_of("v1"): 1})


def test_versions_that_follow_each_other_while_the_service_is_yet_to_be_adopted_do_not_keep_the_last_one_from_its_pods() -> None:
    """Which of them it may be adopted onto meanwhile nobody can tell; together they have no more than the surge."""
    sets = (a_set("v1", 1), a_set("v2", 1, revision=2), a_set("v3", 1, revision=3))
    canary, status = {**NAMED, "maxSurge": 1}, a_status("v3", "v1", None, None)
    for _ in range(10):
        plan = decide(a_view("v4", *sets, canary=canary, services=services_on(stable="", canary=""), status=status), NOW)
        sets, status = carried_out(sets, plan, serving={"v1", "v2", "v3", "v4"}), plan.status
        assert sum(each.replicas for each in sets) <= 5
    assert status["stableRS"] == hash_of("v4")


@dataclass(frozen=True)
class Past:
    """v1 to v3 as they were left when v4 comes."""

    replicas: int
    surge: int
    unavailable: int
    weights: list[int]
    sizes: tuple[int, int, int]
    serving: frozenset[str]
    stable: str
    choice: str


PASTS = st.builds(
    Past,
    replicas=st.integers(1, 10),
    surge=st.integers(0, 3),
    unavailable=st.integers(0, 2),
    weights=st.lists(st.sampled_from([1, 25, 50, 99, 100]), max_size=2).map(sorted),
    sizes=st.tuples(*[st.integers(0, 10)] * 3),
    serving=st.frozensets(st.sampled_from(["v1", "v2", "v3"])),
    stable=st.sampled_from(["v1", "v2", "v3"]),
    choice=st.sampled_from(["", "v1", "v2", "v3"]),
)


@given(PASTS)
def test_no_version_waits_for_its_service_that_would_be_promoted_without_one(past: Past) -> None:
    assert is_promoted(past, NAMED) or not is_promoted(past, {})


def is_promoted(past: Past, named: Mapping[str, Any]) -> bool:
    """Whether v4 is, whose pods serve at once, while the Service stays where it is."""
    sets = tuple(
        a_set(f"v{number}", size, size if f"v{number}" in past.serving else 0, revision=number)
        for number, size in enumerate(past.sizes, start=1)
    )
    steps = [{"setWeight": weight} for weight in past.weights]
    canary = {**named, "steps": steps, "maxSurge": past.surge, "maxUnavailable": max(past.unavailable, 1 - past.surge)}
    services = services_on(stable=past.choice, canary=past.choice) if named else {}
    status: Mapping[str, Any] = a_status("v4", past.stable, 0 if steps else None, steps)
    for _ in range(60):
        seen = a_view("v4", *sets, canary=canary, services=services, status=status, spec={"replicas": past.replicas})
        plan = decide(seen, NOW)
        after = carried_out(sets, plan, serving={*past.serving, "v4"})
        assert sum(each.replicas for each in after) <= max(past.replicas + past.surge, sum(each.replicas for each in sets))
        if (after, plan.status) == (sets, status):
            break
        sets, status = after, plan.status
    return status["stableRS"] == hash_of("v4")


def carried_out(sets: tuple[ReplicaSet, ...], plan: Plan, *, serving: set[str]) -> tuple[ReplicaSet, ...]:
    """The ReplicaSets with what the plan asks for; pods of versions that serve do so at once."""
    names = {hash_of(version): version for version in ("v1", "v2", "v3", "v4")}
    sizes = {each.hash: each.after for each in plan.actions if isinstance(each, ScaleReplicaSet)}
    created = {each.hash: each.manifest["spec"]["replicas"] for each in plan.actions if isinstance(each, CreateReplicaSet)}
    newest = max(each.revision for each in sets)
    kept = [(names[each.hash], sizes.get(each.hash, each.replicas), each.revision) for each in sets]
    made = [(names[each], size, newest + 1) for each, size in created.items()]
    return tuple(a_set(name, size, size if name in serving else 0, revision=revision) for name, size, revision in (*kept, *made))
