"""AWS App Mesh: weights in the routes of a VirtualRouter, pods by the selectors of two VirtualNodes (`argo-behaviour.md` 9.8).

As with Istio's subsets, a node chooses its pods before they get traffic, and a canary that is to get nothing keeps its pods until
the routes say so. Targets of other nodes, and routes without both of ours, stay as they are.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Final

from tidegate.keys import MANAGED_BY, POD_TEMPLATE_HASH
from tidegate.kube.kinds import APP_MESH_VIRTUAL_ROUTER, APP_MESH_VIRTUAL_SERVICE, Kind, Object
from tidegate.messages import Record, RouterReport
from tidegate_shifter.changes import Change, carry_out, look, named
from tidegate_shifter.fence import annotation_of, with_annotation
from tidegate_shifter.router import Ask, Feature, Refused
from tidegate_shifter.writing import Api, Target, read

NAME: Final = "appMesh"
VIRTUAL_NODE: Final = Kind("appmesh.k8s.aws", "v1beta2", "virtualnodes", "VirtualNode")
PROTOCOLS: Final = ("httpRoute", "tcpRoute", "http2Route", "grpcRoute")

Json = Mapping[str, Any]


def node_names(ask: Ask) -> dict[str, int]:
    """Node -> weight."""
    group = ask.config.get("virtualNodeGroup") or {}
    sides = (("canaryVirtualNodeRef", ask.split.canary), ("stableVirtualNodeRef", ask.split.stable))
    return {named((group.get(ref) or {}).get("name"), f"{NAME}: virtualNodeGroup.{ref}.name"): side.weight for ref, side in sides}


# --- the router ----------------------------------------------------------------------------------------------------------


def patched(manifest: Object | None, *, target: Target, ask: Ask) -> Object:
    """The VirtualRouter with this split; the same again when applied to its own result."""
    if manifest is None:
        raise _refused("VirtualRouterNotFound", f"VirtualRouter for `{_service_name(ask)}` not found", target, ask)
    names = weighted_routes(manifest, target=target, ask=ask)
    routes = [with_weights(route, ask) if route["name"] in names else route for route in manifest["spec"]["routes"]]
    return {**manifest, "spec": {**manifest["spec"], "routes": routes}}


def weighted_routes(manifest: Object, *, target: Target, ask: Ask) -> list[str]:
    """The routes that are named, or all that lead to both nodes."""
    routes = {route["name"]: route for route in manifest["spec"].get("routes") or ()}
    holding = [name for name, route in routes.items() if set(node_names(ask)) <= set(targets_of(route, ask))]
    wanted = list((ask.config.get("virtualService") or {}).get("routes") or holding)
    missing = [name for name in wanted if name not in holding]
    if missing or not wanted:
        which = f"route {missing[0]!r}" if missing else "route"
        nodes = " and ".join(repr(name) for name in node_names(ask))
        there = ", ".join(map(repr, routes)) or "none"
        raise Refused(f"{target} has no {which} with both VirtualNodes {nodes}; routes are: {there}")
    return wanted


def targets_of(route: Json, ask: Ask) -> dict[str, int]:
    every = [
        each for protocol in PROTOCOLS for each in ((route.get(protocol) or {}).get("action") or {}).get("weightedTargets") or ()
    ]
    return {_node(each, ask): each["weight"] for each in every}


def with_weights(route: Json, ask: Ask) -> Json:
    weights = node_names(ask)
    changed = {}
    for protocol in PROTOCOLS:
        if body := route.get(protocol):
            old = body["action"]["weightedTargets"]
            new = [{**each, "weight": weights[_node(each, ask)]} if _node(each, ask) in weights else each for each in old]
            changed[protocol] = {**body, "action": {**body["action"], "weightedTargets": new}}
    return {**route, **changed}


def _node(weighted: Json, ask: Ask) -> str:
    """Of the Rollout's namespace; a node of another one may have the same name."""
    ref = weighted.get("virtualNodeRef") or {}
    return str(ref.get("name", "")) if ref.get("namespace") in (None, "", ask.owner.namespace) else ""


