"""What is wrong with a Rollout, in the order in which the peer would come upon it (`argo-behaviour.md` 1.5 and 1.6).

The status shows the first problem, as the peer does; `tidegate lint` shows all of them.

    shapes, fields   JSON types of everything the rules read; wrong ones are dropped and reported first
    rollout          the spec as a whole            strategies, steps   what is asked of the update
    pods, containers Kubernetes' own rules          references          other objects that are named
    wishes           annotations of our own
"""

from collections.abc import Mapping
from typing import Any

from tidegate_planner.validation.fields import ROLLOUT
from tidegate_planner.validation.problem import Problem, invalid_message, message, required
from tidegate_planner.validation.references import References, reference_problems
from tidegate_planner.validation.rollout import spec_problems
from tidegate_planner.validation.shapes import cleaned
from tidegate_planner.validation.wishes import wish_problems

__all__ = ["Problem", "References", "invalid_message", "message", "problems"]

_NOTHING_KNOWN = References()


def problems(rollout: Mapping[str, Any], references: References = _NOTHING_KNOWN) -> list[Problem]:
    found: list[Problem] = []
    known = cleaned(ROLLOUT, rollout, "", found) or {}
    if "spec" not in known:
        return found or [required("spec")]
    found += spec_problems(known["spec"], workload_resolved=references.workload_resolved)
    found += reference_problems(known, references)
    found += wish_problems(known)
    return found
