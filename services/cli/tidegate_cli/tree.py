"""Raw Kubernetes objects -> the information tree of one rollout. Pure: no clock, no I/O, no rendering.

Everything is found by ownerReferences and the pod-template-hash label, never by name, so that a tree taken over from
another controller is shown whole (`argo-behaviour.md` 2.3, 13).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.keys import POD_TEMPLATE_HASH, SCALE_DOWN_DEADLINE
from tidegate.verbs import revision_of
from tidegate_cli import canaries, health
from tidegate_cli.info import (
    AnalysisRunInfo,
    ContainerInfo,
    ExperimentInfo,
    JobInfo,
    Meta,
    PluginCallInfo,
    PodInfo,
    ReplicaSetInfo,
    RolloutInfo,
    TrafficInfo,
)
from tidegate_cli.phases import phase_and_message

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read from one namespace, unsorted; objects of other owners may be among it."""

    rollout: Object
    replica_sets: Sequence[Object] = ()
    pods: Sequence[Object] = ()
    analysis_runs: Sequence[Object] = ()
    experiments: Sequence[Object] = ()
    jobs: Sequence[Object] = ()
    workload: Object | None = None  # what spec.workloadRef names, where the template lives then


def rollout_info(seen: Seen) -> RolloutInfo:
    rollout = seen.rollout
    spec, status = rollout.get("spec") or {}, rollout.get("status") or {}
    phase, message = phase_and_message(rollout, seen.workload)
    replica_sets = _replica_sets(seen, owner=rollout)
    is_canary = "canary" in (spec.get("strategy") or {})
    available_canary = sum(each.available for each in replica_sets if each.canary)
    return RolloutInfo(
        object_meta=_meta(rollout),
        status=phase,
        message=message,
        icon=health.icon(phase),
        strategy=strategy_of(rollout),
        step=canaries.step_text(rollout),
        set_weight=str(canaries.asked_weight(rollout)) if is_canary else "",
        actual_weight=str(canaries.actual_weight(rollout, canary_available=available_canary)) if is_canary else "",
        desired=desired_replicas(rollout),
        current=int(status.get("replicas") or 0),
        updated=int(status.get("updatedReplicas") or 0),
        ready=int(status.get("readyReplicas") or 0),
        available=int(status.get("availableReplicas") or 0),
        restarted_at=status.get("restartedAt") or "",
        generation=str(rollout["metadata"].get("generation") or ""),
        replica_sets=replica_sets,
        experiments=tuple(_experiment(each, seen) for each in _newest_first(owned(seen.experiments, rollout))),
        analysis_runs=_analysis_runs(seen, owner=rollout),
        containers=_containers(_template(seen), "containers"),
        init_containers=_containers(_template(seen), "initContainers"),
        steps=tuple(canaries.steps_of(rollout)),
        plugin_calls=tuple(_plugin_call(each) for each in (status.get("canary") or {}).get("stepPluginStatuses") or ()),
        traffic=_awaited_traffic(rollout),
    )


def _awaited_traffic(rollout: Object) -> TrafficInfo | None:
    """The condition that the planner keeps while traffic is not where it was asked to go."""
    held = (rollout.get("status") or {}).get("conditions") or ()
    found = next((each for each in held if each.get("type") == "TrafficShifted" and each.get("status") == "False"), None)
    if found is None:
        return None
    state = "failed" if found.get("reason") == "TrafficFailed" else "pending"
    return TrafficInfo(state=state, message=found.get("message") or "", since=found.get("lastTransitionTime") or "")


NO_ROLLOUT: Object = {"metadata": {"name": ""}}


def experiment_info(experiment: Object, seen: Seen | None = None) -> ExperimentInfo:
    """Of one by itself. The parts that pods play in its Rollout are told with the Rollout."""
    return _experiment(experiment, seen or Seen(rollout=NO_ROLLOUT))


def _plugin_call(call: Object) -> PluginCallInfo:
    phase = "Disabled" if call.get("disabled") else call.get("phase") or "Pending"
    return PluginCallInfo(
        step=int(call.get("index") or 0) + 1,
        name=call.get("name") or "",
        operation=call.get("operation") or "Run",
        status=phase,
        icon=health.run_icon(phase),
        message=call.get("message") or "",
    )


def strategy_of(rollout: Object) -> str:
    strategy = (rollout.get("spec") or {}).get("strategy") or {}
    return next((word for field, word in (("canary", "Canary"), ("blueGreen", "BlueGreen")) if field in strategy), "")


