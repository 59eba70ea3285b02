"""Whether AWS has done what an Ingress asks for, asked of moto's `elbv2`: by the parts, and by the process with its setting."""

from datetime import UTC, datetime, timedelta

import pytest

from tidegate.aws.login import Aws
from tidegate.config import Settings
from tidegate.kube.kinds import ENDPOINT_SLICE, INGRESS, ROLLOUT, SERVICE, TARGET_GROUP_BINDING
from tidegate.kube.memory import MemoryKube
from tidegate.messages import TRAFFIC, Destination, Router, ServiceTarget, Split, TrafficRequested
from tidegate.testing import PatientOutbound, Suite, eventually, patient_bus
from tidegate_shifter.load_balancers import LoadBalancers, NotAnswered
from tidegate_shifter.router import Ask, Owner
from tidegate_shifter.routers.alb import Alb, Verification
from tidegate_shifter.target_groups import TargetGroups

pytestmark = pytest.mark.integration
NOW = datetime(2026, 11, 26, 8, tzinfo=UTC)
OWNER = Owner(namespace="shop", name="app", uid="u")
CONFIG = {"ingress": "main", "servicePort": 80}

SCENE = """
vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
subnets = [
    ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{at}.0/24", AvailabilityZone=f"eu-west-1{zone}")["Subnet"]["SubnetId"]
    for at, zone in enumerate("ab")
]
name = given["name"]
balancer = elb.create_load_balancer(Name=name, Subnets=subnets, Type="application")["LoadBalancers"][0]
groups = {}
for service in ("canary", "stable"):
    tags = [{"Key": "ingress.k8s.aws/resource", "Value": f"{given['namespace']}/main-{service}:80"}]
    groups[service] = elb.create_target_group(
        Name=f"{name}-{service}", Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip", Tags=tags
    )["TargetGroups"][0]["TargetGroupArn"]
refused = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
listener = elb.create_listener(LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=refused)
listener = listener["Listeners"][0]["ListenerArn"]
weighted = [{"TargetGroupArn": groups["canary"], "Weight": 0}, {"TargetGroupArn": groups["stable"], "Weight": 100}]
action = {"Type": "forward", "ForwardConfig": {"TargetGroups": weighted}}
condition = [{"Field": "path-pattern", "Values": ["/*"]}]
rule = elb.create_rule(ListenerArn=listener, Priority=1, Conditions=condition, Actions=[action])["Rules"][0]["RuleArn"]
result = {"dns": balancer["DNSName"], "arn": balancer["LoadBalancerArn"], "rule": rule, **groups}
"""
SET_WEIGHT = """
weighted = [
    {"TargetGroupArn": given["canary"], "Weight": given["weight"]},
    {"TargetGroupArn": given["stable"], "Weight": 100 - given["weight"]},
]
elb.modify_rule(RuleArn=given["rule"], Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weighted}}])
result = None
"""
REGISTER = """
elb.register_targets(TargetGroupArn=given["group"], Targets=[{"Id": each, "Port": 8080} for each in given["addresses"]])
result = None
"""


@pytest.fixture(scope="module")
def aws(moto):
    """What the controller of AWS made of the Ingress `shop/main`."""
    return moto.does(SCENE, name="web", namespace="shop")


@pytest.fixture
async def balancers(moto):
    async with PatientOutbound(allow_metadata=True) as outbound:
        yield LoadBalancers(aws=Aws(moto.environ, outbound, lambda: NOW), outbound=outbound, clock=lambda: NOW)


async def test_a_load_balancer_is_found_by_its_dns_name(balancers, aws):
    found = await balancers.find(aws["dns"].upper())
    assert found is not None
    assert (found.name, found.arn) == ("web", aws["arn"])
    assert await balancers.find("gone.eu-west-1.elb.amazonaws.com") is None


async def test_a_refusal_of_aws_is_told_in_its_words(balancers):
    with pytest.raises(NotAnswered, match=r"^DescribeTargetGroups: 400 Bad Request, LoadBalancerNotFound: The specified load"):
        await balancers.target_groups("arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/none/1")


