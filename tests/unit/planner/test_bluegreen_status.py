"""What a blue-green update tells, and how analysis drives it (`argo-behaviour.md` 5.7, 6.4, 6.5, 7.7)."""

from dataclasses import replace
from typing import Any

import pytest

from tidegate_planner.decide import decide
from tidegate_planner.narrative import narrate
from tidegate_planner.plan import Plan, ShiftTraffic, StartAnalysis, TerminateAnalysis
from tidegate_planner.seen import AnalysisRun, ReplicaSet, Seen
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of, services_on

NAMES = {"activeService": "active", "previewService": "preview"}
CHECK = {"templates": [{"templateName": "check"}]}
PRE, POST = {"prePromotionAnalysis": CHECK}, {"postPromotionAnalysis": CHECK}
ACCEPTED = {"blueGreen": {"scaleUpPreviewCheckPoint": True}}
NEW, OLD = a_set("v2", 4, revision=2), a_set("v1", 4)
BASE = f"app-{hash_of('v2')}-2"


def updating(*sets: ReplicaSet, config: Any = None, active: str = "v1", runs: Any = (), **status: Any) -> Seen:
    return a_view(
        "v2",
        *(sets or (NEW, OLD)),
        status=a_status("v2", "v1", None, None, **status),
        blue_green={**NAMES, **(config or {})},
        services=services_on(active=active, preview="v2"),
        analysis_runs=runs,
    )


def told(status: Any) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def started(plan: Plan) -> list[str]:
    return [action.manifest["metadata"]["name"] for action in plan.actions if isinstance(action, StartAnalysis)]


def moves(plan: Plan) -> bool:
    requests = [action.request for action in plan.actions if isinstance(action, ShiftTraffic)]
    return any(each.service == "active" and each.hash == hash_of("v2") for request in requests for each in request.services)


def test_users_and_autoscaler_see_what_is_behind_the_active_service() -> None:
    status = decide(updating(a_set("v2", 4, 2, revision=2), a_set("v1", 4, 3)), NOW).status
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "HPAReplicas")
    assert [status[field] for field in counts] == [8, 4, 3, 3, 4]
    assert status["selector"] == f"app=app,rollouts-pod-template-hash={hash_of('v1')}"
    assert status["blueGreen"] == {"activeSelector": hash_of("v1"), "previewSelector": hash_of("v2")}
    assert "currentStepIndex" not in status


def test_before_the_first_switch_everything_counts_and_nothing_is_available() -> None:
    first = a_view(
        "v1", OLD, blue_green=NAMES, services=services_on(active="", preview=""), status=a_status("v1", "v1", None, None)
    )
    status = decide(first, NOW).status
    assert (status["availableReplicas"], status["selector"], status["blueGreen"]) == (4, "app=app", {})
    assert told(status)["Available"] == ("False", "AvailableReason")
    assert (status["phase"], status["message"]) == ("Progressing", "active service cutover pending")


MESSAGES = [
    pytest.param(updating(a_set("v2", 1, revision=2), OLD), "more replicas need to be updated", id="too few"),
    pytest.param(updating(a_set("v2", 4, 0, revision=2), OLD), "active service cutover pending", id="not switched"),
    pytest.param(
        updating(a_set("v2", 4, 3, revision=2), OLD, active="v2"), "updated replicas are still becoming available", id="lost a pod"
    ),
    pytest.param(updating(active="v2", config=POST), "waiting for analysis to complete", id="not judged yet"),
]


@pytest.mark.parametrize(("view", "message"), MESSAGES)
def test_the_message_says_what_is_waited_for(view: Seen, message: str) -> None:
    status = decide(view, NOW).status
    assert (status["phase"], status["message"]) == ("Progressing", message)


def test_a_version_that_is_measured_after_the_switch_is_healthy_and_not_completed() -> None:
    conditions = told(decide(updating(active="v2", config=POST), NOW).status)
    assert conditions["Healthy"][0] == "True"
    assert conditions["Completed"][0] == "False"
    assert conditions["Progressing"] == ("True", "NewReplicaSetAvailable")


