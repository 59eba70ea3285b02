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


def test_an_abort_at_a_step_is_obeyed_there() -> None:
    entries = timeline(rollout(), options=Options(abort_at=3))
    assert first_at(entries, 3).phase == "Progressing"
    assert (entries[-1].phase, entries[-1].message) == ("Degraded", "RolloutAborted: Rollout aborted update to revision 2")


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
        (rollout() | {"spec": rollout()["spec"] | {"strategy": {}}}, Options(), "spec.strategy.canary"),
        (rollout(), Options(abort_at=9), "abort_at is 9; the plan has the steps 0 to 4"),
    ],
)
def test_what_cannot_be_previewed_is_named(manifest: dict[str, Any], options: Options, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        timeline(manifest, options=options)