def ingress(hostname: str, *, namespace: str = "shop"):
    backend = {"service": {"name": "stable", "port": {"name": "use-annotation"}}}
    rules = [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}}]
    held = {"loadBalancer": {"ingress": [{"hostname": hostname}]}} if hostname else {}
    return {"metadata": {"name": "main", "namespace": namespace}, "spec": {"rules": rules}, "status": held}


def split(weight: int) -> Split:
    return Split(canary=Destination(weight=weight, service="canary"), stable=Destination(weight=100 - weight, service="stable"))


async def test_a_split_is_verified_when_aws_has_it_and_not_before(moto, aws, balancers):
    kube, told, moments = MemoryKube(), [], [NOW]
    kube.put(INGRESS, ingress(aws["dns"]))
    router = Alb(kube, Verification(load_balancers=balancers, clock=lambda: moments[-1]))
    ask = Ask(owner=OWNER, fence=1, split=split(20), config=CONFIG, tell=told.append)

    before = await router.apply(ask)
    assert (before.state, before.verified, before.weight) == ("pending", False, 0)
    assert before.message.startswith("Ingress shop/main: AWS gives canary weight 0, 20 is asked")
    assert [each.reason for each in told] == ["PatchingALBIngress", "TargetGroupUnverified"]

    moto.does(SET_WEIGHT, weight=20, **aws)
    assert (await router.apply(ask)).verified is False  # not asked again within two seconds
    moments.append(NOW + timedelta(seconds=3))
    after = await router.apply(ask)
    assert (after.state, after.verified, after.weight, after.message) == ("applied", True, 20, "")
    assert told[-1].message == f"Service canary (TargetGroup {aws['canary']}) verified: canary weight 20 set"
    assert after.status["alb"] == {
        "ingress": "main",
        "loadBalancer": {"name": "web", "arn": aws["arn"], "fullName": "/".join(aws["arn"].split("/")[2:])},
        "canaryTargetGroup": {"name": "web-canary", "arn": aws["canary"], "fullName": aws["canary"].split("targetgroup/")[1]},
        "stableTargetGroup": {"name": "web-stable", "arn": aws["stable"], "fullName": aws["stable"].split("targetgroup/")[1]},
    }
    assert after.status["albs"] == [after.status["alb"]]
    count = len(told)
    assert (await router.apply(ask)).verified is True
    assert len(told) == count  # that it is still so is no news


@pytest.mark.parametrize(
    ("hostname", "message", "reasons"),
    [
        ("", "Ingress shop/main has no load balancer yet", []),
        ("gone.aws.com", "Ingress shop/main: AWS knows no load balancer gone.aws.com", ["LoadBalancerNotFound"]),
    ],
)
async def test_without_a_load_balancer_nothing_is_verified(balancers, aws, hostname, message, reasons):
    kube, told = MemoryKube(), []
    kube.put(INGRESS, ingress(hostname))
    router = Alb(kube, Verification(load_balancers=balancers, clock=lambda: NOW))
    report = await router.apply(Ask(owner=OWNER, fence=1, split=split(20), config=CONFIG, tell=told.append))
    assert (report.state, report.verified, report.message) == ("pending", False, message)
    assert [each.reason for each in told if each.type == "Warning"] == reasons


# --- target groups ---------------------------------------------------------------------------------------------------------


def slice_of(service: str, *pods: tuple[str, str]):
    ready = {"conditions": {"ready": True}}
    endpoints = [{"addresses": [address], "targetRef": {"kind": "Pod", "name": name}, **ready} for name, address in pods]
    metadata = {"name": f"{service}-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": service}}
    return {"metadata": metadata, "addressType": "IPv4", "ports": [{"name": "", "port": 8080}], "endpoints": endpoints}


def binding(service: str, arn: str, kind: str = "ip"):
    spec = {"targetGroupARN": arn, "targetType": kind, "serviceRef": {"name": service, "port": 80}}
    return {"metadata": {"name": f"k8s-{service}", "namespace": "shop"}, "spec": spec}


