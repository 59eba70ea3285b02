"""A Rollout that takes its pods from a live Deployment (`workloadRef`) takes over its users: random bad days, the stories that a
takeover is about, and planners whose defect is found out.

`python -m tidegate_planner.simulation --kind workload-ref --runs 1000` plays more of them; a seed that breaks is added to KEPT."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tidegate_planner.decide import decide
from tidegate_planner.plan import Plan, ScaleReplicaSet, ScaleWorkload
from tidegate_planner.seen import Seen
from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Edit, PodBehaviour, Scenario
from tidegate_planner.simulation.story import outcome_of, shrunk, story_of
from tidegate_planner.simulation.workload_refs import workload_scenario_of

KEPT = {
    222: "a planner that had not heard of the Deployment's new template gave the old version its pods back, again and again",
    201: "the Deployment gave way to pods that the same look took from the Rollout",
    199: "it gave way to pods that were going already, for the phase was Healthy",
    597: "a takeover was over before the routers had confirmed it (the judge had asked for the phase)",
}


@pytest.mark.parametrize("seed", KEPT)
def test_a_seed_that_once_broke_a_promise_keeps_it(seed: int) -> None:
    assert outcome_of(workload_scenario_of(seed)).reason == ""


@pytest.mark.parametrize("first", range(90_000, 90_150, 50))
def test_fifty_random_takeovers_keep_every_promise(first: int) -> None:
    outcomes = {seed: outcome_of(workload_scenario_of(seed)) for seed in range(first, first + 50)}
    assert {seed: outcome for seed, outcome in outcomes.items() if outcome.broken} == {}


# --- stories -------------------------------------------------------------------------------------------------------------


@dataclass
class Watched:
    """How many pods served, whosever they were, and how many the Deployment was asked for, at each change of the status."""

    fewest: int = 99
    sizes: list[int] = field(default_factory=list)

    def look(self, run: Run) -> None:
        deployment = run.cluster.deployment
        size = deployment["spec"]["replicas"] if deployment else 0
        if not self.sizes or self.sizes[-1] != size:
            self.sizes.append(size)
        self.fewest = min(self.fewest, sum(each.seen.available for each in run.cluster.sets.values()))


def played(mode: str, *edits: Edit, strategy: dict[str, Any], deployment: int = 4, **pods: PodBehaviour) -> tuple[Watched, Run]:
    """A Rollout of four pods, and the Deployment whose pods serve before it comes."""
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "scaleDown": mode}
    watched = Watched()
    scenario = Scenario(
        seed=1,
        manifest={"metadata": {"name": "app"}, "spec": {"replicas": 4, "workloadRef": reference, "strategy": strategy}},
        workload=deployment,
        behaviours={"v1": PodBehaviour(ready_after=2.0, spread=2.0), **pods},
        edits=edits,
    )
    run = Run(scenario, watches_status=watched.look)
    run.play()
    return watched, run


CANARY = {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}
PREVIEW = {"blueGreen": {"activeService": "active", "previewService": "preview", "autoPromotionEnabled": False}}


@pytest.mark.parametrize(("mode", "sizes"), [("progressively", [4, 3, 2, 1, 0]), ("onsuccess", [4, 0]), ("never", [4]), ("", [4])])
def test_a_deployment_ends_with_what_scale_down_says_and_users_never_have_fewer_pods(mode: str, sizes: list[int]) -> None:
    watched, run = played(mode, strategy=CANARY)
    assert watched.sizes == sizes
    assert watched.fewest == 4
    assert run.cluster.rollout.status["phase"] == "Healthy"


def test_a_changed_template_of_the_deployment_is_the_update() -> None:
    _, run = played("never", Edit(at=30, kind="image", value="v2"), Edit(at=60, kind="promote"), strategy=CANARY)
    sizes = {each.seen.template["spec"]["containers"][0]["image"]: each.seen.replicas for each in run.cluster.sets.values()}
    assert run.cluster.rollout.status["phase"] == "Healthy"
    assert sizes == {"app:v1": 0, "app:v2": 4}


def test_an_abort_gives_the_deployment_its_pods_back_before_those_of_the_aborted_version_go() -> None:
    """The first version never came up and the second, which did, is not wanted either: nobody else is there for the users."""
    never, fix, abort = PodBehaviour(ready_after=None), Edit(at=30, kind="image", value="v2"), Edit(at=60, kind="abort")
    watched, run = played("progressively", fix, abort, strategy=PREVIEW, v1=never)
    assert watched.sizes == [4, 0, 4]
    assert watched.fewest == 4
    assert run.cluster.rollout.status["phase"] == "Degraded"


# --- planners with a defect: each is found, and told in a short story ------------------------------------------------------


def hasty(seen: Seen, now: float) -> Plan:
    """Takes all pods of the Deployment with the first that serves."""
    plan = decide(seen, now)
    return replace(plan, actions=tuple(replace(each, after=0) if shrinks(each) else each for each in plan.actions))


def keeping_both(seen: Seen, now: float) -> Plan:
    """The peer's, whose Deployment is left as it is by any revision but the first."""
    plan = decide(seen, now)
    return replace(plan, actions=tuple(each for each in plan.actions if not isinstance(each, ScaleWorkload)))


