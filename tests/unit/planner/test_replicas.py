"""The arithmetic of a canary's pods: how many each ReplicaSet gets, and that no step breaks the budget."""

from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tidegate_planner.replicas import (
    Budget,
    Count,
    budget,
    canary_split,
    next_counts,
    next_older_counts,
    share,
)


@pytest.mark.parametrize(
    ("value", "of", "up", "down"),
    [
        pytest.param(3, 10, 3, 3, id="a bare integer is absolute"),
        pytest.param("25%", 10, 3, 2, id="a percentage is a part, rounded as asked"),
        pytest.param("25", 10, 3, 2, id="text without a sign is a percentage too"),
        pytest.param("3", 10, 1, 0, id="even when it looks like a number of pods"),
        pytest.param("100%", 7, 7, 7, id="a hundred per cent is all"),
        pytest.param("0%", 7, 0, 0, id="none is none"),
        pytest.param("150%", 4, 6, 6, id="more than all is taken as written"),
        pytest.param(-3, 10, 0, 0, id="a negative number counts as none"),
        pytest.param("-30%", 10, 0, 0, id="a negative percentage counts as none"),
    ],
)
def test_a_share_is_a_number_or_a_percentage(value, of, up, down):
    assert share(value, of=of, rounded_up=True) == up
    assert share(value, of=of, rounded_up=False) == down


@pytest.mark.parametrize("value", ["", "%", "many", "1.5%", "٣", None, True, 2.5])
def test_anything_else_is_refused_with_the_right_forms(value):
    with pytest.raises(ValueError, match="is neither a number of pods"):
        share(value, of=10, rounded_up=True)


@pytest.mark.parametrize(
    ("replicas", "max_surge", "max_unavailable", "expected"),
    [
        pytest.param(10, None, None, Budget(3, 2), id="a quarter each unless said otherwise"),
        pytest.param(1, None, None, Budget(1, 0), id="one pod is replaced by surging"),
        pytest.param(5, "25%", 0, Budget(2, 0), id="surge rounds up"),
        pytest.param(5, 0, "25%", Budget(0, 1), id="unavailable rounds down"),
        pytest.param(3, 0, "25%", Budget(0, 1), id="both rounded to nothing would block, so one may be missing"),
        pytest.param(2, 0, 9, Budget(0, 2), id="no more can be missing than there are"),
        pytest.param(0, 0, 1, Budget(0, 0), id="nothing can be missing of nothing"),
        pytest.param(0, None, None, Budget(0, 0), id="nothing is a quarter of nothing"),
    ],
)
def test_the_budget_is_surge_above_and_unavailable_below(replicas, max_surge, max_unavailable, expected):
    assert budget(replicas, max_surge, max_unavailable) == expected


SPLITS = {  # (replicas, surge): {weight: (canary, stable)}
    (0, 0): {0: (0, 0), 50: (0, 0), 100: (0, 0)},
    (0, 1): {0: (0, 0), 50: (0, 0), 100: (0, 0)},
    (1, 0): {0: (0, 1), 1: (0, 1), 49: (0, 1), 50: (1, 0), 99: (1, 0), 100: (1, 0)},
    (1, 1): {0: (0, 1), 1: (1, 1), 49: (1, 1), 50: (1, 1), 99: (1, 1), 100: (1, 0)},
    (2, 0): {0: (0, 2), 1: (1, 1), 50: (1, 1), 75: (1, 1), 99: (1, 1), 100: (2, 0)},
    (2, 1): {0: (0, 2), 1: (1, 2), 50: (1, 1), 75: (2, 1), 99: (2, 1), 100: (2, 0)},
    (3, 0): {10: (1, 2), 25: (1, 2), 33: (1, 2), 34: (1, 2), 49: (1, 2), 50: (2, 1)},
    (3, 1): {10: (1, 3), 25: (1, 3), 33: (1, 2), 34: (1, 2), 49: (2, 2), 50: (2, 2)},
    (5, 2): {0: (0, 5), 20: (1, 4), 40: (2, 3), 60: (3, 2), 80: (4, 1), 100: (5, 0)},
    (10, 0): {0: (0, 10), 1: (1, 9), 5: (1, 9), 14: (1, 9), 15: (2, 8), 16: (2, 8), 95: (9, 1), 99: (9, 1), 100: (10, 0)},
    (10, 1): {0: (0, 10), 1: (1, 10), 18: (2, 9), 19: (2, 9), 20: (2, 8), 23: (2, 8), 24: (3, 8), 99: (10, 1), 100: (10, 0)},
}


