"""The way back to a version of a moment ago asks nobody and measures nothing: `rollbackWindow` (`argo-behaviour.md` 6.6, 4)."""

from dataclasses import replace
from typing import Any

import pytest

from tidegate import keys
from tidegate.durations import rfc3339
from tidegate_planner.decide import decide
from tidegate_planner.narrative import narrate
from tidegate_planner.plan import Plan, ScaleReplicaSet, ShiftTraffic, StartAnalysis, TerminateAnalysis
from tidegate_planner.seen import AnalysisRun, ReplicaSet, Seen, Traffic
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of, services_on
from tidegate_planner.told import snapshot

STEPS: list[Any] = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 75}, {"pause": {}}]
CHECK = {"templates": [{"templateName": "check"}]}
WINDOW = {"rollbackWindow": {"revisions": 1}}
ROUTED = {"stableService": "stable", "canaryService": "canary", "trafficRouting": {"plugins": {"argoproj-labs/gatewayAPI": {}}}}
DONE = a_status("v2", "v2", 4, STEPS)


def back_to(
    version: str, *sets: ReplicaSet, stable: str = "v2", window: Any = WINDOW, status: Any = None, canary: Any = None, **given: Any
) -> Seen:
    """The template of `version` is wanted again; by default this look is the first to find it so."""
    whole = {"steps": STEPS, **(canary or {})}
    first = status or a_status(stable, stable, 4, STEPS)
    return a_view(version, *sets, status=first, canary=whole, spec=window, **given)


def again(replicas: int, available: int | None = None, **annotations: str) -> ReplicaSet:
    """v1, taken into use once more."""
    history = {keys.REVISION_HISTORY: "1", **annotations}
    return a_set("v1", replicas, available, revision=3, created=rfc3339(NOW - 999), annotations=history)


OLD, NEW = a_set("v1", 1), a_set("v2", 4, revision=2)


def test_it_goes_to_the_end_of_the_steps_and_is_promoted_when_its_pods_serve() -> None:
    status = decide(back_to("v1", OLD, NEW), NOW).status
    assert (status["currentStepIndex"], status["stableRS"]) == (4, hash_of("v2"))
    there = decide(back_to("v1", again(4), a_set("v2", 0, revision=2), status=status), NOW).status
    assert (there["stableRS"], there["phase"]) == (hash_of("v1"), "Healthy")
    assert there["duration"]["completionStatus"] == "FastRolledBack"


def test_without_a_window_the_same_way_back_takes_every_step() -> None:
    assert decide(back_to("v1", OLD, NEW, window={}), NOW).status["currentStepIndex"] == 0
    assert decide(back_to("v1", OLD, NEW, window={"rollbackWindow": {"revisions": 0}}), NOW).status["currentStepIndex"] == 0


def test_a_walked_way_back_is_told_apart_from_a_promotion() -> None:
    status = a_status("v1", "v2", 4, STEPS)
    done = decide(back_to("v1", a_set("v1", 4), a_set("v2", 0, revision=2), window={}, status=status), NOW).status
    assert (done["stableRS"], done["duration"]["completionStatus"]) == (hash_of("v1"), "RolledBack")


FAR = [
    pytest.param("v1", {"rollbackWindow": {"revisions": 1}}, 0, id="one version lies between"),
    pytest.param("v1", {"rollbackWindow": {"revisions": 2}}, 4, id="and two may"),
    pytest.param("v4", {"rollbackWindow": {"revisions": 9}}, 0, id="forward is no way back"),
]


@pytest.mark.parametrize(("version", "window", "step"), FAR)
def test_only_so_many_versions_may_lie_between(version: str, window: Any, step: int) -> None:
    sets = (a_set("v1", 0), a_set("v2", 0, revision=2), a_set("v3", 4, revision=3))
    assert decide(back_to(version, *sets, stable="v3", window=window), NOW).status["currentStepIndex"] == step


def test_the_sets_of_experiments_are_no_versions() -> None:
    experiment = a_set("v9", 0, revision=0, created=rfc3339(NOW - 998.5), annotations={keys.EXPERIMENT_NAME: "e"})
    sets = (OLD, experiment, a_set("v2", 4, revision=2, created=rfc3339(NOW - 990)))
    assert decide(back_to("v1", *sets), NOW).status["currentStepIndex"] == 4


def test_versions_of_one_second_are_told_apart_by_their_first_numbers() -> None:
    """v1 was gone back to once before: its number is higher than that of v2, but v2 came after it."""
    moment = {"created": rfc3339(NOW - 900)}
    again = a_set("v1", 1, revision=3, annotations={keys.REVISION_HISTORY: "1"}, **moment)
    assert decide(back_to("v1", again, a_set("v2", 4, revision=2, **moment)), NOW).status["currentStepIndex"] == 4
    forth = (again, a_set("v2", 4, revision=2, **moment))
    assert decide(back_to("v2", *forth, stable="v1"), NOW).status["currentStepIndex"] == 0


