"""Where the active and preview Services of a blue-green update stand, and whether the new version is ready for the switch
(`argo-behaviour.md` 5.2, 5.3).

Rule of this file: pure questions about a situation; nothing here moves the progress. Where the active Service points is read from
the Service itself, never from what was asked for.
"""

from tidegate.durations import epoch
from tidegate_planner.seen import ReplicaSet
from tidegate_planner.situation import Situation


def selected(at: Situation, service: str) -> str:
    """The hash that a Service chooses now, "" for none."""
    held = at.seen.services.get(service)
    return held.hash if held else ""


def behind_active(at: Situation) -> ReplicaSet | None:
    """The ReplicaSet that users are on; None before the first switch, and when it was deleted."""
    chosen = selected(at, at.blue_green.active_service)
    return next((each for each in at.roles.everyone if chosen and each.hash == chosen), None)


def done(at: Situation) -> bool:
    return selected(at, at.blue_green.active_service) == at.progress.current_hash


def new_size(at: Situation) -> int:
    """All of its pods, but for a preview that is to be judged with fewer first."""
    progress, given = at.progress, at.blue_green.preview_replicas
    whole = progress.preview_accepted or progress.promote_full or progress.fully_promoted or done(at)
    return at.spec.replicas if given is None or whole else given


def preview_ready(at: Situation) -> bool:
    """The new version can be judged: it has what its preview takes, all available."""
    return at.roles.new is not None and at.new_count.spec == at.new_count.available == new_size(at)


def saturated(at: Situation) -> bool:
    """The new version can take all users."""
    return at.roles.new is not None and at.new_count.spec == at.new_count.available == at.spec.replicas


def returns_in_time(at: Situation) -> bool:
    """Whether an update goes back to a version whose scale-down delay still runs: it was good enough for all users moments ago.

    Its revision is lower than stable's. The pods of an aborted update have a deadline too, and so have those of one that a newer
    revision took the place of; both were never good enough.
    """
    new, stable = at.roles.new, at.roles.stable
    if new is None or stable is None or new is stable or new.scale_down_deadline is None or new.never_stable:
        return False
    return new.revision < stable.revision and at.now < epoch(new.scale_down_deadline)


def fast_rollback(at: Situation) -> bool:
    """The deadline stays on the ReplicaSet until it is promoted again: there is nothing to pause or to measure for."""
    new = at.roles.new
    return at.progress.preview_accepted and new is not None and new.scale_down_deadline is not None
