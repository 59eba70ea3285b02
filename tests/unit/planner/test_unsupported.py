"""What cannot be done yet is said at once, in the status."""

from typing import Any

import pytest

from tidegate.rollout import spec_of
from tidegate_planner.unsupported import unsupported_in


def rollout(canary: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web"}, "spec": {"strategy": {"canary": canary}, **spec}}


@pytest.mark.parametrize(
    ("manifest", "field"),
    [
        (rollout({"steps": [{"setWeight": 5}, {"experiment": {"templates": []}}]}), "spec.strategy.canary.steps[1].experiment"),
    ],
    ids=["experiment step"],
)
def test_a_rollout_that_asks_for_what_cannot_be_done_yet_is_told_which_field_it_is(manifest: dict[str, Any], field: str) -> None:
    told = unsupported_in(manifest, spec_of(manifest))
    assert told == f'The Rollout "web" is invalid: {field}: Forbidden: this version of Tidegate cannot do it yet'


def test_what_can_be_done_is_not_complained_about() -> None:
    manifest = rollout({"steps": [{"setWeight": 5}, {"pause": {}}, {"analysis": {"templates": []}}, {"plugin": {"name": "a/b"}}]})
    assert unsupported_in(manifest, spec_of(manifest)) is None
