"""Routes of the Gateway API as they must be for a split (`tidegate_shifter.gateway_routes`)."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.kube.kinds import GRPC_ROUTE, HTTP_ROUTE, Kind
from tidegate.messages import Destination, HeaderRoute, MirrorRoute, Split
from tidegate_shifter.added import ADDED, RESTING_WEIGHTS
from tidegate_shifter.gateway_routes import Context, Marks, Route, patched, rule_key
from tidegate_shifter.router import Owner, Refused
from tidegate_shifter.writing import Target

LABEL, ACTIVE = Marks().label, Marks().active
TCP_ROUTE = Kind("gateway.networking.k8s.io", "v1", "tcproutes", "TCPRoute")


def ref(name, weight=1, **more):
    return {"group": "", "kind": "Service", "name": name, "port": 80, "weight": weight} | more


def rule(path, *refs, **more):
    return {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": list(refs)} | more


def route(*rules, **metadata):
    return {"metadata": {"name": "web", "namespace": "shop"} | metadata, "spec": {"rules": list(rules)}}


def context(canary, *, kind=HTTP_ROUTE, rollout="app", services=("canary", "stable"), headers=True, only="", marks=None, **split):
    canary_service, stable_service = services
    rest = 100 - canary - sum(each.weight for each in split.get("additional", ()))
    return Context(
        owner=Owner(namespace="shop", name=rollout, uid="u"),
        split=Split(
            canary=Destination(weight=canary, service=canary_service),
            stable=Destination(weight=rest, service=stable_service),
            managed_routes=("first", "second"),
            **split,
        ),
        route=Route(kinds=(kind,), name="web", rule=only, headers=headers),
        target=Target(kind, "shop", "web"),
        marks=marks or Marks(),
    )


def header_route(name="first", *match):
    return HeaderRoute(name=name, match=match or ({"headerName": "X-Canary", "headerValue": {"exact": "yes"}},))


def refs_of(manifest, place=0):
    return {each["name"]: each["weight"] for each in manifest["spec"]["rules"][place]["backendRefs"]}


# --- weights ----------------------------------------------------------------------------------------------------------


def test_only_our_two_weights_change():
    found = route(
        rule("/", ref("stable", 100), ref("canary", 0), ref("discovery", 7), filters=[{"type": "X"}]), rule("/o", ref("o"))
    )
    before = deepcopy(found)
    made = patched(found, context(20))
    assert found == before
    assert made["spec"]["rules"][0] == rule("/", ref("stable", 80), ref("canary", 20), ref("discovery", 7), filters=[{"type": "X"}])
    assert made["spec"]["rules"][1] == found["spec"]["rules"][1]


def test_a_canary_beside_a_lone_stable_comes_on_its_port_and_goes_with_its_weight():
    """And stable weighs what it did before: all that is ours is its, whatever the number (GW#208)."""
    found = route(rule("/", ref("stable", 1, port=8080)), rule("/both", ref("stable", 7), ref("canary", 0)))
    assert patched(found, context(0)) == found
    made = patched(found, context(20))
    assert made["spec"]["rules"][0]["backendRefs"] == [ref("stable", 80, port=8080), ref("canary", 20, port=8080)]
    assert made["metadata"]["annotations"][ADDED] == f"shop/app=canary@{rule_key(found['spec']['rules'][0])}"
    rest = patched(patched(made, context(100)), context(0))
    assert rest["spec"] == found["spec"]
    assert rest["metadata"].get("annotations", {}) == {}


def test_a_canary_that_was_there_before_stays_with_weight_0():
    found = route(rule("/", ref("stable"), ref("canary")))
    assert refs_of(patched(patched(found, context(20)), context(0))) == {"stable": 100, "canary": 0}


def test_experiments_come_and_go():
    found = route(rule("/", ref("stable", 100), ref("canary", 0), ref("discovery", 7)))
    extra = (Destination(weight=5, service="baseline"), Destination(weight=5, service="candidate"))
    made = patched(found, context(10, additional=extra))
    assert refs_of(made) == {"stable": 80, "canary": 10, "discovery": 7, "baseline": 5, "candidate": 5}
    assert refs_of(patched(made, context(10))) == {"stable": 90, "canary": 10, "discovery": 7}


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "ServiceImport", "group": "multicluster.x-k8s.io"},
        {"namespace": "elsewhere"},
    ],
    ids=["of another kind", "in another namespace"],
)
def test_a_namesake_is_not_our_service(other):
    found = route(rule("/", ref("stable", 100), ref("canary", 3, **other)))
    refs = patched(found, context(20))["spec"]["rules"][0]["backendRefs"]
    assert refs == [ref("stable", 80), ref("canary", 3, **other), ref("canary", 20)]


