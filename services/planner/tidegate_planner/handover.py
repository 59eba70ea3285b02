"""How the pods of a live Deployment give way to those of the Rollout that refers to it (`workloadRef.scaleDown`, 11.1).

Rule of this file: pure. At any moment Deployment and Rollout together have at least as many available pods as the Rollout is asked
for: what the Deployment gives up is there already, and what the Rollout loses on the way it takes up again. That holds for any
revision; the peer's first one only, so that a Deployment whose Rollout needed a second attempt stayed for ever.
"""

from collections.abc import Mapping
from typing import Any

from tidegate_planner import conditions
from tidegate_planner.plan import ScaleWorkload
from tidegate_planner.seen import Workload
from tidegate_planner.situation import Situation
from tidegate_planner.workloads import ON_SUCCESS, PROGRESSIVELY

Json = Mapping[str, Any]


def workload_actions(at: Situation, status: Json) -> list[ScaleWorkload]:
    """`status` is the one decided in this pass."""
    workload = at.seen.workload
    if workload is None or workload.kind != "Deployment" or workload.replicas is None or at.spec.paused:
        return []
    after = _wanted(at, workload, status)
    if after is None or after == workload.replicas:
        return []
    noted = workload.replicas if workload.started_with is None else None
    return [ScaleWorkload(name=workload.name, before=workload.replicas, after=after, started_with=noted)]


def _wanted(at: Situation, workload: Workload, status: Json) -> int | None:
    """None leaves the Deployment alone."""
    mode = at.spec.workload_scale_down
    if mode in {ON_SUCCESS, PROGRESSIVELY} and status.get("phase") == "Healthy":
        return 0
    if mode != PROGRESSIVELY:
        return None
    missing = max(0, at.spec.replicas - sum(each.count.serving for each in at.roles.everyone))
    over = any(each.get("type") == conditions.HEALTHY for each in status.get("conditions") or ())
    if over:  # it has been Healthy: from now on its pods are its own affair
        return min(workload.replicas or 0, missing)
    return min(workload.started_with or workload.replicas or 0, missing)
