"""Where the peer ended, the planner ends: the same scenarios, played in the simulation, against three agreeing recordings of the
peer on a real API server (`tests/data/recordings`). Hashes stand in order of appearance."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Edit, EditKind, PodBehaviour, Scenario, pod_template
from tidegate_planner.simulation.scheduler import START

FILES = Path(__file__).parents[1] / "data/recordings"
RECORDINGS = {
    name: end
    for file in ("canary-ends", "blue-green-ends")
    for name, end in json.loads((FILES / f"{file}.json").read_text()).items()
}
EPHEMERAL = "rollout.argoproj.io/ephemeral-metadata"
SERVICES = {"stableService": "stable", "canaryService": "canary"}
CHECK = {"analysis": {"templates": [{"templateName": "check"}]}}
SIDE_BY_SIDE = {
    "experiment": {
        "duration": "3s",
        "templates": [{"name": "base", "specRef": "stable"}, {"name": "cand", "specRef": "canary"}],
        "analyses": [{"name": "a", "templateName": "check"}],
    }
}


def weight(value: int) -> dict[str, Any]:
    return {"setWeight": value}


def pause(duration: str | None = None) -> dict[str, Any]:
    return {"pause": {"duration": duration} if duration else {}}


def played(
    strategy: Mapping[str, Any],
    *edits: tuple[EditKind, Any],
    replicas: int = 4,
    deadline: int = 600,
    verdict: str = "Successful",
    measured_within: float = 5.0,
    kind: str = "canary",
    until: float | None = None,
) -> Run:
    """The edits ten seconds apart; v1 to v3 become ready within a second, bad-image never does.

    `until`: seconds after which the recorder stopped, where a delay was still running.
    """
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": {"app": "app"}},
        "template": pod_template("v1"),
        "strategy": {kind: strategy},
        "progressDeadlineSeconds": deadline,
    }
    scenario = Scenario(
        seed=1,
        manifest={"metadata": {"name": "app"}, "spec": spec},
        behaviours={"bad-image": PodBehaviour(ready_after=None)},
        edits=tuple(Edit(at=10.0 * (number + 1), kind=kind, value=value) for number, (kind, value) in enumerate(edits)),
        verdicts={verdict: 1.0},
        analysis_seconds=measured_within,
    )
    run = Run(scenario)
    if until is None:
        run.play()
    else:
        run.clock.run(START + until)
    return run


def switched(blue_green: Mapping[str, Any], *edits: tuple[EditKind, Any], preview: bool = True, **given: Any) -> Run:
    services = {"activeService": "active", **({"previewService": "preview"} if preview else {})}
    return played({**services, **blue_green}, *edits, kind="blueGreen", **given)


SCENARIOS = {
    "canary-steps": lambda: played(
        {"steps": [weight(25), pause(), weight(50), pause("2s"), weight(75)]}, ("image", "v2"), ("promote", None)
    ),
    "canary-no-steps": lambda: played({}, ("image", "v2")),
    "canary-unavailable-only": lambda: played(
        {"steps": [weight(20), pause("1s"), weight(60), pause("1s")], "maxSurge": 0, "maxUnavailable": 2},
        ("image", "v2"),
        replicas=5,
    ),
    "canary-abort": lambda: played({"steps": [weight(50), pause()]}, ("image", "v2"), ("abort", None)),
    "canary-promote-full": lambda: played(
        {"steps": [weight(25), pause(), weight(50), pause()]}, ("image", "v2"), ("promote-full", None)
    ),
    "canary-second-revision": lambda: played(
        {"steps": [weight(50), pause()]}, ("image", "v2"), ("image", "v3"), ("promote", None)
    ),
    "canary-spec-paused": lambda: played(
        {"steps": [weight(50), pause("1s"), weight(75), pause("1s")]}, ("pause", None), ("image", "v2"), ("unpause", None)
    ),
    "canary-bad-image-deadline": lambda: played({"steps": [weight(50), pause()]}, ("image", "bad-image"), deadline=4),
    "canary-steps-edited": lambda: played(
        {"steps": [weight(25), pause()]}, ("image", "v2"), ("steps", [weight(50), pause("1s")])
    ),
    "canary-services": lambda: played({"steps": [weight(25), pause()], **SERVICES}, ("image", "v2"), ("promote", None)),
    "analysis-step-pass": lambda: played({"steps": [weight(25), CHECK, weight(50)]}, ("image", "v2")),
    "analysis-step-fail": lambda: played({"steps": [weight(25), CHECK, weight(50)]}, ("image", "v2"), verdict="Failed"),
    "analysis-background-pass": lambda: played(
        {**CHECK, "steps": [weight(25), pause("3s"), weight(50)]}, ("image", "v2")
    ),
    "experiment-step": lambda: played(
        {"steps": [weight(25), SIDE_BY_SIDE, weight(50)]}, ("image", "v2"), measured_within=1.0
    ),
    "canary-ephemeral-metadata": lambda: played(
        {
            "steps": [weight(50), pause()],
            "canaryMetadata": {"labels": {"role": "canary"}},
            "stableMetadata": {"labels": {"role": "stable"}},
        },
        ("image", "v2"), ("promote", None),
    ),
    "restart-pods": lambda: played({"steps": [weight(50)]}, ("restart", None)),
    "bluegreen-auto": lambda: switched({"scaleDownDelaySeconds": 3}, ("image", "v2")),
    "bluegreen-manual": lambda: switched(
        {"autoPromotionEnabled": False, "scaleDownDelaySeconds": 2}, ("image", "v2"), ("promote", None)
    ),
    "bluegreen-abort": lambda: switched(
        {"autoPromotionEnabled": False, "abortScaleDownDelaySeconds": 2}, ("image", "v2"), ("abort", None)
    ),
    "bluegreen-pre-analysis-fail": lambda: switched(
        {"prePromotionAnalysis": CHECK["analysis"]}, ("image", "v2"), verdict="Failed", until=30
    ),
    "bluegreen-analysis-pass": lambda: switched(
        {"prePromotionAnalysis": CHECK["analysis"], "postPromotionAnalysis": CHECK["analysis"]},
        ("image", "v2"), preview=False, until=30,
    ),
}  # fmt: skip


def numbered(text: str, hashes: Sequence[str]) -> str:
    for number, each in enumerate(hashes, start=1):
        text = text.replace(each, f"<hash{number}>")
    return text


def end_of(run: Run) -> dict[str, Any]:
    """The end of a run in the shape of a recording."""
    status, sets = run.cluster.rollout.status, run.cluster.rollouts_own_sets
    fields = RECORDED_FIELDS & status.keys()
    ended = {
        "status": {field: status[field] for field in fields},
        "completion": status["duration"].get("completionStatus", ""),
        "conditions": sorted([each["type"], each["status"], each["reason"], each["message"]] for each in status["conditions"]),
        "replicaSets": {
            each.name: {
                "replicas": each.replicas,
                "revision": each.annotations["rollout.argoproj.io/revision"],
                "desired": each.annotations["rollout.argoproj.io/desired-replicas"],
                **({"ephemeral": each.annotations[EPHEMERAL]} if EPHEMERAL in each.annotations else {}),
            }
            for each in sets
        },
        "services": {service.name: service.hash for service in run.cluster.services.values()},
        "analysisRuns": {
            run.name: {
                "app": "app",
                "rollout-type": run.kind,
                "rollouts-pod-template-hash": run.hash,
                **({} if run.step_index is None else {"step-index": str(run.step_index)}),
            }
            for run in run.cluster.runs.values()
            if run.kind
        },
        **({"experiments": ends_of_experiments(run)} if run.cluster.experiments else {}),
    }
    hashes = [each.hash for each in sorted(sets, key=lambda each: each.created)]
    whole: dict[str, Any] = json.loads(numbered(json.dumps(ended), hashes))
    return whole


def ends_of_experiments(run: Run) -> dict[str, Any]:
    return {
        name: {
            "phase": each.status["phase"],
            "labels": each.manifest["metadata"]["labels"],
            "revision": each.manifest["metadata"]["annotations"]["rollout.argoproj.io/revision"],
            "templates": {template["name"]: template["status"] for template in each.status["templateStatuses"]},
            "analyses": [[ran["name"], ran["analysisRun"], ran["phase"]] for ran in each.status["analysisRuns"]],
            "condition": each.status["conditions"][0]["message"],
        }
        for name, each in run.cluster.experiments.items()
    }


RECORDED_FIELDS = {
    "phase", "message", "abort", "controllerPause", "promoteFull", "currentStepIndex", "replicas", "updatedReplicas",
    "readyReplicas", "availableReplicas", "HPAReplicas", "selector", "stableRS", "currentPodHash",
    "pauseConditions", "blueGreen",
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_ends_as_the_peer_was_recorded_to_end(name: str) -> None:
    assert RECORDINGS[name] == end_of(SCENARIOS[name]())


def test_every_recorded_scenario_is_played() -> None:
    assert set(RECORDINGS) == set(SCENARIOS)