# --- traffic -----------------------------------------------------------------------------------------------------------


def weights(plan: Plan) -> tuple[int, str]:
    request = next(action.request for action in plan.actions if isinstance(action, ShiftTraffic))
    assert request.split is not None
    return request.split.canary.weight, request.split.canary.hash


def routed_back(canary_pods: int, *, dynamic: bool = False, weight: int = 0) -> Seen:
    """Asked for all pods, of which `canary_pods` serve; the data plane gives them `weight`."""
    sides = {"canary": (weight, "v1"), "stable": (100 - weight, "v2")}
    recorded = {"weights": {side: {"weight": share, "podTemplateHash": hash_of(each)} for side, (share, each) in sides.items()}}
    return back_to(
        "v1",
        again(4, canary_pods),
        NEW,
        status=a_status("v1", "v2", 4, STEPS, canary=recorded),
        canary={**ROUTED, "dynamicStableScale": dynamic},
        services=services_on(stable="v2", canary="v1"),
    )


@pytest.mark.parametrize("pods", [0, 1, 3])
def test_no_traffic_comes_before_the_pods_do(pods: int) -> None:
    """The peer gives the few pods at hand the weight of the last step that was skipped (AR#2939)."""
    assert weights(decide(routed_back(pods), NOW))[0] == 0


@pytest.mark.parametrize(("pods", "weight"), [(1, 25), (3, 75)])
def test_under_dynamic_stable_scale_traffic_follows_the_pods_that_serve(pods: int, weight: int) -> None:
    assert weights(decide(routed_back(pods, dynamic=True), NOW)) == (weight, hash_of("v1"))


def test_once_all_pods_serve_it_is_stable_and_the_stable_side_is_its_own() -> None:
    view = routed_back(4)
    request = next(each.request for each in decide(view, NOW).actions if isinstance(each, ShiftTraffic))
    status = decide(replace(view, traffic=Traffic(digest=request.digest, state="applied")), NOW).status
    assert status["stableRS"] == hash_of("v1")


def test_header_routes_of_skipped_steps_are_not_made() -> None:
    match = [{"headerName": "x", "headerValue": {"exact": "y"}}]
    steps = [{"setHeaderRoute": {"name": "h", "match": match}}, {"setWeight": 50}]
    managed = {"plugins": {"argoproj-labs/gatewayAPI": {}}, "managedRoutes": [{"name": "h"}]}
    canary = {**ROUTED, "steps": steps, "trafficRouting": managed}
    services = services_on(stable="v2", canary="v1")
    view = a_view("v1", OLD, NEW, status=a_status("v1", "v2", 2, steps), canary=canary, spec=WINDOW, services=services)
    request = next(each.request for each in decide(view, NOW).actions if isinstance(each, ShiftTraffic))
    assert request.split is not None
    assert request.split.header_routes == ()


def test_whoever_skips_steps_by_hand_sends_no_more_than_the_pods_can_carry() -> None:
    steps = [{"setWeight": 25}, {"setWeight": 75}, {"setWeight": 100}]
    view = a_view(
        "v2", a_set("v2", 4, 1, revision=2), a_set("v1", 4), status=a_status("v2", "v1", 2, steps),
        canary={**ROUTED, "steps": steps}, services=services_on(stable="v1", canary="v2"),
    )  # fmt: skip
    assert weights(decide(view, NOW)) == (25, hash_of("v2"))


# --- what it skips, and what it does not ---------------------------------------------------------------------------------


def test_no_analysis_runs_and_one_that_runs_is_ended() -> None:
    run = AnalysisRun(name="app-x", phase="Running", kind="Background", hash=hash_of("v1"))
    plan = decide(back_to("v1", OLD, NEW, canary={"analysis": CHECK}, analysis_runs=(run,)), NOW)
    assert [each for each in plan.actions if isinstance(each, StartAnalysis)] == []
    assert TerminateAnalysis(name="app-x") in plan.actions


def test_a_window_set_in_the_middle_ends_the_pause() -> None:
    held = {"pauseConditions": [{"reason": "CanaryPauseStep", "startTime": rfc3339(NOW)}], "controllerPause": True}
    status = decide(back_to("v1", OLD, NEW, status=a_status("v1", "v2", 1, STEPS, **held)), NOW).status
    assert status["currentStepIndex"] == 4
    assert not {"pauseConditions", "controllerPause"} & status.keys()


