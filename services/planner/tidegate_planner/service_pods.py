"""Without traffic routing: the old pods that stay for users of the stable Service until it was seen to choose the new ones.

Rule of this file: pure. They are no more than `maxSurge` has room for, so they take no new pod's place; where that is 0 none stays.
Should new pods not come all the same (no node has room, a quota is used up), they stay for half of the progress deadline at most.
"""

from tidegate.durations import epoch
from tidegate.rollout import Canary
from tidegate_planner import conditions, ping_pong
from tidegate_planner.replicas import Count
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.situation import Situation


def stable_services(at: Situation) -> set[str]:
    """Those through which the stable version gets its traffic."""
    taking_turns = {ping_pong.sides(at)[0]} if ping_pong.is_on(at.canary) else set()
    return ({at.canary.stable_service} | taking_turns) - {""}


def chosen(at: Situation) -> set[str]:
    """The hashes that they choose now; "" is among them while one of them has yet to be adopted."""
    return {at.seen.services[name].hash for name in stable_services(at) if name in at.seen.services}


def last_of_stable(at: Situation) -> int:
    """What stays of a stable version whose share is over: one pod, if it has one that serves."""
    stable = at.roles.stable
    return 0 if stable is None or stable is at.roles.new else min(1, _staying(at, stable))


def left_behind(at: Situation) -> dict[str, int]:
    """What stays of versions that are neither new nor stable, by hash: one that was stable a moment ago."""
    staying: dict[str, int] = {}
    room = at.budget.surge - last_of_stable(at)
    for each in at.roles.older:
        count = min(room, _staying(at, each))
        if count > 0:
            staying[each.hash], room = count, room - count
    return staying


def surge_left(at: Situation) -> int:
    """What of the surge is for the two sides."""
    return at.budget.surge - sum(left_behind(at).values())


def others(at: Situation) -> list[Count]:
    """The pods of versions that are neither new nor stable, but for those that stay."""
    staying = left_behind(at)
    counts = ((each.count, staying.get(each.hash, 0)) for each in at.roles.older)
    return [Count(count.spec - kept, count.available - kept) for count, kept in counts]


def next_look(at: Situation) -> float | None:
    """When those that stay have waited long enough."""
    if not isinstance(at.strategy, Canary) or at.canary.traffic_routing or not _new_ones_missing(at):
        return None
    return _patience_ends(at) if last_of_stable(at) or left_behind(at) else None


def _staying(at: Situation, each: ReplicaSet) -> int:
    """A Service that is about to be adopted may be on any version that was asked for a moment ago."""
    if at.spec.replicas == 0 or not {each.hash, ""} & chosen(at) or _given_up(at):
        return 0
    return min(each.count.serving, at.budget.surge)


def _given_up(at: Situation) -> bool:
    new, until = at.roles.new, _patience_ends(at)
    refused = new is not None and new.failure is not None
    return _new_ones_missing(at) and (refused or (until is not None and at.now >= until))


def _new_ones_missing(at: Situation) -> bool:
    new = at.roles.new
    return new is not None and new.available < new.replicas


def _patience_ends(at: Situation) -> float | None:
    """Half of the progress deadline after the last bit of progress: the other half is left to those that come instead."""
    held = at.seen.status.get("conditions") or ()
    told = next((each for each in held if each["type"] == conditions.PROGRESSING), None)
    return epoch(told["lastUpdateTime"]) + at.spec.progress_deadline / 2 if told else None
