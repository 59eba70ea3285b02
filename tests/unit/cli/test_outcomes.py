"""What the outcomes of a request amount to, also when those of another change come in between."""

from typing import Any

import pytest

from tidegate.messages import RolloutOutcome
from tidegate_cli.outcomes import Verdict, outcome_line


def outcome(verb: Any, *, revision: int = 2, **more: Any) -> RolloutOutcome:
    return RolloutOutcome(namespace="default", name="web", verb=verb, uid="u", revision=revision, hash="h", **more)


@pytest.mark.parametrize(
    ("verb", "code"), [("completed", 0), ("aborted", 1), ("rolled-back", 1), ("degraded", 1), ("superseded", 1), ("paused", None)]
)
def test_the_last_outcome_of_the_request_decides(verb: str, code: int | None) -> None:
    assert Verdict(correlation="mine").exit_code(outcome(verb), correlation="mine") == code


def test_an_outcome_of_another_request_decides_nothing() -> None:
    assert Verdict(correlation="mine").exit_code(outcome("superseded"), correlation="theirs") is None


def test_without_a_correlation_the_revision_that_was_started_decides() -> None:
    verdict = Verdict(correlation="mine")
    assert verdict.exit_code(outcome("superseded", revision=1), correlation="") is None
    assert verdict.exit_code(outcome("started", revision=2), correlation="") is None
    assert verdict.exit_code(outcome("completed", revision=2), correlation="") == 0


def test_an_outcome_is_one_line() -> None:
    line = outcome_line(outcome("step-completed", step=0, steps=8, weight=20), time="2026-01-02T10:15:02.123Z")
    assert line == "10:15:02  default/web  revision 2  step-completed      step 1/8, weight 20"


def test_a_pause_is_at_the_step_that_the_tree_shows() -> None:
    line = outcome_line(outcome("paused", step=1, steps=8, message="CanaryPauseStep"), time="")
    assert line == "default/web  revision 2  paused              step 1/8, CanaryPauseStep"
