"""Which routes a configuration means, and what is seen of them (`tidegate_shifter.routers.gateway_api`)."""

from dataclasses import replace

import pytest

from tidegate.kube.errors import Forbidden, NotFound
from tidegate.kube.kinds import GRPC_ROUTE, HTTP_ROUTE, SERVICE, Kind
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, MirrorRoute, Split
from tidegate_shifter.gateway_features import GATEWAY, GATEWAY_CLASS
from tidegate_shifter.router import Ask, Owner, Refused
from tidegate_shifter.routers.gateway_api import FAMILIES, GatewayApi, routes_in, selector_text


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


async def test_linkerds_own_routes_are_written_where_the_gateway_apis_is_not_there():
    """With the core group as its users write it, and a Service as the parent."""
    linkerd = FAMILIES["http"][1]
    found = route()
    found["spec"]["parentRefs"] = [{"group": "core", "kind": "Service", "name": "web", "port": 80}]
    found["spec"]["rules"][0]["backendRefs"][0] |= {"group": "core", "kind": "Service"}
    kube = await cluster(found, kind=linkerd)
    report = await GatewayApi(kube).apply(ask({"httpRoute": "web"}))
    assert (report.state, report.weight, report.verified) == ("applied", 20, None)
    (written,) = kube.snapshot(linkerd)
    core = {"group": "core", "kind": "Service", "port": 80}
    both = [core | {"name": name, "weight": weight} for name, weight in (("stable", 80), ("canary", 20))]
    assert written["spec"]["rules"][0]["backendRefs"] == both
    assert written["spec"]["parentRefs"] == found["spec"]["parentRefs"]


async def test_an_abort_is_done_though_somebodys_backend_cannot_be_resolved():
    kube = await cluster(route())
    router = GatewayApi(kube)
    await router.apply(ask({"httpRoute": "web"}))
    (found,) = kube.snapshot(HTTP_ROUTE)
    conditions = [{"type": "Accepted", "status": "True"}, {"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound"}]
    kube.put(HTTP_ROUTE, {**found, "status": {"parents": [{"controllerName": "x", "conditions": conditions}]}})
    assert (await router.apply(ask({"httpRoute": "web"}))).state == "pending"
    assert (await router.apply(ask({"httpRoute": "web"}, canary=0))).state == "applied"


def test_every_family_is_of_the_gateway_api_first():
    assert {kinds[0].group for kinds in FAMILIES.values()} == {GRPC_ROUTE.group}


# --- mirrors ---------------------------------------------------------------------------------------------------------


def mirrored():
    mirror = MirrorRoute(name="shadow", match=({"path": {"prefix": "/"}},))
    asked = ask({"httpRoute": "web"})
    return replace(asked, split=asked.split.model_copy(update={"mirror_routes": (mirror,), "managed_routes": ("shadow",)}))


async def behind_a_gateway(*, features, forbidden=()):
    """The route, its Gateway in another namespace, and its class, which lists these features."""
    kube = await cluster()
    web = route()
    web["spec"]["parentRefs"] = [{"kind": "Service", "group": "", "name": "mesh"}, {"name": "edge", "namespace": "infra"}]
    await kube.create(HTTP_ROUTE, web)
    kube.put(GATEWAY, {"metadata": {"name": "edge", "namespace": "infra"}, "spec": {"gatewayClassName": "edges"}})
    kube.put(GATEWAY_CLASS, {"metadata": {"name": "edges"}, "spec": {}, "status": {"supportedFeatures": features}})
    return kube


async def is_mirrored(kube):
    await GatewayApi(kube).apply(mirrored())
    return [rule.get("name") for rule in kube.snapshot(HTTP_ROUTE)[0]["spec"]["rules"]] == ["shadow", None]


@pytest.mark.parametrize("features", [[{"name": "HTTPRouteMethodMatching"}], ["HTTPRoute", "HTTPRouteMethodMatching"]])
async def test_a_mirror_that_the_gateway_cannot_do_is_refused_before_anything_is_written(features):
    kube = await behind_a_gateway(features=features)
    with pytest.raises(
        Refused, match=r"needs HTTPRouteRequestMirror, which GatewayClass edges of Gateway infra/edge does not list"
    ):
        await GatewayApi(kube).apply(mirrored())
    assert len(kube.snapshot(HTTP_ROUTE)[0]["spec"]["rules"]) == 1
    await GatewayApi(kube).apply(ask({"httpRoute": "web"}, canary=0))  # an abort goes through


@pytest.mark.parametrize("features", [[{"name": "HTTPRouteRequestMirror"}], [], None])
async def test_a_mirror_is_written_where_the_class_can_do_it_or_says_nothing(features):
    assert await is_mirrored(await behind_a_gateway(features=features))


async def test_a_mirror_is_written_where_classes_may_not_be_looked_at():
    """As in an installation that serves one namespace."""
    kube = await behind_a_gateway(features=[{"name": "HTTPRoute"}])

    def refuse(call):
        if call.kind == GATEWAY_CLASS:
            raise Forbidden("no rights", status=403)

    kube.before = refuse
    assert await is_mirrored(kube)


# --- ports of experiments --------------------------------------------------------------------------------------------


def service_with(name, *ports):
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"ports": list(ports)}}


HTTP, ADMIN = {"name": "http", "port": 8080, "targetPort": 8080}, {"name": "admin", "port": 9000, "targetPort": 9000}


@pytest.mark.parametrize(
    ("stable", "experiment", "expected"),
    [
        pytest.param([{"port": 80, "targetPort": 8080}], [ADMIN, HTTP], 8080, id="by the number of the containers' port"),
        pytest.param([{"port": 80, "targetPort": "http"}], [ADMIN, HTTP], 8080, id="by its name"),
        pytest.param([{"port": 80, "targetPort": 8080}], [{"port": 80, "targetPort": 1}, HTTP], 80, id="the same number is there"),
        pytest.param([{"port": 80}], [HTTP], 8080, id="the only one"),
        pytest.param([{"port": 80}], [HTTP, ADMIN], 80, id="nobody can tell"),
        pytest.param([{"port": 80, "targetPort": 8080}], [], 80, id="a Service without ports"),
    ],
)
async def test_an_experiments_backend_names_the_port_that_leads_where_stables_does(stable, experiment, expected):
    kube = await cluster(route())
    await kube.create(SERVICE, service_with("stable", *stable))
    await kube.create(SERVICE, service_with("candidate", *experiment))
    asked = ask({"httpRoute": "web"})
    candidate = Destination(weight=20, service="candidate", hash="more")
    stable_share = asked.split.stable.model_copy(update={"weight": 60})
    await GatewayApi(kube).apply(
        replace(asked, split=asked.split.model_copy(update={"additional": (candidate,), "stable": stable_share}))
    )
    refs = kube.snapshot(HTTP_ROUTE)[0]["spec"]["rules"][0]["backendRefs"]
    assert {each["name"]: each["port"] for each in refs} == {"stable": 80, "canary": 80, "candidate": expected}