def test_a_route_in_another_namespace_leads_to_us_by_name_and_namespace():
    away = Context(**{**as_dict(context(20)), "target": Target(HTTP_ROUTE, "edge", "web")})
    found = route(rule("/", ref("stable", 100, namespace="shop"), ref("stable", 4)))
    assert patched(found, away)["spec"]["rules"][0]["backendRefs"] == [
        ref("stable", 80, namespace="shop"),
        ref("stable", 4),
        ref("canary", 20, namespace="shop"),
    ]


def as_dict(values):
    return {name: getattr(values, name) for name in type(values).__slots__}


def test_a_named_rule_is_the_only_one_that_changes():
    found = route(rule("/", ref("stable", 95), ref("canary", 0), name="live"), rule("/", ref("stable"), ref("canary"), name="argo"))
    made = patched(found, context(20, only="argo"))
    assert (refs_of(made, 0), refs_of(made, 1)) == ({"stable": 95, "canary": 0}, {"stable": 80, "canary": 20})


@pytest.mark.parametrize(
    ("found", "only", "told"),
    [
        (None, "", "HTTPRoute shop/web does not exist; rollout shop/app sends its traffic through it"),
        (route(rule("/", ref("other"))), "", "HTTPRoute shop/web has no rule with a backendRef to the stable Service 'stable'"),
        (route(), "", "HTTPRoute shop/web has no rule with a backendRef to the stable Service 'stable'"),
        (route(rule("/", ref("stable"))), "argo", "has no rule 'argo' with a backendRef"),
    ],
    ids=["missing", "not ours", "no rules", "no such rule"],
)
def test_a_route_that_cannot_be_used_is_refused_by_name(found, only, told):
    with pytest.raises(Refused, match=told):
        patched(found, context(20, only=only))


# --- managed rules ------------------------------------------------------------------------------------------------------


def test_a_header_route_is_made_from_every_rule_of_ours_and_comes_first():
    shop = rule("/shop", ref("stable"), ref("canary"), filters=[{"type": "X"}], timeouts={"request": "3s"})
    found = route(rule("/o", ref("o")), shop, rule("/cart", ref("stable")))
    made = patched(found, context(20, header_routes=(header_route(),)))["spec"]["rules"]
    header = {"name": "X-Canary", "type": "Exact", "value": "yes"}
    assert made[0] == {
        "name": "first",
        "matches": [{"path": {"type": "PathPrefix", "value": "/shop"}, "headers": [header]}],
        "filters": [{"type": "X"}],
        "timeouts": {"request": "3s"},
        "backendRefs": [ref("canary", 1)],
    }
    assert [each.get("name") for each in made] == ["first", "first-1", None, None, None]


def test_managed_routes_stand_in_their_order_of_priority():
    found = route(rule("/", ref("stable"), ref("canary")))
    made = patched(found, context(20, header_routes=(header_route("second"), header_route("first"))))
    assert [each.get("name") for each in made["spec"]["rules"]] == ["first", "second", None]


def test_several_headers_must_all_be_there():
    match = ({"headerName": "A", "headerValue": {"prefix": "v1."}}, {"headerName": "B", "headerValue": {"regex": "v.*"}})
    made = patched(route(rule("/", ref("stable"))), context(20, header_routes=(header_route("first", *match),)))
    assert made["spec"]["rules"][0]["matches"][0]["headers"] == [
        {"name": "A", "type": "RegularExpression", "value": "v1\\..*"},
        {"name": "B", "type": "RegularExpression", "value": "v.*"},
    ]


def test_a_header_of_the_managed_route_replaces_the_rules_own():
    own = {"name": "x-canary", "type": "Exact", "value": "no"}
    found = route({"matches": [{"headers": [own]}], "backendRefs": [ref("stable")]})
    made = patched(found, context(20, header_routes=(header_route(),)))
    assert made["spec"]["rules"][0]["matches"] == [{"headers": [{"name": "X-Canary", "type": "Exact", "value": "yes"}]}]


def test_a_route_that_does_not_use_header_routes_gets_none():
    made = patched(route(rule("/", ref("stable"))), context(20, headers=False, header_routes=(header_route(),)))
    assert len(made["spec"]["rules"]) == 1