async def test_pods_are_waited_for_until_they_are_registered_in_the_target_group(moto, aws, balancers):
    """And the endpoints of the old pods, which still stand there right after the switch, are not taken for them."""
    kube = MemoryKube()
    await kube.create(SERVICE, {"metadata": {"name": "active", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}})
    await kube.create(TARGET_GROUP_BINDING, binding("active", aws["stable"]))
    await kube.create(ENDPOINT_SLICE, slice_of("active", ("app-old-x", "10.0.0.1")))
    moto.does(REGISTER, group=aws["stable"], addresses=["10.0.0.1"])
    groups, wanted = TargetGroups(kube, balancers), (ServiceTarget(service="active", hash="new"),)

    report, _ = await groups.report(wanted, OWNER)
    assert (report.state, report.verified) == ("pending", False)
    assert report.message.endswith("its endpoints are still other pods")

    kube.put(ENDPOINT_SLICE, slice_of("active", ("app-new-x", "10.0.0.2"), ("app-new-y", "10.0.0.3")))
    report, records = await groups.report(wanted, OWNER)
    assert report.message == f"Service active (TargetGroup {aws['stable']}): 0/2 endpoints registered"
    assert [each.message for each in records] == [
        f"Service active (TargetGroup {aws['stable']}) not verified: 0/2 endpoints registered"
    ]
    moto.does(REGISTER, group=aws["stable"], addresses=["10.0.0.2", "10.0.0.3"])
    report, records = await groups.report(wanted, OWNER)
    assert (report.state, report.verified) == ("applied", True)
    assert [each.message for each in records] == [f"Service active (TargetGroup {aws['stable']}) verified: 2 endpoints registered"]
    assert (await groups.report(wanted, OWNER))[1] == []


async def test_services_without_a_target_group_of_pods_are_not_waited_for(aws, balancers):
    kube = MemoryKube()
    await kube.create(TARGET_GROUP_BINDING, binding("active", aws["stable"], kind="instance"))
    assert await TargetGroups(kube, balancers).report((ServiceTarget(service="active", hash="new"),), OWNER) == (None, [])


# --- the process -----------------------------------------------------------------------------------------------------------


async def test_the_process_asks_aws_where_its_setting_says_so(moto, nats, control_plane, kube, namespace, tmp_path):
    there = moto.does(SCENE, name=namespace[-20:].strip("-"), namespace=namespace)
    template = {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": "app:1"}]}}
    spec = {"selector": {"matchLabels": {"app": "app"}}, "template": template, "strategy": {"canary": {}}}
    rollout = await kube.create(ROLLOUT, {"metadata": {"name": "app", "namespace": namespace}, "spec": spec})
    main = ingress(there["dns"], namespace=namespace)
    await kube.create(INGRESS, main)
    await kube.merge_patch(INGRESS, namespace, "main", {"status": main["status"]}, subresource="status")
    request = TrafficRequested(
        namespace=namespace,
        name="app",
        uid=rollout["metadata"]["uid"],
        fence=10,
        digest="20",
        routers=(Router(router="alb", config=CONFIG),),
        split=split(20),
    )
    environ = {
        "NATS_URL": nats.url,
        "KUBECONFIG": str(control_plane.kubeconfig),
        "TIDEGATE_AWS_VERIFY_TARGET_GROUP": "true",
        **moto.environ,
    }
    process = Suite({"traffic-shifter": "tidegate_shifter.app"}, settings=environ, folder=tmp_path)
    async with patient_bus(Settings(nats_url=nats.url), service="planner") as planner:

        async def verified():
            found = await planner.last(TRAFFIC, f"tidegate.traffic.applied.{namespace}.app")
            return found and [(each.state, each.verified, each.weight) for each in found.message.reports]

        with process:
            await planner.publish(request)
            await eventually(verified, lambda seen: seen == [("pending", False, 0)], what="AWS not to have it yet")
            moto.does(SET_WEIGHT, weight=20, **there)
            await eventually(verified, lambda seen: seen == [("applied", True, 20)], what="AWS to have it")
