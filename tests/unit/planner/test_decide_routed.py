"""The fields of a routed canary, each in one look: what is scaled, what is asked of routers (`argo-behaviour.md` 3.3 to 3.8)."""

from dataclasses import replace
from typing import Any

import pytest

from tidegate import keys
from tidegate.durations import rfc3339
from tidegate.messages import Destination, Split, TrafficRequested
from tidegate_planner.decide import decide
from tidegate_planner.plan import Plan, ScaleReplicaSet, ShiftTraffic, StartAnalysis
from tidegate_planner.seen import ReplicaSet, Seen, Traffic
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of, services_on

PLUGINS = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "app"}}}
OLD = a_set("v1", 4)


def view(*sets: ReplicaSet, step: int | None, steps: Any, stable: str = "v1", weight: int | None = None, **given: Any) -> Seen:
    """v2 on its way, with `weight` recorded for it; `routing` and `canary` are laid over the strategy."""
    sides = {"canary": {"weight": weight, "podTemplateHash": hash_of("v2")}, "stable": {"weight": 100 - (weight or 0)}}
    recorded = {} if weight is None else {"canary": {"weights": sides}}
    routing = {**PLUGINS, **given.pop("routing", {})}
    canary = {
        "stableService": "stable", "canaryService": "canary", "steps": steps, "trafficRouting": routing, **given.pop("canary", {}),
    }  # fmt: skip
    spec = given.pop("spec", None)
    status = a_status("v2", stable, step, steps, **recorded, **given)
    return a_view("v2", *sets, status=status, canary=canary, services=services_on(stable="v1", canary="v2"), spec=spec)


def asked(seen: Seen) -> TrafficRequested:
    return next(action.request for action in decide(seen, NOW).actions if isinstance(action, ShiftTraffic))


def split(seen: Seen) -> Split:
    found = asked(seen).split
    assert found is not None
    return found


def confirmed(seen: Seen) -> Plan:
    """The decision once the shifter has said that it did what is asked for."""
    return decide(replace(seen, traffic=Traffic(digest=asked(seen).digest, state="applied")), NOW)


def sizes(plan: Plan) -> dict[str, int]:
    versions = {hash_of(version): version for version in ("v0", "v1", "v2")}
    return {
        versions[each.hash]: each.after for each in plan.actions if isinstance(each, ScaleReplicaSet) and each.after != each.before
    }


# --- setCanaryScale ------------------------------------------------------------------------------------------------------

BY_NUMBER, BY_WEIGHT, FOLLOWING = (
    {"setCanaryScale": each} for each in ({"replicas": 3}, {"weight": 75}, {"matchTrafficWeight": True})
)
WEIGHT, PAUSE = {"setWeight": 25}, {"pause": {}}
SCALES = [
    pytest.param([WEIGHT, BY_NUMBER, PAUSE], 1, {}, 3, id="by number"),
    pytest.param([WEIGHT, BY_WEIGHT, PAUSE], 1, {}, 3, id="by weight"),
    pytest.param([WEIGHT, BY_NUMBER, PAUSE], 2, {}, 3, id="it lasts"),
    pytest.param([BY_NUMBER, WEIGHT, PAUSE], 1, {}, 3, id="beyond the next weight"),
    pytest.param([WEIGHT, BY_NUMBER, FOLLOWING, PAUSE], 2, {}, 1, id="until it is to follow the traffic"),
    pytest.param([WEIGHT, BY_NUMBER, BY_WEIGHT, PAUSE], 2, {}, 3, id="the nearest counts"),
    pytest.param([WEIGHT, {**PAUSE, **BY_NUMBER}], 1, {}, 3, id="also beside a pause"),
    pytest.param([WEIGHT, BY_NUMBER], 2, {}, 4, id="at the end all pods are wanted"),
    pytest.param([BY_NUMBER, WEIGHT], 0, {"abort": True}, 0, id="not after an abort"),
    pytest.param(
        [BY_NUMBER, WEIGHT], 0, {"abort": True, "canary": {"abortScaleDownDelaySeconds": 0}}, 2, id="that keeps pods for ever"
    ),
]


