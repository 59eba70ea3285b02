"""Everything that can go wrong at once keeps every promise; a crash between any two writes changes nothing but the time; and each
promise can be broken: planners with a planted defect are found out.

`python -m tidegate_planner.simulation --kind bad-days --runs 10000` plays more of them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tidegate.durations import epoch
from tidegate_planner.decide import decide
from tidegate_planner.plan import CreateReplicaSet, Plan, ScaleReplicaSet, ShiftTraffic
from tidegate_planner.seen import Seen
from tidegate_planner.simulation.autoscaled import autoscaled_scenario_of
from tidegate_planner.simulation.bad_days import bad_day_scenario_of, steady_scenario_of
from tidegate_planner.simulation.invariants import BrokenError
from tidegate_planner.simulation.rare import rare_scenario_of
from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Edit, Faults, Scenario
from tidegate_planner.simulation.story import outcome_of, shrunk, story_of

Decision = Callable[[Seen, float], Plan]
ROUTING = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "app", "namespace": "default"}}}
ROUTED = {"stableService": "stable", "canaryService": "canary", "trafficRouting": ROUTING}


@pytest.mark.parametrize("first", range(40_000, 40_150, 50))
def test_fifty_random_bad_days_keep_every_promise(first: int) -> None:
    broken = {seed: outcome for seed in range(first, first + 50) if (outcome := outcome_of(bad_day_scenario_of(seed))).broken}
    assert broken == {}


@pytest.mark.parametrize("first", range(70_000, 70_100, 50))
def test_fifty_random_rollouts_with_fields_that_few_have_keep_every_promise(first: int) -> None:
    broken = {seed: outcome for seed in range(first, first + 50) if (outcome := outcome_of(rare_scenario_of(seed))).broken}
    assert broken == {}


@pytest.mark.parametrize("first", range(80_000, 80_100, 50))
def test_fifty_random_bad_days_under_an_autoscaler_keep_every_promise(first: int) -> None:
    broken = {seed: outcome for seed in range(first, first + 50) if (outcome := outcome_of(autoscaled_scenario_of(seed))).broken}
    assert broken == {}


def test_an_owner_who_says_that_fewer_pods_will_do_is_taken_at_the_word() -> None:
    """`replicaProgressThreshold`: the judge had asked for all the pods that the weight takes."""
    assert outcome_of(rare_scenario_of(201)).reason == ""


def test_an_experiment_keeps_its_share_and_its_pods_to_the_end_where_stable_never_serves_again() -> None:
    assert outcome_of(rare_scenario_of(3540)).reason == ""


KEPT = {
    60_013: "two planners, one of which had yet to hear that traffic had moved, contradicted each other in the status for ever",
    60_265: "the same with an update under way",
    300_744: "a planner with an old view of a ReplicaSet took from its pods the labels that the other had just given them",
    30_086: "an experiment's share went back from pods that were gone (the judge took it for the canary's, which had none)",
}


@pytest.mark.parametrize("seed", KEPT)
def test_a_bad_day_that_once_broke_a_promise_keeps_it(seed: int) -> None:
    assert outcome_of(bad_day_scenario_of(seed)).reason == ""


# --- I9: killed between any two writes -------------------------------------------------------------------------------------


def end_of(scenario: Scenario, decision: Decision = decide) -> dict[str, Any]:
    """All that a person would look at: no hashes, which differ in nothing that matters."""
    run = Run(scenario, decide=decision)
    run.play(judged=False)
    cluster, status = run.cluster, run.cluster.rollout.status
    images = {each.seen.hash: each.seen.template["spec"]["containers"][0]["image"] for each in cluster.sets.values()}
    return {
        "phase": status["phase"],
        "stable": images.get(status["stableRS"]),
        "sizes": {images[each.seen.hash]: each.seen.replicas for each in cluster.sets.values() if each.seen.replicas},
        "services": {name: images.get(service.hash, "") for name, service in cluster.services.items()},
        "weights": {images[each]: weight for each, weight in run.shifter.weights().items()},
        "revision": cluster.rollout.annotations,
    }


@pytest.mark.parametrize("seed", range(40))
def test_planners_that_die_between_two_writes_and_messages_that_are_lost_change_nothing_but_the_time(seed: int) -> None:
    scenario = steady_scenario_of(seed)
    assert end_of(scenario) == end_of(replace(scenario, faults=Faults()))


class ActingOnce:
    """Creates a ReplicaSet only right after the look that wrote its hash: whoever dies in between never does."""

    def __init__(self) -> None:
        self._wrote: set[str] = set()

    def __call__(self, seen: Seen, now: float) -> Plan:
        plan = decide(seen, now)
        new = str(plan.status.get("currentPodHash"))
        first = new not in self._wrote
        self._wrote.add(new)
        actions = (each for each in plan.actions if first or not isinstance(each, CreateReplicaSet))
        return replace(plan, actions=tuple(actions))


def test_a_planner_that_acts_only_once_is_found_by_its_other_end() -> None:
    scenarios = [steady_scenario_of(seed) for seed in range(40)]
    assert any(ends_otherwise(each) for each in scenarios)


def ends_otherwise(scenario: Scenario) -> bool:
    """Or does not come to an end in time at all."""
    try:
        return end_of(scenario, ActingOnce()) != end_of(replace(scenario, faults=Faults()), ActingOnce())
    except BrokenError:
        return True


# --- defects that a single look cannot show --------------------------------------------------------------------------------


def trying_again_by_itself(seen: Seen, now: float) -> Plan:
    """AR#2929: ten seconds after an abort it lifts it."""
    aborted_at = seen.status.get("abortedAt")
    if seen.status.get("abort") and aborted_at and now > epoch(aborted_at) + 10:
        return decide(replace(seen, status={**seen.status, "abort": False}), now)
    return decide(seen, now)


