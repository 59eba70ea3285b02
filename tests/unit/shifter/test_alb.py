"""Ingresses of the AWS load balancer controller as they must be for a split."""

import json
from copy import deepcopy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.keys import MANAGED_ALB_ANNOTATIONS
from tidegate.kube.kinds import INGRESS, SERVICE
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, HeaderRoute, Split
from tidegate_shifter.alb_actions import Context, patched
from tidegate_shifter.alb_verification import resource_id
from tidegate_shifter.router import Ask, Owner, Refused
from tidegate_shifter.routers.alb import Alb
from tidegate_shifter.writing import Target

P = "alb.ingress.kubernetes.io"
CONFIG = {"ingress": "web", "servicePort": 80}


def path(service, where="/"):
    return {"path": where, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"name": "use-annotation"}}}}


def ingress(*rules, name="web", **annotations):
    metadata = {"name": name, "namespace": "shop", "annotations": annotations}
    return {"metadata": metadata, "spec": {"rules": list(rules) or [rule(path("stable"))]}}


def rule(*paths, host="app.local"):
    return {"host": host, "http": {"paths": list(paths)}}


def header(name="first", *matches):
    matches = matches or (("X-Canary", {"exact": "yes"}),)
    return HeaderRoute(name=name, match=tuple({"headerName": key, "headerValue": value} for key, value in matches))


def context(canary=20, *, rollout="app", headers=(), additional=(), **config):
    rest = 100 - canary - sum(each.weight for each in additional)
    split = Split(
        canary=Destination(weight=canary, service="canary"),
        stable=Destination(weight=rest, service="stable"),
        additional=additional,
        header_routes=headers,
        managed_routes=("first", "second"),
    )
    owner = Owner(namespace="shop", name=rollout, uid="u")
    return Context(owner=owner, split=split, target=Target(INGRESS, "shop", "web"), config=CONFIG | config)


def annotation(manifest, key):
    return json.loads(manifest["metadata"]["annotations"][key])


def groups(manifest, service="stable"):
    found = annotation(manifest, f"{P}/actions.{service}")["ForwardConfig"]["TargetGroups"]
    return [(each["ServiceName"], each["ServicePort"], each["Weight"]) for each in found]


def paths(manifest, place=0):
    return [each["backend"]["service"]["name"] for each in manifest["spec"]["rules"][place]["http"]["paths"]]


def test_experiments_stand_between_canary_and_stable():
    made = patched(ingress(), context(10, additional=(Destination(weight=5, service="candidate"),)))
    assert groups(made) == [("canary", "80", 10), ("candidate", "80", 5), ("stable", "80", 85)]


async def test_an_experiments_target_group_names_the_port_that_leads_where_stables_does():
    """A port that the Service does not have is one that the AWS controller builds nothing for, of the whole Ingress."""
    kube = MemoryKube()
    await kube.create(INGRESS, ingress())
    for name, port in (("stable", 80), ("candidate", 8080)):
        spec = {"ports": [{"port": port, "targetPort": 8080}]}
        await kube.create(SERVICE, {"metadata": {"name": name, "namespace": "shop"}, "spec": spec})
    held = context(10, additional=(Destination(weight=5, service="candidate"),))
    await Alb(kube).apply(Ask(owner=held.owner, fence=1, split=held.split, config=CONFIG))
    assert groups(kube.snapshot(INGRESS)[0]) == [("canary", "80", 10), ("candidate", "8080", 5), ("stable", "80", 85)]
    known = {"candidate": (await kube.get(SERVICE, "shop", "candidate")), "stable": (await kube.get(SERVICE, "shop", "stable"))}
    assert resource_id("candidate", replace(held, services=known)) == "shop/web-candidate:8080"


def test_the_action_is_that_of_the_root_service_under_the_prefix():
    made = patched(ingress(rule(path("root"))), context(rootService="root", annotationPrefix="my.io"))
    assert set(made["metadata"]["annotations"]) == {"my.io/actions.root", MANAGED_ALB_ANNOTATIONS}
    assert annotation(made, MANAGED_ALB_ANNOTATIONS) == {"app": ["my.io/actions.root"]}