@pytest.mark.parametrize(("steps", "step", "given", "size"), SCALES)
def test_a_scale_is_in_force_from_its_step_on(steps: Any, step: int, given: Any, size: int) -> None:
    over = {keys.SCALE_DOWN_DEADLINE: rfc3339(NOW - 1)} if given.get("abort") and "canary" not in given else {}
    plan = confirmed(view(a_set("v2", 2, revision=2, annotations=over), OLD, step=step, steps=steps, weight=0, **given))
    assert {"v2": 2, **sizes(plan)}["v2"] == size


def test_pods_asked_for_by_number_get_the_weight_of_their_step() -> None:
    assert split(view(a_set("v2", 3, revision=2), OLD, step=1, steps=[BY_NUMBER, WEIGHT])).canary.weight == 25


BOTH = {"setCanaryScale": {"replicas": 3}, "setWeight": 50}


def test_an_entry_with_a_scale_and_a_weight_gets_its_pods_then_its_weight_and_is_then_done() -> None:
    steps = [WEIGHT, BOTH, PAUSE]
    few = view(a_set("v2", 1, revision=2), OLD, step=1, steps=steps, weight=25)
    assert (sizes(confirmed(few)), split(few).canary.weight) == ({"v2": 3}, 25)
    enough = view(a_set("v2", 3, revision=2), OLD, step=1, steps=steps, weight=25)
    assert (split(enough).canary.weight, decide(enough, NOW).status["currentStepIndex"]) == (50, 1)
    assert confirmed(enough).status["currentStepIndex"] == 2


def test_an_analysis_beside_a_scale_is_not_begun_only_to_be_ended_when_the_pods_are_there() -> None:
    steps = [WEIGHT, {**BY_NUMBER, "analysis": {"templates": [{"templateName": "check"}]}}, PAUSE]
    plan = decide(view(a_set("v2", 1, revision=2), OLD, step=1, steps=steps, weight=25), NOW)
    assert not [each for each in plan.actions if isinstance(each, StartAnalysis)]


def test_a_route_beside_a_weight_is_set_with_it() -> None:
    steps = [{**WEIGHT, "setHeaderRoute": {"name": "h", "match": MATCH}}, PAUSE]
    found = split(view(a_set("v2", 1, revision=2), OLD, step=0, steps=steps, routing={"managedRoutes": [{"name": "h"}]}))
    assert (found.canary.weight, [route.name for route in found.header_routes]) == (25, ["h"])


# --- how many are enough -------------------------------------------------------------------------------------------------

HALF, TWO = {"type": "Percent", "value": 50}, {"type": "Pods", "value": 2}


@pytest.mark.parametrize(
    ("threshold", "available", "passes"), [(None, 3, False), (HALF, 2, True), (HALF, 1, False), (TWO, 2, True)]
)
def test_a_step_passes_with_as_many_pods_as_the_threshold_says(threshold: Any, available: int, passes: bool) -> None:
    given = {"replicaProgressThreshold": threshold} if threshold else {}
    seen = view(a_set("v2", 4, available, revision=2), OLD, step=0, steps=[{"setWeight": 100}, PAUSE], canary=given)
    assert confirmed(seen).status["currentStepIndex"] == (1 if passes else 0)


def test_and_so_does_the_promotion() -> None:
    seen = view(a_set("v2", 4, 2, revision=2), OLD, step=1, steps=[{"setWeight": 100}], canary={"replicaProgressThreshold": HALF})
    assert confirmed(seen).status["stableRS"] == hash_of("v2")


