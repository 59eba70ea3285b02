"""The main job on its real input: the seed's Rollout, byte for byte, from blue to yellow, asked for by an event."""

from pathlib import Path

import pytest
import yaml

from tidegate.testing import Scene, eventually, healthy_on, paused_at

pytestmark = pytest.mark.e2e

SEED = Path(__file__).parents[2] / "deploy" / "examples" / "seed-rollout.yaml"
NAME = "rollout-canary-demo"
YELLOW = "argoproj/rollouts-demo:yellow"

# setWeight 20, pause {}, and three times setWeight with a pause of 10 s
STORY = [
    "started", "step-completed 0", "paused 1", "resumed", "step-completed 1",
    "step-completed 2", "paused 3", "resumed", "step-completed 3",
    "step-completed 4", "paused 5", "resumed", "step-completed 5",
    "step-completed 6", "paused 7", "resumed", "step-completed 7",
    "promoted", "completed",
]  # fmt: skip


async def test_it_goes_from_blue_to_yellow_and_tells_each_outcome_once_and_in_order(scene: Scene) -> None:
    await scene.apply(yaml.safe_load(SEED.read_text()))
    await scene.until(NAME, healthy_on("argoproj/rollouts-demo:blue"))
    answer = await scene.request(NAME, images={"demo-app": YELLOW}, requested_by="ci@example.org", correlation="build-7")
    assert (answer.accepted, answer.reason) == (True, "")

    await scene.until(NAME, paused_at(1, image=YELLOW))
    stable, canary = await scene.replica_sets(NAME)
    assert [each["status"]["availableReplicas"] for each in (stable, canary)] == [4, 1]

    await scene.command(NAME, "promote")
    await scene.until(NAME, healthy_on(YELLOW))
    await scene.until_told(NAME, "completed", revision=2)
    told = scene.outcomes.of(scene.namespace, NAME, revision=2)
    assert [str(each).removesuffix(" r2") for each in told] == STORY
    assert scene.outcomes.repeats(scene.namespace) == []
    assert {each.envelope.correlation for each in told} == {"build-7"}
    assert {each.outcome.requested_by for each in told} == {"ci@example.org"}

    old, new = await scene.replica_sets(NAME)
    assert [each["spec"]["replicas"] for each in (old, new)] == [0, 5]
    counts = {"RolloutCompleted": 2, "RolloutStepCompleted": 8, "RolloutPaused": 4}
    counts["RolloutResumed"] = 3  # by time; the one that a person ended has none, as in the peer
    events = await eventually(
        lambda: scene.events(NAME),
        lambda told: {reason: reasons(told).count(reason) for reason in counts} == counts,
        what="both deployments in Events",
    )
    assert "RolloutAborted" not in reasons(events)


def reasons(events: list[tuple[str, str]]) -> list[str]:
    return [reason for reason, _ in events]
