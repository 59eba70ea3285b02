"""The rollouts of the fault tests are the seed's."""

from pathlib import Path

import yaml

from tidegate.testing.fleet import MIXED, PLAIN, REPLICAS, STEPS

SEED = yaml.safe_load((Path(__file__).parents[2] / "deploy" / "examples" / "seed-rollout.yaml").read_text())


def test_the_steps_of_the_fleet_are_those_of_the_seed_with_each_timed_pause_cut_to_a_second() -> None:
    timed, cut = {"pause": {"duration": "10s"}}, {"pause": {"duration": "1s"}}
    steps = [cut if step == timed else step for step in SEED["spec"]["strategy"]["canary"]["steps"]]
    assert (list(STEPS), REPLICAS) == (steps, SEED["spec"]["replicas"])
    assert PLAIN in MIXED