def test_a_minimum_of_pods_holds_where_there_is_any_weight() -> None:
    few = {"minPodsPerReplicaSet": 3}
    assert sizes(decide(view(a_set("v2", 0, revision=2), OLD, step=0, steps=[WEIGHT], canary=few), NOW)) == {"v2": 3}
    assert sizes(decide(view(a_set("v2", 0, revision=2), OLD, step=0, steps=[{"setWeight": 0}], canary=few), NOW)) == {}


def test_a_weight_is_a_part_of_the_largest_weight() -> None:
    thousandth = view(
        a_set("v2", 1, revision=2), OLD, step=0, steps=[{"setWeight": 5}, PAUSE], routing={"maxTrafficWeight": 1000},
    )  # fmt: skip
    found = split(thousandth)
    assert (found.canary.weight, found.stable.weight, found.max_weight) == (5, 995, 1000)
    assert confirmed(thousandth).status["currentStepIndex"] == 1


# --- weights (3.8) -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dynamic", "available", "weight"), [(False, 3, 25), (True, 3, 75), (True, 1, 25)])
def test_a_full_promotion_keeps_the_weight_until_all_pods_serve_and_follows_them_under_dynamic_scale(
    dynamic: bool, available: int, weight: int
) -> None:
    seen = view(
        a_set("v2", 4, available, revision=2), OLD, step=1, steps=[WEIGHT, PAUSE], weight=25, promoteFull=True,
        canary={"dynamicStableScale": dynamic},
    )  # fmt: skip
    assert split(seen).canary.weight == weight


def test_without_steps_no_traffic_comes_before_the_promotion() -> None:
    assert split(view(a_set("v2", 4, 3, revision=2), OLD, step=None, steps=[])).canary.weight == 0


MATCH = [{"headerName": "x", "headerValue": {"exact": "y"}}]
PATHS = [{"path": {"prefix": "/"}}]
ROUTES = [
    {"setWeight": 25}, {"setHeaderRoute": {"name": "h", "match": MATCH}},
    {"setMirrorRoute": {"name": "m", "match": PATHS, "percentage": 30}}, PAUSE,
    {"setHeaderRoute": {"name": "h"}}, {"setMirrorRoute": {"name": "m"}}, PAUSE,
]  # fmt: skip
MANAGED = {"managedRoutes": [{"name": "h"}, {"name": "m"}]}


@pytest.mark.parametrize(
    ("step", "headers", "mirrors"), [(0, 0, 0), (1, 1, 0), (2, 1, 1), (3, 1, 1), (4, 0, 1), (5, 0, 0), (6, 0, 0)]
)
def test_header_and_mirror_routes_are_there_from_their_step_until_one_without_a_match(
    step: int, headers: int, mirrors: int
) -> None:
    found = split(view(a_set("v2", 1, revision=2), OLD, step=step, steps=ROUTES, routing=MANAGED, weight=25))
    assert [each.name for each in found.header_routes] == ["h"] * headers
    assert [(each.name, each.percentage) for each in found.mirror_routes] == [("m", 30)] * mirrors
    assert found.managed_routes == ("h", "m")


ENDED = [
    pytest.param(a_set("v2", 1, revision=2), {"abort": True}, "v1", id="aborted"),
    pytest.param(a_set("v2", 1, revision=2), {"promoteFull": True}, "v1", id="promoted in full"),
    pytest.param(a_set("v2", 1, 0, revision=2), {}, "v1", id="nobody would answer"),
    pytest.param(a_set("v2", 4, revision=2), {}, "v2", id="promoted"),
]


@pytest.mark.parametrize(("new", "status", "stable"), ENDED)
def test_they_go_when_the_update_ends_or_nobody_would_answer(new: ReplicaSet, status: Any, stable: str) -> None:
    found = split(view(new, OLD, step=3, steps=ROUTES, routing=MANAGED, stable=stable, **status))
    assert (found.header_routes, found.mirror_routes) == ((), ())


