"""VirtualServices and DestinationRules as they must be for a split, and the order in which they are written."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.keys import MANAGED_BY, POD_TEMPLATE_HASH
from tidegate.kube.errors import ServerUnavailable
from tidegate.kube.kinds import DESTINATION_RULE, SERVICE, VIRTUAL_SERVICE
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, HeaderRoute, MirrorRoute, Split
from tidegate_shifter.added import ADDED
from tidegate_shifter.router import Ask, Owner, Refused
from tidegate_shifter.routers.istio import Istio, rules, services

HEADER = HeaderRoute(name="first", match=({"headerName": "X-Canary", "headerValue": {"exact": "yes"}},))
MIRROR = MirrorRoute(name="second", match=({"path": {"prefix": "/api"}, "method": {"exact": "GET"}},), percentage=30)
SUBSETS = {"name": "app", "canarySubsetName": "canary", "stableSubsetName": "stable"}


def ask(canary, config=None, *, names=("canary", "stable"), hashes=("new", "old"), fence=10, told=None, rollout="app", **more):
    rest = 100 - canary - sum(each.weight for each in more.get("additional", ()))
    split = Split(
        canary=Destination(weight=canary, service=names[0], hash=hashes[0]),
        stable=Destination(weight=rest, service=names[1], hash=hashes[1]),
        managed_routes=("first", "second"),
        **more,
    )
    owner = Owner(namespace="shop", name=rollout, uid="u")
    config = {"virtualService": {"name": "web"}} if config is None else config
    return Ask(owner=owner, fence=fence, split=split, config=config, tell=(told if told is not None else []).append)


def by_subset(canary, virtual_service=None, *, rule=None, **more):
    config = {"virtualService": {"name": "web"} | (virtual_service or {}), "destinationRule": SUBSETS | (rule or {})}
    return ask(canary, config, names=(None, None), **more)


def to(host, weight, **more):
    return {"destination": {"host": host} | more, "weight": weight}


def web(*http, **more):
    spec = {"hosts": ["app.local"], "http": list(http)} if http else {"hosts": ["app.local"]}
    return {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec | more}


def patched(found, asked, place=0):
    return services(asked)[place].wanted(found)


def routes(manifest, protocol="http"):
    return {each.get("name", index): each["route"] for index, each in enumerate(manifest["spec"][protocol])}


# --- weights ----------------------------------------------------------------------------------------------------------


def test_only_our_two_weights_change():
    found = web(
        {"name": "all", "route": [to("stable", 100), to("canary", 0), to("discovery", 7)], "timeout": "5s"},
        {"name": "other", "route": [to("stable", 1), to("canary", 9)]},
    )
    before = deepcopy(found)
    made = patched(found, ask(20, {"virtualService": {"name": "web", "routes": ["all"]}}))
    assert found == before
    assert made["spec"]["http"] == [
        {"name": "all", "route": [to("stable", 80), to("canary", 20), to("discovery", 7)], "timeout": "5s"},
        before["spec"]["http"][1],
    ]
    assert ADDED not in made["metadata"].get("annotations", {})


@pytest.mark.parametrize("host", ["canary", "canary.shop", "canary.shop.svc", "canary.shop.svc.cluster.local"])
def test_a_host_is_known_by_its_first_label(host):
    made = patched(web({"route": [to("stable", 100), to(host, 0)]}), ask(20))
    assert routes(made)[0] == [to("stable", 80), to(host, 20)]


def test_a_namesake_in_another_namespace_is_not_our_service():
    away = to("canary.other.svc.cluster.local", 3)
    made = patched(web({"route": [to("stable", 100), away, to("canary", 0)]}), ask(20))
    assert routes(made)[0] == [to("stable", 80), away, to("canary", 20)]


def test_subsets_tell_the_sides_apart_where_a_rule_is_named():
    found = web({"route": [to("app", 100, subset="stable"), to("app", 0, subset="canary"), to("app", 5, subset="legacy")]})
    made = patched(found, by_subset(30))
    assert routes(made)[0] == [to("app", 70, subset="stable"), to("app", 30, subset="canary"), to("app", 5, subset="legacy")]


def test_additional_subsets_keep_their_weight_out_of_the_stables_share():
    found = web({"route": [to("app", 90, subset="stable"), to("app", 0, subset="canary"), to("app", 10, subset="beta")]})
    wanted = {"additionalSubsetNames": ["beta"]}
    weights = [each["weight"] for each in routes(patched(found, by_subset(30, rule=wanted)))[0]]
    assert weights == [60, 30, 10]
    assert [each["weight"] for each in routes(patched(found, by_subset(95, rule=wanted)))[0]] == [0, 95, 10]


def test_experiments_come_in_the_shape_of_the_stable_and_go():
    found = web({"route": [to("stable.shop", 100, port={"number": 80}), to("canary.shop", 0, port={"number": 80})]})
    extra = (Destination(weight=5, service="b"), Destination(weight=5, service="a"))
    made = patched(found, ask(10, additional=extra))
    assert routes(made)[0][2:] == [to("a.shop", 5, port={"number": 80}), to("b.shop", 5, port={"number": 80})]
    assert made["metadata"]["annotations"][ADDED] == "shop/app=a+b"
    assert patched(made, ask(10, additional=extra)) == made
    rest = patched(made, ask(0))
    assert (rest["spec"], rest["metadata"]["annotations"]) == (found["spec"], {})


def test_an_experiments_subset_is_one_of_the_stables_host():
    found = web({"route": [to("app", 100, subset="stable"), to("app", 0, subset="canary")]})
    made = patched(found, by_subset(10, additional=(Destination(weight=5, service="candidate", hash="h"),)))
    assert routes(made)[0][2] == to("app", 5, subset="candidate")
    assert patched(made, by_subset(0))["spec"] == found["spec"]


# --- which routes -----------------------------------------------------------------------------------------------------


BOTH = [to("stable", 100), to("canary", 0)]
MOVED = [to("stable", 80), to("canary", 20)]


def test_without_names_the_first_unnamed_of_several_http_routes_is_meant():
    found = web({"name": "api", "route": BOTH}, {"route": BOTH}, {"route": BOTH})
    assert list(routes(patched(found, ask(20))).values()) == [BOTH, MOVED, BOTH]


def test_several_named_routes_move_together():
    found = web({"name": "a", "route": BOTH}, {"name": "b", "route": BOTH}, {"name": "c", "route": BOTH})
    made = patched(found, ask(20, {"virtualService": {"name": "web", "routes": ["a", "c"]}}))
    assert routes(made) == {"a": MOVED, "b": BOTH, "c": MOVED}


def test_tls_routes_are_found_by_port_and_exactly_their_server_names():
    tls = [
        {"match": [{"port": 443, "sniHosts": ["a.io", "b.io"]}], "route": BOTH},
        {"match": [{"port": 443, "sniHosts": ["a.io"]}], "route": BOTH},
        {"match": [{"port": 8443, "sniHosts": ["a.io"]}], "route": BOTH},
    ]

    def moved(**wanted):
        made = patched(web(tls=tls), ask(20, {"virtualService": {"name": "web", "tlsRoutes": [wanted]}}))
        return [each == MOVED for each in routes(made, "tls").values()]

    assert moved(port=443) == [True, True, False]
    assert moved(port=8443) == [False, False, True]
    assert moved(port=443, sniHosts=["b.io", "a.io"]) == [True, False, False]


def test_tcp_routes_are_found_by_port_and_each_protocol_is_chosen_on_its_own():
    """As in the peer: naming routes of one protocol says nothing of the others'."""
    tcp = [{"match": [{"port": 5432}], "route": BOTH}, {"match": [{"port": 6379}], "route": BOTH}]
    made = patched(web({"route": BOTH}, tcp=tcp), ask(20, {"virtualService": {"name": "web", "tcpRoutes": [{"port": 6379}]}}))
    assert (routes(made), routes(made, "tcp")) == ({0: MOVED}, {0: BOTH, 1: MOVED})
    named = ask(20, {"virtualService": {"name": "web", "routes": ["all"]}})
    made = patched(web({"name": "all", "route": BOTH}, {"name": "b", "route": BOTH}, tcp=tcp[:1]), named)
    assert (routes(made), routes(made, "tcp")) == ({"all": MOVED, "b": BOTH}, {0: MOVED})


