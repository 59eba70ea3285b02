"""When the active Service of a blue-green update moves, and when it moves back (`argo-behaviour.md` 5.3 to 5.5)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tidegate import keys
from tidegate.durations import rfc3339
from tidegate_planner.decide import decide
from tidegate_planner.plan import Plan, ShiftTraffic
from tidegate_planner.seen import ReplicaSet, Seen
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of, services_on

NAMES = {"activeService": "active", "previewService": "preview"}
BY_HAND = {"autoPromotionEnabled": False}
ACCEPTED = {"blueGreen": {"scaleUpPreviewCheckPoint": True}}
NEW, OLD = a_set("v2", 4, revision=2), a_set("v1", 4)


def updating(
    *sets: ReplicaSet,
    config: Mapping[str, Any] | None = None,
    active: str = "v1",
    preview: str = "v2",
    spec: Mapping[str, Any] | None = None,
    stable: str = "v1",
    **status: Any,
) -> Seen:
    """In the middle of an update from v1 to v2, both whole unless `sets` says otherwise."""
    return a_view(
        "v2",
        *(sets or (NEW, OLD)),
        status=a_status("v2", stable, None, None, **status),
        blue_green={**NAMES, **(config or {})},
        services=services_on(active=active, preview=preview),
        spec=spec,
    )


def pointed(plan: Plan) -> dict[str, str]:
    """Service -> version it is asked to choose; none where nothing is asked for."""
    versions = {hash_of(version): version for version in ("v1", "v2", "v3")}
    requests = [action.request for action in plan.actions if isinstance(action, ShiftTraffic)]
    return {each.service: versions[each.hash] for request in requests for each in request.services}


def paused(*, seconds_ago: float) -> dict[str, Any]:
    pause = {"reason": "BlueGreenPause", "startTime": rfc3339(NOW - seconds_ago)}
    return {"pauseConditions": [pause], "controllerPause": True}


def test_the_preview_is_on_the_new_version_before_any_of_its_pods_serve() -> None:
    view = updating(a_set("v2", 4, 0, revision=2), OLD, preview="v1")
    assert pointed(decide(view, NOW)) == {"active": "v1", "preview": "v2"}


@pytest.mark.parametrize(
    ("new", "active"),
    [
        (a_set("v2", 4, 3, revision=2), "v1"),
        (a_set("v2", 3, revision=2), "v1"),
        (a_set("v2", 5, revision=2), "v1"),
        (NEW, "v2"),
    ],
)
def test_users_are_moved_once_all_of_the_new_version_serves(new: ReplicaSet, active: str) -> None:
    assert pointed(decide(updating(new, OLD), NOW))["active"] == active


def test_without_auto_promotion_it_pauses_and_a_person_goes_on() -> None:
    plan = decide(updating(config=BY_HAND), NOW)
    assert (plan.status["phase"], plan.status["message"]) == ("Paused", "BlueGreenPause")
    assert pointed(plan)["active"] == "v1"
    promoted = {key: value for key, value in plan.status.items() if key != "pauseConditions"}
    after = decide(replace(updating(config=BY_HAND), status=promoted), NOW)
    assert pointed(after)["active"] == "v2"
    assert (after.status["phase"], after.status["message"]) == ("Progressing", "active service cutover pending")
    assert after.status["blueGreen"]["scaleUpPreviewCheckPoint"] is True


@pytest.mark.parametrize(
    ("config", "waited", "active"),
    [
        ({"autoPromotionSeconds": 60}, 59, "v1"),
        ({"autoPromotionSeconds": 60}, 60, "v2"),
        ({"autoPromotionSeconds": 60, "autoPromotionEnabled": False}, 60, "v1"),
        ({}, 0, "v2"),
    ],
)
def test_a_timed_pause_ends_by_itself_unless_only_a_person_may_end_it(config: Any, waited: float, active: str) -> None:
    plan = decide(updating(config=config, **paused(seconds_ago=waited)), NOW)
    assert pointed(plan)["active"] == active
    if active == "v1" and "autoPromotionEnabled" not in config:
        assert plan.wake_at == NOW + 1


def test_an_accepted_preview_waits_for_lost_pods_and_is_not_paused_again() -> None:
    plan = decide(updating(a_set("v2", 4, 3, revision=2), OLD, config=BY_HAND, **ACCEPTED), NOW)
    assert pointed(plan)["active"] == "v1"
    assert "pauseConditions" not in plan.status
    assert pointed(decide(updating(config=BY_HAND, **ACCEPTED), NOW))["active"] == "v2"


def test_full_promotion_skips_the_pause_but_not_the_pods() -> None:
    asked = {"promoteFull": True, **paused(seconds_ago=5)}
    assert pointed(decide(updating(config=BY_HAND, **asked), NOW))["active"] == "v2"
    assert pointed(decide(updating(a_set("v2", 4, 3, revision=2), OLD, config=BY_HAND, **asked), NOW))["active"] == "v1"
    done = decide(updating(config=BY_HAND, active="v2", **asked), NOW).status
    assert (done["stableRS"], done["duration"]["completionStatus"]) == (hash_of("v2"), "FastPromoted")


@pytest.mark.parametrize("stuck", [{"spec": {"paused": True}}, {"pauseConditions": [{"reason": "InconclusiveAnalysisRun"}]}])
def test_nothing_moves_while_paused_by_hand_or_after_an_inconclusive_run(stuck: dict[str, Any]) -> None:
    assert pointed(decide(updating(preview="v1", **ACCEPTED, **stuck), NOW)) == {"active": "v1"}


def test_it_is_stable_once_the_service_was_seen_to_have_moved() -> None:
    assert decide(updating(**ACCEPTED), NOW).status["stableRS"] == hash_of("v1")
    moved = decide(updating(active="v2", **ACCEPTED), NOW).status
    assert (moved["stableRS"], moved["phase"]) == (hash_of("v2"), "Healthy")
    assert "scaleUpPreviewCheckPoint" not in moved["blueGreen"]


def test_the_first_version_is_stable_at_once_and_served_when_it_is_whole() -> None:
    fresh = a_view("v1", blue_green=NAMES, services=services_on(active="", preview=""))
    plan = decide(fresh, NOW)
    assert plan.status["stableRS"] == hash_of("v1")
    assert pointed(plan) == {}

    def after(available: int) -> Plan:
        return decide(replace(fresh, replica_sets=(a_set("v1", 4, available),), status=plan.status), NOW)

    assert pointed(after(3)) == {"preview": "v1"}
    assert pointed(after(4)) == {"active": "v1", "preview": "v1"}


def test_a_service_without_a_choice_is_put_on_what_is_known_to_work() -> None:
    assert pointed(decide(updating(config=BY_HAND, active=""), NOW))["active"] == "v1"


def test_without_any_pods_wanted_an_update_still_ends() -> None:
    empty = (a_set("v2", 0, revision=2), a_set("v1", 0))
    assert pointed(decide(updating(*empty, spec={"replicas": 0}), NOW))["active"] == "v2"


# --- back again --------------------------------------------------------------------------------------------------------


def test_an_abort_before_the_switch_leaves_users_and_preview_where_they_are() -> None:
    plan = decide(updating(abort=True, config=BY_HAND), NOW)
    assert pointed(plan) == {"active": "v1", "preview": "v2"}
    assert plan.status["phase"] == "Degraded"


@pytest.mark.parametrize("failing", [4, 1, 0])
@pytest.mark.parametrize("spec", [None, {"paused": True}])
def test_an_abort_after_the_switch_brings_users_back_however_the_new_version_fails(failing: int, spec: Any) -> None:
    view = updating(a_set("v2", 4, failing, revision=2), OLD, active="v2", abort=True, spec=spec)
    assert pointed(decide(view, NOW))["active"] == "v1"


def test_users_are_not_brought_back_to_a_version_without_pods() -> None:
    assert pointed(decide(updating(NEW, a_set("v1", 4, 0), active="v2", abort=True), NOW))["active"] == "v2"


def test_a_retry_asks_for_everything_again() -> None:
    aborted = decide(updating(config=BY_HAND, abort=True, **ACCEPTED), NOW).status
    retried = decide(replace(updating(config=BY_HAND), status={**aborted, "abort": False}), NOW)
    assert (retried.status["message"], pointed(retried)["active"]) == ("BlueGreenPause", "v1")


def test_a_switch_that_is_still_under_way_is_called_back_by_the_next_version() -> None:
    """The answer about v1 from before the switch was asked for must not pass for an answer to this."""
    before = updating(a_set("v2", 4, 0, revision=2), OLD)
    earlier = next(action.request for action in decide(before, NOW).actions if isinstance(action, ShiftTraffic))
    switching = next(action.request for action in decide(updating(**ACCEPTED), NOW).actions if isinstance(action, ShiftTraffic))
    back = next(action.request for action in decide(updating(abort=True), NOW).actions if isinstance(action, ShiftTraffic))
    assert earlier.services == back.services
    assert len({earlier.digest, switching.digest, back.digest}) == 3


def returning(*, deadline: float, revision: int = 1) -> Seen:
    """v2 was promoted; v1 is wanted again while its pods still stand."""
    old = a_set("v1", 4, revision=revision, annotations={keys.SCALE_DOWN_DEADLINE: rfc3339(NOW + deadline)})
    view = a_view("v1", old, NEW, blue_green={**NAMES, **BY_HAND}, services=services_on(active="v2", preview="v2"))
    return replace(view, status=a_status("v2", "v2", None, None))


@pytest.mark.parametrize(
    ("deadline", "revision", "active"),
    [(10, 1, "v1"), (-10, 1, "v2"), (10, 3, "v2")],
)
def test_going_back_within_the_scale_down_delay_takes_no_pause(deadline: float, revision: int, active: str) -> None:
    """Not for the pods of an aborted update, whose revision is the higher one: users were never content with them."""
    assert pointed(decide(returning(deadline=deadline, revision=revision), NOW))["active"] == active


def test_a_fast_rollback_says_so() -> None:
    first = returning(deadline=10)
    status = decide(first, NOW).status
    done = decide(replace(first, status=status, services=services_on(active="v1", preview="v1")), NOW).status
    assert (done["stableRS"], done["duration"]["completionStatus"]) == (hash_of("v1"), "FastRolledBack")