def test_a_measured_version_that_loses_pods_is_on_the_clock_again() -> None:
    measured = decide(updating(active="v2", config=POST), NOW).status
    lost = replace(updating(a_set("v2", 4, 3, revision=2), OLD, active="v2"), status=measured)
    plan = decide(lost, NOW + 5)
    assert told(plan.status)["Progressing"] == ("True", "ReplicaSetUpdated")
    assert plan.wake_at == NOW + 5 + 600
    late = replace(lost, status=plan.status)
    assert decide(late, NOW + 606).status["phase"] == "Degraded"


# --- analysis ----------------------------------------------------------------------------------------------------------


def run(name: str, phase: str, kind: str, message: str = "", **fields: Any) -> AnalysisRun:
    return AnalysisRun(name=name, phase=phase, kind=kind, message=message, hash=hash_of("v2"), **fields)


@pytest.mark.parametrize(
    ("view", "name", "kind"),
    [
        (updating(config=PRE), f"{BASE}-pre", "PrePromotion"),
        (updating(config=POST, active="v2"), f"{BASE}-post", "PostPromotion"),
        (
            updating(a_set("v2", 1, revision=2), OLD, config={**PRE, "previewReplicaCount": 1}),
            f"{BASE}-pre",
            "PrePromotion",
        ),
    ],
)
def test_a_run_starts_when_there_is_something_to_measure(view: Seen, name: str, kind: str) -> None:
    plan = decide(view, NOW)
    manifest = next(action.manifest for action in plan.actions if isinstance(action, StartAnalysis))
    assert (manifest["metadata"]["name"], manifest["metadata"]["labels"]["rollout-type"]) == (name, kind)
    assert "step-index" not in manifest["metadata"]["labels"]


@pytest.mark.parametrize(
    "view",
    [
        updating(a_set("v2", 4, 3, revision=2), OLD, config=PRE),
        updating(config=POST),
        updating(config=PRE, promoteFull=True),
        updating(config={**PRE, **POST}, abort=True),
    ],
)
def test_none_starts_before_after_or_instead(view: Seen) -> None:
    assert started(decide(view, NOW)) == []


def test_users_move_and_the_version_is_stable_with_the_verdicts() -> None:
    pre = run(f"{BASE}-pre", "Successful", "PrePromotion")
    waiting = {"prePromotionAnalysisRunStatus": {"name": pre.name, "status": "Running"}}
    assert not moves(decide(updating(config=PRE, blueGreen=waiting, runs=(replace(pre, phase="Running"),)), NOW))
    assert moves(decide(updating(config=PRE, blueGreen=waiting, runs=(pre,)), NOW))
    post = run(f"{BASE}-post", "Successful", "PostPromotion")
    after = {"postPromotionAnalysisRunStatus": {"name": post.name, "status": "Running"}}
    status = decide(updating(config=POST, active="v2", blueGreen=after, runs=(post,)), NOW).status
    assert status["stableRS"] == hash_of("v2")
    assert status["blueGreen"]["postPromotionAnalysisRunStatus"] == {"name": post.name, "status": "Successful"}


@pytest.mark.parametrize(
    ("config", "active", "suffix", "word"), [(PRE, "v1", "pre", "pre-promotion"), (POST, "v2", "post", "post-promotion")]
)
@pytest.mark.parametrize("phase", ["Failed", "Error"])
def test_a_bad_verdict_aborts_in_the_runs_own_words(config: Any, active: str, suffix: str, word: str, phase: str) -> None:
    bad = run(f"{BASE}-{suffix}", phase, f"{suffix.title()}Promotion", "metric m failed")
    section = {f"{suffix}PromotionAnalysisRunStatus": {"name": bad.name, "status": "Running"}}
    status = decide(updating(config=config, active=active, blueGreen=section, runs=(bad,)), NOW).status
    assert status["abort"] is True
    assert status["message"] == (
        f"RolloutAborted: Rollout aborted update to revision 2: Blue/green {word} analysis phase error/failed: metric m failed"
    )
    assert status["blueGreen"][f"{suffix}PromotionAnalysisRunStatus"]["status"] == phase