def test_lone_routes_of_every_protocol_move_if_they_are_ours():
    theirs = [to("vault", 100)]
    made = patched(web({"route": BOTH}, tls=[{"route": theirs}], tcp=[{"route": BOTH}]), ask(20))
    assert (routes(made), routes(made, "tls"), routes(made, "tcp")) == ({0: MOVED}, {0: theirs}, {0: MOVED})


@pytest.mark.parametrize(
    ("found", "config", "told"),
    [
        (web({"name": "a", "route": BOTH}), {"routes": ["b"]}, "no HTTP route named 'b'; named ones are: 'a'"),
        (web({"name": "a", "route": [to("stable", 1)]}), {"routes": ["a"]}, "'a' must have both hosts 'canary' and 'stable'"),
        (web({"name": "a", "route": BOTH}, {"name": "b", "route": BOTH}), {}, "must be named in routes, tlsRoutes or tcpRoutes"),
        (web({"route": BOTH}), {"tlsRoutes": [{"port": 443}]}, "no TLS route that matches {'port': 443}"),
        (web({"route": BOTH}, tcp=[]), {"tcpRoutes": [{"port": 1}]}, "no TCP route that matches"),
    ],
)
def test_what_cannot_be_chosen_is_refused_with_what_is_there(found, config, told):
    with pytest.raises(Refused) as refused:
        patched(found, ask(20, {"virtualService": {"name": "web"} | config}))
    assert told in str(refused.value)
    assert "VirtualService shop/web" in str(refused.value)