@pytest.mark.parametrize(
    ("replicas", "surge", "weight", "expected"),
    [(*key, weight, expected) for key, row in SPLITS.items() for weight, expected in row.items()],
)
def test_pods_are_split_to_come_nearest_to_the_weight(replicas, surge, weight, expected):
    assert canary_split(replicas=replicas, weight=weight, surge=surge) == expected


def test_a_weight_is_a_part_of_the_largest_weight():
    assert canary_split(replicas=10, weight=500, surge=0, max_weight=1000) == (5, 5)


PASSES = [  # replicas, weight, surge, unavailable, stable, canary, older -> canary, stable
    (10, 100, 3, 0, Count(7, 8), Count(6, 3), 0, (6, 7)),
    (10, 20, 2, 0, Count(10, 10), Count(0, 0), 0, (2, 10)),
    (10, 20, 0, 2, Count(10, 10), Count(0, 0), 0, (0, 8)),
    (10, 50, 2, 1, Count(10, 10), Count(0, 0), 0, (2, 9)),
    (1, 49, 0, 1, Count(1, 1), Count(0, 0), 0, (0, 1)),
    (1, 51, 0, 1, Count(1, 1), Count(0, 0), 0, (0, 0)),
    (1, 51, 0, 1, Count(0, 0), Count(0, 0), 0, (1, 0)),
    (10, 30, 1, 0, Count(1, 1), Count(0, 0), 3, (1, 7)),
    (10, 30, 0, 3, Count(8, 5), Count(4, 4), 0, (3, 7)),
    (10, 100, 1, 0, Count(10, 2), Count(10, 8), 0, (9, 2)),
    (10, 30, 0, 1, Count(8, 6), Count(4, 2), 3, (4, 8)),
    (4, 100, 1, 0, Count(4, 1), Count(0, 0), 0, (1, 4)),
    (3, 99, 0, 2, Count(3, 3), Count(0, 0), 0, (0, 1)),
    (4, 0, 1, 0, Count(1, 1), Count(4, 4), 0, (3, 1)),
]


@pytest.mark.parametrize(("replicas", "weight", "surge", "unavailable", "stable", "canary", "older", "expected"), PASSES)
def test_one_pass_of_a_basic_canary(*, replicas, weight, surge, unavailable, stable, canary, older, expected):
    counts = next_counts(
        replicas=replicas,
        weight=weight,
        budget=Budget(surge, unavailable),
        stable=stable,
        canary=canary,
        older=[Count(older, older)],
    )
    assert counts == expected


def test_without_a_stable_replicaset_everything_goes_to_the_new_one_whatever_the_weight():
    one = {"replicas": 4, "weight": 20, "budget": Budget(1, 0), "canary": Count(0, 0), "older": []}
    assert next_counts(**one, stable=None) == (4, 0)
    assert next_counts(**one, stable=Count(0, 0), same=True) == (4, 0)


def test_scaling_down_a_rollout_whose_stable_is_its_canary_keeps_what_must_be_available():
    counts = next_counts(replicas=2, weight=100, budget=Budget(1, 0), stable=Count(5, 5), canary=Count(5, 5), older=[], same=True)
    assert counts == (2, 0)


def test_a_canary_that_does_not_exist_yet_is_not_grown():
    counts = next_counts(replicas=4, weight=50, budget=Budget(1, 0), stable=Count(4, 4), canary=None, older=[])
    assert counts == (0, 4)


@pytest.mark.parametrize(
    ("replicas", "unavailable", "stable", "canary", "older", "expected"),
    [
        pytest.param(10, 0, Count(5, 5), Count(5, 3), [Count(4, 1)], [1], id="unavailable pods go, but none of nine serving"),
        pytest.param(10, 0, Count(5, 5), Count(2, 2), [Count(3, 3)], [3], id="none can be spared"),
        pytest.param(10, 0, Count(5, 5), Count(2, 2), [Count(5, 4)], [3], id="one of eleven can be spared"),
        pytest.param(10, 0, Count(8, 8), Count(1, 1), [Count(2, 2), Count(3, 3)], [0, 1], id="the newest goes first"),
        pytest.param(10, 0, None, Count(10, 10), [Count(2, 2), Count(3, 3)], [0, 0], id="all go at once if enough remain"),
        pytest.param(3, 0, Count(3, 0), Count(0, 0), [Count(1, 3)], [1], id="pods already told to go do not count"),
        pytest.param(3, 0, None, None, [], [], id="nothing old, nothing to do"),
    ],
)
def test_intermediate_replicasets_shrink_as_far_as_availability_allows(replicas, unavailable, stable, canary, older, expected):
    counts = next_older_counts(replicas=replicas, budget=Budget(1, unavailable), stable=stable, canary=canary, older=older)
    assert counts == expected