def giving_nothing_back(seen: Seen, now: float) -> Plan:
    """Lets the Deployment shrink only."""
    plan = decide(seen, now)
    return replace(plan, actions=tuple(each for each in plan.actions if shrinks(each) or not isinstance(each, ScaleWorkload)))


def taking_what_it_may_not(seen: Seen, now: float) -> Plan:
    """Never read `scaleDown`."""
    plan, workload = decide(seen, now), seen.workload
    if workload is None or not workload.replicas or plan.status.get("phase") != "Healthy":
        return plan
    return replace(plan, actions=(*plan.actions, ScaleWorkload(name=workload.name, before=workload.replicas, after=0)))


def silent_about_the_workload(seen: Seen, now: float) -> Plan:
    """Acts on a changed Deployment and does not say so."""
    plan = decide(seen, now)
    observed = seen.status.get("workloadObservedGeneration", "1")
    return replace(plan, status={**plan.status, "workloadObservedGeneration": observed} if seen.workload else plan.status)


def taking_pods_of_its_own(seen: Seen, now: float) -> Plan:
    """Once the Deployment has given way it does with one pod less, as `maxUnavailable` would let it."""
    plan, workload = decide(seen, now), seen.workload
    whole = next((each for each in seen.replica_sets if each.replicas == each.available), None)
    if workload is None or workload.replicas or whole is None or whole.replicas < 4:
        return plan
    less = ScaleReplicaSet(name=whole.name, hash=whole.hash, before=whole.replicas, after=whole.replicas - 1)
    return replace(plan, actions=(*plan.actions, less))


def shrinks(action: Any) -> bool:
    return isinstance(action, ScaleWorkload) and action.after < action.before


@pytest.mark.parametrize(
    ("defect", "promise"),
    [
        (hasty, "takeover"),
        (keeping_both, "takeover"),
        (giving_nothing_back, "takeover"),
        (taking_what_it_may_not, "takeover"),
        (silent_about_the_workload, "workload"),
        (taking_pods_of_its_own, "users"),
    ],
)
def test_a_defect_of_a_takeover_is_found_within_a_hundred_runs(defect: Callable[[Seen, float], Plan], promise: str) -> None:
    outcomes = (outcome_of(workload_scenario_of(seed), decide=defect) for seed in range(1, 101))
    assert any(outcome.broken == promise for outcome in outcomes)


def test_its_story_is_cut_down_to_what_it_takes() -> None:
    seed = next(seed for seed in range(1, 101) if outcome_of(workload_scenario_of(seed), decide=hasty).broken == "takeover")
    shortest = shrunk(workload_scenario_of(seed), "takeover", decide=hasty)
    assert len(shortest.edits) <= 1
    assert "the Deployment goes from" in story_of(shortest, decide=hasty).splitlines()[-1]