def test_a_route_without_our_subsets_is_refused():
    with pytest.raises(Refused, match="subsets 'canary' and 'stable'"):
        patched(web({"route": [to("app", 100, subset="v1")]}), by_subset(20))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({}, "neither is given"),
        ({"virtualService": {"name": "a"}, "virtualServices": [{"name": "b"}]}, "both are given"),
        ({"virtualService": {"routes": []}}, "virtualService.name is None"),
        ({"virtualService": {"name": "a"}, "destinationRule": {"name": "d", "canarySubsetName": "c"}}, "stableSubsetName is None"),
    ],
)
def test_a_configuration_that_names_nothing_is_refused_for_good(config, told):
    with pytest.raises(Refused, match=told) as refused:
        services(ask(20, config))
    assert refused.value.lasting


def test_a_virtual_service_may_be_in_another_namespace():
    config = {"virtualServices": [{"name": "web.edge"}, {"name": "inner"}]}
    assert [str(each.target) for each in services(ask(20, config))] == ["VirtualService edge/web", "VirtualService shop/inner"]


# --- managed routes ---------------------------------------------------------------------------------------------------


def test_managed_routes_come_first_in_their_order_and_go():
    found = web({"name": "all", "route": [to("stable", 100, port={"number": 80}), to("canary", 0, port={"number": 80})]})
    made = patched(found, ask(20, header_routes=(HEADER,), mirror_routes=(MIRROR,)))
    canary = {"host": "canary", "port": {"number": 80}}
    assert made["spec"]["http"][:2] == [
        {
            "name": "first",
            "match": [{"headers": {"X-Canary": {"exact": "yes"}}}],
            "route": [{"destination": canary, "weight": 100}],
        },
        {
            "name": "second",
            "match": [{"method": {"exact": "GET"}, "uri": {"prefix": "/api"}}],
            "route": made["spec"]["http"][2]["route"],
            "mirror": canary,
            "mirrorPercentage": {"value": 30},
        },
    ]
    assert patched(made, ask(20, header_routes=(HEADER,), mirror_routes=(MIRROR,))) == made
    assert patched(made, ask(0))["spec"] == found["spec"]


def test_the_weights_in_a_mirror_route_follow_those_of_its_source():
    found = web({"route": BOTH})
    moved = patched(patched(found, ask(20, mirror_routes=(MIRROR,))), ask(60, mirror_routes=(MIRROR,)))
    assert routes(moved)["second"] == [to("stable", 40), to("canary", 60)]


