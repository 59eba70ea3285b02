"""The timeline of the one Rollout in a file. Pure; the planner's simulation does the work.

What lint would refuse is refused here as well: a timeline of a spec that the planner will not act on would be a lie.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tidegate.errors import TidegateError
from tidegate_planner.simulation import Options, TimelineEntry, timeline
from tidegate_planner.validation import problems


def previewed(documents: Iterable[Mapping[str, Any]], options: Options) -> list[TimelineEntry]:
    rollouts = [each for each in documents if each.get("kind") == "Rollout"]
    if len(rollouts) != 1:
        raise TidegateError(f"the file holds {len(rollouts)} Rollouts; a timeline is of exactly one")
    if found := problems(rollouts[0]):
        raise TidegateError(f"the planner would not act on it: {found[0]}")
    try:
        return timeline(rollouts[0], options=options)
    except ValueError as error:
        raise TidegateError(str(error)) from error