def desired_replicas(rollout: Object) -> int:
    """An absent spec.replicas means 1."""
    replicas = (rollout.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def hash_of(item: Object) -> str:
    return str((item["metadata"].get("labels") or {}).get(POD_TEMPLATE_HASH, ""))


def owned(items: Iterable[Object], owner: Object) -> list[Object]:
    """Controlled by `owner`, by uid: a name is used again after a deletion, a uid is not."""
    uid = owner["metadata"].get("uid")
    return [each for each in items if any(ref.get("uid") == uid for ref in each["metadata"].get("ownerReferences") or ())]


def _replica_sets(seen: Seen, *, owner: Object) -> tuple[ReplicaSetInfo, ...]:
    return tuple(_replica_set(each, seen) for each in _newest_first(owned(seen.replica_sets, owner)))


def _replica_set(item: Object, seen: Seen) -> ReplicaSetInfo:
    spec, status = item.get("spec") or {}, item.get("status") or {}
    template = spec.get("template") or {}
    word = health.replica_set_status(item)
    pods = sorted(owned(seen.pods, item), key=_by_birth)
    return ReplicaSetInfo(
        object_meta=_meta(item),
        status=word,
        icon=health.icon(word),
        revision=revision_of(item),
        hash=hash_of(item),
        replicas=int(status.get("replicas") or 0),
        available=int(status.get("availableReplicas") or 0),
        template=hash_of(item),
        scale_down_deadline=(item["metadata"].get("annotations") or {}).get(SCALE_DOWN_DEADLINE, ""),
        images=tuple(each.get("image", "") for each in (template.get("spec") or {}).get("containers") or ()),
        pods=tuple(_pod(pod) for pod in pods),
        **dict.fromkeys(_roles(hash_of(item), seen.rollout), True),
    )


def _roles(template_hash: str, rollout: Object) -> tuple[str, ...]:
    """The parts this hash plays now. A stable one is not also the canary; an active one is not also the preview."""
    status, strategy = rollout.get("status") or {}, (rollout.get("spec") or {}).get("strategy") or {}
    is_stable = status.get("stableRS") == template_hash
    blue_green = status.get("blueGreen") or {}
    is_active = blue_green.get("activeSelector") == template_hash
    roles = ["stable"] if is_stable else []
    if "canary" in strategy:
        if not is_stable and status.get("currentPodHash") == template_hash:
            roles.append("canary")
        roles.extend(_ping_pong_role(is_stable=is_stable, is_canary="canary" in roles, status=status))
    elif is_active:
        roles.append("active")
    elif blue_green.get("previewSelector") == template_hash:
        roles.append("preview")
    return tuple(roles) if template_hash else ()


def _ping_pong_role(*, is_stable: bool, is_canary: bool, status: Object) -> tuple[str, ...]:
    """`status.canary.stablePingPong` names the service of the stable pods; the canary has the other one."""
    stable = (status.get("canary") or {}).get("stablePingPong")
    if stable not in ("ping", "pong") or not (is_stable or is_canary):
        return ()
    return (stable,) if is_stable else ("pong" if stable == "ping" else "ping",)


def _pod(item: Object) -> PodInfo:
    word = health.pod_status(item)
    return PodInfo(
        object_meta=_meta(item),
        status=word,
        icon=health.icon(word),
        ready=health.pod_ready(item),
        restarts=health.pod_restarts(item),
    )


def _experiment(item: Object, seen: Seen) -> ExperimentInfo:
    status = item.get("status") or {}
    phase = status.get("phase") or "Pending"
    return ExperimentInfo(
        object_meta=_meta(item),
        status=phase,
        icon=health.run_icon(phase),
        revision=revision_of(item),
        message=status.get("message") or "",
        replica_sets=_replica_sets(seen, owner=item),
        analysis_runs=_analysis_runs(seen, owner=item),
    )


def _analysis_runs(seen: Seen, *, owner: Object) -> tuple[AnalysisRunInfo, ...]:
    return tuple(_analysis_run(each, seen) for each in _newest_first(owned(seen.analysis_runs, owner)))


def _analysis_run(item: Object, seen: Seen) -> AnalysisRunInfo:
    status = item.get("status") or {}
    phase, summary = status.get("phase") or "Pending", status.get("runSummary") or {}
    results = status.get("metricResults") or ()
    return AnalysisRunInfo(
        object_meta=_meta(item),
        status=phase,
        icon=health.run_icon(phase),
        revision=revision_of(item),
        message=status.get("message") or "",
        jobs=tuple(_jobs(results, owned(seen.jobs, item))),
        **{field: sum(int(each.get(field) or 0) for each in results) or int(summary.get(field) or 0) for field in COUNTED},
    )


COUNTED = ("successful", "failed", "inconclusive", "error")


def _jobs(results: Sequence[Object], jobs: Sequence[Object]) -> Iterable[JobInfo]:
    """One per measurement that was a Job: the measurement tells how it ended even after the Job is gone."""
    known = {each["metadata"]["name"]: each for each in jobs}
    for result in results:
        for measurement in result.get("measurements") or ():
            name = (measurement.get("metadata") or {}).get("job-name")
            if not name:
                continue
            phase = measurement.get("phase") or "Pending"
            began = measurement.get("startedAt")
            yield JobInfo(
                object_meta=_meta(known[name]) if name in known else Meta(name=name, creation_timestamp=began),
                status=phase,
                icon=health.run_icon(phase),
                metric_name=result.get("name") or "",
                started_at=began,
            )


def _template(seen: Seen) -> Object:
    holder = seen.workload if seen.workload is not None else seen.rollout
    if holder.get("kind") == "PodTemplate":
        return holder.get("template") or {}
    return (holder.get("spec") or {}).get("template") or {}


def _containers(template: Object, field: str) -> tuple[ContainerInfo, ...]:
    listed = (template.get("spec") or {}).get(field) or ()
    return tuple(ContainerInfo(name=each.get("name", ""), image=each.get("image", "")) for each in listed)


def _newest_first(items: Sequence[Object]) -> list[Object]:
    return sorted(items, key=lambda each: (-revision_of(each), *_by_birth(each)))


def _by_birth(item: Object) -> tuple[str, str]:
    return item["metadata"].get("creationTimestamp") or "", item["metadata"]["name"]


def _meta(item: Object) -> Meta:
    metadata = item["metadata"]
    return Meta(
        name=metadata["name"],
        namespace=metadata.get("namespace") or "",
        uid=metadata.get("uid") or "",
        creation_timestamp=metadata.get("creationTimestamp"),
        resource_version=metadata.get("resourceVersion") or "",
    )
