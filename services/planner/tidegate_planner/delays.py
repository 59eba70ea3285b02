"""What pods are kept for a while after they are no longer wanted, so that a way back is quick and connections can end
(`argo-behaviour.md` 3.5, 5.4).

Rule of this file: pure. The end of a delay stands on the ReplicaSet itself (`scale-down-deadline`); nothing else remembers it.
"""

from collections.abc import Mapping

from tidegate import keys
from tidegate.durations import epoch, rfc3339
from tidegate.rollout import BlueGreen, Canary
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.situation import Situation

DEFAULT_DELAY = 30

Sizes = Mapping[str, int]
"""ReplicaSet hash -> replicas wanted now."""


def _drains_with_traffic(at: Situation) -> bool:
    return isinstance(at.strategy, Canary) and at.strategy.dynamic_stable_scale


def keeps_aborted(at: Situation) -> bool:
    """After an abort the new version stays until its deadline, so that connections to it can end; a delay of 0 has no end."""
    new, delay = at.roles.new, at.strategy.abort_scale_down_delay
    if new is None or new.replicas == 0 or (_drains_with_traffic(at) and delay is None):
        return False
    if delay == 0:
        return True
    deadline = new.scale_down_deadline
    return deadline is None or at.now < epoch(deadline)


def lingers(at: Situation, older: ReplicaSet) -> bool:
    """Whether an old ReplicaSet keeps its pods: it is fully replaced and its scale-down delay runs, or is yet to start."""
    if older.replicas == 0 or _drains_with_traffic(at) or _over_revision_limit(at, older):
        return False
    if older.scale_down_deadline is not None:
        return at.now < epoch(older.scale_down_deadline)
    return _is_replaced(at) and _delay(at) > 0


def _is_replaced(at: Situation) -> bool:
    """What is neither new nor stable: in a blue-green update no user can be on it any more, in a canary only after its end."""
    return at.progress.fully_promoted or isinstance(at.strategy, BlueGreen)


def _over_revision_limit(at: Situation, older: ReplicaSet) -> bool:
    lingering = [each for each in at.roles.older if each.replicas > 0]
    return lingering.index(older) >= at.strategy.scale_down_delay_revisions


def _delay(at: Situation) -> int:
    delay = at.strategy.scale_down_delay
    return DEFAULT_DELAY if delay is None else delay


def older_changes(at: Situation, sizes: Sizes) -> dict[str, str | None]:
    """Deadlines that old ReplicaSets get (they begin to linger) or lose (they are empty): hash -> new value, None to remove it."""
    changes: dict[str, str | None] = {}
    for each in at.roles.older:
        if each.scale_down_deadline and sizes[each.hash] == 0:
            changes[each.hash] = None
        elif each.scale_down_deadline is None and sizes[each.hash] > 0 and _is_replaced(at):
            changes[each.hash] = rfc3339(at.now + _delay(at))
    return changes


def passed_over_changes(at: Situation, each: ReplicaSet) -> dict[str, str | None]:
    """Whether a ReplicaSet begins or ceases to be one that a newer revision took the place of before it was promoted.

    Its revision is higher than stable's until another one is promoted, or stable is wanted again and gets a higher one itself.
    Afterwards nothing else tells it apart from the version before, so it is written down.
    """
    stable = at.roles.stable
    if each is at.roles.new:
        return {keys.NEVER_STABLE: None} if each.never_stable else {}
    if stable is None or isinstance(at.strategy, Canary):
        return {}
    begins = each is not stable and each.replicas > 0 and each.revision > stable.revision and not each.never_stable
    return {keys.NEVER_STABLE: "true"} if begins else {}


def aborted_changes(at: Situation) -> dict[str, str | None]:
    """The deadline that the new version of an aborted update gets once stable can serve without it."""
    new, stable, delay = at.roles.new, at.roles.stable, at.strategy.abort_scale_down_delay
    waits = at.progress.abort and delay != 0 and keeps_aborted(at)
    covered = stable is not None and stable.available >= at.spec.replicas
    if not waits or not covered or new is None or new.scale_down_deadline is not None:
        return {}
    return {new.hash: rfc3339(at.now + (DEFAULT_DELAY if delay is None else delay))}


def used_changes(at: Situation) -> dict[str, str | None]:
    """New and stable are in use: a deadline from an earlier life is over. That of an aborted update runs on."""
    changes: dict[str, str | None] = {}
    for each in (at.roles.new, at.roles.stable):
        if each is not None and each.scale_down_deadline and not (each is at.roles.new and at.progress.abort):
            changes[each.hash] = None
    return changes


def next_deadline(at: Situation) -> float | None:
    """When the next scale-down delay is over, in seconds since 1970."""
    deadlines = (each.scale_down_deadline for each in at.roles.everyone if each.replicas > 0)
    return min((epoch(deadline) for deadline in deadlines if deadline), default=None)
