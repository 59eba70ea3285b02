"""How many pods each side of a blue-green update has, and for how long (`argo-behaviour.md` 5.2, 5.4, 5.5)."""

from dataclasses import replace
from typing import Any

import pytest

from tidegate import keys
from tidegate.durations import rfc3339
from tidegate_planner.decide import decide
from tidegate_planner.plan import CreateReplicaSet, Plan, ScaleReplicaSet, ShiftTraffic
from tidegate_planner.seen import ReplicaSet, Seen, Traffic
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of, services_on

NAMES = {"activeService": "active", "previewService": "preview"}
SMALL = {**NAMES, "previewReplicaCount": 1, "autoPromotionEnabled": False}
ACCEPTED = {"blueGreen": {"scaleUpPreviewCheckPoint": True}}
NEW, OLD = a_set("v2", 4, revision=2), a_set("v1", 4)


def view(version: str, *sets: ReplicaSet, stable: str, active: str, config: Any = None, spec: Any = None, **status: Any) -> Seen:
    """What was asked of the traffic-shifter is done, as far as the Services show."""
    seen = a_view(
        version,
        *sets,
        status=a_status(version, stable, None, None, **status),
        blue_green={**NAMES, **(config or {})},
        services=services_on(active=active, preview=version),
        spec=spec,
    )
    asked = [action.request for action in decide(seen, NOW).actions if isinstance(action, ShiftTraffic)]
    return replace(seen, traffic=Traffic(digest=asked[0].digest, state="applied")) if asked else seen


def scaled(plan: Plan) -> dict[str, int]:
    """Version -> size, of those that change."""
    versions = {hash_of(version): version for version in ("v1", "v2", "v3")}
    scales = {
        versions[action.hash]: action.after
        for action in plan.actions
        if isinstance(action, ScaleReplicaSet) and action.after != action.before
    }
    created = {
        versions[each.hash]: each.manifest["spec"]["replicas"] for each in plan.actions if isinstance(each, CreateReplicaSet)
    }
    return {**scales, **created}


def deadline_of(plan: Plan, version: str) -> str | None:
    """The deadline that the plan writes, None where it writes none or removes it."""
    changes = [each for each in plan.actions if isinstance(each, ScaleReplicaSet) and each.hash == hash_of(version)]
    return next(
        (each.annotations[keys.SCALE_DOWN_DEADLINE] for each in changes if keys.SCALE_DOWN_DEADLINE in each.annotations), None
    )


def lingering(version: str, seconds: float, **fields: Any) -> ReplicaSet:
    return a_set(version, 4, annotations={keys.SCALE_DOWN_DEADLINE: rfc3339(NOW + seconds)}, **fields)


def test_the_new_version_comes_up_whole_beside_the_old_one() -> None:
    assert scaled(decide(view("v2", OLD, stable="v1", active="v1"), NOW)) == {"v2": 4}


@pytest.mark.parametrize(
    ("status", "size"), [({}, {}), (ACCEPTED, {"v2": 4}), ({"promoteFull": True}, {"v2": 4}), ({"abort": True}, {})]
)
def test_a_small_preview_grows_when_it_is_accepted(status: Any, size: Any) -> None:
    seen = view("v2", a_set("v2", 1, revision=2), OLD, stable="v1", active="v1", config=SMALL, **status)
    assert scaled(decide(seen, NOW)) == size


def test_a_small_preview_is_paused_at_its_own_size_and_never_served_at_it() -> None:
    seen = view("v2", a_set("v2", 1, revision=2), OLD, stable="v1", active="v1", config=SMALL)
    assert decide(seen, NOW).status["message"] == "BlueGreenPause"
    first = a_view("v1", blue_green=SMALL, services=services_on(active="", preview=""))
    assert scaled(decide(first, NOW)) == {"v1": 4}


def test_a_scaled_rollout_scales_both_versions() -> None:
    seen = view("v2", NEW, OLD, stable="v1", active="v1", config={"autoPromotionEnabled": False}, spec={"replicas": 6})
    assert scaled(decide(seen, NOW)) == {"v1": 6, "v2": 6}


BY_HAND: dict[str, Any] = {"spec": {"replicas": 6, "paused": True}}
INCONCLUSIVE = {"spec": {"replicas": 6}, "pauseConditions": [{"reason": "InconclusiveAnalysisRun"}]}


