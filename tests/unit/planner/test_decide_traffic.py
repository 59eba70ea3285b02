"""Which traffic one look asks for, and what waits until the data plane is seen to have moved (`argo-behaviour.md` 3.7, 3.8)."""

from dataclasses import replace
from typing import Any

import pytest

from tidegate import keys
from tidegate.durations import rfc3339
from tidegate.messages import ServiceTarget, TrafficRequested
from tidegate_planner.decide import decide
from tidegate_planner.plan import Plan, ScaleReplicaSet, ShiftTraffic
from tidegate_planner.seen import ReplicaSet, Seen, Service, Traffic
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of

STEPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
NAMES = {"stableService": "stable", "canaryService": "canary"}
ROUTED = {**NAMES, "trafficRouting": {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "app"}}}}


def services(stable: str, canary: str, managed_by: str = "app") -> dict[str, Service]:
    named = {"stable": stable, "canary": canary}
    return {name: Service(name=name, hash=hash_of(to) if to else "", managed_by=managed_by) for name, to in named.items()}


def recorded(weight: int, canary: str, stable: str = "v1") -> dict[str, Any]:
    sides = {"canary": (weight, canary), "stable": (100 - weight, stable)}
    return {"canary": {"weights": {side: {"weight": w, "podTemplateHash": hash_of(v)} for side, (w, v) in sides.items()}}}


def routed(version: str, *sets: ReplicaSet, step: int | None, steps: Any = STEPS, stable: str = "v1", **given: Any) -> Seen:
    canary = {**ROUTED, "steps": steps, **given.pop("strategy", {})}
    held = given.pop("services", services(stable, version))
    traffic = given.pop("traffic", None)
    status = a_status(version, stable, step, steps, **given)
    return a_view(version, *sets, status=status, canary=canary, services=held, traffic=traffic)


def asked(plan: Plan) -> TrafficRequested | None:
    return next((action.request for action in plan.actions if isinstance(action, ShiftTraffic)), None)


def weights(plan: Plan) -> tuple[int, str]:
    request = asked(plan)
    assert request is not None
    assert request.split is not None
    return request.split.canary.weight, request.split.canary.hash


def scaled(plan: Plan) -> dict[str, int]:
    return {
        action.hash: action.after
        for action in plan.actions
        if isinstance(action, ScaleReplicaSet) and action.after != action.before
    }


def confirmed(view: Seen) -> Seen:
    """The same, once the shifter has said that it did what this view asks for."""
    request = asked(decide(view, NOW))
    assert request is not None
    return replace(view, traffic=Traffic(digest=request.digest, state="applied"))


WEIGHTS = [
    pytest.param(a_set("v2", 1, 0, revision=2), 0, 0, id="none while no canary pod serves"),
    pytest.param(a_set("v2", 1, revision=2), 0, 25, id="the step's once its pods serve"),
    pytest.param(a_set("v2", 1, revision=2), 1, 25, id="kept through a pause"),
    pytest.param(a_set("v2", 1, revision=2), 2, 25, id="the step's before while pods are missing"),
    pytest.param(a_set("v2", 2, revision=2), 2, 50, id="raised once they are there"),
    pytest.param(a_set("v2", 2, revision=2), 4, 50, id="not all while the last pods are missing"),
    pytest.param(a_set("v2", 4, revision=2), 4, 100, id="all at the end"),
]


@pytest.mark.parametrize(("new", "step", "weight"), WEIGHTS)
def test_traffic_follows_the_pods_that_serve(new: ReplicaSet, step: int, weight: int) -> None:
    assert weights(decide(routed("v2", new, a_set("v1", 4), step=step), NOW)) == (weight, hash_of("v2"))


def test_a_step_is_done_only_when_its_very_request_was_carried_out() -> None:
    view = routed("v2", a_set("v2", 1, revision=2), a_set("v1", 4), step=0)
    for traffic in (None, Traffic(digest="another", state="applied"), Traffic(digest="x", state="failed")):
        assert decide(routed("v2", *view.replica_sets, step=0, traffic=traffic), NOW).status["currentStepIndex"] == 0
    after = decide(confirmed(view), NOW)
    assert after.status["currentStepIndex"] == 1
    assert after.status["canary"]["weights"]["canary"]["weight"] == 25


def test_the_last_weight_of_all_is_recorded_as_what_let_the_version_be_promoted() -> None:
    view = routed("v2", a_set("v2", 4, revision=2), a_set("v1", 4), step=4, **recorded(50, "v2"))
    status = decide(confirmed(view), NOW).status
    assert status["stableRS"] == hash_of("v2")
    sides = {side: (each["weight"], each["podTemplateHash"]) for side, each in status["canary"]["weights"].items()}
    assert sides == {"canary": (100, hash_of("v2")), "stable": (0, hash_of("v1"))}