def test_managed_routes_lead_to_the_canarys_subset():
    found = web({"route": [to("app", 100, subset="stable"), to("app", 0, subset="canary")]})
    made = patched(found, by_subset(20, header_routes=(HEADER,)))
    assert routes(made)["first"] == [to("app", 100, subset="canary")]


def test_a_route_of_the_same_name_that_leads_elsewhere_is_not_ours():
    theirs = {"name": "first", "route": [to("billing", 100)]}
    found = web(theirs, {"name": "all", "route": BOTH})
    asked = ask(20, {"virtualService": {"name": "web", "routes": ["all"]}}, header_routes=(HEADER,))
    made = patched(found, asked)
    assert theirs in made["spec"]["http"]
    assert patched(patched(made, asked), ask(0, asked.config))["spec"] == found["spec"]


def test_a_header_value_without_a_form_is_refused_for_good():
    wrong = HeaderRoute(name="first", match=({"headerName": "X", "headerValue": {}},))
    with pytest.raises(Refused, match="must have exact, prefix or regex") as refused:
        patched(web({"route": BOTH}), ask(20, header_routes=(wrong,)))
    assert refused.value.lasting


# --- DestinationRules -------------------------------------------------------------------------------------------------


def rule(*subsets, **metadata):
    return {"metadata": {"name": "app", "namespace": "shop"} | metadata, "spec": {"host": "app", "subsets": list(subsets)}}


def subset(name, pods=None, **more):
    labels = {"app": "app"} | ({POD_TEMPLATE_HASH: pods} if pods else {})
    return {"name": name, "labels": labels} | more


def rule_after(found, asked, *, ahead=False):
    return rules(asked, ahead=ahead)[0].wanted(found)


def hashes(manifest):
    return {each["name"]: each["labels"].get(POD_TEMPLATE_HASH) for each in manifest["spec"]["subsets"]}


def test_our_subsets_get_their_hashes_and_everything_else_stays():
    found = rule(subset("canary"), subset("stable", trafficPolicy={"tls": {}}), subset("legacy", "older"))
    made = rule_after(found, by_subset(20))
    assert made["spec"]["subsets"] == [
        subset("canary", "new"),
        subset("stable", "old", trafficPolicy={"tls": {}}),
        subset("legacy", "older"),
    ]
    assert made["metadata"]["annotations"] == {MANAGED_BY: "app"}
    assert rule_after(made, by_subset(20)) == made


def test_a_side_without_a_hash_chooses_every_revision():
    made = rule_after(rule(subset("canary", "new"), subset("stable", "old")), by_subset(0, hashes=("", "old")))
    assert hashes(made) == {"canary": None, "stable": "old"}


def test_ahead_of_the_weights_nothing_is_taken_from_traffic_that_still_flows():
    extra = Destination(weight=5, service="candidate", hash="h")
    running = rule_after(rule(subset("canary", "new"), subset("stable", "old")), by_subset(20, additional=(extra,)))
    assert hashes(running) == {"canary": "new", "stable": "old", "candidate": "h"}
    ended = by_subset(0, hashes=("third", "new"))
    assert hashes(rule_after(running, ended, ahead=True)) == {"canary": "new", "stable": "new", "candidate": "h"}
    assert hashes(rule_after(running, ended)) == {"canary": "third", "stable": "new"}


@pytest.mark.parametrize("ahead", [True, False])
def test_the_pods_of_an_experiment_on_its_way_out_stay_chosen_until_it_is_gone(ahead):
    """It is named without weight and hash then: any other pods in its place would get what still comes to it."""
    extra = Destination(weight=5, service="candidate", hash="try")
    running = rule_after(rule(subset("canary", "new"), subset("stable", "old")), by_subset(20, additional=(extra,)))
    leaving = by_subset(20, additional=(Destination(weight=0, service="candidate"),))
    assert hashes(rule_after(running, leaving, ahead=ahead)) == hashes(running)
    assert "candidate" not in hashes(rule_after(running, by_subset(20)))


