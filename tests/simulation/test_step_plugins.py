"""Plugins under random bad luck: answers that are lost, doubled, late or never come, planners that die or act two at a time."""

from collections import defaultdict

import pytest

from tidegate_planner.simulation.chaos import plugin_scenario_of
from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Edit, Faults, Scenario, pod_template
from tidegate_planner.simulation.story import outcome_of

LOSSY = Faults(lost=0.4, doubled=0.5, late=0.3)


@pytest.mark.parametrize("first", range(30_000, 30_100, 50))
def test_fifty_random_rollouts_with_plugins_keep_every_promise(first: int) -> None:
    broken = {seed: outcome for seed in range(first, first + 50) if (outcome := outcome_of(plugin_scenario_of(seed))).broken}
    assert broken == {}


def test_two_planners_of_which_one_has_heard_less_from_the_routers_do_not_write_the_status_to_and_fro() -> None:
    assert outcome_of(plugin_scenario_of(903_871)).reason == ""


def test_a_planner_with_an_older_view_of_the_rollout_does_not_switch_the_stable_service_back() -> None:
    """Its newer view of the ReplicaSets gave its request the higher fence, and the last old pod had just been let go."""
    assert outcome_of(plugin_scenario_of(960_312)).reason == ""


def plugin(name: str) -> dict:
    return {"plugin": {"name": name}}


def rollout(*steps: dict) -> dict:
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "app"}}, "template": pod_template("v1")}
    return {"metadata": {"name": "app"}, "spec": {**spec, "strategy": {"canary": {"steps": list(steps)}}}}


def played(seed: int, *steps: dict, faults: Faults = LOSSY, phases: dict[str, float], abort_at: float | None = None) -> Run:
    edits = [Edit(at=20, kind="image", value="v2")]
    edits += [] if abort_at is None else [Edit(at=abort_at, kind="abort")]
    run = Run(Scenario(seed=seed, manifest=rollout(*steps), edits=tuple(edits), faults=faults, plugin_phases=phases))
    run.play()
    return run


@pytest.mark.parametrize("seed", range(12))
def test_every_call_ends_as_the_plugin_said_though_messages_are_lost_doubled_and_late(seed: int) -> None:
    phases = {"Running": 1.0, "Successful": 2.0, "Error": 1.0}
    run = played(seed, plugin("acme/one"), {"setWeight": 50}, plugin("acme/two"), phases=phases)
    status = run.cluster.rollout.status
    assert (status["phase"], status["stableRS"]) == ("Healthy", status["currentPodHash"])
    executions: dict[str, list[int]] = defaultdict(list)
    for request in run.plugins.asked:
        executions[request.plugin].append(request.execution)
    for name, numbers in executions.items():
        assert set(numbers) == set(range(1, max(numbers) + 1)), f"{name} was asked out of turn: {numbers}"
        assert max(numbers) == next(each["executions"] for each in status["canary"]["stepPluginStatuses"] if each["name"] == name)


@pytest.mark.parametrize("seed", range(12))
def test_two_planners_undo_the_steps_in_reverse_order_whatever_is_lost(seed: int) -> None:
    faults = Faults(planners=2, lost=0.3, doubled=0.5, late=0.3, stale=0.2)
    steps = (plugin("acme/one"), plugin("acme/two"), plugin("acme/three"), {"pause": {}})
    run = played(seed, *steps, faults=faults, phases={"Successful": 1.0}, abort_at=200.0)
    undone = [each for each in run.cluster.rollout.status["canary"]["stepPluginStatuses"] if each["operation"] == "Abort"]
    assert [(each["index"], each["phase"]) for each in undone] == [(2, "Successful"), (1, "Successful"), (0, "Successful")]
    first_asked = list(dict.fromkeys(each.index for each in run.plugins.asked if each.operation == "Abort"))
    assert first_asked == [2, 1, 0]


def test_a_plugin_that_never_answers_does_not_keep_the_rollout_from_its_end() -> None:
    run = played(1, plugin("acme/dead"), faults=Faults(), phases={"": 1.0})
    status = run.cluster.rollout.status
    assert (status["phase"], status["canary"]["stepPluginStatuses"][0]["phase"]) == ("Degraded", "Error")
