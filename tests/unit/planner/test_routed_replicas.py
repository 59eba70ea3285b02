"""Under traffic routing pods follow weights, not the other way round; and when a step that sets counts is done."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_planner.replicas import (
    CanaryScale,
    Count,
    ProgressThreshold,
    RecordedWeights,
    at_desired_counts,
    enough_available,
    min_pods,
    routed_counts,
    stepped_down_weight,
    weight_to_replicas,
)


@pytest.mark.parametrize(
    ("weight", "replicas", "max_weight", "expected"),
    [(0, 10, 100, 0), (1, 10, 100, 1), (10, 10, 100, 1), (11, 10, 100, 2), (100, 10, 100, 10), (50, 0, 100, 0), (5, 10, 1000, 1)],
)
def test_the_pods_for_a_weight_round_up(weight, replicas, max_weight, expected):
    assert weight_to_replicas(weight=weight, replicas=replicas, max_weight=max_weight) == expected


@pytest.mark.parametrize(
    ("count", "floor", "expected"), [(0, 2, 0), (1, 2, 2), (3, 2, 3), (1, 20, 10), (1, None, 1)]
)  # fmt: skip
def test_a_minimum_of_pods_raises_only_what_is_not_empty(count, floor, expected):
    assert min_pods(count, floor=floor, replicas=10) == expected


@pytest.mark.parametrize(
    ("given_state", "expected"),
    [
        pytest.param({"weight": 20}, (2, 10), id="stable stays whole beside the canary"),
        pytest.param({"weight": 0}, (0, 10), id="no weight, no canary"),
        pytest.param({"weight": 100}, (10, 10), id="all weight is twice the pods"),
        pytest.param({"weight": 1, "floor": 2}, (2, 10), id="a minimum of pods raises the canary"),
        pytest.param({"weight": 20, "scale": CanaryScale(replicas=7)}, (7, 10), id="a scale by number wins"),
        pytest.param({"weight": 20, "scale": CanaryScale(replicas=1), "floor": 3}, (1, 10), id="and is not raised"),
        pytest.param({"weight": 20, "scale": CanaryScale(weight=50)}, (5, 10), id="a scale by weight wins"),
        pytest.param({"weight": 20, "scale": CanaryScale()}, (2, 10), id="matching the traffic is no scale"),
        pytest.param({"weight": 20, "dynamic": True}, (2, 8), id="dynamic stable gives pods back"),
        pytest.param(
            {"weight": 40, "dynamic": True, "recorded": RecordedWeights(20, 80)}, (4, 8), id="but only behind the traffic"
        ),
        pytest.param(
            {"weight": 0, "dynamic": True, "recorded": RecordedWeights(40, 60), "aborted": True},
            (4, 10),
            id="an aborted canary keeps pods while it has traffic",
        ),
        pytest.param(
            {"weight": 0, "dynamic": True, "recorded": RecordedWeights(40, 60)}, (0, 10), id="one that is not aborted does not"
        ),
        pytest.param(
            {"weight": 0, "dynamic": True, "scale": CanaryScale(replicas=3), "floor": 4},
            (4, 10),
            id="dynamic raises even a scale by number, and stable carries all traffic",
        ),
        pytest.param({"weight": 95, "dynamic": True, "floor": 2}, (10, 2), id="a minimum of pods holds for stable too"),
        pytest.param({"weight": 100, "dynamic": True}, (10, 0), id="in the end stable is empty"),
        pytest.param({"weight": 500, "max_weight": 1000}, (5, 10), id="a weight is a part of the largest weight"),
    ],
)
def test_counts_under_traffic_routing(given_state, expected):
    assert routed_counts(replicas=10, **given_state) == expected


@given(st.integers(0, 20), st.integers(0, 100), st.integers(0, 100))
def test_dynamic_stable_can_always_carry_the_traffic_it_has_and_the_traffic_it_gets(replicas, weight, recorded):
    _, stable = routed_counts(replicas=replicas, weight=weight, dynamic=True, recorded=RecordedWeights(recorded, 100 - recorded))
    assert stable >= weight_to_replicas(weight=max(100 - weight, 100 - recorded), replicas=replicas)
    assert stable <= replicas


@pytest.mark.parametrize(
    ("stable_available", "canary_available", "recorded", "expected"),
    [
        pytest.param(2, 8, 80, 60, id="the step below what is needed"),
        pytest.param(4, 8, 80, 60, id="canary pods that still serve hold the walk up"),
        pytest.param(4, 6, 80, 40, id="and so do missing stable ones"),
        pytest.param(4, 8, 60, 40, id="pods beyond what their traffic takes do not: a delay keeps them (AR#4898)"),
        pytest.param(3, 2, 20, 20, id="a stable that lost pods gives no traffic back to the canary"),
        pytest.param(1, 8, 95, 80, id="from between two steps down to a step"),
        pytest.param(9, 1, 10, 0, id="nothing below the first step"),
        pytest.param(10, 0, 20, 0, id="stable is whole again"),
    ],
)
def test_an_abort_walks_back_down_the_weights_as_stable_returns(stable_available, canary_available, recorded, expected):
    weight = stepped_down_weight(
        set_weights=[20, 40, 60, 80],
        replicas=10,
        stable_available=stable_available,
        canary_available=canary_available,
        recorded=recorded,
    )
    assert weight == expected


@given(
    st.lists(st.integers(0, 100), max_size=6),
    st.integers(1, 20),
    st.integers(0, 100),
    st.integers(0, 20),
    st.none() | st.integers(1, 9),
)
def test_the_walk_back_ends_whatever_the_steps_and_however_long_canary_pods_stay(steps, replicas, recorded, kept, floor):
    """Stable gets the pods that are asked for; the canary keeps at least `kept`."""
    for _ in range(2 * len(steps) + 3):
        canary, stable = routed_counts(
            replicas=replicas,
            weight=recorded,
            dynamic=True,
            floor=floor,
            aborted=True,
            recorded=RecordedWeights(recorded, 100 - recorded),
        )
        weight = stepped_down_weight(
            set_weights=steps, replicas=replicas, stable_available=stable, canary_available=max(canary, kept), recorded=recorded
        )
        assert weight < recorded or recorded == 0
        recorded = weight
    assert recorded == 0


@pytest.mark.parametrize(
    ("count", "desired", "threshold", "expected"),
    [
        pytest.param(Count(4, 4), 4, None, True, id="all available"),
        pytest.param(Count(4, 3), 4, None, False, id="one missing"),
        pytest.param(Count(5, 5), 4, None, False, id="one too many"),
        pytest.param(Count(4, 3), 4, ProgressThreshold("Percent", 75), True, id="the percentage is reached"),
        pytest.param(Count(4, 3), 4, ProgressThreshold("Percent", 76), False, id="the percentage is not reached"),
        pytest.param(Count(3, 1), 3, ProgressThreshold("Percent", 33), True, id="a third is more than 33 per cent"),
        pytest.param(Count(3, 1), 3, ProgressThreshold("Percent", 34), False, id="and less than 34"),
        pytest.param(Count(0, 0), 0, ProgressThreshold("Percent", 90), True, id="nothing wanted is met"),
        pytest.param(Count(10, 2), 10, ProgressThreshold("Pods", 2), True, id="the number of pods is reached"),
        pytest.param(Count(10, 1), 10, ProgressThreshold("Pods", 2), False, id="the number of pods is not reached"),
        pytest.param(Count(10, 9), 10, ProgressThreshold("Pods", -1), False, id="a negative threshold is none"),
    ],
)
def test_enough_of_a_canary_is_all_of_it_or_the_threshold(count, desired, threshold, expected):
    assert enough_available(count, desired=desired, threshold=threshold) is expected


_DONE = {
    "canary": Count(1, 1),
    "desired_canary": 1,
    "stable": Count(4, 4),
    "stable_created": 4,
    "desired_stable": 4,
    "older": [Count(0, 0)],
}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({}, True, id="both sides are as wanted"),
        pytest.param({"stable": Count(4, 0)}, True, id="stable pods need not be available"),
        pytest.param({"stable_created": 3}, False, id="but they must have been created"),
        pytest.param({"stable_created": 5}, False, id="and those too many must be gone"),
        pytest.param({"stable": Count(5, 4)}, False, id="stable is asked for more"),
        pytest.param({"stable": None}, False, id="stable is missing"),
        pytest.param({"stable": None, "desired_stable": None}, True, id="dynamic stable is left out"),
        pytest.param({"canary": None}, False, id="the canary is missing"),
        pytest.param({"canary": Count(1, 0)}, False, id="the canary is not available"),
        pytest.param({"older": [Count(0, 0), Count(0, 1)]}, False, id="an intermediate pod still serves"),
        pytest.param({"older": [Count(2, 0)]}, True, id="an intermediate pod that does not serve is no matter"),
        pytest.param({"canary": Count(4, 2), "desired_canary": 4, "threshold": ProgressThreshold("Pods", 2)}, True, id="threshold"),
    ],
)
def test_a_step_that_sets_counts_is_done_when_they_are_there(changed, expected):
    assert at_desired_counts(**{**_DONE, **changed}) is expected