def test_a_rule_without_our_subsets_or_without_itself_is_refused():
    with pytest.raises(Refused, match=r"DestinationRule shop/app has no subset 'canary'; subsets are: 'stable'"):
        rule_after(rule(subset("stable")), by_subset(20))
    with pytest.raises(Refused, match="DestinationRule shop/app does not exist") as refused:
        rule_after(None, by_subset(20))
    assert [(each.type, each.reason, each.message) for each in refused.value.records] == [
        ("Warning", "DestinationRuleNotFound", "DestinationRule `app` not found")
    ]


# --- the order of writes, and what is told ------------------------------------------------------------------------------


async def cluster():
    kube = MemoryKube()
    await kube.create(VIRTUAL_SERVICE, web({"route": [to("app", 100, subset="stable"), to("app", 0, subset="canary")]}))
    await kube.create(DESTINATION_RULE, rule(subset("canary"), subset("stable")))
    return kube


def writes(kube):
    return [call.kind.kind for call in kube.calls if call.verb == "merge_patch"]


async def test_pods_are_chosen_before_they_get_traffic_and_let_go_after_it():
    kube, told = await cluster(), []
    router = Istio(kube)
    await router.apply(by_subset(20, fence=1, told=told))
    await router.apply(by_subset(0, hashes=("third", "old"), fence=2, told=told))
    assert writes(kube) == ["DestinationRule", "VirtualService", "VirtualService", "DestinationRule"]
    assert [(each.reason, each.message) for each in told] == [
        ("UpdatedDestinationRule", "DestinationRule app subset updated (canary: new, stable: old)"),
        ("Updated VirtualService", "VirtualService `web` set to desiredWeight '20'"),
        ("Updated VirtualService", "VirtualService `web` set to desiredWeight '0'"),
        ("UpdatedDestinationRule", "DestinationRule app subset updated (canary: third, stable: old)"),
    ]


async def test_no_weight_moves_to_subsets_that_could_not_be_set():
    kube = await cluster()
    await kube.delete(DESTINATION_RULE, "shop", "app")
    with pytest.raises(Refused, match="DestinationRule shop/app does not exist"):
        await Istio(kube).apply(by_subset(20))
    assert writes(kube) == []


async def test_one_lost_virtual_service_does_not_keep_the_other_from_its_weights():
    kube, told = MemoryKube(), []
    await kube.create(VIRTUAL_SERVICE, web({"route": BOTH}))
    with pytest.raises(Refused) as refused:
        await Istio(kube).apply(ask(20, {"virtualServices": [{"name": "lost"}, {"name": "web"}]}, told=told))
    assert [each.message for each in refused.value.records] == ["VirtualService `lost` not found"]
    assert [each.message for each in told] == ["VirtualService `web` set to desiredWeight '20'"]
    assert routes(await kube.get(VIRTUAL_SERVICE, "shop", "web"))[0] == MOVED


async def test_an_outage_in_the_middle_is_made_good_by_the_next_try():
    kube = await cluster()

    def refuse(call):
        if call.verb == "merge_patch" and call.kind == VIRTUAL_SERVICE:
            raise ServerUnavailable("away", status=503)

    carries_on, kube.before = kube.before, refuse
    with pytest.raises(ServerUnavailable):
        await Istio(kube).apply(by_subset(20))
    kube.before = carries_on
    report = await Istio(kube).apply(by_subset(20))
    assert (report.state, report.weight) == ("applied", 20)
    assert writes(kube).count("DestinationRule") == 1


async def test_managed_routes_that_went_are_told():
    kube, told = MemoryKube(), []
    await kube.create(VIRTUAL_SERVICE, web({"route": BOTH}))
    await Istio(kube).apply(ask(20, header_routes=(HEADER,), fence=1))
    await Istio(kube).apply(ask(20, fence=2, told=told))
    assert [each.message for each in told] == ["VirtualService `web` removed all managed routes."]


