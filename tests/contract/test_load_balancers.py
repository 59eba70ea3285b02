"""AWS on a bad day: the client of the Elastic Load Balancing API and answers that moto never gives, over a real socket."""

from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest

from tidegate.aws.login import Aws
from tidegate.kube.kinds import INGRESS, TARGET_GROUP_BINDING
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, ServiceTarget, Split
from tidegate.testing import PatientOutbound
from tidegate_analyzer.testing import Endpoint, Reply
from tidegate_shifter.load_balancers import LoadBalancers, NotAnswered
from tidegate_shifter.router import Ask, Owner
from tidegate_shifter.routers.alb import Alb, Verification
from tidegate_shifter.target_groups import TargetGroups

NOW = datetime(2026, 11, 26, 8, tzinfo=UTC)
XMLNS = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"
OWNER = Owner(namespace="shop", name="app", uid="u")


def document(operation, inner):
    return f'<{operation}Response xmlns="{XMLNS}"><{operation}Result>{inner}</{operation}Result></{operation}Response>'.encode()


def refusal(code, message, *, xmlns=XMLNS):
    return f'<ErrorResponse xmlns="{xmlns}"><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>'.encode()


def balancers_page(*names, marker=""):
    members = "".join(
        f"<member><LoadBalancerName>{name}</LoadBalancerName><LoadBalancerArn>arn/{name}</LoadBalancerArn>"
        f"<DNSName>{name}.elb</DNSName></member>"
        for name in names
    )
    more = f"<NextMarker>{marker}</NextMarker>" if marker else ""
    return document("DescribeLoadBalancers", f"<LoadBalancers>{members}</LoadBalancers>{more}")


@pytest.fixture
def endpoint():
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture
async def client(endpoint):
    environ = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cret"}
    environ["AWS_SESSION_TOKEN"] = "t0ken"
    environ["AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2"] = endpoint.url("")
    async with PatientOutbound(allow_metadata=True) as outbound:
        yield LoadBalancers(aws=Aws(environ, outbound, lambda: NOW), outbound=outbound, clock=lambda: NOW)


async def test_requests_are_signed_for_the_service_and_the_region(client, endpoint):
    endpoint.answer("/", Reply(body=balancers_page("web")))
    await client.find("web.elb")
    (asked,) = endpoint.asked
    headers = {name.lower(): value for name, value in asked.headers.items()}
    assert "Credential=AKID/20261126/eu-west-1/elasticloadbalancing/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == "t0ken"
    assert parse_qs(asked.body.decode()) == {"Action": ["DescribeLoadBalancers"], "Version": ["2015-12-01"], "PageSize": ["400"]}


async def test_all_pages_are_read_and_what_was_found_is_not_asked_for_again(client, endpoint):
    endpoint.answer("/", Reply(body=balancers_page("a", marker="next")), Reply(body=balancers_page("b")))
    found = await client.find("b.elb")
    assert found is not None
    assert found.arn == "arn/b"
    assert parse_qs(endpoint.asked[1].body.decode())["Marker"] == ["next"]
    assert await client.find("a.elb") is not None
    assert len(endpoint.asked) == 2
    client.forget("b.elb")
    await client.find("b.elb")
    assert len(endpoint.asked) > 2


async def test_a_marker_that_never_ends_is_given_up(client, endpoint):
    endpoint.answer("/", Reply(body=balancers_page("a", marker="next")))
    with pytest.raises(NotAnswered, match="more than 100 pages"):
        await client.find("b.elb")


THROTTLED = [
    (Reply(status=400, body=refusal("Throttling", "Rate exceeded")), "400 Bad Request, Throttling: Rate exceeded"),
    (Reply(status=503, body=refusal("Busy", "later", xmlns="http://other/")), "503 Service Unavailable, Busy: later"),
    (Reply(status=502, body=b"<html><body>Bad"), "502 Bad Gateway, the answer is not XML"),
    (Reply(status=200, body=b""), "200 OK, the answer is not XML"),
    (Reply(status=403, body=refusal("AccessDenied", "not allowed")), "403 Forbidden, AccessDenied: not allowed"),
    (Reply(status=403, body=refusal("SignatureDoesNotMatch", "should have been t0ken")), "403 Forbidden, SignatureDoesNotMatch"),
]