def test_a_header_route_without_a_value_is_refused_for_good():
    bad = HeaderRoute(name="first", match=({"headerName": "A"},))
    with pytest.raises(Refused, match=r"'first'.*'A'.*exact, prefix or regex") as refused:
        patched(route(rule("/", ref("stable"))), context(20, header_routes=(bad,)))
    assert refused.value.lasting


@pytest.mark.parametrize(
    ("match", "told"),
    [
        ({"path": {"glob": "/*"}}, r"'first'.*path.*exact, prefix or regex"),
        ({"method": {"regex": "P.*"}}, r"'first'.*method.*exact"),
    ],
)
def test_a_mirror_match_that_gateway_api_cannot_say_is_refused_for_good(match, told):
    with pytest.raises(Refused, match=told) as refused:
        patched(route(rule("/", ref("stable"))), context(20, mirror_routes=(MirrorRoute(name="first", match=(match,)),)))
    assert refused.value.lasting


def test_a_mirror_goes_on_serving_as_before_and_sends_a_copy():
    match = ({"method": {"exact": "POST"}, "path": {"exact": "/buy"}, "headers": {"X": {"exact": "1"}}}, {"path": {"prefix": "/a"}})
    mirror = MirrorRoute(name="second", match=match, percentage=10)
    found = route(rule("/", ref("stable"), ref("canary"), ref("o", 3), filters=[{"type": "X"}]), rule("/b", ref("stable")))
    rules = patched(found, context(20, mirror_routes=(mirror,)))["spec"]["rules"]
    target = {"group": "", "kind": "Service", "name": "canary", "port": 80}
    assert rules[0] == {
        "name": "second",
        "matches": [
            {
                "method": "POST",
                "path": {"type": "Exact", "value": "/buy"},
                "headers": [{"name": "X", "type": "Exact", "value": "1"}],
            },
            {"path": {"type": "PathPrefix", "value": "/a"}},
        ],
        "filters": [{"type": "X"}, {"type": "RequestMirror", "requestMirror": {"backendRef": target, "percent": 10}}],
        "backendRefs": [ref("stable", 80), ref("canary", 20)],
    }
    assert len(rules) == 3, "the second rule would only repeat the same matches"


def test_a_mirror_follows_the_weights():
    mirror = MirrorRoute(name="first", match=({"path": {"prefix": "/"}},))
    made = patched(
        patched(route(rule("/", ref("stable"))), context(20, mirror_routes=(mirror,))), context(40, mirror_routes=(mirror,))
    )
    assert refs_of(made, 0) == {"stable": 60, "canary": 40}


@pytest.mark.parametrize("kind", [GRPC_ROUTE, TCP_ROUTE])
def test_only_http_routes_mirror(kind):
    mirror = MirrorRoute(name="first", match=({"path": {"prefix": "/"}},))
    made = patched(route({"backendRefs": [ref("stable")]}), context(20, kind=kind, mirror_routes=(mirror,)))
    assert len(made["spec"]["rules"]) == 1


def test_managed_rules_left_by_a_process_that_died_are_found_and_removed():
    """Nothing but the route itself is needed to find them (GW#191)."""
    found = route(rule("/", ref("stable"), ref("canary")))
    made = patched(found, context(20, header_routes=(header_route("first"), header_route("second"))))
    assert patched(made, context(0))["spec"]["rules"] == [rule("/", ref("stable", 100), ref("canary", 0))]


def test_another_teams_route_of_the_same_name_stays():
    theirs = rule("/", ref("their-canary"), name="first")
    found = route(theirs, rule("/", ref("stable")))
    made = patched(found, context(20, header_routes=(header_route(),)))
    assert theirs in made["spec"]["rules"]
    assert theirs in patched(made, context(0))["spec"]["rules"]


# --- marks ----------------------------------------------------------------------------------------------------------------


def test_the_label_is_there_while_any_rollout_divides_traffic():
    found = route(rule("/a", ref("stable")), rule("/b", ref("b-stable")))
    both = patched(patched(found, context(20)), context(30, rollout="b", services=("b-canary", "b-stable")))
    assert both["metadata"]["labels"] == {LABEL: "in-progress"}
    assert both["metadata"]["annotations"][ACTIVE] == "shop/app,shop/b"
    one = patched(both, context(0))
    assert (one["metadata"]["labels"], one["metadata"]["annotations"][ACTIVE]) == ({LABEL: "in-progress"}, "shop/b")
    none = patched(one, context(0, rollout="b", services=("b-canary", "b-stable")))
    assert (none["metadata"]["labels"], none["metadata"]["annotations"]) == ({}, {})


