"""When a decision has to look at single pods, and a view with them. On any other day their ReplicaSets' counts are enough.

Rule of this file: pure. Pods are not watched: a cluster has far more of them than of anything else that is looked at here.
"""

from collections.abc import Sequence
from dataclasses import replace

from tidegate import keys
from tidegate_planner import restarts
from tidegate_planner.seen import Pod, Seen


def needs_pods(seen: Seen, now: float) -> bool:
    """To restart them, or to bring running ones up to the metadata of their ReplicaSet."""
    return restarts.due(seen, now) or any(keys.PODS_BEHIND in each.annotations for each in seen.replica_sets)


def with_pods(seen: Seen, pods: Sequence[Pod] | None) -> Seen:
    """A ReplicaSet's own count lags behind by what was evicted a moment ago; nothing may be decided by pods that are going."""
    if pods is None:
        return seen
    serving = [pod.owner for pod in pods if pod.ready and not pod.deleting]
    sets = tuple(replace(each, available=min(each.available, serving.count(each.uid))) for each in seen.replica_sets)
    return replace(seen, replica_sets=sets, pods=tuple(pods))
