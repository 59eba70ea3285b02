"""Readiness that is gained again is no progress: pods in a crash loop are ready every now and then, and the deadline of their
update must fire all the same (N2, AR#3765).

Rule of this file: pure. Nothing is noted while pods only become ready. Once more of them stopped being ready than went away, the
new ReplicaSet itself carries how many of its pods were ready at most (`most-ready`); from then on only more than that counts.
"""

from tidegate import keys
from tidegate.rollout import BlueGreen, number_in
from tidegate_planner import cutover
from tidegate_planner.situation import Situation
from tidegate_planner.strategies import strategy_of


def gained(at: Situation) -> bool:
    """More pods are ready or available than ever before in this update, as far as anything was lost in it."""
    before, serving = at.seen.status, strategy_of(at).serving(at) or at.roles.everyone
    ready, available = sum(each.ready for each in serving), sum(each.available for each in serving)
    rose = ready > int(before.get("readyReplicas") or 0) or available > int(before.get("availableReplicas") or 0)
    most = _most_ready(at)
    return rose and (most is None or at.roles.new is None or at.roles.new.ready > most)


def mark(at: Situation) -> dict[str, str | None]:
    """The change of the new ReplicaSet's annotation; empty on every day but a bad one."""
    new, most = at.roles.new, _most_ready(at)
    if new is None:
        return {}
    if at.progress.abort or at.progress.fully_promoted:
        return {} if most is None else {keys.MOST_READY: None}
    if most is None and not _lost(at):
        return {}
    told = min(new.replicas, max(most or 0, new.ready, _ready_before(at) if _lost(at) else 0))
    return {} if told == most else {keys.MOST_READY: str(told)}


def _most_ready(at: Situation) -> int | None:
    return number_in(at.roles.new.annotations, keys.MOST_READY) if at.roles.new else None


def _lost(at: Situation) -> bool:
    """Since the status was written more pods stopped being ready than went away."""
    before, serving = at.seen.status, strategy_of(at).serving(at) or at.roles.everyone
    if isinstance(at.strategy, BlueGreen):
        told = (before.get("blueGreen") or {}).get("activeSelector") or ""
        if not told or told != cutover.selected(at, at.blue_green.active_service):
            return False  # other pods are counted than before
    ready, there = sum(each.ready for each in serving), sum(each.current for each in at.roles.everyone)
    gone = max(0, int(before.get("replicas") or 0) - there)
    return int(before.get("readyReplicas") or 0) - ready > gone


def _ready_before(at: Situation) -> int:
    """How many pods of the new version were ready at least; the status counts all that serve, and others may all have been."""
    before = at.seen.status
    ready = int(before.get("readyReplicas") or 0)
    if isinstance(at.strategy, BlueGreen):
        return ready if cutover.done(at) else 0
    others = int(before.get("replicas") or 0) - int(before.get("updatedReplicas") or 0)
    return max(0, ready - others)