@pytest.mark.parametrize(("phase", "shown"), [(None, "Paused"), ("Failed", "Degraded"), ("Successful", "Paused")])
def test_a_preview_that_is_paused_by_hand_is_judged_but_gets_no_users(phase: str | None, shown: str) -> None:
    """5.1, 5.3."""
    runs = () if phase is None else (run(f"{BASE}-pre", phase, "PrePromotion"),)
    section = {"prePromotionAnalysisRunStatus": {"name": f"{BASE}-pre", "status": "Running"}} if runs else {}
    view = updating(config=PRE, blueGreen=section, runs=runs)
    plan = decide(replace(view, spec=a_view("v2", blue_green={**NAMES, **PRE}, spec={"paused": True}).spec), NOW)
    assert (plan.status["phase"], moves(plan)) == (shown, False)
    assert started(plan) == ([] if runs else [f"{BASE}-pre"])


def test_after_a_retry_the_preview_is_measured_anew_though_its_pods_come_later() -> None:
    bad = run(f"{BASE}-pre", "Failed", "PrePromotion")
    section = {"prePromotionAnalysisRunStatus": {"name": bad.name, "status": "Failed"}}
    aborted = decide(updating(config=PRE, blueGreen=section, runs=(bad,)), NOW).status
    gone = replace(updating(a_set("v2", 0, revision=2), OLD, config=PRE, runs=(bad,)), status={**aborted, "abort": False})
    retried = decide(gone, NOW)
    assert started(retried) == []
    again = decide(replace(updating(config=PRE, runs=(bad,)), status=retried.status), NOW)
    assert started(again) == [f"{BASE}-pre.1"]
    assert "abort" not in again.status


def test_an_inconclusive_run_pauses_and_letting_it_pass_starts_another_not_the_switch() -> None:
    unclear = run(f"{BASE}-pre", "Inconclusive", "PrePromotion")
    section = {"prePromotionAnalysisRunStatus": {"name": unclear.name, "status": "Running"}}
    config = {**PRE, "autoPromotionEnabled": False}
    status = decide(updating(config=config, blueGreen=section, runs=(unclear,)), NOW).status
    assert status["message"] == "InconclusiveAnalysisRun"
    cleared = {key: value for key, value in status.items() if key != "pauseConditions"}
    plan = decide(replace(updating(config=config, runs=(unclear,)), status=cleared), NOW)
    assert started(plan) == [f"{BASE}-pre.1"]
    assert not moves(plan)
    passed = run(f"{BASE}-pre.1", "Successful", "PrePromotion")
    judged = decide(replace(updating(config=config, runs=(unclear, passed)), status=plan.status), NOW)
    assert judged.status["message"] == "BlueGreenPause"


VANISHED = [
    pytest.param({"config": PRE}, "v1", 0, id="before the switch"),
    pytest.param({"config": POST}, "v2", 0, id="after it"),
    pytest.param({"config": POST}, "v2", 3, id="after it, one of them"),
    pytest.param({"config": POST}, "v1", 4, id="after it, and somebody moved the Service away"),
]


@pytest.mark.parametrize(("given", "active", "available"), VANISHED)
@pytest.mark.parametrize("phase", ["Running", "Successful"])
def test_a_run_is_neither_ended_nor_believed_when_the_pods_it_measures_vanish(
    given: Any, active: str, available: int, phase: str
) -> None:
    """AR#4604: a run that was ended for want of pods is Successful."""
    suffix, kind = ("pre", "PrePromotion") if given["config"] is PRE else ("post", "PostPromotion")
    measured = run(f"{BASE}-{suffix}", phase, kind)
    told = {f"{suffix}PromotionAnalysisRunStatus": {"name": measured.name, "status": "Running"}}
    pods = a_set("v2", 4, available, revision=2)
    accepted = ACCEPTED["blueGreen"] if suffix == "post" else {}
    plan = decide(updating(pods, OLD, active=active, runs=(measured,), blueGreen={**told, **accepted}, **given), NOW)
    assert [each for each in plan.actions if isinstance(each, TerminateAnalysis)] == []
    assert plan.status["stableRS"] == hash_of("v1")
    assert not moves(plan) or (active, available) != ("v1", 0)