def canary_share(manifest: Object, *, target: Target, ask: Ask) -> int:
    """The canary's weight; of several routes, one that is not as asked."""
    canary, names = next(iter(node_names(ask))), weighted_routes(manifest, target=target, ask=ask)
    shares = [targets_of(route, ask)[canary] for route in manifest["spec"]["routes"] if route["name"] in names]
    return next((share for share in shares if share != ask.split.canary.weight), shares[0])


# --- the nodes -----------------------------------------------------------------------------------------------------------


def node(manifest: Object | None, *, target: Target, pods: str, ask: Ask) -> Object:
    """The VirtualNode that chooses the pods of this hash."""
    if manifest is None:
        raise _refused("VirtualNodeNotFound", f"VirtualNode `{target.name}` not found", target, ask)
    selector = manifest["spec"].get("podSelector") or {}
    labels = {**(selector.get("matchLabels") or {}), POD_TEMPLATE_HASH: pods}
    result = {**manifest, "spec": {**manifest["spec"], "podSelector": {**selector, "matchLabels": labels}}}
    return result if annotation_of(manifest, MANAGED_BY) else with_annotation(result, MANAGED_BY, ask.owner.name)


def nodes(ask: Ask, *, ahead: bool) -> list[Change]:
    """Both nodes, each with its pods. `ahead` of the routes, a canary that is to get nothing keeps those it has."""
    split = ask.split
    hashes = (split.canary.hash or "canary-hash", split.stable.hash or "stable-hash")
    if hashes[0] == hashes[1]:
        hashes = ("canary-hash", hashes[1])  # two nodes may not choose the same pods
    targets = [Target(VIRTUAL_NODE, ask.owner.namespace, name) for name in node_names(ask)]
    pairs = list(zip(targets, hashes, strict=True))[1 if ahead and not split.canary.weight else 0 :]
    return [Change(target=target, wanted=partial(node, target=target, pods=pods, ask=ask)) for target, pods in pairs]


# --- where ---------------------------------------------------------------------------------------------------------------


def _service_name(ask: Ask) -> str:
    return named((ask.config.get("virtualService") or {}).get("name"), f"{NAME}: virtualService.name")


def _refused(reason: str, text: str, target: Target, ask: Ask) -> Refused:
    record = Record(type="Warning", reason=reason, message=f"{text} in namespace `{ask.owner.namespace}`")
    return Refused(f"{target} does not exist; rollout {ask.owner} sends its traffic through it", records=(record,))


class AppMesh:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset()
    remarks: ClassVar[Mapping[Feature, str]] = {}

    def __init__(self, kube: Api) -> None:
        self._kube = kube

    async def apply(self, ask: Ask) -> RouterReport:
        router = await self._router(ask)
        await carry_out(self._kube, NAME, nodes(ask, ahead=True), ask)
        report = await carry_out(self._kube, NAME, [router], ask)
        await carry_out(self._kube, NAME, nodes(ask, ahead=False), ask)
        return report

    async def observed(self, ask: Ask) -> RouterReport:
        return await look(self._kube, NAME, [await self._router(ask)], ask)

    async def _router(self, ask: Ask) -> Change:
        """The router is named by the VirtualService."""
        service = Target(APP_MESH_VIRTUAL_SERVICE, ask.owner.namespace, _service_name(ask))
        found = await read(self._kube, service)
        if found is None:
            raise _refused("VirtualServiceNotFound", f"VirtualService `{service.name}` not found", service, ask)
        ref = (((found["spec"].get("provider") or {}).get("virtualRouter") or {}).get("virtualRouterRef")) or {}
        name = named(ref.get("name"), f"{service}: spec.provider.virtualRouter.virtualRouterRef.name")
        target = Target(APP_MESH_VIRTUAL_ROUTER, ref.get("namespace") or service.namespace, name)
        wanted = partial(patched, target=target, ask=ask)
        return Change(target=target, wanted=wanted, share=partial(canary_share, target=target, ask=ask))
