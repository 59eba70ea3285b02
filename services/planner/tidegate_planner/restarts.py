"""Pods that are older than `spec.restartAt` are evicted, as few at a time as the strategy allows (`argo-behaviour.md` 11.3).

Rule of this file: pure. An update may be under way at the same time: both draw on one budget, counted on the pods themselves, and a
pass that shrinks a ReplicaSet evicts nobody (N13, AR#4221: doing both from one view took the service down).
"""

from collections import Counter
from collections.abc import Sequence

from tidegate.durations import epoch
from tidegate.rollout import Canary
from tidegate_planner.plan import Action, EvictPods, PodName, ScaleReplicaSet
from tidegate_planner.replicas import DEFAULT_UNAVAILABLE, share
from tidegate_planner.seen import Pod, Seen
from tidegate_planner.situation import Situation

LOOK_AGAIN_AFTER = 30.0
"""Seconds. A disruption budget says nothing when it has room again."""


def pending(seen: Seen) -> bool:
    """Asked for, maybe for later, and not done."""
    wanted = seen.spec.restart_at if seen.spec else None
    done = seen.status.get("restartedAt")
    return wanted is not None and (done is None or epoch(done) != epoch(wanted))


def due(seen: Seen, now: float) -> bool:
    return pending(seen) and seen.spec is not None and now >= epoch(seen.spec.restart_at or "")


def restarted_at(at: Situation) -> str | None:
    """`status.restartedAt`: the last moment of which no older pod was left. A new template alone restarts nobody: its update may be
    aborted, and the pods of the stable version are then as old as before."""
    if due(at.seen, at.now) and at.seen.pods is not None and not _old(at) and _counted(at):
        return at.spec.restart_at
    done: str | None = at.seen.status.get("restartedAt")
    return done


def _counted(at: Situation) -> bool:
    """Whether the ReplicaSets know by now which pods went: until then they count those of a moment ago as serving."""
    left = Counter(pod.owner for pod in at.seen.pods or () if not pod.deleting)
    return all(each.current <= left[each.uid] for each in at.roles.everyone)


def evictions(at: Situation, others: Sequence[Action]) -> list[EvictPods]:
    """`others`: what else this pass does. A pod that does not serve costs nobody anything, and is not waited for."""
    shrinks = any(isinstance(each, ScaleReplicaSet) and each.after < each.before for each in others)
    old = _old(at) if due(at.seen, at.now) else []
    if shrinks or not old:
        return []
    idle = tuple(pod for pod in old if not pod.ready)
    serving = tuple(pod for pod in old if pod.ready)
    groups = ((idle, len(idle)), (serving, _spare(at)))
    named = ((tuple(PodName(pod.name, pod.uid) for pod in pods), at_most) for pods, at_most in groups)
    return [EvictPods(pods=pods, at_most=at_most) for pods, at_most in named if pods and at_most > 0]


def next_look(at: Situation) -> float | None:
    if not pending(at.seen):
        return None
    return at.now + LOOK_AGAIN_AFTER if due(at.seen, at.now) else epoch(at.spec.restart_at or "")


def _old(at: Situation) -> list[Pod]:
    """In the order in which they go: stable first, then new, then the others by age."""
    pods, moment = at.seen.pods or (), epoch(at.spec.restart_at or "")
    others = sorted(at.roles.older, key=lambda each: each.created)
    ordered = (each for each in (at.roles.stable, at.roles.new, *others) if each is not None)
    sets = {each.uid: number for number, each in reversed(list(enumerate(ordered)))}
    old = [pod for pod in pods if pod.owner in sets and not pod.deleting and epoch(pod.created) < moment]
    return sorted(old, key=lambda pod: (sets[pod.owner], pod.created, pod.name))


def _spare(at: Situation) -> int:
    """Serving pods that may go now. Without room for a single one nothing could ever be restarted, so one may always."""
    everyone = at.roles.everyone
    serving = sum(each.count.serving for each in everyone)
    needed = max(at.spec.replicas, sum(each.replicas for each in everyone))
    return serving - (needed - max(1, _unavailable(at)))


def _unavailable(at: Situation) -> int:
    if isinstance(at.strategy, Canary):
        return at.budget.unavailable
    given = at.blue_green.max_unavailable
    return share(DEFAULT_UNAVAILABLE if given is None else given, of=at.spec.replicas, rounded_up=False)