def test_an_abort_holds_and_a_retry_goes_the_short_way_again() -> None:
    """The peer lifts every abort of such a rollback."""
    aborted = decide(back_to("v1", OLD, NEW, status=a_status("v1", "v2", 4, STEPS, abort=True)), NOW).status
    assert (aborted["abort"], aborted["currentStepIndex"]) == (True, 0)
    again = decide(back_to("v1", OLD, NEW, status=aborted), NOW + 5).status
    assert again["abort"] is True
    retried = decide(back_to("v1", OLD, NEW, status={**aborted, "abort": False}), NOW + 9).status
    assert retried["currentStepIndex"] == 4


def test_paused_by_hand_it_waits() -> None:
    window = {**WINDOW, "paused": True}
    assert decide(back_to("v1", OLD, NEW, window=window), NOW).status["currentStepIndex"] == 0


# --- blue-green --------------------------------------------------------------------------------------------------------


def blue_green_back(
    size: int, *, active: str = "v2", new: bool = True, annotations: Any = None, spec: Any = WINDOW, **config: Any
) -> Seen:
    held = a_status("v2" if new else "v1", "v2", None, None)
    before = held if new else {**held, "blueGreen": {"scaleUpPreviewCheckPoint": True}}
    return a_view(
        "v1",
        a_set("v1", size) if new else again(size, **(annotations or {})),
        NEW,
        status=before,
        blue_green={"activeService": "active", "previewService": "preview", "autoPromotionEnabled": False, **config},
        services=services_on(active=active, preview="v1"),
        spec=spec,
    )


def test_blue_green_goes_back_without_a_pause_or_a_small_preview() -> None:
    plan = decide(blue_green_back(0, previewReplicaCount=1, prePromotionAnalysis=CHECK), NOW)
    assert plan.status["blueGreen"]["scaleUpPreviewCheckPoint"] is True
    assert [each.after for each in plan.actions if isinstance(each, ScaleReplicaSet) and each.hash == hash_of("v1")] == [4]
    assert [each for each in plan.actions if isinstance(each, StartAnalysis)] == []
    request = next(each.request for each in decide(blue_green_back(4), NOW).actions if isinstance(each, ShiftTraffic))
    assert hash_of("v1") in [each.hash for each in request.services if each.service == "active"]


def test_blue_green_is_stable_as_soon_as_users_are_back() -> None:
    status = decide(blue_green_back(4, active="v1", new=False, postPromotionAnalysis=CHECK), NOW).status
    assert (status["stableRS"], status["duration"]["completionStatus"]) == (hash_of("v1"), "FastRolledBack")


# --- what is told ------------------------------------------------------------------------------------------------------


def told(before: Seen, after: Seen) -> list[tuple[str, str]]:
    return [(each.reason, each.message) for each in narrate(snapshot(before), after).records]


def test_the_skipped_steps_are_told_as_skipped_and_the_end_with_its_reason() -> None:
    finished = a_view("v2", OLD, NEW, status=DONE, canary={"steps": STEPS}, spec=WINDOW)
    under_way = back_to("v1", again(4, 1), NEW, status=decide(back_to("v1", OLD, NEW), NOW).status)
    said = told(finished, under_way)
    assert ("SkipSteps", "Rollback to active ReplicaSets within RollbackWindow") in said
    assert "RolloutStepCompleted" not in [reason for reason, _ in said]
    there = back_to("v1", again(4), a_set("v2", 0, revision=2), status=under_way.status)
    ended = replace(there, status=decide(there, NOW).status)
    said = told(under_way, ended)
    assert ("RolloutCompleted", f"Rollout completed update to revision 3 ({hash_of('v1')}): Rollback within window") in said
    assert "RolloutStepCompleted" not in [reason for reason, _ in said]


def test_an_emptied_version_is_not_called_active() -> None:
    empty = a_set("v1", 0)
    finished = a_view("v2", empty, NEW, status=DONE, canary={"steps": STEPS}, spec=WINDOW)
    status = decide(back_to("v1", empty, NEW), NOW).status
    assert status["currentStepIndex"] == 4
    assert "SkipSteps" not in [reason for reason, _ in told(finished, back_to("v1", again(1), NEW, status=status))]


@pytest.mark.parametrize(("window", "reason"), [({}, "Fast rollback"), (WINDOW, "Rollback within window")])
def test_blue_green_names_the_window_before_the_delay(window: Any, reason: str) -> None:
    lingering = {keys.SCALE_DOWN_DEADLINE: rfc3339(NOW + 20)}
    under_way = blue_green_back(4, active="v1", new=False, annotations=lingering, spec=window)
    ended = replace(under_way, status=decide(under_way, NOW).status)
    completed = [message for name, message in told(under_way, ended) if name == "RolloutCompleted"]
    assert completed == [f"Rollout completed update to revision 3 ({hash_of('v1')}): {reason}"]
