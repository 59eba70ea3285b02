"""`timeline` shows the way of an image change, and the what-ifs, as the planner itself would go it."""

from typing import Any

import pytest

from tidegate_planner.simulation import Options, TimelineEntry, render, timeline

CHECK = {"analysis": {"templates": [{"templateName": "success-rate"}], "args": [{"name": "service", "value": "shop"}]}}
STEPS = [{"setWeight": 20}, {"pause": {"duration": "1m"}}, CHECK, {"setWeight": 50}, {"pause": {}}]


def rollout(**canary: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "shop"},
        "spec": {
            "replicas": 5,
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "web", "image": "shop:1.0"}]}},
            "strategy": {"canary": {"steps": STEPS, **canary}},
            "progressDeadlineSeconds": 120,
        },
    }


ROUTED = {
    "stableService": "stable",
    "canaryService": "canary",
    "trafficRouting": {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "shop"}}},
}


def first_at(entries: list[TimelineEntry], step: int) -> TimelineEntry:
    return next(entry for entry in entries if entry.step == step and entry.phase != "Healthy")


def test_it_begins_with_the_change_and_ends_healthy() -> None:
    entries = timeline(rollout())
    assert (entries[0].offset, entries[0].phase, entries[0].stable_pods) == (0, "Healthy", 5)
    assert (entries[1].offset < 1, entries[1].phase, entries[1].step) == (True, "Progressing", 0)
    assert (entries[-1].phase, entries[-1].canary_pods, entries[-1].weight) == ("Healthy", 5, 100)


def test_pauses_analyses_and_people_take_their_time() -> None:
    entries = timeline(rollout(), options=Options(pods_ready_after=5, analysis_takes=30, person_resumes_after=600))
    assert first_at(entries, 1).offset == pytest.approx(5, abs=1)
    assert first_at(entries, 2).offset == pytest.approx(65, abs=2)
    assert first_at(entries, 3).offset == pytest.approx(95, abs=2)
    assert entries[-1].offset == pytest.approx(95 + 5 + 600 + 10, abs=10)


def test_with_routing_the_weight_is_what_the_data_plane_was_told() -> None:
    weights = {entry.weight for entry in timeline(rollout(**ROUTED)) if entry.phase == "Paused"}
    assert weights == {20, 50}


def test_a_crashing_canary_ends_degraded_after_the_deadline_with_all_traffic_on_stable() -> None:
    end = timeline(rollout(**ROUTED), options=Options(crash_canary=True))[-1]
    assert (end.phase, end.weight, end.canary_pods, end.stable_pods) == ("Degraded", 0, 0, 5)
    assert "timed out progressing" in end.message
    assert end.offset == pytest.approx(120, abs=3)


def test_a_failed_analysis_aborts() -> None:
    end = timeline(rollout(), options=Options(fail_analysis=2))[-1]
    assert (end.phase, end.weight, end.stable_pods) == ("Degraded", 0, 5)
    assert "Step-based analysis phase error/failed" in end.message


SIDE_BY_SIDE = {
    "experiment": {
        "duration": "1m",
        "templates": [{"name": "base", "specRef": "stable", "weight": 5}, {"name": "cand", "specRef": "canary", "weight": 5}],
        "analyses": [{"name": "compared", "templateName": "success-rate"}],
    }
}


def test_an_experiment_takes_its_time_and_its_share_is_not_the_canarys() -> None:
    entries = timeline(rollout(**ROUTED, steps=[{"setWeight": 20}, SIDE_BY_SIDE, {"setWeight": 50}]))
    begins, ends = first_at(entries, 1), first_at(entries, 2)
    assert ends.offset - begins.offset == pytest.approx(60, abs=10)
    assert {entry.weight for entry in entries if entry.step == 1} == {20}
    assert entries[-1].phase == "Healthy"


