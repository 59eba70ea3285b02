"""Which routes a configuration means, and what is seen of them (`tidegate_shifter.routers.gateway_api`)."""

import pytest

from tidegate.kube.errors import NotFound
from tidegate.kube.kinds import GRPC_ROUTE, HTTP_ROUTE, Kind
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, Split
from tidegate_shifter.router import Ask, Owner, Refused
from tidegate_shifter.routers.gateway_api import FAMILIES, GatewayApi, acceptance, routes_in, selector_text


def ask(config, canary=20):
    split = Split(canary=Destination(weight=canary, service="canary"), stable=Destination(weight=100 - canary, service="stable"))
    return Ask(owner=Owner(namespace="shop", name="app", uid="u"), fence=10, split=split, config=config)


def route(name="web", namespace="shop", **labels):
    home = {} if namespace == "shop" else {"namespace": "shop"}
    refs = [{"name": "stable", "port": 80, "weight": 1} | home]
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": {"rules": [{"backendRefs": refs}]}}


async def cluster(*objects, kind=HTTP_ROUTE):
    kube = MemoryKube()
    for each in objects:
        await kube.create(kind, each)
    return kube


async def changed(kube, kind=HTTP_ROUTE):
    return [each["metadata"]["name"] for each in kube.snapshot(kind) if len(each["spec"]["rules"][0]["backendRefs"]) == 2]


def test_single_routes_use_header_routes_and_listed_ones_say_so():
    found = routes_in(
        {
            "httpRoute": "a",
            "httpRouteRuleName": "live",
            "httpRoutes": [{"name": "b"}, {"name": "c", "useHeaderRoutes": True, "ruleName": "r"}],
            "grpcRoute": "d",
            "tcpRoutes": [{"name": "e", "useHeaderRoutes": True}],
            "tlsRoute": "f",
        }
    )
    assert {(each.kinds[0].kind, each.name, each.rule, each.headers) for each in found} == {
        ("HTTPRoute", "a", "live", True),
        ("HTTPRoute", "b", "", False),
        ("HTTPRoute", "c", "r", True),
        ("GRPCRoute", "d", "", True),
        ("TCPRoute", "e", "", False),
        ("TLSRoute", "f", "", False),
    }


@pytest.mark.parametrize("entry", ["web", {}, {"name": ""}, {"name": 3}])
def test_an_entry_without_a_name_is_refused_for_good(entry):
    with pytest.raises(Refused, match="httpRoutes has the entry") as refused:
        routes_in({"httpRoutes": [entry]})
    assert refused.value.lasting


def test_a_label_selector_becomes_a_query():
    expressions = [
        {"key": "env", "operator": "In", "values": ["a", "b"]},
        {"key": "tier", "operator": "NotIn", "values": ["c"]},
        {"key": "team", "operator": "Exists"},
        {"key": "old", "operator": "DoesNotExist"},
    ]
    assert selector_text({"matchLabels": {"app": "web"}, "matchExpressions": expressions}) == (
        "app=web,env in (a,b),tier notin (c),team,!old"
    )
    with pytest.raises(Refused, match=r"'Gt'.*known: In, NotIn, Exists, DoesNotExist"):
        selector_text({"matchExpressions": [{"key": "a", "operator": "Gt"}]})


async def test_routes_are_found_by_name_and_by_label():
    kube = await cluster(route("a"), route("b", app="web"), route("c", app="api"))
    await GatewayApi(kube).apply(ask({"httpRoute": "a", "httpRouteSelector": {"matchLabels": {"app": "web"}}}))
    assert await changed(kube) == ["a", "b"]


async def test_the_namespace_of_the_configuration_is_the_routes():
    kube = await cluster(route("web", namespace="edge"), route("web"))
    await GatewayApi(kube).apply(ask({"httpRoute": "web", "namespace": "edge"}))
    assert [len(each["spec"]["rules"][0]["backendRefs"]) for each in kube.snapshot(HTTP_ROUTE)] == [2, 1]


