"""Ends that nobody recorded the peer to have: scenarios beside those of `test_recorded_ends.py`, each with what `argo-behaviour.md`
says of it, by section. Played whole, on a modelled cluster of quick pods; edits are ten seconds apart."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tidegate_planner.decide import decide
from tidegate_planner.narrative import narrate
from tidegate_planner.plan import Plan
from tidegate_planner.seen import Seen
from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Edit, EditKind, PodBehaviour, Scenario, pod_template, version_of
from tidegate_planner.told import Told

Json = Mapping[str, Any]
ROUTED = {
    "stableService": "stable",
    "canaryService": "canary",
    "trafficRouting": {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "app"}}},
}
PAUSE: Json = {"pause": {}}
IMAGE_2: tuple[EditKind, Any] = ("image", "v2")
ABORTED = "RolloutAborted: Rollout aborted update to revision 2"
TOLD = {"RolloutAborted", "RolloutCompleted", "RolloutNotCompleted", "RolloutStepCompleted", "SkipSteps", "TrafficWeightUpdated"}


def weight(value: int) -> Json:
    return {"setWeight": value}


@dataclass
class End:
    """What a person sees in the end, with versions for hashes, and the way there: recorded weights and Events."""

    phase: str
    message: str
    step: int | None
    stable: str
    pods: dict[str, int]
    progressing: tuple[str, str]
    weights: list[int]
    told: list[str]


@dataclass
class Witness:
    """Stands beside the planner and tells what it told of. The weights are those in the status, each once."""

    told: Told | None = None
    events: list[str] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)

    def __call__(self, seen: Seen, now: float) -> Plan:
        chapter = narrate(self.told, seen)
        self.told = chapter.told
        self.events += [each.message for each in chapter.records if each.reason in TOLD]
        plan = decide(seen, now)
        recorded = ((plan.status.get("canary") or {}).get("weights") or {}).get("canary")
        if recorded and recorded["weight"] not in self.weights[-1:]:
            self.weights.append(recorded["weight"])
        return plan


def end_of(canary: Json, *edits: tuple[EditKind, Any], **spec: Any) -> End:
    whole = {
        "replicas": 4,
        "selector": {"matchLabels": {"app": "app"}},
        "template": pod_template("v1"),
        "strategy": {"canary": canary},
        "progressDeadlineSeconds": 60,
        **spec,
    }
    made = tuple(Edit(at=10.0 * (number + 1), kind=kind, value=value) for number, (kind, value) in enumerate(edits))
    never_ready = {"bad": PodBehaviour(ready_after=None)}
    witness = Witness()
    manifest = {"metadata": {"name": "app"}, "spec": whole}
    run = Run(Scenario(seed=1, manifest=manifest, behaviours=never_ready, edits=made), decide=witness)
    run.play()
    status = run.cluster.rollout.status
    versions = {each.hash: version_of(each.template) for each in run.cluster.rollouts_own_sets}
    progressing = next(each for each in status["conditions"] if each["type"] == "Progressing")
    return End(
        phase=status["phase"],
        message=status.get("message", ""),
        step=status.get("currentStepIndex"),
        stable=versions[status["stableRS"]],
        pods={versions[each.hash]: each.replicas for each in run.cluster.rollouts_own_sets if each.replicas},
        progressing=(progressing["status"], progressing["reason"]),
        weights=witness.weights,
        told=list(readable(witness.events, versions)),
    )


def readable(events: list[str], versions: Mapping[str, str]) -> Iterator[str]:
    for event in events:
        text = event
        for hash_label, version in versions.items():
            text = text.replace(hash_label, version)
        yield text


# --- plain canaries -----------------------------------------------------------------------------------------------------


def test_an_abort_of_a_version_that_never_served_ends_on_stable_and_is_told_once() -> None:
    """6.2, without steps: the index stays unset."""
    end = end_of({}, ("image", "bad"), ("abort", None))
    assert (end.phase, end.message, end.step, end.pods) == ("Degraded", ABORTED, None, {"v1": 4})
    assert end.progressing == ("False", "RolloutAborted")
    assert end.told[2:] == ["Rollout not completed, started update to revision 2 (bad)", "Rollout aborted update to revision 2"]


def test_a_deadline_that_aborts_is_told_with_its_reason_and_ends_as_an_abort() -> None:
    """6.3."""
    end = end_of({"steps": [weight(50), PAUSE]}, ("image", "bad"), progressDeadlineSeconds=4, progressDeadlineAbort=True)
    assert (end.phase, end.message, end.step, end.pods) == ("Degraded", ABORTED, 0, {"v1": 4})
    assert end.told[-2:] == ['ReplicaSet "app-bad" has timed out progressing.', "Rollout aborted update to revision 2"]


def test_after_an_abort_a_retry_walks_the_steps_again() -> None:
    """6.2: steps restart at 0, under the same revision."""
    end = end_of({"steps": [weight(50), PAUSE]}, IMAGE_2, ("abort", None), ("retry", None), ("promote", None))
    assert (end.phase, end.step, end.stable, end.pods) == ("Healthy", 2, "v2", {"v2": 4})
    assert end.told[-3:] == [
        "Rollout step 1/2 completed (setWeight: 50)",
        "Rollout step 2/2 completed (pause)",
        "Rollout completed update to revision 2 (v2): Completed all 2 canary steps",
    ]


@pytest.mark.parametrize("first", [(), (("abort", None),)], ids=["in the middle", "after an abort"])
def test_back_on_the_stable_template_the_steps_are_skipped(first: tuple[tuple[EditKind, Any], ...]) -> None:
    """4, 6.6. The stable ReplicaSet gets a new number (2.5), nothing was completed."""
    end = end_of({"steps": [weight(50), PAUSE]}, IMAGE_2, *first, ("image", "v1"))
    assert (end.phase, end.step, end.stable, end.pods) == ("Healthy", 2, "v1", {"v1": 4})
    assert end.progressing == ("True", "NewReplicaSetAvailable")
    assert end.told[-1] == "Rollback to stable ReplicaSets"
    assert not [each for each in end.told if "revision 3" in each]


def test_a_third_revision_ends_the_second_and_is_completed_as_the_third() -> None:
    """6.2. That the update is not completed was told of the second already: `Completed` turned once (6.5)."""
    end = end_of({"steps": [weight(50), PAUSE]}, IMAGE_2, ("image", "v3"), ("promote", None))
    assert (end.phase, end.stable, end.pods) == ("Healthy", "v3", {"v3": 4})
    assert [each for each in end.told if "not completed" in each] == [
        f"Rollout not completed, started update to revision {revision} (v{revision})" for revision in (1, 2)
    ]
    assert end.told[-1] == "Rollout completed update to revision 3 (v3): Completed all 2 canary steps"


@pytest.mark.parametrize(
    ("canary", "replicas", "pods"),
    [
        ({"steps": [weight(0), PAUSE]}, 4, {"v1": 4}),
        ({"steps": [PAUSE]}, 4, {"v1": 4}),
        ({"steps": [weight(100), PAUSE]}, 4, {"v2": 4}),
        ({"steps": [weight(1), PAUSE]}, 3, {"v1": 3, "v2": 1}),
        ({"steps": [weight(99), PAUSE], "maxSurge": 0, "maxUnavailable": 2}, 3, {"v1": 1, "v2": 2}),
        ({"steps": [weight(50), PAUSE]}, 1, {"v1": 1, "v2": 1}),
        ({"steps": [weight(50), PAUSE], "maxSurge": 0, "maxUnavailable": "100%"}, 1, {"v2": 1}),
        ({"steps": [weight(50), PAUSE]}, 7, {"v1": 4, "v2": 4}),
        ({"steps": [weight(33), PAUSE], "maxSurge": "0%", "maxUnavailable": "25%"}, 9, {"v1": 6, "v2": 3}),
        ({"steps": [weight(50), PAUSE]}, 0, {}),
    ],
)
def test_pods_at_a_pause_are_split_as_the_table_says(canary: Json, replicas: int, pods: dict[str, int]) -> None:
    """3.1, 3.2."""
    end = end_of(canary, IMAGE_2, replicas=replicas)
    assert (end.phase, end.message, end.pods) == ("Paused", "CanaryPauseStep", pods)
    assert end.progressing == ("Unknown", "RolloutPaused")


def test_a_change_of_size_at_a_pause_is_split_at_once_and_moves_no_step() -> None:
    """2.6, point 5."""
    end = end_of({"steps": [weight(50), PAUSE]}, IMAGE_2, ("replicas", 7))
    assert (end.phase, end.step, end.pods) == ("Paused", 1, {"v1": 4, "v2": 4})


def test_words_that_come_when_all_is_over_change_nothing() -> None:
    """6.2: an abort is removed; edited steps are behind it (2.2), which is told as a way back."""
    end = end_of({"steps": [weight(50)]}, IMAGE_2, ("abort", None), ("steps", [weight(10), weight(20)]))
    assert (end.phase, end.step, end.pods) == ("Healthy", 2, {"v2": 4})
    assert end.told[-2:] == [
        "Rollout completed update to revision 2 (v2): Completed all 1 canary steps",
        "Rollback to stable ReplicaSets",
    ]


# --- with routing -------------------------------------------------------------------------------------------------------


def routed(*steps: Json, **fields: Any) -> Json:
    return {**ROUTED, "steps": list(steps), **fields}


def test_the_weight_goes_all_the_way_to_the_end_before_it_is_stables() -> None:
    """3.8: all steps done is `max`, fully promoted is 0."""
    end = end_of(routed(weight(20), weight(60)), IMAGE_2)
    assert (end.phase, end.pods, end.weights) == ("Healthy", {"v2": 4}, [0, 20, 60, 100, 0])
    assert end.told[-3:] == [
        "Traffic weight updated from 60 to 100",
        "Rollout completed update to revision 2 (v2): Completed all 2 canary steps",
        "Traffic weight updated from 100 to 0",
    ]


def test_a_full_promotion_keeps_the_weight_until_all_pods_serve() -> None:
    """3.8, 6.2."""
    end = end_of(routed(weight(20), PAUSE, weight(60)), IMAGE_2, ("promote-full", None))
    assert (end.phase, end.step, end.pods, end.weights) == ("Healthy", 3, {"v2": 4}, [0, 20, 0])
    assert "Rollout completed update to revision 2 (v2): Full promotion requested" in end.told


def test_a_revision_that_interrupts_another_begins_at_no_weight() -> None:
    """3.8: no available pod, no weight."""
    end = end_of(routed(weight(20), PAUSE), IMAGE_2, ("image", "v3"), ("promote", None))
    assert (end.phase, end.pods, end.weights) == ("Healthy", {"v3": 4}, [0, 20, 0, 20, 100, 0])


def test_an_aborted_canary_goes_after_its_delay_and_comes_back_with_a_retry() -> None:
    """3.5, 6.2."""
    end = end_of(routed(weight(20), PAUSE, abortScaleDownDelaySeconds=2), IMAGE_2, ("abort", None))
    assert (end.phase, end.message, end.pods, end.weights) == ("Degraded", ABORTED, {"v1": 4}, [0, 20, 0])
    again = end_of(routed(weight(20), PAUSE, abortScaleDownDelaySeconds=2), IMAGE_2, ("abort", None), ("retry", None))
    assert (again.phase, again.pods, again.weights) == ("Paused", {"v1": 4, "v2": 1}, [0, 20, 0, 20])


@pytest.mark.parametrize(
    ("fields", "steps", "replicas", "pods"),
    [
        ({}, [weight(25), PAUSE], 10, {"v1": 10, "v2": 3}),
        ({"minPodsPerReplicaSet": 2}, [weight(10), PAUSE], 10, {"v1": 10, "v2": 2}),
        ({"minPodsPerReplicaSet": 3}, [weight(10), PAUSE], 2, {"v1": 2, "v2": 2}),
        ({"dynamicStableScale": True}, [weight(25), PAUSE], 10, {"v1": 8, "v2": 3}),
        ({"dynamicStableScale": True, "minPodsPerReplicaSet": 3}, [weight(90), PAUSE], 10, {"v1": 3, "v2": 9}),
        ({}, [{"setCanaryScale": {"replicas": 3}}, weight(10), PAUSE], 10, {"v1": 10, "v2": 3}),
        ({}, [{"setCanaryScale": {"weight": 50}}, weight(10), PAUSE], 10, {"v1": 10, "v2": 5}),
        ({}, [{"setCanaryScale": {"replicas": 5}}, weight(10), {"setCanaryScale": {"matchTrafficWeight": True}}, PAUSE], 10,
         {"v1": 10, "v2": 1}),
    ],
)  # fmt: skip
def test_routed_pods_follow_the_weight_or_the_scale_in_force(fields: Json, steps: Any, replicas: int, pods: dict[str, int]) -> None:
    """3.3. A weight becomes whole pods, rounded up on both sides."""
    end = end_of(routed(*steps, **fields), IMAGE_2, replicas=replicas)
    assert (end.phase, end.pods) == ("Paused", pods)


def test_without_steps_stable_keeps_all_traffic_until_the_promotion() -> None:
    """3.8, last row."""
    end = end_of(routed(), IMAGE_2)
    assert (end.phase, end.step, end.pods, end.weights) == ("Healthy", None, {"v2": 4}, [0])
