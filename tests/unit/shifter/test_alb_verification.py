"""What counts as "AWS has it", on shapes of load balancers that the controller makes."""

import pytest

from tidegate.kube.kinds import INGRESS
from tidegate.messages import Destination, Split
from tidegate_shifter.alb_actions import Context
from tidegate_shifter.alb_verification import LoadBalancer, TargetGroup, hostnames, judged
from tidegate_shifter.router import Owner
from tidegate_shifter.writing import Target

TAG = "ingress.k8s.aws/resource"
BALANCER = LoadBalancer(name="web", arn="arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/web/50dc")


def group(service, *, tag=TAG, ingress="main"):
    arn = f"arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/{service}/7f0"
    return TargetGroup(name=f"k8s-{service}", arn=arn, tags={tag: f"shop/{ingress}-{service}:80", "team": "shop"})


GROUPS = [group("canary"), group("stable"), group("candidate"), group("docs")]
ARN = {each.name.removeprefix("k8s-"): each.arn for each in GROUPS}


def forward(**weights):
    return {ARN[name]: weight for name, weight in weights.items()}


def verdict(*forwards, canary=20, candidate=0, groups=tuple(GROUPS), tag=TAG):
    additional = (Destination(weight=candidate, service="candidate"),) if candidate else ()
    split = Split(
        canary=Destination(weight=canary, service="canary"),
        stable=Destination(weight=100 - canary - candidate, service="stable"),
        additional=additional,
    )
    owner = Owner(namespace="shop", name="app", uid="u")
    target = Target(INGRESS, "shop", "main")
    return judged(BALANCER, groups, forwards, Context(owner=owner, split=split, target=target, config={"servicePort": 80}), tag=tag)


ASKED = forward(canary=20, stable=80)
HEADER_ROUTE = forward(canary=100)
LONE = forward(canary=None)
DOCS = forward(docs=1)


@pytest.mark.parametrize(
    "forwards",
    [(ASKED,), (DOCS, ASKED, HEADER_ROUTE), (LONE, ASKED), (ASKED, ASKED)],
    ids=["one rule", "beside a header route", "beside a lone target group", "of two listeners"],
)
def test_the_rules_that_divide_decide_and_header_routes_do_not(forwards):
    """The peer takes the last weight it finds for the canary: 100, of the header route."""
    found = verdict(*forwards)
    assert (found.problem, found.weight) == ("", 20)
    told = f"Service canary (TargetGroup {ARN['canary']}) verified: canary weight 20 set"
    assert [each.message for each in found.records] == [told]


@pytest.mark.parametrize(
    ("forwards", "told", "weight"),
    [
        ((), "no rule of load balancer web divides between canary, stable", None),
        ((HEADER_ROUTE, DOCS), "no rule of load balancer web divides between canary, stable", None),
        ((forward(canary=0, stable=100),), "AWS gives canary weight 0, 20 is asked (targetgroup/canary/7f0)", 0),
        ((ASKED, forward(canary=0, stable=100)), "AWS gives canary weight 0, 20 is asked", 0),
        ((forward(canary=20, stable=70),), "AWS gives stable weight 70, 80 is asked", 20),
    ],
    ids=["no rule", "other rules only", "the old weight", "one listener lags", "stable lags"],
)
def test_anything_else_is_not_there_yet(forwards, told, weight):
    found = verdict(*forwards)
    assert told in found.problem
    assert found.problem.startswith("Ingress shop/main: ")
    assert found.weight == weight
    assert all(each.reason == "TargetGroupUnverified" for each in found.records)


def test_an_experiments_target_group_counts_too():
    assert verdict(forward(canary=20, stable=75, candidate=5), candidate=5).problem == ""
    assert "candidate weight 9, 5 is asked" in verdict(forward(canary=20, stable=75, candidate=9), candidate=5).problem
    assert "divides between canary, candidate, stable" in verdict(ASKED, candidate=5).problem


def test_a_target_group_is_known_by_the_controllers_tag_or_the_one_that_is_set():
    assert "has no target group of shop/main-canary:80" in verdict(ASKED, groups=[group("stable")]).problem
    assert "has no target group" in verdict(ASKED, groups=[group(each, ingress="other") for each in ("canary", "stable")]).problem
    renamed = [group(each, tag="mine") for each in ("canary", "stable")]
    assert verdict(ASKED, groups=renamed, tag="mine").problem == ""


def test_the_status_names_what_was_found_also_while_it_is_not_verified():
    assert verdict().status == {
        "ingress": "main",
        "loadBalancer": {"name": "web", "arn": BALANCER.arn, "fullName": "web/50dc"},
        "canaryTargetGroup": {"name": "k8s-canary", "arn": ARN["canary"], "fullName": "canary/7f0"},
        "stableTargetGroup": {"name": "k8s-stable", "arn": ARN["stable"], "fullName": "stable/7f0"},
    }


@pytest.mark.parametrize("held", [{}, {"ingress": []}, {"ingress": [{"ip": "10.0.0.1"}, {"hostname": ""}]}])
def test_an_ingress_without_a_host_name_has_no_load_balancer(held):
    assert hostnames({"status": {"loadBalancer": held}}) == hostnames({}) == []