@pytest.mark.parametrize("config", [{"tcpRoute": "web"}, {"tcpRouteSelector": {"matchLabels": {"app": "web"}}}], ids=str)
@pytest.mark.parametrize("version", FAMILIES["tcp"], ids=lambda kind: f"only {kind.version}")
async def test_a_cluster_that_serves_one_version_of_a_kind_is_read_and_written_in_that(version, config):
    kube = await cluster(route(app="web"), kind=version)
    served = OnlyServes(kube, version)
    report = await GatewayApi(served).apply(ask(config))
    assert (report.state, report.weight) == ("applied", 20)


class OnlyServes:
    """The API of a cluster that knows one version; others are a 404, as paths nobody serves are."""

    def __init__(self, kube, kind):
        self._kube = kube
        self._kind = kind

    async def get(self, kind, namespace, name):
        return await self._kube.get(
            kind if kind == self._kind else Kind(kind.group, kind.version, "nothing", kind.kind), namespace, name
        )

    async def list(self, kind, namespace, labels):
        if kind != self._kind:
            raise NotFound("the server could not find the requested resource", status=404)
        return await self._kube.list(kind, namespace, labels)

    async def merge_patch(self, kind, *arguments, **options):
        assert kind == self._kind
        return await self._kube.merge_patch(kind, *arguments, **options)


@pytest.mark.parametrize("config", [{}, {"httpRouteSelector": {"matchLabels": {"app": "none"}}}])
async def test_a_configuration_without_a_route_is_refused_with_the_known_fields(config):
    with pytest.raises(Refused, match=r"names no route.*httpRoute, httpRoutes, httpRouteSelector.*tlsRouteSelector"):
        await GatewayApi(await cluster()).apply(ask(config))


async def test_one_lost_route_does_not_keep_the_others_from_going_back():
    kube = await cluster(route("a"), route("b"))
    await GatewayApi(kube).apply(ask({"httpRoutes": [{"name": "a"}, {"name": "b"}]}))
    await kube.delete(HTTP_ROUTE, "shop", "a")
    with pytest.raises(Refused, match="HTTPRoute shop/a does not exist"):
        await GatewayApi(kube).apply(ask({"httpRoutes": [{"name": "a"}, {"name": "b"}]}, canary=0))
    assert await changed(kube) == []


async def test_what_is_seen_is_of_the_route_that_is_not_as_asked():
    kube = await cluster(route("a"), route("b"))
    config = {"httpRoutes": [{"name": "a"}, {"name": "b"}]}
    await GatewayApi(kube).apply(ask(config))
    meddled = kube.snapshot(HTTP_ROUTE)[1]
    meddled["spec"]["rules"][0]["backendRefs"][1]["weight"] = 80
    kube.put(HTTP_ROUTE, meddled)
    report = await GatewayApi(kube).observed(ask(config))
    assert (report.state, report.weight, report.message) == ("pending", 50, "HTTPRoute shop/b gives the canary 50")


def parent(*conditions):
    return {"conditions": [{"type": kind, "status": status, "observedGeneration": seen} for kind, status, seen in conditions]}


FINE = parent(("Accepted", "True", 4), ("ResolvedRefs", "True", 4))


@pytest.mark.parametrize(
    ("parents", "verified", "told"),
    [
        ([], None, ""),
        ([{"conditions": []}], None, ""),
        ([FINE], True, ""),
        ([FINE, parent(("Accepted", "True", 3))], False, "generation 3 of 4"),
        ([parent(("Accepted", "True", 4), ("ResolvedRefs", "False", 4))], False, "ResolvedRefs is False"),
        ([parent(("Accepted", "False", 4))], False, "Accepted is False"),
        ([parent(("Programmed", "False", 1)), FINE], True, ""),
    ],
    ids=["nobody reports", "a report about nothing", "fine", "one lags", "a backend is missing", "refused", "other conditions"],
)
def test_controllers_verify_by_the_generation_they_accepted(parents, verified, told):
    seen, message = acceptance({"metadata": {"generation": 4}, "status": {"parents": parents}})
    assert seen is verified
    assert told in message


def test_every_family_is_of_the_gateway_api():
    assert {kind.group for kinds in FAMILIES.values() for kind in kinds} == {GRPC_ROUTE.group}
