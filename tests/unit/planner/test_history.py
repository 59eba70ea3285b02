"""Which finished AnalysisRuns are kept, and which the analyzer is asked to delete (`argo-behaviour.md` 7.7)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.durations import rfc3339
from tidegate_planner.decide import decide
from tidegate_planner.history import FINISHED, surplus
from tidegate_planner.plan import DeleteAnalysis
from tidegate_planner.seen import AnalysisRun, Seen
from tidegate_planner.simulation.views import NOW, a_set, a_status, a_view, hash_of

STEPS: list[Any] = [{"setWeight": 25}, {"analysis": {"templates": [{"templateName": "check"}]}}]


def run(number: int, phase: str, version: str = "v1", **fields: Any) -> AnalysisRun:
    created = rfc3339(NOW - 1000 + number)
    return AnalysisRun(
        name=f"run-{number}", uid=f"uid-{number}", phase=phase, hash=hash_of(version), kind="Step", created=created, **fields
    )


RUNS = (run(1, "Successful"), run(2, "Failed"), run(3, "Successful"), run(4, "Error"), run(5, "Inconclusive"), run(6, "Running"))


@pytest.mark.parametrize(
    ("successful", "unsuccessful", "deleted"),
    [(5, 5, []), (1, 5, [1]), (5, 1, [2, 4]), (0, 0, [1, 2, 3, 4, 5]), (2, 3, [])],
)
def test_the_newest_of_either_end_are_kept(successful: int, unsuccessful: int, deleted: list[int]) -> None:
    beyond = surplus(RUNS, revisions={hash_of("v1")}, successful=successful, unsuccessful=unsuccessful)
    assert sorted(each.name for each in beyond) == [f"run-{number}" for number in deleted]


def test_what_belongs_to_a_revision_that_is_gone_or_to_none_goes_with_it() -> None:
    nobodys = replace(run(7, "Successful"), hash="")
    beyond = surplus([*RUNS, run(8, "Failed", "v0"), nobodys], revisions={hash_of("v1")}, successful=9, unsuccessful=9)
    assert {each.name for each in beyond} == {"run-7", "run-8"}


PHASES = st.sampled_from([*sorted(FINISHED), "Running", "Pending", ""])


@given(st.lists(st.tuples(PHASES, st.sampled_from(["v1", "v2"]))), st.integers(0, 4), st.integers(0, 4))
def test_no_more_than_the_limits_are_left_and_none_that_still_runs_goes(runs: Any, successful: int, unsuccessful: int) -> None:
    held = [run(number, phase, version) for number, (phase, version) in enumerate(runs)]
    beyond = surplus(held, revisions={hash_of("v1")}, successful=successful, unsuccessful=unsuccessful)
    assert all(each.phase in FINISHED for each in beyond)
    left = [each for each in held if each not in beyond and each.phase in FINISHED]
    assert sum(each.phase == "Successful" for each in left) <= successful
    assert sum(each.phase != "Successful" for each in left) <= unsuccessful
    assert surplus(left, revisions={hash_of("v1")}, successful=successful, unsuccessful=unsuccessful) == []


# --- in a decision -------------------------------------------------------------------------------------------------------


def deleted(seen: Seen) -> set[str]:
    return {each.name for each in decide(seen, NOW).actions if isinstance(each, DeleteAnalysis)}


def finished(*runs: AnalysisRun, limits: Any = None, told: str = "", **sets: Any) -> Seen:
    status = {"canary": {"currentStepAnalysisRunStatus": {"name": told, "status": "Failed"}}} if told else {}
    return a_view(
        "v2",
        a_set("v2", 1, revision=2),
        a_set("v1", 3, **sets),
        status=a_status("v2", "v1", 0, STEPS, abort=bool(told), **status),
        canary={"steps": STEPS},
        spec={"analysis": limits or {}},
        analysis_runs=runs,
    )


def test_the_limits_are_those_of_the_spec_and_five_of_each_without() -> None:
    many = tuple(run(number, "Successful") for number in range(7)) + tuple(run(number, "Failed") for number in range(10, 17))
    assert deleted(finished(*many)) == {"run-0", "run-1", "run-10", "run-11"}
    limits = {"successfulRunHistoryLimit": 6, "unsuccessfulRunHistoryLimit": 0}
    assert deleted(finished(*many, limits=limits)) == {"run-0", *(f"run-{number}" for number in range(10, 17))}


def test_the_run_that_the_status_still_tells_of_is_no_history_yet() -> None:
    none = {"unsuccessfulRunHistoryLimit": 0}
    assert deleted(finished(run(1, "Failed", "v2"), run(2, "Failed", "v2"), limits=none, told="run-2")) == {"run-1"}


def test_a_deleted_replica_set_takes_its_runs_along() -> None:
    old, known = run(1, "Successful", "v0"), run(2, "Successful", "v1")
    assert deleted(finished(old, known)) == {"run-1"}


def test_runs_whose_replica_set_has_only_not_been_seen_yet_stay() -> None:
    current = run(1, "Successful", "v2")
    seen = finished(current)
    assert deleted(replace(seen, replica_sets=())) == set()