@pytest.mark.parametrize(("stop", "older"), [(BY_HAND, {"v1": 0}), (INCONCLUSIVE, {})])
def test_a_pause_by_hand_or_after_an_inconclusive_run_keeps_no_pods_from_those_who_need_them(stop: Any, older: Any) -> None:
    sets = (a_set("v3", 2, revision=3), NEW, lingering("v1", -1))
    seen = view("v3", *sets, stable="v2", active="v2", **stop)
    assert scaled(decide(seen, NOW)) == {"v2": 6, "v3": 6, **older}


# --- after the switch --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("config", "delay"), [({}, 30), ({"scaleDownDelaySeconds": 5}, 5)])
def test_the_old_version_stays_for_its_delay(config: Any, delay: int) -> None:
    plan = decide(view("v2", NEW, OLD, stable="v1", active="v2", config=config, **ACCEPTED), NOW)
    assert scaled(plan) == {}
    assert deadline_of(plan, "v1") == rfc3339(NOW + delay)


def test_without_a_delay_it_goes_when_the_service_has_moved() -> None:
    config = {"scaleDownDelaySeconds": 0}
    assert scaled(decide(view("v2", NEW, OLD, stable="v1", active="v1", config=config, **ACCEPTED), NOW)) == {}
    assert scaled(decide(view("v2", NEW, OLD, stable="v1", active="v2", config=config, **ACCEPTED), NOW)) == {"v1": 0}


@pytest.mark.parametrize(("seconds", "size"), [(1, {}), (-1, {"v1": 0})])
def test_the_end_of_the_delay_empties_it(seconds: float, size: Any) -> None:
    plan = decide(view("v2", NEW, lingering("v1", seconds), stable="v2", active="v2"), NOW)
    assert scaled(plan) == size
    assert plan.wake_at == (NOW + 1 if seconds > 0 else None)


def test_only_so_many_old_versions_linger() -> None:
    sets = (a_set("v3", 4, revision=3), lingering("v2", 9, revision=2), lingering("v1", 9))
    assert scaled(decide(view("v3", *sets, stable="v3", active="v3"), NOW)) == {}
    limited = view("v3", *sets, stable="v3", active="v3", config={"scaleDownDelayRevisionLimit": 1})
    assert scaled(decide(limited, NOW)) == {"v1": 0}


def marked(plan: Plan, version: str) -> str | None:
    changes = [each for each in plan.actions if isinstance(each, ScaleReplicaSet) and each.hash == hash_of(version)]
    return next((each.annotations.get(keys.NEVER_STABLE) for each in changes), None)


@pytest.mark.parametrize("config", [{}, {"scaleDownDelaySeconds": 5}])
def test_a_version_that_was_replaced_before_it_served_stays_for_its_delay_but_is_no_way_back(config: Any) -> None:
    sets, manual = (a_set("v3", 4, revision=3), NEW, OLD), {"autoPromotionEnabled": False, **config}
    plan = decide(view("v3", *sets, stable="v1", active="v1", config=manual), NOW)
    assert scaled(plan) == {}
    assert (deadline_of(plan, "v2"), marked(plan, "v2")) == (rfc3339(NOW + config.get("scaleDownDelaySeconds", 30)), "true")
    assert (deadline_of(plan, "v1"), marked(plan, "v1")) == (None, None)

    replaced = lingering("v2", 20, revision=2)
    unproven = replace(replaced, annotations={**replaced.annotations, keys.NEVER_STABLE: "true"})
    for v2, fast in ((unproven, False), (replaced, True)):
        wanted = view("v2", a_set("v3", 4, revision=3), v2, OLD, stable="v3", active="v3", config=manual)
        again = decide(replace(wanted, status=a_status("v3", "v3", None, None)), NOW)
        assert again.status["blueGreen"].get("scaleUpPreviewCheckPoint", False) is fast
        change = next(each for each in again.actions if isinstance(each, ScaleReplicaSet) and each.hash == hash_of("v2"))
        assert (keys.NEVER_STABLE in change.annotations, keys.SCALE_DOWN_DEADLINE in change.annotations) == (not fast, not fast)


def test_without_a_delay_a_version_that_was_replaced_before_it_served_goes_at_once() -> None:
    sets, config = (a_set("v3", 4, revision=3), NEW, OLD), {"autoPromotionEnabled": False, "scaleDownDelaySeconds": 0}
    assert scaled(decide(view("v3", *sets, stable="v1", active="v1", config=config), NOW)) == {"v2": 0}


