"""The timeline of the one Rollout in a file. Pure; the planner's simulation does the work.

What lint would refuse is refused here as well: a timeline of a spec that the planner will not act on would be a lie.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tidegate.errors import TidegateError
from tidegate_planner.simulation import Options, TimelineEntry, timeline
from tidegate_planner.validation import References, problems
from tidegate_planner.workloads import reference_of, resolved, unresolvable, workload_in


def previewed(documents: Iterable[Mapping[str, Any]], options: Options) -> list[TimelineEntry]:
    held = list(documents)
    rollouts = [each for each in held if each.get("kind") == "Rollout"]
    if len(rollouts) != 1:
        raise TidegateError(f"the file holds {len(rollouts)} Rollouts; a timeline is of exactly one")
    rollout, references = _with_its_pods(rollouts[0], held)
    if found := problems(rollout, references):
        raise TidegateError(f"the planner would not act on it: {found[0]}")
    try:
        return timeline(rollout, options=options)
    except ValueError as error:
        raise TidegateError(str(error)) from error


def _with_its_pods(rollout: Mapping[str, Any], held: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], References]:
    """A workload that it refers to must be in the file too: there is no cluster to look it up in."""
    reference = reference_of(rollout)
    if reference is None:
        return rollout, References()
    workload = workload_in(held, reference)
    if (refusal := unresolvable(rollout, reference, workload)) is not None:
        beside = "" if workload is not None or not reference.known else "; a timeline needs it in the same file"
        raise TidegateError(f"the planner would not act on it: {refusal}{beside}")
    assert workload is not None
    return resolved(rollout, workload), References(workload_resolved=True)