def test_a_weight_is_recorded_though_the_next_step_needs_no_pods_and_takes_up_at_once() -> None:
    steps = [{"setCanaryScale": {"replicas": 4}}, {"setWeight": 20}, {"setWeight": 40}, {"pause": {}}]
    view = routed("v2", a_set("v2", 4, revision=2), a_set("v1", 4), step=1, steps=steps, **recorded(0, "v2"))
    plan = decide(confirmed(view), NOW)
    assert (plan.status["currentStepIndex"], plan.status["canary"]["weights"]["canary"]["weight"]) == (2, 20)
    assert weights(plan) == (40, hash_of("v2"))


def test_an_abort_takes_the_traffic_first_and_the_pods_after_the_delay() -> None:
    view = routed("v2", a_set("v2", 2, revision=2), a_set("v1", 4), step=0, abort=True, **recorded(50, "v2"))
    assert weights(decide(view, NOW)) == (0, hash_of("v2"))
    over = {keys.SCALE_DOWN_DEADLINE: rfc3339(NOW - 1)}
    late = routed("v2", a_set("v2", 2, revision=2, annotations=over), a_set("v1", 4), step=0, abort=True, **recorded(50, "v2"))
    assert scaled(decide(late, NOW)) == {}
    assert decide(late, NOW).wake_at is None
    assert scaled(decide(confirmed(late), NOW)) == {hash_of("v2"): 0}


def test_the_pods_of_an_interrupted_revision_stay_until_its_traffic_has_gone() -> None:
    sets = (a_set("v3", 0, revision=3), a_set("v2", 2, revision=2), a_set("v1", 4))
    view = routed("v3", *sets, step=0, services=services("v1", "v2"), **recorded(50, "v2"))
    assert weights(decide(view, NOW)) == (0, hash_of("v3"))
    assert hash_of("v2") not in scaled(decide(view, NOW))
    assert scaled(decide(confirmed(view), NOW))[hash_of("v2")] == 0


def test_a_revision_that_interrupts_another_begins_with_no_traffic_however_soon_its_pods_serve() -> None:
    sets = (a_set("v3", 1, revision=3), a_set("v2", 1, revision=2), a_set("v1", 4))
    view = routed("v3", *sets, step=0, services=services("v1", "v2"), **recorded(25, "v2"))
    assert weights(decide(view, NOW)) == (0, hash_of("v3"))
    back = decide(confirmed(view), NOW).status
    assert (back["currentStepIndex"], back["canary"]["weights"]["canary"]["weight"]) == (0, 0)
    assert weights(decide(replace(view, status=back), NOW)) == (25, hash_of("v3"))


def test_where_stable_cannot_carry_all_the_interrupted_revision_hands_its_share_over() -> None:
    sets = (a_set("v3", 1, revision=3), a_set("v2", 1, revision=2), a_set("v1", 4, 3))
    view = routed("v3", *sets, step=0, services=services("v1", "v2"), **recorded(25, "v2"))
    assert weights(decide(view, NOW)) == (25, hash_of("v3"))


def test_a_share_that_stable_cannot_carry_stays_with_the_interrupted_revision() -> None:
    sets = (a_set("v3", 0, revision=3), a_set("v2", 3, revision=2), a_set("v1", 4, 1))
    view = routed("v3", *sets, step=0, services=services("v1", "v2"), strategy={"dynamicStableScale": True}, **recorded(75, "v2"))
    assert weights(decide(view, NOW)) == (75, hash_of("v2"))
    request = asked(decide(view, NOW))
    assert request is not None
    assert ServiceTarget(service="canary", hash=hash_of("v2")) in request.services
    assert hash_of("v2") not in scaled(decide(confirmed(view), NOW))


def test_going_down_the_traffic_goes_before_the_pods() -> None:
    steps = [{"setWeight": 75}, {"setWeight": 25}]
    view = routed("v2", a_set("v2", 3, revision=2), a_set("v1", 4), step=1, steps=steps, **recorded(75, "v2"))
    assert weights(decide(view, NOW)) == (25, hash_of("v2"))
    assert scaled(decide(view, NOW)) == {}
    assert scaled(decide(confirmed(view), NOW)) == {hash_of("v2"): 1}


@pytest.mark.parametrize("step", [{"setWeight": 0}, {"setCanaryScale": {"replicas": 0}}])
def test_a_canary_loses_its_traffic_before_its_last_pod(step: dict[str, Any]) -> None:
    steps = [{"setWeight": 50}, step]
    view = routed("v2", a_set("v2", 2, revision=2), a_set("v1", 4), step=1, steps=steps, **recorded(50, "v2"))
    assert weights(decide(view, NOW))[0] == 0
    assert scaled(decide(view, NOW)) == {}
    assert scaled(decide(confirmed(view), NOW)) == {hash_of("v2"): 0}


