"""What happened while no planner looked is told all the same, under the ids it would have had."""

from dataclasses import replace
from typing import Any

import pytest

from tidegate.rollout import spec_of
from tidegate.testing import a_rollout
from tidegate_planner.narrative import narrate
from tidegate_planner.seen import ReplicaSet, Seen
from tidegate_planner.told import Told

STEPS = ({"setWeight": 20}, {"pause": {}}, {"setWeight": 40}, {"pause": {"duration": "1s"}})
PAUSE = {"reason": "CanaryPauseStep", "startTime": "2030-01-01T00:00:07Z"}


def seen_at(step: int, *, pause: dict[str, Any] | None = None) -> Seen:
    manifest = a_rollout(steps=STEPS)
    status = {
        "phase": "Paused" if pause else "Progressing", "currentPodHash": "new", "stableRS": "old", "currentStepIndex": step,
        "currentStepHash": "steps", "pauseConditions": [pause] if pause else [],
        "duration": {"rolloutStartedAt": "2030-01-01T00:00:00Z"},
    }  # fmt: skip
    sets = tuple(ReplicaSet(name=f"web-{each}", hash=each, revision=at) for at, each in enumerate(("old", "new"), start=1))
    return Seen(
        namespace="shop", name="web", uid="u", generation=2, resource_version=9, annotations={}, labels={}, status=status,
        manifest=manifest, spec=spec_of(manifest), replica_sets=sets,
    )  # fmt: skip


def told(before: Told | None, seen: Seen) -> list[tuple[str, int | None, str]]:
    return [(each.message.verb, each.message.step, each.id) for each in narrate(before, seen).outcomes]


def verbs(before: Told | None, seen: Seen) -> list[str]:
    return [verb for verb, _, _ in told(before, seen)]


@pytest.fixture
def at_start() -> Told:
    return narrate(None, seen_at(0)).told


def test_a_pause_that_nobody_saw_is_told_with_its_end(at_start: Told) -> None:
    assert verbs(at_start, seen_at(2)) == ["step-completed", "paused", "resumed", "step-completed"]


def test_its_ids_are_those_of_a_pause_that_was_seen(at_start: Told) -> None:
    paused = narrate(at_start, seen_at(1, pause=PAUSE))
    seen_live = [*(each.id for each in paused.outcomes), *(each.id for each in narrate(paused.told, seen_at(2)).outcomes)]
    assert [id_ for _, _, id_ in told(at_start, seen_at(2))] == seen_live


def test_a_pause_that_was_seen_is_told_once(at_start: Told) -> None:
    paused = narrate(at_start, seen_at(1, pause=PAUSE)).told
    assert verbs(paused, seen_at(2)) == ["resumed", "step-completed"]


def test_two_pauses_in_the_same_second_have_two_names(at_start: Told) -> None:
    first = narrate(at_start, seen_at(1, pause=PAUSE))
    second = narrate(first.told, seen_at(3, pause=PAUSE))
    assert [each.message.verb for each in second.outcomes] == ["resumed", "step-completed", "step-completed", "paused"]
    assert not {each.id for each in first.outcomes} & {each.id for each in second.outcomes}


def test_two_pauses_in_the_same_second_are_two_events(at_start: Told) -> None:
    """The planner that told the first may die before it tells the second, and the one that takes over compares the two."""
    first = narrate(at_start, seen_at(1, pause=PAUSE))
    second = narrate(first.told, seen_at(3, pause=PAUSE))
    assert [each.reason for each in second.records] == ["RolloutStepCompleted", "RolloutStepCompleted", "RolloutPaused"]


@pytest.mark.parametrize("step", [1, 2])
def test_a_pause_whose_event_died_with_its_planner_is_written_by_the_next(at_start: Told, step: int) -> None:
    """Its outcome was told, its Event and how far was told were not; a person has ended it before anybody looked again."""
    seen = seen_at(step)
    ended = replace(seen, status={**seen.status, "controllerPause": step == 1})
    assert [each.reason for each in narrate(at_start, ended).records].count("RolloutPaused") == 1


def test_a_planner_that_knows_nothing_tells_all_that_the_steps_imply() -> None:
    everything = verbs(None, seen_at(4))
    assert everything == ["started", *["step-completed", "paused", "resumed", "step-completed"] * 2]


def test_a_snapshot_says_which_step_paused(at_start: Told) -> None:
    assert replace(at_start, step=3, pauses=(("CanaryPauseStep", "t"),)).pause_id == "3:CanaryPauseStep"


def test_a_changed_weight_has_one_id_however_late_it_is_looked_at(at_start: Told) -> None:
    """The one who told it first may have died before it noted so, and the update has gone on since."""

    def shifted(step: int) -> Seen:
        seen = seen_at(step)
        return replace(seen, status={**seen.status, "canary": {"weights": {"canary": {"weight": 40}}}})

    ids = {id_ for step in (2, 3, 4) for verb, _, id_ in told(at_start, shifted(step)) if verb == "weight-changed"}
    assert len(ids) == 1
