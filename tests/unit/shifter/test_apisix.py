"""ApisixRoutes as they must be for a split: weights in ours, header routes beside it."""

import pytest

from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, HeaderRoute, Split
from tidegate_shifter.router import Ask, Owner, Refused
from tidegate_shifter.routers.apisix import APISIX_ROUTE, Apisix

EXACT = HeaderRoute(name="first", match=({"headerName": "X", "headerValue": {"exact": "yes"}},))


def ask(canary=20, *, headers=(), rules=None, fence=1):
    split = Split(
        canary=Destination(weight=canary, service="canary"),
        stable=Destination(weight=100 - canary, service="stable"),
        header_routes=headers,
        managed_routes=("first", "second"),
    )
    config = {"route": {"name": "web"} | ({"rules": rules} if rules else {})}
    return Ask(owner=Owner(namespace="shop", name="app", uid="u"), fence=fence, split=split, config=config)


def backend(name, weight=1):
    return {"serviceName": name, "servicePort": 80, "weight": weight}


def rule(name, *backends, **more):
    return {"name": name, "match": {"paths": ["/*"]}, "backends": list(backends)} | more


async def cluster(*rules):
    kube = MemoryKube()
    await kube.create(APISIX_ROUTE, {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"http": list(rules)}})
    return kube


async def http(kube, name="web"):
    return (await kube.get(APISIX_ROUTE, "shop", name))["spec"]["http"]


def names(kube):
    return {each["metadata"]["name"] for each in kube.snapshot(APISIX_ROUTE)}


BOTH = (backend("stable"), backend("canary"))


async def test_the_rule_named_like_the_route_is_meant_unless_rules_are_named():
    kube = await cluster(rule("web", *BOTH, backend("other", 7)), rule("a", *BOTH), rule("b", *BOTH))
    await Apisix(kube).apply(ask(20))
    assert [each["backends"][1]["weight"] for each in await http(kube)] == [20, 1, 1]
    assert (await http(kube))[0]["backends"] == [backend("stable", 80), backend("canary", 20), backend("other", 7)]
    await Apisix(kube).apply(ask(30, rules=["a", "b"], fence=2))
    assert [each["backends"][1]["weight"] for each in await http(kube)] == [20, 30, 30]


async def test_a_header_route_is_one_priority_higher_and_leads_to_the_canary_alone():
    kube = await cluster(rule("web", *BOTH, priority=3, plugins=[{"name": "p"}]), rule("other", backend("other")))
    await Apisix(kube).apply(ask(headers=(EXACT,)))
    demand = {"subject": {"scope": "Header", "name": "X"}, "op": "Equal", "value": "yes"}
    made = rule("web", backend("canary", 100), priority=4, plugins=[{"name": "p"}])
    assert await http(kube, "first") == [made | {"match": {"paths": ["/*"], "exprs": [demand]}}]
    await Apisix(kube).apply(ask(headers=(EXACT,), fence=2))
    assert [call.verb for call in kube.calls].count("create") == 2
    await Apisix(kube).apply(ask(fence=3))
    assert names(kube) == {"web"}


@pytest.mark.parametrize(
    ("value", "op", "text"),
    [({"regex": "^a|b$"}, "RegexMatch", "^a|b$"), ({"prefix": "v1."}, "RegexMatch", r"^v1\..*")],
)
async def test_a_header_is_matched_by_regex_or_prefix_too(value, op, text):
    kube = await cluster(rule("web", *BOTH))
    await Apisix(kube).apply(ask(headers=(HeaderRoute(name="first", match=({"headerName": "X", "headerValue": value},)),)))
    (made,) = await http(kube, "first")
    assert (made["match"]["exprs"][0]["op"], made["match"]["exprs"][0]["value"]) == (op, text)


async def test_a_route_of_somebody_else_with_a_managed_name_is_left_alone_or_refused():
    kube = await cluster(rule("web", *BOTH))
    await kube.create(
        APISIX_ROUTE, {"metadata": {"name": "first", "namespace": "shop"}, "spec": {"http": [rule("x", backend("x"))]}}
    )
    await Apisix(kube).apply(ask())
    assert names(kube) == {"web", "first"}
    with pytest.raises(Refused, match=r"duplicate ApisixRoute \[first\] already exists"):
        await Apisix(kube).apply(ask(headers=(EXACT,), fence=2))
    assert await http(kube, "first") == [rule("x", backend("x"))]


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([rule("a", *BOTH)], "Apisix http route rule web not found; rules in spec.http of ApisixRoute shop/web are: 'a'"),
        ([rule("web", backend("stable"))], "apisix route canary backend was not found; rule 'web' of ApisixRoute"),
    ],
)
async def test_a_route_without_our_rule_or_backends_is_refused(rules, told):
    with pytest.raises(Refused, match=told):
        await Apisix(await cluster(*rules)).apply(ask())