def test_stickiness_is_written_where_it_is_enabled():
    def config_of(**stickiness):
        made = patched(ingress(), context(stickinessConfig=stickiness))
        return annotation(made, f"{P}/actions.stable")["ForwardConfig"].get("TargetGroupStickinessConfig")

    assert config_of(enabled=True, durationSeconds=3600) == {"Enabled": True, "DurationSeconds": 3600}
    assert config_of(enabled=False, durationSeconds=3600) is None
    for wrong in ({}, {"durationSeconds": 0}, {"durationSeconds": 604_801}):
        with pytest.raises(Refused, match="it must be 1 to 604800 seconds") as refused:
            config_of(enabled=True, **wrong)
        assert refused.value.lasting


def test_header_routes_are_an_action_a_condition_and_the_first_path_of_every_rule():
    found = ingress(rule(path("stable")), rule(path("docs"), host="docs.local"), {"host": "bare"})
    asked = context(
        headers=(header("second"), header("first", ("A", {"exact": "1"}), ("B", {"exact": "2"}), ("A", {"exact": "3"})))
    )
    made = patched(found, asked)
    assert (paths(made, 0), paths(made, 1)) == (["first", "second", "stable"], ["first", "second", "docs"])
    assert made["spec"]["rules"][2] == {"host": "bare"}
    assert made["spec"]["rules"][0]["http"]["paths"][0] == path("first", "/*") | {"pathType": "ImplementationSpecific"}
    assert groups(made, "first") == [("canary", "80", 100)]
    assert annotation(made, f"{P}/conditions.first") == [
        {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "A", "values": ["1", "3"]}},
        {"field": "http-header", "httpHeaderConfig": {"httpHeaderName": "B", "values": ["2"]}},
    ]
    assert annotation(made, MANAGED_ALB_ANNOTATIONS)["app"] == [
        f"{P}/actions.stable",
        *(f"{P}/{word}.{name}" for name in ("first", "second") for word in ("actions", "conditions")),
    ]
    assert patched(made, asked) == made
    assert patched(made, context()) == patched(found, context())


@pytest.mark.parametrize(
    ("value", "told"), [({"prefix": "y"}, "ALB matches by exact only"), ({}, "must have exact, prefix or regex")]
)
def test_a_header_that_alb_cannot_match_is_refused_for_good(value, told):
    with pytest.raises(Refused, match=told) as refused:
        patched(ingress(), context(headers=(header("first", ("X", value)),)))
    assert refused.value.lasting


def test_two_rollouts_on_one_ingress_keep_out_of_each_others_way():
    found = ingress(rule(path("stable"), path("pay", "/pay")))
    mine = patched(found, context(headers=(header(),)))
    other = context(50, rollout="pay", rootService="pay", headers=(header("own"),))
    both = patched(mine, other)
    assert set(annotation(both, MANAGED_ALB_ANNOTATIONS)) == {"app", "pay"}
    assert paths(both) == ["own", "first", "stable", "pay"]
    rest = patched(both, context(0, rollout="pay", rootService="pay"))
    assert paths(rest) == ["first", "stable", "pay"]
    assert f"{P}/actions.first" in rest["metadata"]["annotations"]
    with pytest.raises(Refused, match="belongs to rollout 'app'"):
        patched(both, context(rollout="pay", rootService="pay", headers=(header("first"),)))


def test_a_managed_path_that_somebody_brought_back_goes_again():
    """Without its action the load balancer controller would refuse the whole Ingress. Another rollout's path of that name stays."""
    found = patched(ingress(), context())
    back = deepcopy(found)
    back["spec"]["rules"][0]["http"]["paths"].insert(0, path("first", "/*"))
    assert paths(patched(back, context())) == ["stable"]
    both = ingress(rule(path("stable"), path("pay", "/pay")))
    theirs = patched(both, context(50, rollout="pay", rootService="pay", headers=(header(),)))
    assert paths(patched(theirs, context())) == ["first", "stable", "pay"]


