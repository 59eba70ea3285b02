"""Whole updates that nobody recorded, each as `argo-behaviour.md` has it line by line: what the status says on the way and in the
end, every condition, which pods are left, where Services point, and what was told. Edits name their second; pods serve after
one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate_planner.decide import decide
from tidegate_planner.narrative import narrate
from tidegate_planner.plan import Plan
from tidegate_planner.seen import Seen
from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Edit, EditKind, PodBehaviour, Scenario, pod_template, version_of
from tidegate_planner.simulation.scheduler import START
from tidegate_planner.told import Told

Json = Mapping[str, Any]
Doing = tuple[float, EditKind, Any]
TWO_SERVICES: Json = {"activeService": "active", "previewService": "preview"}
PLUGIN = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "app"}}}
ROUTED: Json = {"stableService": "stable", "canaryService": "canary", "trafficRouting": PLUGIN}
CHECK: Json = {"templates": [{"templateName": "check"}]}
PAUSE: Json = {"pause": {}}
V2: Doing = (10, "image", "v2")
QUIET = {"RolloutUpdated", "NewReplicaSetCreated", "ScalingReplicaSet", "RolloutNotCompleted", "TrafficWeightUpdated"}

HEALTHY = {
    "Progressing": ("True", "NewReplicaSetAvailable", 'ReplicaSet "app-{new}" has successfully progressed.'),
    "Available": ("True", "AvailableReason", "Rollout has minimum availability"),
    "Completed": ("True", "RolloutCompleted", "RolloutCompleted"),
    "Healthy": ("True", "RolloutHealthy", "Rollout is healthy"),
}
UNDER_WAY = {
    **HEALTHY,
    "Completed": ("False", "RolloutCompleted", "RolloutCompleted"),
    "Healthy": ("False", "RolloutHealthy", "Rollout is not healthy"),
}
PAUSED = {
    **UNDER_WAY,
    "Progressing": ("Unknown", "RolloutPaused", "Rollout is paused"),
    "Paused": ("True", "RolloutPaused", "Rollout is paused"),
}
WAS_PAUSED = {"Paused": ("False", "RolloutPaused", "Rollout is paused")}


def weight(value: int) -> Json:
    return {"setWeight": value}


def aborted_with(message: str) -> dict[str, Any]:
    return {**UNDER_WAY, "Progressing": ("False", "RolloutAborted", message)}


@dataclass
class Tale:
    """Of one rollout. `phases` are (phase, message, step) and `told` the Events, since the last edit but for the everyday ones."""

    run: Run
    since: float
    told: list[str] = field(default_factory=list)
    phases: list[tuple[Any, ...]] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)

    @property
    def status(self) -> Any:
        return self.run.cluster.rollout.status

    @property
    def versions(self) -> dict[str, str]:
        return {each.hash: version_of(each.template) for each in self.run.cluster.rollouts_own_sets}

    @property
    def pods(self) -> dict[str, int]:
        return {self.versions[each.hash]: each.replicas for each in self.run.cluster.rollouts_own_sets if each.replicas}

    @property
    def services(self) -> dict[str, str]:
        return {each.name: self.versions[each.hash] for each in self.run.cluster.services.values()}

    @property
    def conditions(self) -> dict[str, tuple[str, str, str]]:
        return {each["type"]: (each["status"], each["reason"], self._plain(each["message"])) for each in self.status["conditions"]}

    @property
    def counts(self) -> list[int]:
        """Of all pods, new ones, those that serve, and what an autoscaler is told."""
        return [self.status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas", "HPAReplicas")]

    def ends(self, phase: str, message: str = "", *, new: str = "v2", conditions: Mapping[str, Any]) -> None:
        assert (self.status["phase"], self.status.get("message", "")) == (phase, message)
        wanted = {kind: (status, reason, text.replace("{new}", new)) for kind, (status, reason, text) in conditions.items()}
        assert self.conditions == wanted
        assert self.status["observedGeneration"] == str(self.run.cluster.rollout.generation)

    def _plain(self, text: str) -> str:
        for hash_label, version in self.versions.items():
            text = text.replace(hash_label, version)
        return text

    def close(self) -> "Tale":
        self.told = [self._plain(text) for text in self.told]
        return self


def played(strategy: Json, *edits: Doing, kind: str = "canary", until: float | None = None, **given: Any) -> Tale:
    """To the very end, or `until` a second of it."""
    scenario = {name: given.pop(name) for name in ("verdicts", "analysis_seconds") if name in given}
    spec = {
        "replicas": 4,
        "selector": {"matchLabels": {"app": "app"}},
        "template": pod_template("v1"),
        "strategy": {kind: strategy},
        **given,
    }
    before: list[Told | None] = [None]

    def watched(seen: Seen, now: float) -> Plan:
        chapter, plan = narrate(before[0], seen), decide(seen, now)
        before[0] = chapter.told
        recorded = ((plan.status.get("canary") or {}).get("weights") or {}).get("canary")
        if recorded and recorded["weight"] not in tale.weights[-1:]:
            tale.weights.append(recorded["weight"])
        if now >= START + tale.since:
            tale.told += [each.message for each in chapter.records if each.reason not in QUIET]
            stands = (plan.status.get("phase"), plan.status.get("message", ""), plan.status.get("currentStepIndex"))
            tale.phases += [stands] if stands not in tale.phases[-1:] else []
        return plan

    run = Run(
        Scenario(
            seed=1,
            manifest={"metadata": {"name": "app"}, "spec": spec},
            behaviours={"bad": PodBehaviour(ready_after=None)},
            edits=tuple(Edit(at=at, kind=deed, value=value) for at, deed, value in edits),
            **scenario,
        ),
        decide=watched,
    )
    tale = Tale(run, since=edits[-1][0])
    if until is None:
        run.play()
    else:
        run.clock.run(START + until)
    return tale.close()


def switched(config: Json, *edits: Doing, **given: Any) -> Tale:
    return played({**TWO_SERVICES, **config}, *edits, kind="blueGreen", **given)


# --- blue-green ---------------------------------------------------------------------------------------------------------

SMALL: Json = {"previewReplicaCount": 1, "autoPromotionSeconds": 20, "abortScaleDownDelaySeconds": 5}


def test_a_small_preview_that_is_aborted_waits_for_its_delay_on_the_preview_service() -> None:
    """5.2, 5.5, 5.7."""
    tale = switched(SMALL, V2, (15, "abort", None), until=18)
    message = "Rollout aborted update to revision 2"
    tale.ends("Degraded", f"RolloutAborted: {message}", conditions={**aborted_with(message), "Paused": PAUSED["Paused"]})
    assert (tale.pods, tale.services, tale.counts) == ({"v1": 4, "v2": 1}, {"active": "v1", "preview": "v2"}, [5, 1, 4, 4])
    assert tale.status["selector"].endswith(next(each for each, version in tale.versions.items() if version == "v1"))


def test_and_with_a_retry_it_is_paused_again_then_grows_and_gets_the_users() -> None:
    """5.3, 6.2. The pause counts from the retry; the check point lets the preview grow."""
    tale = switched(SMALL, V2, (15, "abort", None), (40, "retry", None))
    tale.ends("Healthy", conditions={**HEALTHY, **WAS_PAUSED})
    assert (tale.pods, tale.services, tale.counts) == ({"v2": 4}, {"active": "v2", "preview": "v2"}, [4, 4, 4, 4])
    assert tale.phases == [
        ("Progressing", "more replicas need to be updated", None),
        ("Paused", "BlueGreenPause", None),
        ("Progressing", "more replicas need to be updated", None),
        ("Progressing", "active service cutover pending", None),
        ("Healthy", "", None),
    ]
    assert tale.told == [
        "Rollout is paused (BlueGreenPause)",
        "Rollout is resumed",
        "Rollout completed update to revision 2 (v2): Completed blue-green update",
    ]
    assert "scaleUpPreviewCheckPoint" not in tale.status["blueGreen"]


def test_a_fast_way_back_asks_nobody_and_measures_nothing() -> None:
    """5.3, 6.6: within the scale-down delay, though the first way was paused and measured."""
    config = {"scaleDownDelaySeconds": 60, "autoPromotionEnabled": False, "prePromotionAnalysis": CHECK}
    tale = switched(config, V2, (30, "promote", None), (50, "image", "v1"))
    tale.ends("Healthy", new="v1", conditions={**HEALTHY, **WAS_PAUSED})
    assert tale.told == ["Rollout completed update to revision 3 (v1): Fast rollback"]
    assert (tale.pods, tale.services) == ({"v1": 4}, {"active": "v1", "preview": "v1"})
    assert [run.kind for run in tale.run.cluster.runs.values()] == ["PrePromotion"]


def test_users_leave_a_version_that_fails_after_they_came_to_it() -> None:
    """5.4, 5.5, 6.2."""
    tale = switched({"postPromotionAnalysis": CHECK}, V2, verdicts={"Failed": 1.0})
    run = next(iter(tale.run.cluster.runs.values()))
    words = f"Rollout aborted update to revision 2: Blue/green post-promotion analysis phase error/failed: {run.message}"
    tale.ends("Degraded", f"RolloutAborted: {words}", conditions=aborted_with(words))
    assert (tale.pods, tale.services, tale.counts) == ({"v1": 4}, {"active": "v1", "preview": "v2"}, [4, 0, 4, 4])
    assert tale.status["blueGreen"]["postPromotionAnalysisRunStatus"]["status"] == "Failed"
    assert ("Progressing", "waiting for analysis to complete", None) in tale.phases


def test_no_more_old_versions_linger_than_the_revision_limit_lets() -> None:
    """5.4, 3.5, with either strategy. While they are there a routed canary is Healthy by its phase, not by its condition (6.5)."""
    few = {"scaleDownDelaySeconds": 100, "scaleDownDelayRevisionLimit": 1}
    edits: tuple[Doing, ...] = (V2, (20, "image", "v3"), (30, "image", "v4"))
    assert switched(few, *edits, until=45).pods == {"v3": 4, "v4": 4}
    routed = played({**ROUTED, **few, "steps": [weight(50)]}, *edits, until=45)
    assert (routed.pods, routed.counts) == ({"v3": 4, "v4": 4}, [8, 4, 8, 8])
    assert (routed.status["phase"], routed.conditions["Healthy"][:2]) == ("Healthy", ("False", "RolloutHealthy"))


# --- canary -------------------------------------------------------------------------------------------------------------


def test_under_dynamic_scale_an_abort_gives_traffic_and_pods_back_by_the_steps_that_took_them() -> None:
    """3.3."""
    steps = [weight(20), weight(40), weight(60), PAUSE]
    edits: tuple[Doing, ...] = (V2, (20, "abort", None))
    tale = played({**ROUTED, "dynamicStableScale": True, "steps": steps}, *edits, replicas=10)
    message = "Rollout aborted update to revision 2"
    tale.ends("Degraded", f"RolloutAborted: {message}", conditions={**aborted_with(message), "Paused": PAUSED["Paused"]})
    assert tale.weights == [0, 20, 40, 60, 40, 20, 0]
    assert (tale.pods, tale.services, tale.status["currentStepIndex"]) == ({"v1": 10}, {"stable": "v1", "canary": "v1"}, 0)


def test_a_scale_lasts_until_it_is_to_match_the_traffic_again() -> None:
    """3.3, 4."""
    scale, match = {"setCanaryScale": {"weight": 50}}, {"setCanaryScale": {"matchTrafficWeight": True}}
    tale = played({**ROUTED, "steps": [scale, weight(10), PAUSE, match, PAUSE]}, V2, (30, "promote", None), replicas=10)
    tale.ends("Paused", "CanaryPauseStep", conditions=PAUSED)
    assert (tale.pods, tale.counts, tale.status["currentStepIndex"]) == ({"v1": 10, "v2": 1}, [11, 1, 11, 11], 4)
    assert tale.told == [
        "Rollout step 3/5 completed (pause)",
        "Rollout step 4/5 completed (setCanaryScale{matchTrafficWeight: true})",
        "Rollout is paused (CanaryPauseStep)",
    ]
    sides = tale.status["canary"]["weights"]
    assert {each["serviceName"]: each["weight"] for each in (sides["canary"], sides["stable"])} == {"canary": 10, "stable": 90}


def test_a_full_promotion_in_a_timed_pause_waits_for_pods_alone() -> None:
    """6.2."""
    tale = played({"steps": [weight(25), {"pause": {"duration": "10m"}}, weight(50)]}, V2, (15, "promote-full", None))
    tale.ends("Healthy", conditions={**HEALTHY, **WAS_PAUSED})
    assert tale.told == ["Rollout is resumed", "Rollout completed update to revision 2 (v2): Full promotion requested"]
    assert (tale.status["currentStepIndex"], "promoteFull" in tale.status, tale.pods) == (3, False, {"v2": 4})
    assert tale.status["duration"]["completionStatus"] == "FastPromoted"


def test_scaled_to_nothing_and_back_it_stands_at_the_same_pause_with_the_same_share() -> None:
    """2.6, 3.2, 3.8: no pods, no weight."""
    edits: tuple[Doing, ...] = (V2, (20, "replicas", 0), (30, "replicas", 6))
    plain = played({"steps": [weight(50), PAUSE]}, *edits)
    plain.ends("Paused", "CanaryPauseStep", conditions=PAUSED)
    assert (plain.pods, plain.status["currentStepIndex"], plain.told) == ({"v1": 3, "v2": 3}, 1, [])
    routed = played({**ROUTED, "steps": [weight(50), PAUSE]}, *edits)
    assert (routed.pods, routed.weights) == ({"v1": 6, "v2": 3}, [0, 50, 0, 50])


def test_a_second_edit_before_the_first_has_a_pod_that_serves_takes_its_place() -> None:
    """6.2, 6.5: `Completed` turned once."""
    tale = played({"steps": [weight(50), PAUSE]}, V2, (10.5, "image", "v3"))
    tale.ends("Paused", "CanaryPauseStep", new="v3", conditions=PAUSED)
    assert (tale.pods, tale.status["currentStepIndex"]) == ({"v1": 2, "v3": 2}, 1)
    assert tale.told == ["Rollout step 1/2 completed (setWeight: 50)", "Rollout is paused (CanaryPauseStep)"]


def test_an_older_version_asked_for_in_the_middle_is_an_update_like_any_other() -> None:
    """6.6: without a window there are steps, and a number of its own (2.5)."""
    steps = [weight(50), PAUSE]
    tale = played({"steps": steps}, V2, (20, "promote", None), (30, "image", "v3"), (40, "image", "v1"))
    tale.ends("Paused", "CanaryPauseStep", new="v1", conditions=PAUSED)
    assert (tale.pods, tale.status["currentStepIndex"]) == ({"v1": 2, "v2": 2}, 1)
    revisions = {version_of(each.template): each.revision for each in tale.run.cluster.rollouts_own_sets}
    assert revisions == {"v1": 4, "v2": 2, "v3": 3}


def test_an_experiment_that_fails_as_the_first_step_leaves_nothing_behind() -> None:
    """4, 6.2, 10."""
    sides = [{"name": "base", "specRef": "stable"}, {"name": "cand", "specRef": "canary"}]
    step = {"experiment": {"duration": "9s", "templates": sides, "analyses": [{"name": "a", "templateName": "check"}]}}
    tale = played({"steps": [step, weight(50)]}, V2, verdicts={"Failed": 1.0}, analysis_seconds=2.0)
    run = next(iter(tale.run.cluster.runs.values()))
    words = f"Rollout aborted update to revision 2: Experiment analysis phase is error/failed: {run.message}"
    tale.ends("Degraded", f"RolloutAborted: {words}", conditions=aborted_with(words))
    assert (tale.pods, tale.status["currentStepIndex"], tale.counts) == ({"v1": 4}, 0, [4, 0, 4, 4])
    assert "currentExperiment" not in tale.status["canary"]


def test_an_inconclusive_step_holds_and_a_person_takes_it_further() -> None:
    """6.1, 7.7."""
    steps = [weight(25), {"analysis": CHECK}, weight(50), PAUSE]
    held = played({"steps": steps}, V2, verdicts={"Inconclusive": 1.0})
    held.ends("Paused", "InconclusiveAnalysisRun", conditions=PAUSED)
    assert (held.status["currentStepIndex"], held.pods, len(held.run.cluster.runs)) == (1, {"v1": 3, "v2": 1}, 1)
    on = played({"steps": steps}, V2, (60, "promote", None), verdicts={"Inconclusive": 1.0})
    on.ends("Paused", "CanaryPauseStep", conditions=PAUSED)
    assert (on.status["currentStepIndex"], on.pods, len(on.run.cluster.runs)) == (3, {"v1": 2, "v2": 2}, 1)


def test_a_restart_in_the_middle_replaces_pods_and_moves_no_step() -> None:
    """11.3, 6.4."""
    tale = played({"steps": [weight(50), PAUSE]}, V2, (30, "restart", None))
    tale.ends("Paused", "CanaryPauseStep", conditions=PAUSED)
    assert tale.status["restartedAt"] == tale.run.cluster.rollout.manifest["spec"]["restartAt"]
    assert (tale.pods, tale.status["currentStepIndex"], tale.told) == ({"v1": 2, "v2": 2}, 1, [])


def test_a_deadline_that_aborts_a_routed_canary_keeps_its_pods_for_their_delay_and_no_user_meets_them() -> None:
    """3.5, 6.3."""
    limits = {"progressDeadlineSeconds": 20, "progressDeadlineAbort": True}
    tale = played({**ROUTED, "steps": [weight(50), PAUSE]}, (10, "image", "bad"), until=45, **limits)
    message = "Rollout aborted update to revision 2"
    tale.ends("Degraded", f"RolloutAborted: {message}", conditions=aborted_with(message))
    assert (tale.pods, tale.weights, tale.services) == ({"v1": 4, "bad": 2}, [0], {"stable": "v1", "canary": "v1"})
    assert tale.told == ['ReplicaSet "app-bad" has timed out progressing.', message]
    assert tale.status["abortedAt"] == tale.status["duration"]["finishedAt"]


def test_a_background_run_that_fails_while_paused_by_hand_takes_the_users_back_at_once_and_the_pods_later() -> None:
    """3.5, 6.2, 6.4, 7.7: `spec.paused` holds pods and steps."""
    strategy = {**ROUTED, "analysis": CHECK, "abortScaleDownDelaySeconds": 5, "steps": [weight(50), PAUSE]}
    edits: tuple[Doing, ...] = (V2, (12, "pause", None))
    held = played(strategy, *edits, verdicts={"Failed": 1.0}, until=50)
    run = next(iter(held.run.cluster.runs.values()))
    words = f"Rollout aborted update to revision 2: Background analysis phase error/failed: {run.message}"
    held.ends("Degraded", f"RolloutAborted: {words}", conditions={**aborted_with(words), "Paused": PAUSED["Paused"]})
    assert (held.weights, held.pods, held.services) == ([0, 50, 0], {"v1": 4, "v2": 2}, {"stable": "v1", "canary": "v1"})
    released = played(strategy, *edits, (60, "unpause", None), verdicts={"Failed": 1.0})
    assert (released.status["phase"], released.pods) == ("Degraded", {"v1": 4})


def test_an_entry_with_a_scale_and_a_weight_is_one_step_with_both() -> None:
    """3.3, 3.8, 4."""
    both = {"setCanaryScale": {"replicas": 3}, "setWeight": 50}
    tale = played({**ROUTED, "steps": [both, PAUSE]}, V2, replicas=10)
    tale.ends("Paused", "CanaryPauseStep", conditions=PAUSED)
    assert (tale.pods, tale.weights, tale.counts) == ({"v1": 10, "v2": 3}, [0, 50], [13, 3, 13, 13])
    assert tale.told == ["Rollout step 1/2 completed (setCanaryScale{replicas: 3})", "Rollout is paused (CanaryPauseStep)"]