def deaf_to_verdicts(seen: Seen, now: float) -> Plan:
    """AR#1411: a failed measurement is taken for a good one."""
    runs = (replace(each, phase="Successful") if each.phase in {"Failed", "Error"} else each for each in seen.analysis_runs)
    return decide(replace(seen, analysis_runs=tuple(runs)), now)


def of_two_minds(seen: Seen, now: float) -> Plan:
    """AR#4973, AR#3078: what it scales it scales the other way with the next look."""
    plan = decide(seen, now)
    if plan.actions or not seen.replica_sets or seen.problem:
        return plan
    each = max(seen.replica_sets, key=lambda held: held.replicas)
    other = each.replicas + (1 if round(now) % 2 else -1)
    swing = ScaleReplicaSet(name=each.name, hash=each.hash, before=each.replicas, after=max(0, other))
    return replace(plan, actions=(swing,), wake_at=now + 1)


def greedy(seen: Seen, now: float) -> Plan:
    """AR#3372: all of the traffic goes to a canary, whatever it can carry."""
    plan = decide(seen, now)
    return replace(plan, actions=tuple(_greedier(each) for each in plan.actions))


def _greedier(action: Any) -> Any:
    split = action.request.split if isinstance(action, ShiftTraffic) else None
    if split is None or split.canary.weight == 0:
        return action
    canary, stable = replace_weight(split.canary, split.max_weight), replace_weight(split.stable, 0)
    return ShiftTraffic(
        request=action.request.model_copy(update={"split": split.model_copy(update={"canary": canary, "stable": stable})})
    )


def rushing_back(seen: Seen, now: float) -> Plan:
    """AR#3372, FL#1600: with an abort all traffic goes to stable at once, however few pods it has by now."""
    plan = decide(seen, now)
    aborted = plan.status.get("abort")
    return replace(plan, actions=tuple(_all_back(each) if aborted else each for each in plan.actions))


def _all_back(action: Any) -> Any:
    split = action.request.split if isinstance(action, ShiftTraffic) else None
    if split is None:
        return action
    sides = {"canary": replace_weight(split.canary, 0), "stable": replace_weight(split.stable, split.max_weight)}
    return ShiftTraffic(request=action.request.model_copy(update={"split": split.model_copy(update=sides)}))


def replace_weight(side: Any, weight: int) -> Any:
    return side.model_copy(update={"weight": weight})


class NamingAnew:
    """AR#3264, AR#1107: a child gets another name with each attempt, so that nothing keeps a second one from being created."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, seen: Seen, now: float) -> Plan:
        return replace(plan := decide(seen, now), actions=tuple(self._named(each) for each in plan.actions))

    def _named(self, action: Any) -> Any:
        if not isinstance(action, CreateReplicaSet):
            return action
        self._count += 1
        metadata = action.manifest["metadata"]
        name = f"{metadata['name']}-{self._count}"
        return replace(action, manifest={**action.manifest, "metadata": {**metadata, "name": name}})


def defect_of_each_run(defect: Any) -> Decision:
    return defect() if isinstance(defect, type) else defect  # type: ignore[no-any-return]


def aborted_scenario_of(seed: int) -> Scenario:
    """A routed canary whose stable version shrank, and a person who aborts it."""
    steps = [{"setWeight": 75}, {"pause": {}}]
    scenario, canary = bad_day_scenario_of(seed), {**ROUTED, "steps": steps, "dynamicStableScale": True}
    spec = {**scenario.manifest["spec"], "replicas": 2 + seed % 7, "strategy": {"canary": canary}}
    edits = (Edit(at=20.0, kind="image", value="v2"), Edit(at=40.0 + seed, kind="abort"))
    return replace(scenario, manifest={"metadata": {"name": "app"}, "spec": spec}, edits=edits)


@pytest.mark.parametrize("seed", range(50))
def test_an_aborted_canary_gives_its_users_back_no_faster_than_stable_has_pods_for_them(seed: int) -> None:
    assert outcome_of(aborted_scenario_of(seed)).reason == ""


def test_a_planner_that_gives_them_back_at_once_is_found() -> None:
    outcomes = (outcome_of(aborted_scenario_of(seed), decide=rushing_back) for seed in range(50))
    assert any(outcome.broken == "I3" for outcome in outcomes)


@pytest.mark.parametrize(
    ("defect", "promise"),
    [
        (trying_again_by_itself, "N5"),
        (deaf_to_verdicts, "I5"),
        (of_two_minds, "flapping"),
        (greedy, "capacity"),
        (NamingAnew, "template"),
    ],
)
def test_a_defect_that_shows_only_over_time_is_found_within_two_hundred_runs(defect: Any, promise: str) -> None:
    outcomes = (outcome_of(bad_day_scenario_of(seed), decide=defect_of_each_run(defect)) for seed in range(1, 201))
    assert any(outcome.broken == promise for outcome in outcomes)


def test_its_story_is_cut_down_to_what_it_takes() -> None:
    found = (seed for seed in range(1, 201) if outcome_of(bad_day_scenario_of(seed), decide=trying_again_by_itself).broken == "N5")
    shortest = shrunk(bad_day_scenario_of(next(found)), "N5", decide=trying_again_by_itself)
    assert len(shortest.edits) <= 2
    assert shortest.faults == Faults()
    assert "aborted, and went on by itself" in story_of(shortest, decide=trying_again_by_itself).splitlines()[-1]
