"""A destination is known before it weighs anything, and weighs nothing before it is forgotten. Pure.

An experiment's Services come into a route, and go from it. A data plane hears of a route and of what stands behind it one after
the other, in whatever order: through Envoy 2 to 14 of some 15,000 requests were answered 503, in the moment in which the route
named a cluster that was not there yet, or not any more. So between two splits there is one in which that names what has no weight.

What was there is read off the router's own objects, so a restart neither skips that split nor forgets what has to go. What is seen
without weight may stand there since a moment ago, written by a process that died: it is given its time once more.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from tidegate.messages import Destination, Split

SECONDS: Final = 2.0
"""For data planes that are told of changes; those that ask now and then read both splits at once."""


def between(there: Mapping[str, int], wanted: Split) -> Split | None:
    """The split to pass through; None where nothing comes or goes. `there`: additional Services in the route and their weights."""
    coming = [each for each in wanted.additional if each.weight and not there.get(each.service or "")]
    going = sorted(there.keys() - {each.service for each in wanted.additional})
    if not (coming or going):
        return None
    eased = [each.model_copy(update={"weight": 0}) if each in coming else each for each in wanted.additional]
    leaving = [Destination(service=service, weight=0) for service in going]
    share = sum(each.weight for each in coming)
    stable = wanted.stable.model_copy(update={"weight": wanted.stable.weight + share})
    return wanted.model_copy(update={"additional": (*eased, *leaving), "stable": stable})


def beside(split: Split, weights: Mapping[str, int]) -> dict[str, int]:
    """Those that are neither canary nor stable, of an object in which every Service is the Rollout's."""
    sides = (split.canary.service, split.stable.service)
    return {service: weight for service, weight in weights.items() if service not in sides}


def least(places: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Of several routes that hold the same: each Service with the least that it weighs in any, 0 where one does not have it."""
    found = list(places)
    return {service: min(each.get(service, 0) for each in found) for service in sorted({name for each in found for name in each})}
