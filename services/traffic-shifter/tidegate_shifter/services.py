"""Which pods a Service chooses: the value of `rollouts-pod-template-hash` in its selector (`argo-behaviour.md` 3.7).

Two fields are written and no other: that selector key, and the managed-by annotation where it is absent. Whether the ReplicaSet
has enough available pods to be chosen was decided by the planner, which sees it; here only the fence is checked again.
"""

from collections.abc import Iterable
from functools import partial

from tidegate.errors import KubeError, Retry
from tidegate.keys import MANAGED_BY, POD_TEMPLATE_HASH
from tidegate.kube.kinds import SERVICE, Object
from tidegate.messages import Record, ServiceTarget
from tidegate_shifter.fence import annotation_of, with_annotation
from tidegate_shifter.router import Owner, Refused
from tidegate_shifter.writing import Api, Target, Written, write


def chosen_hash(service: Object) -> str:
    """The hash that a Service selects by, "" for a Service that was never adopted."""
    return str((service.get("spec", {}).get("selector") or {}).get(POD_TEMPLATE_HASH, ""))


def switched(service: Object | None, *, target: Target, hash: str, owner: Owner) -> Object:  # noqa: A002 - the domain's word
    """The Service as it must be for its pods to be those of the ReplicaSet with this hash."""
    if service is None:
        raise Refused(f"{target} does not exist; rollout {owner} needs it")
    manager = annotation_of(service, MANAGED_BY)
    if manager not in (None, "", owner.name):
        raise Refused(
            f"{target} is managed by rollout {manager!r} (annotation {MANAGED_BY}); two Rollouts cannot share a Service,"
            f" so rollout {owner} must name another one"
        )
    spec = service.get("spec", {})
    selector = {**(spec.get("selector") or {}), POD_TEMPLATE_HASH: hash}
    adopted = service if manager else with_annotation(service, MANAGED_BY, owner.name)
    return {**adopted, "spec": {**spec, "selector": selector}}


def switch_record(written: Written, service: str) -> Record | None:
    """The Event of a switch that really happened."""
    before, after = chosen_hash(written.before or {}), chosen_hash(written.after or {})
    if before == after:
        return None
    return Record(reason="SwitchService", message=f"Switched selector for service '{service}' from '{before}' to '{after}'")


async def switch_services(
    kube: Api, wanted: Iterable[ServiceTarget], *, owner: Owner, fence: int
) -> tuple[list[Record], list[Exception]]:
    """Switch each Service; one that cannot be switched does not stop the others. What was done, and what stood in the way."""
    records: list[Record] = []
    problems: list[Exception] = []
    for each in wanted:
        target = Target(SERVICE, owner.namespace, each.service)
        try:
            wish = partial(switched, target=target, hash=each.hash, owner=owner)
            written = await write(kube, target, wish, owner=owner, fence=fence)
        except (Refused, KubeError, Retry) as problem:
            problems.append(problem)
            continue
        if record := switch_record(written, each.service):
            records.append(record)
    return records, problems
