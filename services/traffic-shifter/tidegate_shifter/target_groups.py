"""Whether the pods of a Service are registered in its AWS target groups (`argo-behaviour.md` 5.4, 9.2).

A Service chooses pods at once; the controller of AWS registers them in the target group seconds later, and until then the load
balancer sends users to those that were chosen before. So the old pods must not go yet: what asked for the switch is told to wait.

Read off TargetGroupBindings of type `ip`, for only they list pods. The peer compares with all endpoints of the Service, which
right after the switch are still those of the old pods, all of them registered; here only pods of the wanted ReplicaSet count.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from tidegate.errors import KubeError
from tidegate.kube.errors import NotFound
from tidegate.kube.kinds import ENDPOINT_SLICE, SERVICE, TARGET_GROUP_BINDING, Object
from tidegate.messages import Record, RouterReport, ServiceTarget
from tidegate_shifter.load_balancers import LoadBalancers, NotAnswered
from tidegate_shifter.router import Owner
from tidegate_shifter.writing import Api, Target, read

NAME: Final = "targetGroups"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """Of one target group: how many of the Service's pods are in it. `waits_for` is "" when all are."""

    service: str
    arn: str
    registered: int
    wanted: int
    waits_for: str = ""


class TargetGroups:
    """Asks for all Services of a request that have bindings."""

    def __init__(self, kube: Api, load_balancers: LoadBalancers) -> None:
        self._kube = kube
        self._load_balancers = load_balancers
        self._waiting: set[tuple[Owner, str]] = set()

    async def report(self, services: Iterable[ServiceTarget], owner: Owner) -> tuple[RouterReport | None, list[Record]]:
        """None where no Service has a target group. That a group is complete is told if it had to be waited for."""
        try:
            bindings, _ = await self._kube.list(TARGET_GROUP_BINDING, owner.namespace)
            found: list[Registration] = []
            for each in services:
                bound = [binding for binding in bindings if is_of(binding, each.service)]
                if bound:
                    found += await self._registrations(each, bound, owner)
        except NotFound:  # no controller of AWS in this cluster
            return None, []
        except KubeError as error:
            return RouterReport(router=NAME, state="pending", verified=False, message=str(error)), []
        return reported(found), self._news(found, owner)

    async def _registrations(self, service: ServiceTarget, bindings: list[Object], owner: Owner) -> list[Registration]:
        manifest = await read(self._kube, Target(SERVICE, owner.namespace, service.service)) or {}
        label = f"kubernetes.io/service-name={service.service}"
        slices, _ = await self._kube.list(ENDPOINT_SLICE, owner.namespace, labels=label)
        found = []
        for binding in bindings:
            arn, port = binding["spec"]["targetGroupARN"], port_name(manifest, binding["spec"]["serviceRef"].get("port"))
            ours, others = addresses(slices, f"{owner.name}-{service.hash}-", port)
            try:
                there = await self._load_balancers.targets(arn)
            except NotAnswered as error:
                found.append(Registration(service=service.service, arn=arn, registered=0, wanted=len(ours), waits_for=str(error)))
                continue
            count = len(ours & there)
            if not ours and others:
                told = "its endpoints are still other pods"
            else:
                told = "" if count == len(ours) else f"{count}/{len(ours)} endpoints registered"
            found.append(Registration(service=service.service, arn=arn, registered=count, wanted=len(ours), waits_for=told))
        return found

    def _news(self, found: Iterable[Registration], owner: Owner) -> list[Record]:
        records = []
        for each in found:
            key, group = (owner, each.arn), f"Service {each.service} (TargetGroup {each.arn})"
            if each.waits_for:
                self._waiting.add(key)
                told = f"{group} not verified: {each.registered}/{each.wanted} endpoints registered"
                records.append(Record(type="Warning", reason="TargetGroupUnverified", message=told))
            elif key in self._waiting:
                self._waiting.discard(key)
                told = f"{group} verified: {each.registered} endpoints registered"
                records.append(Record(reason="TargetGroupVerified", message=told))
        return records


# --- pure ----------------------------------------------------------------------------------------------------------------


def is_of(binding: Object, service: str) -> bool:
    spec = binding.get("spec") or {}
    return spec.get("targetType") == "ip" and (spec.get("serviceRef") or {}).get("name") == service


def port_name(service: Object, port: Any) -> str | None:
    """Ports of an EndpointSlice go by the name of the Service's port, "" where it has none. None: the Service has no such port."""
    ports = (service.get("spec") or {}).get("ports") or ()
    return next((each.get("name") or "" for each in ports if port in (each.get("port"), each.get("name"))), None)


def addresses(slices: Iterable[Object], pods: str, port: str | None) -> tuple[set[tuple[str, int]], set[str]]:
    """Address and port of each endpoint that is a pod of this name's beginning, and the addresses of all others."""
    ours: set[tuple[str, int]] = set()
    others: set[str] = set()
    for each in slices:
        number = next((one.get("port") for one in each.get("ports") or () if (one.get("name") or "") == port), None)
        for endpoint in each.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            if number and str((endpoint.get("targetRef") or {}).get("name", "")).startswith(pods):
                ours |= {(address, number) for address in endpoint.get("addresses") or ()}
            else:
                others |= set(endpoint.get("addresses") or ())
    return ours, others


def reported(found: list[Registration]) -> RouterReport | None:
    if not found:
        return None
    waits = [f"Service {each.service} (TargetGroup {each.arn}): {each.waits_for}" for each in found if each.waits_for]
    return RouterReport(router=NAME, state="pending" if waits else "applied", verified=not waits, message="; ".join(waits))
