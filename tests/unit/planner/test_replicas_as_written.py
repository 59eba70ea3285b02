"""The arithmetic of a plain canary beside `argo-behaviour.md` 3.1 and 3.2 written down a second time, line by line and without a
thought for elegance: whoever makes `replicas` shorter or quicker is measured against this."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_planner.replicas import Budget, Count, budget, canary_split, next_counts

Pair = tuple[int, int]
PERCENTS = (0, 1, 3, 10, 25, 33, 34, 50, 66, 67, 75, 90, 99, 100)


def split_as_written(spec: int, weight: int, surge: int) -> Pair | None:
    """Step A. None: no candidate, where the peer would fall back to no canary at all (docs/differences.md)."""
    if spec == 0:
        return 0, 0
    exact = Fraction(spec * weight, 100)
    up, down = math.ceil(exact), math.floor(exact)
    zero_allowed = weight in {0, 100} or (spec == 1 and surge == 0)

    def tied(total: int) -> bool:
        return Fraction(total * weight, 100) % 1 == Fraction(1, 2)

    candidates = []
    if up < spec or zero_allowed:
        candidates.append((up, spec))
    if not tied(spec) and (down != 0 or zero_allowed):
        candidates.append((down, spec))
    if surge > 0:
        candidates.append((up, spec + 1))
        if not tied(spec + 1) and (down != 0 or zero_allowed):
            candidates.append((down, spec + 1))
    if not candidates:
        return None
    distances = [abs(Fraction(canary * 100, total) - weight) for canary, total in candidates]
    canary, total = candidates[distances.index(min(distances))]
    return canary, total - canary


def pass_as_written(allowed: Budget, replicas: int, goal: Pair, canary: Count, stable: Count, older: int) -> Pair:
    """Step B, by its numbers."""
    most, least = replicas + allowed.surge, replicas - allowed.unavailable
    wanted_canary, wanted_stable = goal
    up = most - (older + canary.spec + stable.spec)  # 2
    new_stable, new_canary = stable.spec, canary.spec
    if stable.spec < wanted_stable and up > 0:
        new_stable += min(up, wanted_stable - stable.spec)
        up -= new_stable - stable.spec
    if canary.spec < wanted_canary and up > 0:
        new_canary += min(up, wanted_canary - canary.spec)
    if older > 0:  # 3
        return new_canary, new_stable
    increasing = wanted_canary >= canary.spec  # 4
    drained, kept = (stable, canary) if increasing else (canary, stable)
    safe = drained.spec + min(kept.spec, kept.available)
    if safe <= least:
        return new_canary, new_stable
    down = safe - least  # 5
    if increasing:
        after = max(wanted_stable, stable.spec - down) if stable.spec > wanted_stable else new_stable
        beside = new_canary
    else:
        after, beside = max(wanted_canary, canary.spec - down), new_stable
    fitted = beside - max(0, beside + after - most)  # 6
    have = min(drained.available, after) + min(kept.available, fitted)
    fitted += min(max(0, kept.available - fitted), max(0, least - have))
    after -= max(0, fitted + after - most)
    return (fitted, after) if increasing else (after, fitted)


@pytest.mark.parametrize("replicas", range(11))
def test_surge_rounds_up_and_unavailability_down_for_any_percentage(replicas: int) -> None:
    for surge in PERCENTS:
        for unavailable in PERCENTS:
            above, below = math.ceil(Fraction(replicas * surge, 100)), math.floor(Fraction(replicas * unavailable, 100))
            wanted = Budget(above, min(replicas, below if above or below else 1))
            assert budget(replicas, f"{surge}%", f"{unavailable}%") == wanted, (surge, unavailable)


@pytest.mark.parametrize("replicas", range(21))
def test_every_split_of_up_to_twenty_pods_is_the_one_that_the_rule_names(replicas: int) -> None:
    for surge in (0, 1, 3):
        for weight in range(101):
            written = split_as_written(replicas, weight, surge)
            found = canary_split(replicas=replicas, weight=weight, surge=surge)
            assert found == (written or (replicas - 1, 1)), (surge, weight)


_count = st.integers(0, 12).flatmap(lambda spec: st.builds(Count, st.just(spec), st.integers(0, spec)))


_percents = st.sampled_from(PERCENTS)


@given(st.integers(1, 12), st.integers(0, 100), st.tuples(_percents, _percents), st.tuples(_count, _count), st.integers(0, 3))
def test_every_pass_asks_for_what_the_rule_asks_for(
    replicas: int, weight: int, limits: Pair, sets: tuple[Count, Count], older: int
) -> None:
    (surge, unavailable), (stable, canary) = limits, sets
    allowed = budget(replicas, f"{surge}%", f"{unavailable}%")
    goal = canary_split(replicas=replicas, weight=weight, surge=allowed.surge)
    others = [Count(older, 0)] if older else []
    found = next_counts(replicas=replicas, weight=weight, budget=allowed, stable=stable, canary=canary, older=others)
    assert found == pass_as_written(allowed, replicas, goal, canary, stable, older)
