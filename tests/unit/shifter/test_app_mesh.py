"""App Mesh: the routes of a VirtualRouter, the pods of two VirtualNodes, and the order in which they are written."""

import pytest

from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.kube.kinds import APP_MESH_VIRTUAL_ROUTER, APP_MESH_VIRTUAL_SERVICE
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, Split
from tidegate_shifter.router import Ask, Owner, Refused
from tidegate_shifter.routers.app_mesh import VIRTUAL_NODE, AppMesh

NODES = {"canaryVirtualNodeRef": {"name": "canary"}, "stableVirtualNodeRef": {"name": "stable"}}


def ask(canary=20, *, hashes=("new", "old"), routes=None, fence=1, config=None):
    split = Split(
        canary=Destination(weight=canary, service="c", hash=hashes[0]),
        stable=Destination(weight=100 - canary, service="s", hash=hashes[1]),
    )
    service = {"name": "shop"} | ({"routes": routes} if routes else {})
    config = {"virtualService": service, "virtualNodeGroup": NODES} if config is None else config
    return Ask(owner=Owner(namespace="shop", name="app", uid="u"), fence=fence, split=split, config=config)


def route(name, *nodes, protocol="httpRoute"):
    targets = [{"virtualNodeRef": {"name": node}, "weight": 1} for node in nodes]
    return {"name": name, protocol: {"match": {}, "action": {"weightedTargets": targets}}}


async def cluster(*routes):
    kube = MemoryKube()
    ref = {"virtualRouter": {"virtualRouterRef": {"name": "router"}}}
    await kube.create(APP_MESH_VIRTUAL_SERVICE, {"metadata": {"name": "shop", "namespace": "shop"}, "spec": {"provider": ref}})
    await kube.create(
        APP_MESH_VIRTUAL_ROUTER, {"metadata": {"name": "router", "namespace": "shop"}, "spec": {"routes": list(routes)}}
    )
    for name in ("canary", "stable"):
        selector = {"podSelector": {"matchLabels": {"app": "app"}}}
        await kube.create(VIRTUAL_NODE, {"metadata": {"name": name, "namespace": "shop"}, "spec": selector})
    return kube


async def weights(kube):
    found = {}
    for each in (await kube.get(APP_MESH_VIRTUAL_ROUTER, "shop", "router"))["spec"]["routes"]:
        (protocol,) = set(each) - {"name"}
        found[each["name"]] = [one["weight"] for one in each[protocol]["action"]["weightedTargets"]]
    return found


async def pods(kube):
    nodes = [await kube.get(VIRTUAL_NODE, "shop", name) for name in ("canary", "stable")]
    return [each["spec"]["podSelector"]["matchLabels"].get(POD_TEMPLATE_HASH) for each in nodes]


async def test_a_namesake_of_another_namespace_is_not_our_node():
    ours, theirs = route("ours", "stable", "canary"), route("theirs", "stable", "canary")
    for each in theirs["httpRoute"]["action"]["weightedTargets"]:
        each["virtualNodeRef"]["namespace"] = "elsewhere"
    kube = await cluster(ours, theirs)
    await AppMesh(kube).apply(ask())
    assert await weights(kube) == {"ours": [80, 20], "theirs": [1, 1]}


async def test_routes_of_every_protocol_with_both_nodes_move_and_others_stay():
    routes = [route(name, "stable", "canary", "x", protocol=name) for name in ("httpRoute", "tcpRoute", "http2Route", "grpcRoute")]
    kube = await cluster(*routes, route("other", "stable"))
    report = await AppMesh(kube).apply(ask())
    moved = {name: [80, 20, 1] for name in ("httpRoute", "tcpRoute", "http2Route", "grpcRoute")}
    assert await weights(kube) == moved | {"other": [1]}
    assert (report.state, report.weight) == ("applied", 20)


async def test_only_named_routes_move():
    kube = await cluster(route("a", "stable", "canary"), route("b", "stable", "canary"))
    await AppMesh(kube).apply(ask(routes=["b"]))
    assert await weights(kube) == {"a": [1, 1], "b": [80, 20]}


async def test_pods_are_chosen_before_they_get_traffic_and_let_go_after_it():
    kube = await cluster(route("a", "stable", "canary"))
    await AppMesh(kube).apply(ask())
    await AppMesh(kube).apply(ask(0, hashes=("third", "old"), fence=2))
    written = [(call.kind.kind, call.name) for call in kube.calls if call.verb == "merge_patch"]
    nodes = [("VirtualNode", "canary"), ("VirtualNode", "stable")]
    assert written == [*nodes, ("VirtualRouter", "router"), ("VirtualRouter", "router"), ("VirtualNode", "canary")]
    assert await pods(kube) == ["third", "old"]


@pytest.mark.parametrize(
    ("hashes", "chosen"),
    [
        (("", "old"), ["canary-hash", "old"]),
        (("same", "same"), ["canary-hash", "same"]),
        (("", ""), ["canary-hash", "stable-hash"]),
    ],
)
async def test_two_nodes_never_choose_the_same_pods(hashes, chosen):
    kube = await cluster(route("a", "stable", "canary"))
    await AppMesh(kube).apply(ask(0, hashes=hashes))
    assert await pods(kube) == chosen


@pytest.mark.parametrize(
    ("kind", "name", "reason"),
    [
        (APP_MESH_VIRTUAL_SERVICE, "shop", "VirtualServiceNotFound"),
        (APP_MESH_VIRTUAL_ROUTER, "router", "VirtualRouterNotFound"),
        (VIRTUAL_NODE, "canary", "VirtualNodeNotFound"),
    ],
)
async def test_what_is_missing_is_told_by_the_peers_reason(kind, name, reason):
    kube = await cluster(route("a", "stable", "canary"))
    await kube.delete(kind, "shop", name)
    with pytest.raises(Refused, match=f"{kind.kind} shop/{name} does not exist") as refused:
        await AppMesh(kube).apply(ask())
    assert [each.reason for each in refused.value.records] == [reason]


async def test_a_route_without_both_nodes_is_refused():
    kube = await cluster(route("a", "stable"))
    with pytest.raises(Refused, match=r"has no route with both VirtualNodes 'canary' and 'stable'; routes are: 'a'"):
        await AppMesh(kube).apply(ask())
    with pytest.raises(Refused, match="has no route 'a' with both"):
        await AppMesh(kube).apply(ask(routes=["a"], fence=2))


@pytest.mark.parametrize("config", [{}, {"virtualService": {"name": "shop"}}])
async def test_an_incomplete_configuration_is_refused_for_good(config):
    with pytest.raises(Refused, match="must be the name of an object") as refused:
        await AppMesh(await cluster(route("a", "stable", "canary"))).apply(ask(config=config))
    assert refused.value.lasting
