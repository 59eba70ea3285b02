"""A destination is known before it weighs anything, and weighs nothing before it is forgotten. Pure.

An experiment's Services come into a route, and go from it. A data plane hears of a route and of what stands behind it one after
the other, in whatever order: through Envoy 2 to 14 of some 15,000 requests were answered 503, in the moment in which the route
named a cluster that was not there yet, or not any more. So between two splits there is one in which that names what has no weight.
"""

from typing import Final

from tidegate.messages import Destination, Split

SECONDS: Final = 2.0
"""For data planes that are told of changes; those that ask now and then read both splits at once."""


def between(before: Split | None, after: Split) -> Split | None:
    """The split to pass through; None where nothing comes or goes, or nobody knows what was there."""
    if before is None:
        return None
    there, wanted = ({each.service for each in split.additional} for split in (before, after))
    if there == wanted:
        return None
    staying = [each if each.service in there else _without_weight(each) for each in after.additional]
    going = [_without_weight(each) for each in before.additional if each.service not in wanted]
    share = sum(each.weight for each in after.additional) - sum(each.weight for each in staying)
    stable = after.stable.model_copy(update={"weight": after.stable.weight + share})
    return after.model_copy(update={"additional": (*staying, *going), "stable": stable})


def _without_weight(side: Destination) -> Destination:
    return side.model_copy(update={"weight": 0})