@pytest.mark.parametrize("text", ["{", "[]", '{"app": 1}'])
def test_unreadable_bookkeeping_is_refused_not_overwritten(text):
    with pytest.raises(Refused, match="managed-alb-annotations is") as refused:
        patched(ingress(**{MANAGED_ALB_ANNOTATIONS: text}), context())
    assert not refused.value.lasting


def test_an_ingress_without_the_service_in_its_rules_is_refused():
    with pytest.raises(Refused, match="ingress does not have service `stable` in rules"):
        patched(ingress(rule(path("docs"))), context())


def ask(split, config, told=None):
    owner = Owner(namespace="shop", name="app", uid="u")
    return Ask(owner=owner, fence=1, split=split, config=config, tell=(told if told is not None else []).append)


async def test_every_ingress_is_written_also_after_one_that_needs_no_change():
    """The peer returns at the first that needs none, and later ones stay stale."""
    kube = MemoryKube()
    await kube.create(INGRESS, ingress(name="a"))
    await Alb(kube).apply(ask(context().split, {"ingress": "a", "servicePort": 80}))
    await kube.create(INGRESS, ingress(name="b"))
    await Alb(kube).apply(ask(context().split, {"ingresses": ["a", "b"], "servicePort": 80}))
    assert groups(await kube.get(INGRESS, "shop", "b"))[0] == ("canary", "80", 20)


async def test_header_routes_that_come_and_go_are_told():
    kube, told = MemoryKube(), []
    await kube.create(INGRESS, ingress())
    await Alb(kube).apply(ask(context(headers=(header(),)).split, CONFIG, told))
    await Alb(kube).apply(ask(context().split, CONFIG, told))
    assert [each.message for each in told] == [
        "Updating Ingress `web` to desiredWeight '20'",
        "Updating Ingress `web` to headerRoute 'first'",
        "Updating Ingress `web` removing managed routes",
    ]


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"ingress": "a"}, "servicePort is None"),
        ({"servicePort": 80}, "neither is given"),
        ({"servicePort": 80, "ingress": "a", "ingresses": ["b"]}, "both are given"),
    ],
)
async def test_an_incomplete_configuration_is_refused_for_good(config, told):
    with pytest.raises(Refused, match=told) as refused:
        await Alb(MemoryKube()).apply(ask(context().split, config))
    assert refused.value.lasting


steps = st.tuples(st.integers(0, 100), st.sampled_from([(), ("first",), ("second", "first")]))


@given(st.lists(st.one_of(steps, st.integers(0, 2)), max_size=8))
def test_any_sequence_of_splits_and_edits_of_others_leaves_what_is_theirs(sequence):
    """An integer is an edit of somebody else: an annotation, a path in front, a rule."""
    found = ingress(rule(path("stable"), path("docs", "/docs")), team="shop")
    theirs = deepcopy(found)
    for number, each in enumerate(sequence):
        if isinstance(each, int):
            found = deepcopy(found)
            for held in (found, theirs):
                rules = held["spec"]["rules"]
                match each:
                    case 0:
                        held["metadata"]["annotations"][f"{P}/actions.n{number}"] = "{}"
                    case 1:
                        rules[0]["http"]["paths"].append(path(f"n{number}"))
                    case 2:
                        rules.append({"host": f"n{number}"})
            continue
        weight, names = each
        asked = context(weight, headers=tuple(header(name) for name in names))
        found = patched(found, asked)
        assert patched(found, asked) == found
        assert others(found) == others(theirs)
    assert others(patched(found, context(0))) == others(theirs)


def others(manifest):
    ours = {f"{P}/{word}.{name}" for word in ("actions", "conditions") for name in ("stable", "first", "second")}
    annotations = {
        key: text for key, text in manifest["metadata"]["annotations"].items() if key not in ours | {MANAGED_ALB_ANNOTATIONS}
    }
    rules = deepcopy(manifest["spec"]["rules"])
    for each in rules:
        if "http" in each:
            each["http"]["paths"] = [
                one for one in each["http"]["paths"] if one["backend"]["service"]["name"] not in ("first", "second")
            ]
    return annotations, rules