async def test_managed_routes_that_came_are_told_once_by_their_names():
    kube, told = MemoryKube(), []
    await kube.create(VIRTUAL_SERVICE, web({"route": MOVED}))
    await Istio(kube).apply(ask(20, header_routes=(HEADER,), fence=1, told=told))
    await Istio(kube).apply(ask(20, header_routes=(HEADER,), mirror_routes=(MIRROR,), fence=2, told=told))
    assert [(each.reason, each.message) for each in told] == [
        ("Updated VirtualService", "VirtualService `web` set headerRoute 'first'"),
        ("Updated VirtualService", "VirtualService `web` set mirrorRoute 'second'"),
    ]


async def test_an_experiments_destination_names_the_port_that_leads_where_stables_does():
    kube, port = MemoryKube(), {"number": 80}
    await kube.create(VIRTUAL_SERVICE, web({"route": [to("stable", 100, port=port), to("canary", 0, port=port)]}))
    for name, ports in (("stable", {"port": 80, "targetPort": 8080}), ("candidate", {"port": 8080, "targetPort": 8080})):
        await kube.create(SERVICE, {"metadata": {"name": name, "namespace": "shop"}, "spec": {"ports": [ports]}})
    await Istio(kube).apply(ask(20, additional=(Destination(weight=20, service="candidate"),)))
    moved = routes(kube.snapshot(VIRTUAL_SERVICE)[0])[0]
    assert [each["destination"]["port"]["number"] for each in moved] == [80, 80, 8080]


# --- property -----------------------------------------------------------------------------------------------------------


@st.composite
def splits(draw):
    canary = draw(st.integers(0, 90))
    names = draw(st.lists(st.sampled_from(["e1", "e2"]), unique=True))
    return {
        "canary": canary,
        "additional": tuple(Destination(weight=draw(st.integers(0, 5)), service=name, hash=name) for name in names),
        "header_routes": draw(st.sampled_from([(), (HEADER,)])),
        "mirror_routes": draw(st.sampled_from([(), (MIRROR,)])),
    }


def backend_of(route):
    return route["destination"].get("subset") or route["destination"]["host"]


def others(manifest, asked):
    """Everything that is not the Rollout's."""
    left = deepcopy(manifest)
    left["spec"]["http"] = [each for each in left["spec"]["http"] if each.get("name") not in ("first", "second")]
    for each in left["spec"]["http"]:
        own = {"e1", "e2"} | ({"canary", "stable"} if each["name"] == "all" else set())
        each["route"] = [one for one in each["route"] if backend_of(one) not in own]
    left["metadata"]["annotations"] = {key: text for key, text in left["metadata"].get("annotations", {}).items() if key != ADDED}
    return left, asked.owner


@given(st.lists(st.one_of(splits(), st.integers(0, 3)), min_size=1, max_size=8), st.booleans())
def test_any_sequence_of_splits_and_edits_of_others_leaves_what_is_theirs(sequence, subsets):
    """An integer is an edit of somebody else: a new route in front, a new destination, an annotation, a changed weight."""
    sides = [to("app", 100, subset="stable"), to("app", 0, subset="canary")] if subsets else BOTH
    found = web({"name": "all", "route": [*sides, to("discovery", 7)]}, {"name": "their", "route": BOTH})
    choice = {"routes": ["all"]}

    def make(canary, **more):
        if subsets:
            return by_subset(canary, choice, **more)
        return ask(canary, {"virtualService": {"name": "web"} | choice}, **more)

    for number, each in enumerate(sequence):
        if isinstance(each, int):
            found = deepcopy(found)
            http = found["spec"]["http"]
            main = next(one for one in http if one.get("name") == "all")
            match each:
                case 0:
                    http.insert(0, {"name": f"n{number}", "route": [to("news", number)]})
                case 1:
                    main["route"].insert(0, to(f"n{number}", number))
                case 2:
                    found["metadata"].setdefault("annotations", {})["gitops"] = str(number)
                case 3:
                    main["timeout"] = f"{number}s"
            continue
        asked = make(**each)
        made = patched(found, asked)
        assert others(made, asked) == others(found, asked)
        assert patched(made, asked) == made
        found = made
    rest = make(0)
    assert [each["name"] for each in patched(found, rest)["spec"]["http"]][-2:] == ["all", "their"]
    assert ADDED not in patched(found, rest)["metadata"].get("annotations", {})