def test_dynamic_stable_keeps_all_its_pods_while_nothing_is_recorded_of_the_traffic() -> None:
    view = routed("v2", a_set("v2", 4, 0, revision=2), a_set("v1", 4), step=4, strategy={"dynamicStableScale": True})
    assert scaled(decide(confirmed(view), NOW)) == {}


def test_dynamic_stable_keeps_the_pods_of_a_version_that_was_the_canary_when_the_traffic_was_last_seen() -> None:
    """The planner died after the promotion of v2 and before it wrote where the traffic was since."""
    sets = (a_set("v3", 1, 0, revision=3), a_set("v2", 4, revision=2), a_set("v1", 4))
    view = routed("v3", *sets, step=4, stable="v2", strategy={"dynamicStableScale": True}, **recorded(100, "v2", "v1"))
    assert hash_of("v2") not in scaled(decide(confirmed(view), NOW))


def test_after_the_promotion_the_old_pods_wait_for_their_delay_and_for_the_traffic() -> None:
    sets = (a_set("v2", 4, revision=2), a_set("v1", 4))
    plan = decide(routed("v2", *sets, step=4, stable="v2"), NOW)
    deadline = next(each for each in plan.actions if isinstance(each, ScaleReplicaSet) and each.hash == hash_of("v1"))
    assert (deadline.after, deadline.annotations) == (4, {keys.SCALE_DOWN_DEADLINE: rfc3339(NOW + 30)})
    waiting = (a_set("v2", 4, revision=2), a_set("v1", 4, annotations={keys.SCALE_DOWN_DEADLINE: rfc3339(NOW)}))
    view = routed("v2", *waiting, step=4, stable="v2")
    assert scaled(decide(view, NOW)) == {}
    last = next(each for each in decide(confirmed(view), NOW).actions if isinstance(each, ScaleReplicaSet))
    assert (last.after, last.annotations) == (0, {keys.SCALE_DOWN_DEADLINE: None})


def test_an_abort_under_dynamic_stable_scale_moves_no_traffic_before_the_pods_of_stable_are_back() -> None:
    sets = (a_set("v2", 3, revision=2), a_set("v1", 1))
    view = routed("v2", *sets, step=0, abort=True, strategy={"dynamicStableScale": True}, **recorded(75, "v2"))
    assert weights(decide(view, NOW)) == (75, hash_of("v2"))
    assert scaled(decide(confirmed(view), NOW)) == {hash_of("v1"): 2}  # for the step before: 50
    returned = (sets[0], a_set("v1", 2))
    view = routed("v2", *returned, step=0, abort=True, strategy={"dynamicStableScale": True}, **recorded(75, "v2"))
    request = asked(decide(view, NOW))
    assert request is not None
    assert weights(decide(view, NOW)) == (50, hash_of("v2"))
    assert ServiceTarget(service="canary", hash=hash_of("v2")) in request.services


def test_what_the_stable_service_still_chooses_keeps_its_pods() -> None:
    """v2 was promoted while no pods were wanted, so that no Service could move; scaled up again, its first pods are to come."""
    over = {keys.SCALE_DOWN_DEADLINE: rfc3339(NOW - 1)}
    sets = (a_set("v2", 4, 0, revision=2), a_set("v1", 1, annotations=over))
    view = routed("v2", *sets, step=4, stable="v2", services=services("v1", "v1"))
    assert scaled(decide(confirmed(view), NOW)) == {}
    moved = (a_set("v2", 4, revision=2), a_set("v1", 1, annotations=over))
    view = routed("v2", *moved, step=4, stable="v2", services=services("v2", "v2"))
    assert scaled(decide(confirmed(view), NOW)) == {hash_of("v1"): 0}


TARGETS = [
    pytest.param(a_set("v2", 1, 0, revision=2), "app", {}, "v1", id="not onto a set without available pods"),
    pytest.param(a_set("v2", 1, revision=2), "app", {}, "v2", id="onto one that serves"),
    pytest.param(a_set("v2", 2, 1, revision=2), "", {}, "v1", id="adopted only onto a full one"),
    pytest.param(a_set("v2", 2, revision=2), "", {}, "v2", id="adopted onto a full one"),
    pytest.param(a_set("v2", 1, revision=2), "app", {"abort": True}, "v1", id="back to stable after an abort"),
]


@pytest.mark.parametrize(("new", "managed_by", "steering", "target"), TARGETS)
def test_the_canary_service_is_switched_only_where_somebody_answers(new, managed_by, steering, target) -> None:
    held = services("v1", "v1", managed_by)
    status = a_status("v2", "v1", 0, STEPS, **steering)
    view = a_view("v2", new, a_set("v1", 3), status=status, canary={**NAMES, "steps": STEPS}, services=held)
    request = asked(decide(view, NOW))
    assert request is not None
    assert ServiceTarget(service="canary", hash=hash_of(target)) in request.services
