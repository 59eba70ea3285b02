"""Which pods a Service chooses (`argo-behaviour.md` 3.7)."""

import pytest

from tidegate.keys import FENCE, MANAGED_BY, POD_TEMPLATE_HASH
from tidegate.kube.kinds import SERVICE
from tidegate.kube.memory import MemoryKube
from tidegate.messages import ServiceTarget
from tidegate_shifter.router import Owner, Refused, Stale
from tidegate_shifter.services import switch_services

APP = Owner(namespace="shop", name="app", uid="u")


def service(name, *, pods=None, manager=None):
    selector = {"app": "app"} | ({POD_TEMPLATE_HASH: pods} if pods else {})
    notes = {"team": "shop"} | ({MANAGED_BY: manager} if manager else {})
    ports = [{"port": 80, "targetPort": 8080}]
    return {
        "metadata": {"name": name, "namespace": "shop", "annotations": notes},
        "spec": {"selector": selector, "ports": ports, "sessionAffinity": "ClientIP"},
    }


async def switched(kube, *wanted, fence=7):
    targets = [ServiceTarget(service=name, hash=pods) for name, pods in wanted]
    records, problems = await switch_services(kube, targets, owner=APP, fence=fence)
    return [f"{each.type} {each.reason} {each.message}" for each in records], problems


async def cluster(*services):
    kube = MemoryKube()
    for each in services:
        await kube.create(SERVICE, each)
    kube.calls.clear()
    return kube


async def test_an_adopted_service_chooses_the_pods_and_says_whose_it_is():
    kube = await cluster(service("stable"))
    told, problems = await switched(kube, ("stable", "abc"))
    found = await kube.get(SERVICE, "shop", "stable")
    assert found["spec"] == {**service("stable")["spec"], "selector": {"app": "app", POD_TEMPLATE_HASH: "abc"}}
    assert found["metadata"]["annotations"] == {"team": "shop", MANAGED_BY: "app", FENCE: "shop/app=u/7"}
    assert told == ["Normal SwitchService Switched selector for service 'stable' from '' to 'abc'"]
    assert problems == []


async def test_a_switch_tells_both_hashes():
    kube = await cluster(service("canary", pods="abc", manager="app"))
    told, _ = await switched(kube, ("canary", "def"))
    assert told == ["Normal SwitchService Switched selector for service 'canary' from 'abc' to 'def'"]


async def test_a_service_that_chooses_the_pods_already_is_left_alone():
    kube = await cluster(service("canary", pods="abc", manager="app"))
    told, _ = await switched(kube, ("canary", "abc"))
    assert told == []
    assert {call.verb for call in kube.calls} == {"get"}


async def test_a_missing_annotation_is_restored_without_a_word():
    kube = await cluster(service("canary", pods="abc"))
    told, _ = await switched(kube, ("canary", "abc"))
    assert told == []
    assert (await kube.get(SERVICE, "shop", "canary"))["metadata"]["annotations"][MANAGED_BY] == "app"


async def test_a_service_of_another_rollout_is_refused_and_the_next_one_still_switched():
    kube = await cluster(service("stable", pods="xyz", manager="checkout"), service("canary"))
    told, [problem] = await switched(kube, ("stable", "abc"), ("canary", "def"))
    assert isinstance(problem, Refused)
    assert str(problem).startswith("Service shop/stable is managed by rollout 'checkout'")
    assert (await kube.get(SERVICE, "shop", "stable"))["spec"]["selector"][POD_TEMPLATE_HASH] == "xyz"
    assert told == ["Normal SwitchService Switched selector for service 'canary' from '' to 'def'"]


async def test_a_missing_service_is_named():
    _, [problem] = await switched(await cluster(), ("stable", "abc"))
    assert str(problem) == "Service shop/stable does not exist; rollout shop/app needs it"


async def test_an_older_decision_does_not_switch_back():
    kube = await cluster(service("canary", pods="abc", manager="app"))
    await switched(kube, ("canary", "def"), fence=30)
    told, [problem] = await switched(kube, ("canary", "abc"), fence=20)
    assert isinstance(problem, Stale)
    assert told == []


@pytest.mark.parametrize("selector", [None, {}])
async def test_a_service_without_a_selector_gets_one(selector):
    bare = service("stable")
    bare["spec"]["selector"] = selector
    kube = await cluster(bare)
    await switched(kube, ("stable", "abc"))
    assert (await kube.get(SERVICE, "shop", "stable"))["spec"]["selector"] == {POD_TEMPLATE_HASH: "abc"}