def test_a_run_that_nobody_waits_for_any_more_is_ended() -> None:
    running = run(f"{BASE}-pre", "Running", "PrePromotion")
    section = {"prePromotionAnalysisRunStatus": {"name": running.name, "status": "Running"}}
    plan = decide(updating(config=PRE, blueGreen=section, runs=(running,), promoteFull=True), NOW)
    assert TerminateAnalysis(name=running.name) in plan.actions


def test_that_a_preview_was_accepted_is_noted_until_users_are_on_it() -> None:
    """After that the Service says so itself, but where the size of the preview depends on it."""
    for config, noted in ((POST, False), ({**POST, "previewReplicaCount": 1}, True)):
        before = decide(updating(config=config, **ACCEPTED), NOW).status["blueGreen"]
        after = decide(updating(config=config, active="v2", **ACCEPTED), NOW)
        assert before["scaleUpPreviewCheckPoint"] is True
        assert after.status["blueGreen"].get("scaleUpPreviewCheckPoint", False) is noted
        later = decide(replace(updating(config=config, active="v2"), status=after.status), NOW + 1)
        assert [each for each in later.actions if isinstance(each, ShiftTraffic)] == [
            each for each in after.actions if isinstance(each, ShiftTraffic)
        ]


# --- what is told ------------------------------------------------------------------------------------------------------


def records(before: Seen, after: Seen) -> list[tuple[str, str]]:
    return [(each.reason, each.message) for each in narrate(narrate(None, before).told, after).records]


def test_pause_and_completion_are_told() -> None:
    config = {"autoPromotionEnabled": False}
    before = updating(config=config)
    paused = replace(before, status=decide(before, NOW).status)
    assert ("RolloutPaused", "Rollout is paused (BlueGreenPause)") in records(before, paused)
    moved = updating(config=config, active="v2", **ACCEPTED)
    done = replace(moved, status=decide(moved, NOW).status)
    text = f"Rollout completed update to revision 2 ({hash_of('v2')}): Completed blue-green update"
    assert ("RolloutCompleted", text) in records(moved, done)


def test_an_abort_is_rolled_back_once_users_are_on_stable_again() -> None:
    def outcomes(active: str) -> list[str]:
        seen = updating(active=active, abort=True, config={"abortScaleDownDelaySeconds": 0})
        aborted = replace(seen, status=decide(seen, NOW).status)
        return [each.message.verb for each in narrate(narrate(None, updating(active=active)).told, aborted).outcomes]

    assert outcomes("v2") == ["aborted"]
    assert outcomes("v1") == ["aborted", "rolled-back"]


@pytest.mark.parametrize(("stable", "outcome"), [("v2", ["AnalysisRunSuccessful"]), ("v1", [])], ids=["promoted", "aborted"])
def test_the_end_of_a_run_that_was_cut_short_is_told_after_a_promotion_and_not_after_an_abort(stable: str, outcome: Any) -> None:
    name = f"{BASE}-pre"
    section = {"blueGreen": {"prePromotionAnalysisRunStatus": {"name": name, "status": "Running"}}}

    def at(phase: str, *, terminate: bool, **fields: Any) -> Seen:
        return updating(active=stable, runs=(run(name, phase, "PrePromotion", terminate=terminate),), **section, **fields)

    ended = at("Successful", terminate=True, **({"stableRS": hash_of("v2")} if stable == "v2" else {"abort": True}))
    told = narrate(None, at("Running", terminate=False)).told
    for phase in ("Running", "Successful"):  # it may have ended long before that is told
        told = narrate(told, at(phase, terminate=True)).told
    chapter = narrate(told, ended)
    records = [(each.reason, each.message) for each in chapter.records if each.reason.startswith("AnalysisRun")]
    assert [reason for reason, _ in records] == outcome
    assert all(text == f"PrePromotion Analysis Run '{name}' Status New: 'Successful' Previous: 'Running'" for _, text in records)
    assert "analysis-concluded" not in [each.message.verb for each in chapter.outcomes]
