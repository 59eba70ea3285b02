"""`python -m tidegate_planner.simulation --runs 1000 --seed 7`: many random runs; the first break of each kind as a short story."""

import argparse
import sys
import time
from collections.abc import Callable

from tidegate_planner.simulation.autoscaled import autoscaled_scenario_of
from tidegate_planner.simulation.bad_days import bad_day_scenario_of
from tidegate_planner.simulation.chaos import blue_green_scenario_of, experiment_scenario_of, plugin_scenario_of, scenario_of
from tidegate_planner.simulation.rare import rare_scenario_of
from tidegate_planner.simulation.scenario import Scenario
from tidegate_planner.simulation.story import Outcome, outcome_of, shortest_story
from tidegate_planner.simulation.workload_refs import workload_scenario_of

KINDS: dict[str, Callable[[int], Scenario]] = {
    "canary": scenario_of,
    "blue-green": blue_green_scenario_of,
    "plugins": plugin_scenario_of,
    "experiments": experiment_scenario_of,
    "bad-days": bad_day_scenario_of,
    "rare-fields": rare_scenario_of,
    "autoscaled": autoscaled_scenario_of,
    "workload-ref": workload_scenario_of,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tidegate_planner.simulation", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="how many seeds to play, counted up from --seed")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--tell", action="store_true", help="print the story of --seed, broken or not, and nothing else")
    parser.add_argument("--kind", choices=KINDS, default="canary", help="what is drawn; bad-days has everything at once")
    given = parser.parse_args()
    drawn = KINDS[given.kind]
    if given.tell:
        sys.stdout.write(shortest_story(drawn(given.seed)) + "\n")
        return 0
    started = time.perf_counter()
    broken: dict[int, Outcome] = {}
    for seed in range(given.seed, given.seed + given.runs):
        outcome = outcome_of(drawn(seed))
        if outcome.broken:
            broken[seed] = outcome
    elapsed = time.perf_counter() - started
    sys.stdout.write(_summary(given.runs, elapsed, broken, drawn))
    return 1 if broken else 0


def _summary(runs: int, elapsed: float, broken: dict[int, Outcome], drawn: Callable[[int], Scenario]) -> str:
    lines = [f"{runs} runs in {elapsed:.1f} s ({runs / elapsed * 60:.0f} a minute), {len(broken)} broken"]
    lines += [f"seed {seed}: {outcome.reason}" for seed, outcome in broken.items()]
    firsts = {outcome.broken: seed for seed, outcome in reversed(broken.items())}
    lines += [f"\n--- the shortest story of seed {seed}\n{shortest_story(drawn(seed))}" for seed in firsts.values()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
