"""Under `dynamicStableScale` stable was scaled down, so traffic can only go back as its pods return: step by step, on an abort
and on the way back to the stable template (`argo-behaviour.md` 3.3, 3.8). Played whole, on a modelled cluster of quick pods."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tidegate.hashing import pod_template_hash
from tidegate_planner.simulation.run import Run
from tidegate_planner.simulation.scenario import Edit, EditKind, PodBehaviour, Scenario, pod_template
from tidegate_planner.simulation.scheduler import START

STEPS = [{"setWeight": 20}, {"setWeight": 40}, {"setWeight": 60}, {"setWeight": 80}, {"pause": {}}]
GATEWAY = {"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "app"}}}
V1, V2 = (pod_template_hash(pod_template(version)) for version in ("v1", "v2"))


@dataclass
class Watched:
    """The canary's shares after the edit, in order, each with the stable pods that were available for the rest."""

    shares: list[int] = field(default_factory=list)
    short: list[tuple[int, int]] = field(default_factory=list)

    def look(self, run: Run) -> None:
        if run.clock.now < START + 60:
            return
        share = run.shifter.weights().get(V2, 0)
        serving = next(owned.seen.available for owned in run.cluster.sets.values() if owned.seen.hash == V1)
        if not self.shares or self.shares[-1] != share:
            self.shares.append(share)
        if (100 - share) * 10 // 100 > serving:
            self.short.append((share, serving))


def walked(edit: EditKind, value: Any = None, *, stable: PodBehaviour | None = None, **canary: Any) -> tuple[Watched, Run]:
    """Ten pods, at the pause behind weight 80; then the edit."""
    strategy = {
        "steps": STEPS, "stableService": "stable", "canaryService": "canary", "trafficRouting": GATEWAY, "dynamicStableScale": True,
        **canary,
    }  # fmt: skip
    spec = {
        "replicas": 10,
        "selector": {"matchLabels": {"app": "app"}},
        "template": pod_template("v1"),
        "strategy": {"canary": strategy},
    }
    watched = Watched()
    scenario = Scenario(
        seed=1,
        manifest={"metadata": {"name": "app"}, "spec": spec},
        behaviours={"v1": stable or PodBehaviour(ready_after=1.0)},
        edits=(Edit(at=10, kind="image", value="v2"), Edit(at=60, kind=edit, value=value)),
    )
    run = Run(scenario, watches_status=watched.look)
    run.play()
    return watched, run


def sizes(run: Run) -> dict[str, int]:
    return {owned.seen.hash: owned.seen.replicas for owned in run.cluster.sets.values()}


DELAYS: list[tuple[dict[str, Any], int]] = [
    ({}, 0),
    ({"abortScaleDownDelaySeconds": 5}, 0),
    ({"abortScaleDownDelaySeconds": 0}, 8),
    ({"minPodsPerReplicaSet": 5}, 0),
]


@pytest.mark.parametrize(("canary", "left"), DELAYS)
def test_an_abort_gives_the_traffic_back_step_by_step_and_ends_whatever_the_delay(canary: dict[str, Any], left: int) -> None:
    watched, run = walked("abort", **canary)
    assert watched.shares == [80, 60, 40, 20, 0]
    assert watched.short == []
    assert sizes(run) == {V1: 10, V2: left}
    assert run.cluster.rollout.status["message"].startswith("RolloutAborted")
    assert run.cluster.services["canary"].hash == V1


def test_back_to_the_stable_template_it_goes_the_same_way_between_the_same_pods() -> None:
    watched, run = walked("image", "v1", stable=PodBehaviour(ready_after=1.0, spread=1.0))
    assert watched.shares == [80, 60, 40, 20, 0]
    assert watched.short == []
    assert sizes(run) == {V1: 10, V2: 0}
    assert run.cluster.rollout.status["phase"] == "Healthy"