@pytest.mark.parametrize(("reply", "told"), THROTTLED)
async def test_whatever_aws_refuses_is_said_and_never_what_was_sent(client, endpoint, reply, told):
    endpoint.answer("/", reply)
    with pytest.raises(NotAnswered) as error:
        await client.find("web.elb")
    assert str(error.value) == f"DescribeLoadBalancers: {told}"
    assert "t0ken" not in str(error.value)


async def test_an_api_that_nobody_answers_at_is_said(client, endpoint):
    endpoint.__exit__(None, None, None)
    with pytest.raises(NotAnswered, match=r"^DescribeLoadBalancers: POST .* "):
        await client.find("web.elb")


async def test_without_a_region_the_reason_is_said():
    async with PatientOutbound(allow_metadata=True) as outbound:
        client = LoadBalancers(aws=Aws({}, outbound, lambda: NOW), outbound=outbound, clock=lambda: NOW)
        with pytest.raises(NotAnswered, match="region not configured"):
            await client.find("web.elb")


async def test_a_forwarding_action_names_its_target_groups_in_either_of_two_places(client, endpoint):
    """A lone one stands beside the configuration, or without it; then all that comes is its."""
    shares = (("a", 0), ("b", 100))
    weighted = "".join(f"<member><TargetGroupArn>{name}</TargetGroupArn><Weight>{it}</Weight></member>" for name, it in shares)
    both = f"<Type>forward</Type><ForwardConfig><TargetGroups>{weighted}</TargetGroups></ForwardConfig>"
    lone = "<Type>forward</Type><TargetGroupArn>c</TargetGroupArn>"
    page = "<Type>fixed-response</Type>"
    rules = "".join(f"<member><Actions><member>{each}</member></Actions></member>" for each in (both, lone, page))
    endpoint.answer(
        "/",
        Reply(body=document("DescribeListeners", "<Listeners><member><ListenerArn>l</ListenerArn></member></Listeners>")),
        Reply(body=document("DescribeRules", f"<Rules>{rules}</Rules>")),
    )
    assert await client.forwards("arn/web") == [{"a": 0, "b": 100}, {"c": None}]


async def test_while_aws_is_throttling_the_split_waits_unverified_and_is_tried_again(client, endpoint):
    """The weights are written all the same; one throttled answer never fails a rollout."""
    endpoint.answer("/", Reply(status=400, body=refusal("Throttling", "Rate exceeded")))
    kube, told = MemoryKube(), []
    backend = {"service": {"name": "stable", "port": {"name": "use-annotation"}}}
    kube.put(
        INGRESS,
        {
            "metadata": {"name": "main", "namespace": "shop"},
            "spec": {"rules": [{"http": {"paths": [{"path": "/", "backend": backend}]}}]},
            "status": {"loadBalancer": {"ingress": [{"hostname": "web.elb"}]}},
        },
    )
    split = Split(canary=Destination(weight=20, service="canary"), stable=Destination(weight=80, service="stable"))
    ask = Ask(owner=OWNER, fence=1, split=split, config={"ingress": "main", "servicePort": 80}, tell=told.append)
    report = await Alb(kube, Verification(load_balancers=client, clock=lambda: NOW)).apply(ask)
    assert (report.state, report.verified) == ("pending", False)
    assert report.message.endswith("AWS could not be asked: DescribeLoadBalancers: 400 Bad Request, Throttling: Rate exceeded")
    assert [each.reason for each in told] == ["PatchingALBIngress", "TargetGroupVerifyError", "WeightVerifyError"]


async def test_while_aws_does_not_answer_a_services_pods_are_waited_for(client, endpoint):
    endpoint.answer("/", Reply(status=400, body=refusal("Throttling", "Rate exceeded")))
    kube = MemoryKube()
    spec = {"targetGroupARN": "arn", "targetType": "ip", "serviceRef": {"name": "active", "port": 80}}
    await kube.create(TARGET_GROUP_BINDING, {"metadata": {"name": "b", "namespace": "shop"}, "spec": spec})
    report, _ = await TargetGroups(kube, client).report((ServiceTarget(service="active", hash="new"),), OWNER)
    assert report is not None
    assert (report.state, report.verified) == ("pending", False)
    assert "Throttling" in report.message