# --- delays (3.5) --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("canary", "deadline"),
    [
        pytest.param({}, 30, id="thirty seconds without a word"),
        pytest.param({"abortScaleDownDelaySeconds": 5}, 5, id="as long as asked"),
        pytest.param({"abortScaleDownDelaySeconds": 0}, None, id="0 is for ever, unlike with the peer"),
        pytest.param({"dynamicStableScale": True, "abortScaleDownDelaySeconds": 5}, 5, id="also under dynamic scale, if asked"),
    ],
)
def test_the_pods_of_an_aborted_canary_stay_for_their_delay(canary: Any, deadline: int | None) -> None:
    plan = confirmed(view(a_set("v2", 2, revision=2), OLD, step=0, steps=[WEIGHT], weight=0, abort=True, canary=canary))
    assert sizes(plan) == {}
    written = [each.annotations.get(keys.SCALE_DOWN_DEADLINE) for each in plan.actions if isinstance(each, ScaleReplicaSet)]
    assert [each for each in written if each] == ([] if deadline is None else [rfc3339(NOW + deadline)])


def test_under_dynamic_scale_without_a_delay_they_go_with_their_traffic() -> None:
    seen = view(a_set("v2", 2, revision=2), OLD, step=0, steps=[WEIGHT], weight=0, abort=True, canary={"dynamicStableScale": True})
    assert sizes(confirmed(seen)) == {"v2": 0}


def test_a_version_just_promoted_keeps_its_pods_though_the_record_is_of_when_it_was_the_canary() -> None:
    """The routers failed from its promotion to the next update, and are seen to have done all of it only now."""
    shares = {"canary": (0, "v1"), "stable": (100, "v0")}
    before = {side: {"weight": weight, "podTemplateHash": hash_of(version)} for side, (weight, version) in shares.items()}
    seen = view(a_set("v2", 4, 0, revision=3), OLD, step=None, steps=[], canary={"dynamicStableScale": True})
    recorded = replace(seen, status={**seen.status, "canary": {"weights": before}})
    assert split(recorded).stable == Destination(weight=100, service="stable", hash=hash_of("v1"))
    assert sizes(confirmed(recorded)) == {}


def test_scaling_the_rollout_up_gives_an_aborted_canary_no_pods() -> None:
    """AR#4973: any scale-up by an autoscaler revived it."""
    seen = view(a_set("v2", 2, revision=2), OLD, step=0, steps=[WEIGHT], weight=0, abort=True, spec={"replicas": 8})
    assert sizes(confirmed(seen)) == {"v1": 8}


def lingering(version: str, revision: int) -> ReplicaSet:
    return a_set(version, 4, revision=revision, annotations={keys.SCALE_DOWN_DEADLINE: rfc3339(NOW + 9)})


@pytest.mark.parametrize(("limit", "left"), [(None, {}), (2, {}), (1, {"v0": 0}), (0, {"v0": 0, "v1": 0})])
def test_only_so_many_old_revisions_linger_and_the_newest_of_them(limit: int | None, left: dict[str, int]) -> None:
    given = {} if limit is None else {"scaleDownDelayRevisionLimit": limit}
    sets = (a_set("v2", 4, revision=3), lingering("v1", 2), lingering("v0", 1))
    seen = view(*sets, step=1, steps=[WEIGHT], stable="v2", canary=given)
    moved = replace(seen, services=services_on(stable="v2", canary="v2"))
    assert sizes(confirmed(moved)) == left


def test_an_interrupted_revision_goes_at_once_and_one_that_lingered_before_keeps_its_time() -> None:
    interrupted = view(a_set("v2", 1, revision=3), OLD, a_set("v0", 2, revision=2), step=0, steps=[WEIGHT, PAUSE], weight=0)
    assert sizes(confirmed(interrupted)) == {"v0": 0}
    before = view(a_set("v2", 1, revision=3), OLD, lingering("v0", 1), step=0, steps=[WEIGHT, PAUSE], weight=0)
    assert sizes(confirmed(before)) == {}