def test_the_share_of_an_experiment_is_shown_where_its_pods_name_a_port() -> None:
    """Without one there is no Service, and so no share (10)."""
    given = rollout(**ROUTED, steps=[{"setWeight": 20}, SIDE_BY_SIDE, {"setWeight": 50}])
    assert {entry.lent for entry in timeline(given)} == {0}
    given["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 80}]
    entries = timeline(given)
    assert {entry.lent for entry in entries if entry.step == 1} == {0, 10}
    assert entries[-1].lent == 0
    assert "EXPERIMENT" in render(entries).splitlines()[0]


def test_a_failed_analysis_of_an_experiment_aborts() -> None:
    steps = [{"setWeight": 20}, SIDE_BY_SIDE, {"setWeight": 50}]
    end = timeline(rollout(steps=steps), options=Options(fail_analysis=1))[-1]
    assert (end.phase, end.canary_pods, end.stable_pods) == ("Degraded", 0, 5)
    assert "Experiment analysis phase is error/failed" in end.message


def test_an_abort_at_a_step_is_obeyed_there() -> None:
    entries = timeline(rollout(), options=Options(abort_at=3))
    assert first_at(entries, 3).phase == "Progressing"
    assert (entries[-1].phase, entries[-1].message) == ("Degraded", "RolloutAborted: Rollout aborted update to revision 2")


@pytest.mark.parametrize("stage", range(len(STEPS)))
def test_an_abort_is_obeyed_at_any_step(stage: int) -> None:
    end = timeline(rollout(**ROUTED), options=Options(abort_at=stage))[-1]
    assert (end.phase, end.weight, end.canary_pods, end.stable_pods) == ("Degraded", 0, 0, 5)


def test_a_background_analysis_fails_at_the_step_that_was_asked_for() -> None:
    background = {**CHECK["analysis"], "startingStep": 1}
    entries = timeline(rollout(analysis=background), options=Options(fail_analysis=3))
    assert {entry.step for entry in entries if entry.phase == "Progressing"} >= {0, 2, 3}
    assert "Background analysis phase error/failed" in entries[-1].message


def test_routes_are_shown_where_the_plan_sets_any() -> None:
    match = [{"headerName": "x-team", "headerValue": {"exact": "us"}}]
    header = {"setHeaderRoute": {"name": "ours", "match": match}}
    routing = {**ROUTED["trafficRouting"], "managedRoutes": [{"name": "ours"}]}  # type: ignore[dict-item]
    steps = [{"setCanaryScale": {"replicas": 2}}, header, {"pause": {}}, {"setWeight": 50}]
    entries = timeline(rollout(**{**ROUTED, "trafficRouting": routing}, steps=steps))
    paused = next(entry for entry in entries if entry.phase == "Paused")
    assert (paused.step_text, paused.weight, paused.canary_pods, paused.routes) == ("pause", 0, 2, ("ours",))
    assert (entries[0].routes, entries[-1].routes) == ((), ())
    assert "ROUTES" in render(entries).splitlines()[0]


# --- blue-green ------------------------------------------------------------------------------------------------------------


def blue_green(**fields: Any) -> dict[str, Any]:
    strategy = {"activeService": "active", "previewService": "preview", "scaleDownDelaySeconds": 10, **fields}
    return rollout() | {"spec": rollout()["spec"] | {"strategy": {"blueGreen": strategy}}}


JUDGED = {"prePromotionAnalysis": CHECK["analysis"], "postPromotionAnalysis": CHECK["analysis"], "autoPromotionEnabled": False}
WHOLE = ["preview", "prePromotionAnalysis", "pause", "switch", "postPromotionAnalysis", "done"]


def test_a_blue_green_update_goes_from_the_preview_to_the_switch_and_is_judged_on_both_sides() -> None:
    entries = timeline(blue_green(**JUDGED))
    texts = [entry.step_text for entry in entries[1:]]
    assert list(dict.fromkeys(texts)) == [each for each in WHOLE if each in texts]
    assert set(texts) >= {"preview", "prePromotionAnalysis", "pause", "postPromotionAnalysis", "done"}
    assert {entry.weight for entry in entries if entry.step_text in {"preview", "prePromotionAnalysis", "pause"}} == {0}
    assert {entry.weight for entry in entries if entry.step_text == "postPromotionAnalysis"} == {100}
    assert (entries[-1].phase, entries[-1].canary_pods, entries[-1].stable_pods) == ("Healthy", 5, 0)


@pytest.mark.parametrize("stage", range(5))
def test_a_blue_green_update_is_aborted_at_any_stage_and_users_are_back(stage: int) -> None:
    end = timeline(blue_green(**JUDGED), options=Options(abort_at=stage))[-1]
    assert (end.phase, end.weight, end.canary_pods, end.stable_pods) == ("Degraded", 0, 0, 5)


@pytest.mark.parametrize(("stage", "words"), [(1, "pre-promotion"), (4, "post-promotion")])
def test_a_blue_green_update_that_fails_its_measurement_brings_users_back(stage: int, words: str) -> None:
    end = timeline(blue_green(**JUDGED), options=Options(fail_analysis=stage))[-1]
    assert (end.phase, end.weight, end.stable_pods) == ("Degraded", 0, 5)
    assert f"Blue/green {words} analysis phase error/failed" in end.message


def test_a_crashing_preview_meets_the_deadline_and_no_user() -> None:
    entries = timeline(blue_green(), options=Options(crash_canary=True))
    assert {entry.weight for entry in entries} == {0}
    assert "timed out progressing" in entries[-1].message


def test_a_plain_blue_green_update_has_two_stages() -> None:
    entries = timeline(blue_green())
    assert next(entry.step_text for entry in entries if entry.phase == "Progressing") == "preview"
    with pytest.raises(ValueError, match="the plan has the steps 0 preview, 1 switch"):
        timeline(blue_green(), options=Options(abort_at=2))


def test_it_is_rendered_as_an_aligned_table() -> None:
    lines = render(timeline(rollout())).splitlines()
    assert lines[0].split() == ["TIME", "STEP", "WEIGHT", "CANARY", "STABLE", "PHASE"]
    assert lines[-1].endswith("Healthy")
    assert {line.index(phase) for line in lines[1:] for phase in ("Progressing", "Paused", "Healthy") if f"  {phase}" in line} == {
        lines[0].index("PHASE")
    }


@pytest.mark.parametrize(
    ("manifest", "options", "words"),
    [
        ({"spec": {"strategy": {"canary": {}}}}, Options(), "spec.template.spec.containers"),
        (rollout() | {"spec": rollout()["spec"] | {"strategy": {}}}, Options(), "spec.strategy is missing"),
        (rollout(), Options(abort_at=9), "--abort-at is 9; the plan has the steps 0 setWeight: 20, 1 pause: 1m, 2 analysis, "),
        (rollout(), Options(fail_analysis=1), "--fail-analysis is 1; nothing is measured there: "),
        (rollout(steps=[]), Options(abort_at=0), "--abort-at is 0; the plan has no steps"),
    ],
)
def test_what_cannot_be_previewed_is_named(manifest: dict[str, Any], options: Options, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        timeline(manifest, options=options)