def test_a_way_back_has_as_many_pods_as_the_rollout_has_now_and_what_is_none_stays_as_it_is() -> None:
    plan = decide(view("v2", a_set("v2", 6, revision=2), lingering("v1", 9), stable="v2", active="v2", spec={"replicas": 6}), NOW)
    assert scaled(plan) == {"v1": 6}
    replaced = lingering("v2", 9, revision=2)
    unproven = replace(replaced, annotations={**replaced.annotations, keys.NEVER_STABLE: "true"})
    sets = (a_set("v3", 6, revision=3), unproven, a_set("v1", 6))
    seen = view("v3", *sets, stable="v1", active="v1", spec={"replicas": 6}, config={"autoPromotionEnabled": False})
    assert scaled(decide(seen, NOW)) == {}


def test_a_version_that_users_are_on_keeps_its_pods_whatever_it_is() -> None:
    sets = (a_set("v3", 4, 0, revision=3), NEW, OLD)
    assert scaled(decide(view("v3", *sets, stable="v1", active="v2"), NOW)) == {}
    assert scaled(decide(view("v3", a_set("v3", 4, revision=3), lingering("v2", -5), stable="v3", active="v2"), NOW)) == {}


def test_nobody_loses_pods_before_the_shifter_has_answered() -> None:
    seen = view("v2", NEW, lingering("v1", -1), stable="v2", active="v2")
    assert scaled(decide(replace(seen, traffic=None), NOW)) == {}


# --- after an abort ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "delay"), [({}, 30), ({"abortScaleDownDelaySeconds": 5}, 5), ({"abortScaleDownDelaySeconds": 0}, None)]
)
def test_the_pods_of_an_aborted_update_stay_for_their_delay_and_a_delay_of_0_has_no_end(config: Any, delay: int | None) -> None:
    plan = decide(view("v2", NEW, OLD, stable="v1", active="v1", abort=True, config=config), NOW)
    assert scaled(plan) == {}
    assert deadline_of(plan, "v2") == (None if delay is None else rfc3339(NOW + delay))


def test_the_delay_begins_when_users_are_back_on_a_whole_old_version() -> None:
    for old, active in ((OLD, "v2"), (a_set("v1", 4, 3), "v1")):
        assert deadline_of(decide(view("v2", NEW, old, stable="v1", active=active, abort=True), NOW), "v2") is None


@pytest.mark.parametrize(("active", "size"), [("v1", {"v2": 0}), ("v2", {})])
def test_after_it_they_go_unless_users_are_still_on_them(active: str, size: Any) -> None:
    sets = (lingering("v2", -1, revision=2), OLD)
    assert scaled(decide(view("v2", *sets, stable="v1", active=active, abort=True), NOW)) == size


def test_a_retry_takes_them_into_use_again() -> None:
    status = view("v2", NEW, OLD, stable="v1", active="v1", abort=True).status
    seen = view("v2", lingering("v2", 5, revision=2), OLD, stable="v1", active="v1", **{**status, "abort": False})
    plan = decide(seen, NOW)
    removed = [each for each in plan.actions if isinstance(each, ScaleReplicaSet) and each.hash == hash_of("v2")]
    assert removed[0].annotations == {keys.SCALE_DOWN_DEADLINE: None}
    assert "scaleUpPreviewCheckPoint" not in plan.status["blueGreen"]  # or it would pass for a fast rollback


def test_an_aborted_version_stays_for_its_delay_but_is_no_way_back_for_the_next_one() -> None:
    aborted = a_status("v2", "v1", None, None, abort=True)
    sets = (lingering("v2", 20, revision=2), OLD)
    plan = decide(replace(view("v3", *sets, stable="v1", active="v1"), status=aborted), NOW)
    assert (scaled(plan), marked(plan, "v2")) == ({"v3": 4}, "true")
    back = decide(replace(view("v1", *sets, stable="v1", active="v1"), status=aborted), NOW)
    assert scaled(back) == {}
    changes = [each for each in back.actions if isinstance(each, ScaleReplicaSet)]
    assert [(each.hash, each.annotations) for each in changes] == [
        (hash_of("v2"), {keys.NEVER_STABLE: "true"}),  # before stable's revision passes it: a planner may die in between
        (hash_of("v1"), {keys.REVISION: "3", keys.REVISION_HISTORY: "1"}),
    ]