def test_marks_can_be_renamed_and_switched_off():
    found = route(rule("/", ref("stable")))
    named = patched(found, context(20, marks=Marks(label="l", value="v", active="a")))["metadata"]
    assert (named["labels"], named["annotations"]["a"]) == ({"l": "v"}, "shop/app")
    off = patched(found, context(20, marks=Marks(disabled=True)))["metadata"]
    assert "labels" not in off
    assert set(off["annotations"]) == {ADDED, RESTING_WEIGHTS}


# --- for every split --------------------------------------------------------------------------------------------------------


@st.composite
def contexts(draw):
    canary = draw(st.sampled_from([0, 1, 33, 100]))
    names = draw(st.lists(st.sampled_from(["first", "second"]), unique=True))
    mirrors = tuple(MirrorRoute(name=name, match=({"path": {"prefix": "/"}},)) for name in names if name == "second")
    headers = tuple(header_route(name) for name in names if name == "first")
    extra = (Destination(weight=5, service="extra"),) if canary < 90 and draw(st.booleans()) else ()
    return context(canary, header_routes=headers, mirror_routes=mirrors, additional=extra)


routes = st.lists(
    st.builds(
        lambda path, names: rule(path, *(ref(name, 3) for name in names)),
        st.sampled_from(["/", "/a", "/b"]),
        st.lists(st.sampled_from(["stable", "canary", "other"]), unique=True, max_size=3),
    ),
    max_size=3,
).map(lambda rules: route(*rules, rule("/last", ref("stable"), ref("other", 7))))


@given(routes, st.lists(contexts(), min_size=1, max_size=4))
def test_only_the_last_split_of_a_sequence_matters_and_it_is_stable(found, splits):
    made = found
    for each in splits:
        made = patched(made, each)
    assert patched(made, splits[-1]) == made
    alone = patched(found, splits[-1])
    assert without_leftovers(made) == without_leftovers(alone)


def without_leftovers(manifest):
    """A canary put beside a lone stable stays at weight 0 where another rule had one from the beginning."""
    return [
        {**each, "backendRefs": sorted((ref for ref in each["backendRefs"] if ref["weight"]), key=lambda ref: ref["name"])}
        for each in manifest["spec"]["rules"]
    ]


@given(routes, contexts())
def test_a_rollout_that_came_and_went_leaves_the_foreign_parts_as_they_were(found, during):
    after = patched(patched(found, during), context(0))
    assert [foreign(each) for each in after["spec"]["rules"]] == [foreign(each) for each in found["spec"]["rules"]]


def foreign(each):
    return {**each, "backendRefs": [ref for ref in each["backendRefs"] if ref["name"] not in ("stable", "canary")]}


# --- clusters whose routes have no rule names --------------------------------------------------------------------------


def without_names(manifest):
    """As the standard channel stores it before Gateway API 1.4."""
    stored = deepcopy(manifest)
    for each in stored["spec"]["rules"]:
        each.pop("name", None)
    return stored


def test_where_the_cluster_drops_rule_names_managed_rules_still_come_and_go_and_never_pile_up():
    """GW#191, AR#3276. A rule of the author's own that leads to the canary by another header stays."""
    own = rule("/", ref("canary", 1), matches=[{"headers": [{"name": "X-Team", "type": "Exact", "value": "shop"}]}])
    author = route(own, rule("/", ref("stable"), ref("canary", 0)), rule("/docs", ref("stable"), ref("docs")))
    found = author
    for number in range(3):
        found = without_names(patched(found, context(20 + number, header_routes=(header_route("first"), header_route("second")))))
        assert len(found["spec"]["rules"]) == 3 + 4  # two for each rule with the stable Service
    same = context(22, header_routes=(header_route("first"), header_route("second")))
    assert without_names(patched(found, same)) == found
    one = without_names(patched(found, context(22, header_routes=(header_route("second"),))))
    assert len(one["spec"]["rules"]) == 3 + 2
    rest = without_names(patched(one, context(0)))
    assert [each["matches"] for each in rest["spec"]["rules"]] == [each["matches"] for each in author["spec"]["rules"]]
    assert rest["metadata"].get("annotations", {}) == {}