_count = st.integers(0, 12).flatmap(lambda spec: st.builds(Count, st.just(spec), st.integers(0, spec)))
_budget = st.builds(Budget, st.integers(0, 6), st.integers(0, 12)).filter(lambda b: b.surge + b.unavailable > 0)


@st.composite
def _canaries(draw, *, with_older=True):
    replicas = draw(st.integers(0, 12))
    drawn = draw(_budget)
    allowed = replace(drawn, unavailable=min(drawn.unavailable, replicas))
    assume(replicas == 0 or allowed.surge + allowed.unavailable > 0)
    return {
        "replicas": replicas,
        "weight": draw(st.integers(0, 100)),
        "budget": allowed,
        "stable": draw(_count),
        "canary": draw(_count),
        "older": draw(st.lists(_count, max_size=2)) if with_older else [],
    }


@pytest.mark.parametrize("surge", [0, 1, 3])
@pytest.mark.parametrize("replicas", [*range(13), 60])
def test_every_split_is_whole_and_leaves_no_side_empty_between_0_and_100(replicas, surge):
    for weight in range(101):
        canary, stable = canary_split(replicas=replicas, weight=weight, surge=surge)
        assert min(canary, stable) >= 0
        assert replicas <= canary + stable <= replicas + (1 if surge and replicas else 0)
        if 0 < weight < 100 and replicas >= 2:
            assert canary > 0
            assert stable > 0


@pytest.mark.parametrize("replicas", range(1, 13))
def test_more_weight_never_means_fewer_canary_pods_and_the_ends_are_exact(replicas):
    splits = [canary_split(replicas=replicas, weight=weight, surge=0) for weight in range(101)]
    assert [canary for canary, _ in splits] == sorted(canary for canary, _ in splits)
    assert (splits[0], splits[100]) == ((0, replicas), (replicas, 0))


@given(_canaries())
def test_a_pass_never_asks_for_more_pods_than_surge_allows(state):
    older = sum(count.spec for count in state["older"])
    before = state["canary"].spec + state["stable"].spec + older
    canary, stable = next_counts(**state)
    assert min(canary, stable) >= 0
    assert canary + stable + older <= max(state["replicas"] + state["budget"].surge, before)


@given(_canaries())
def test_a_pass_never_takes_away_pods_that_must_stay_available(state):
    counts = [state["canary"], state["stable"], *state["older"]]
    least = state["replicas"] - state["budget"].unavailable
    before = sum(count.serving for count in counts)
    canary, stable = next_counts(**state)
    older = next_older_counts(**{key: state[key] for key in ("replicas", "budget", "stable", "canary", "older")})
    kept = [canary, stable, *older]
    after = sum(min(count.available, asked) for count, asked in zip(counts, kept, strict=True))  # the unready go first
    assert after >= min(least, before)


@given(_canaries(), st.booleans())
@example(
    state={"replicas": 1, "weight": 51, "budget": Budget(0, 1), "stable": Count(1, 1), "canary": Count(0, 0), "older": []},
    one_at_a_time=True,
)
def test_as_pods_become_ready_every_start_ends_at_the_split_and_stays_there(state, one_at_a_time):
    goal = canary_split(replicas=state["replicas"], weight=state["weight"], surge=state["budget"].surge)
    for _ in range(60):  # at worst one pod moves per pass
        older = next_older_counts(**{key: state[key] for key in ("replicas", "budget", "stable", "canary", "older")})
        canary, stable = next_counts(**state)
        if one_at_a_time and stable != state["stable"].spec:
            canary, older = state["canary"].spec, [count.spec for count in state["older"]]
        elif one_at_a_time and canary != state["canary"].spec:
            older = [count.spec for count in state["older"]]
        state |= {
            "canary": Count(canary, canary),
            "stable": Count(stable, stable),
            "older": [Count(count, count) for count in older],
        }
    assert (state["canary"].spec, state["stable"].spec) == goal
    assert not any(count.spec for count in state["older"])
    assert next_counts(**state) == goal


@given(_canaries())
def test_without_a_stable_replicaset_every_start_ends_at_all_replicas(state):
    state |= {"stable": None}
    for _ in range(60):
        older = next_older_counts(**{key: state[key] for key in ("replicas", "budget", "stable", "canary", "older")})
        canary, _stable = next_counts(**state)
        state |= {"canary": Count(canary, canary), "older": [Count(count, count) for count in older]}
    assert state["canary"].spec == state["replicas"]
