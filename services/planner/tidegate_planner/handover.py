"""How the pods of a live Deployment give way to those of the Rollout that refers to it (`workloadRef.scaleDown`, 11.1).

Rule of this file: pure. At any moment Deployment and Rollout together have at least as many available pods as the Rollout is asked
for: what the Deployment gives up is there already and stays there, and what the Rollout loses on the way it takes up again. That
holds for any revision; the peer's first one only, so that a Deployment whose Rollout needed a second attempt stayed for ever.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tidegate_planner import conditions
from tidegate_planner.plan import Action, ScaleReplicaSet, ScaleWorkload
from tidegate_planner.seen import Workload
from tidegate_planner.situation import Situation
from tidegate_planner.workloads import ON_SUCCESS, PROGRESSIVELY

Json = Mapping[str, Any]


def workload_actions(at: Situation, status: Json, planned: Sequence[Action]) -> list[ScaleWorkload]:
    """`status` and `planned` are what was decided in this pass so far."""
    workload = at.seen.workload
    if workload is None or workload.kind != "Deployment" or workload.replicas is None or at.spec.paused:
        return []
    after = _wanted(at, workload, status, _missing(at, planned))
    if after is None or after == workload.replicas:
        return []
    noted = workload.replicas if workload.started_with is None else None
    return [ScaleWorkload(name=workload.name, before=workload.replicas, after=after, started_with=noted)]


def _missing(at: Situation, planned: Sequence[Action]) -> int:
    """Pods that are asked for and do not serve, or will not once this pass has been carried out. Those of an aborted version do not
    count: they are on their way out, however long a delay keeps them."""
    given_up = at.roles.new if at.progress.abort and at.roles.new is not at.roles.stable else None
    sizes = {each.name: each.after for each in planned if isinstance(each, ScaleReplicaSet)}
    staying = (each for each in at.roles.everyone if each is not given_up)
    left = sum(min(each.count.serving, sizes.get(each.name, each.replicas)) for each in staying)
    return max(0, at.spec.replicas - left)


def _wanted(at: Situation, workload: Workload, status: Json, missing: int) -> int | None:
    """None leaves the Deployment alone."""
    mode = at.spec.workload_scale_down
    if mode in {ON_SUCCESS, PROGRESSIVELY} and status.get("phase") == "Healthy" and not missing:
        return 0
    if mode != PROGRESSIVELY:
        return None
    over = any(each.get("type") == conditions.HEALTHY for each in status.get("conditions") or ())
    if over:  # it has been Healthy: from now on its pods are its own affair
        return min(workload.replicas or 0, missing)
    return min(workload.started_with or workload.replicas or 0, missing)
