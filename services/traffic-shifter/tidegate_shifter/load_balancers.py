"""What AWS says of its load balancers: reads of the Elastic Load Balancing API, in Amazon's query protocol, signed by ourselves.

Only what stays true is remembered (which load balancer has a DNS name); weights and targets are asked for each time. AWS limits how
often an account may ask; being told so is an answer like any other failure here: said, and asked again later.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

from tidegate.aws.login import Aws
from tidegate.aws.sigv4 import signed
from tidegate.errors import TidegateError
from tidegate.outbound import Answer, Call, CallFailed, Outbound
from tidegate_shifter.alb_verification import Forward, LoadBalancer, TargetGroup

SECONDS: Final = 10.0
VERSION: Final = "2015-12-01"
NS: Final = f"{{http://elasticloadbalancing.amazonaws.com/doc/{VERSION}/}}"
PAGE: Final = "400"
TAGS_AT_ONCE: Final = 20
"""AWS's own limits for one request."""
MOST_PAGES: Final = 100


class NotAnswered(TidegateError):  # noqa: N818 - reads as the fact it states
    """AWS gave no answer, or refused one. The text names the operation and what AWS said."""


class LoadBalancers:
    """One per process. Raises `NotAnswered`."""

    def __init__(self, *, aws: Aws, outbound: Outbound, clock: Callable[[], datetime]) -> None:
        self._aws = aws
        self._outbound = outbound
        self._clock = clock
        self._known: dict[str, LoadBalancer] = {}

    async def find(self, dns_name: str) -> LoadBalancer | None:
        """The one with this DNS name, which no request can select by."""
        wanted = dns_name.lower()
        if wanted not in self._known:
            async for each in self._pages("DescribeLoadBalancers", "LoadBalancers", PageSize=PAGE):
                found = LoadBalancer(name=_text(each, "LoadBalancerName"), arn=_text(each, "LoadBalancerArn"))
                self._known[_text(each, "DNSName").lower()] = found
        return self._known.get(wanted)

    def forget(self, dns_name: str) -> None:
        """It was deleted; its successor may have the same name."""
        self._known.pop(dns_name.lower(), None)

    async def target_groups(self, load_balancer: str) -> list[TargetGroup]:
        groups = [each async for each in self._pages("DescribeTargetGroups", "TargetGroups", LoadBalancerArn=load_balancer)]
        names = {_text(each, "TargetGroupArn"): _text(each, "TargetGroupName") for each in groups}
        tags = await self._tags(list(names))
        return [TargetGroup(name=name, arn=arn, tags=tags.get(arn, {})) for arn, name in names.items()]

    async def forwards(self, load_balancer: str) -> list[Forward]:
        """Every forwarding action of all its listeners and rules; a default action is a rule too."""
        found: list[Forward] = []
        async for listener in self._pages("DescribeListeners", "Listeners", LoadBalancerArn=load_balancer):
            async for rule in self._pages("DescribeRules", "Rules", ListenerArn=_text(listener, "ListenerArn")):
                found += [_forward(action) for action in rule.iterfind(f"{NS}Actions/{NS}member")]
        return [each for each in found if each]

    async def targets(self, target_group: str) -> set[tuple[str, int]]:
        """Address and port of what is registered, whatever its health."""
        root = await self._ask("DescribeTargetHealth", TargetGroupArn=target_group)
        targets = root.iterfind(f".//{NS}TargetHealthDescriptions/{NS}member/{NS}Target")
        return {(_text(each, "Id"), int(_text(each, "Port") or 0)) for each in targets}

    async def _tags(self, arns: list[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for start in range(0, len(arns), TAGS_AT_ONCE):
            some = {f"ResourceArns.member.{place}": arn for place, arn in enumerate(arns[start : start + TAGS_AT_ONCE], start=1)}
            root = await self._ask("DescribeTags", **some)
            for each in root.iterfind(f".//{NS}TagDescriptions/{NS}member"):
                tags = {_text(tag, "Key"): _text(tag, "Value") for tag in each.iterfind(f"{NS}Tags/{NS}member")}
                found[_text(each, "ResourceArn")] = tags
        return found

    async def _pages(self, operation: str, listed: str, **fields: str) -> AsyncIterator[ET.Element]:
        for _ in range(MOST_PAGES):
            root = await self._ask(operation, **fields)
            for each in root.iterfind(f".//{NS}{listed}/{NS}member"):
                yield each
            marker = root.findtext(f".//{NS}NextMarker")
            if not marker:
                return
            fields["Marker"] = marker
        raise NotAnswered(f"{operation}: more than {MOST_PAGES} pages")

    async def _ask(self, operation: str, **fields: str) -> ET.Element:
        try:
            region = self._aws.region()
            call = Call(
                method="POST",
                url=self._aws.endpoint("ELASTIC_LOAD_BALANCING_V2", "elasticloadbalancing", region),
                headers=(("Content-Type", "application/x-www-form-urlencoded"),),
                body=urlencode({"Action": operation, "Version": VERSION, **fields}).encode(),
                timeout=SECONDS,
            )
            keys = await self._aws.keys(region=region)
            proven = signed(call, keys, service="elasticloadbalancing", region=region, now=self._clock())
            return answered(operation, await self._outbound.send(proven))
        except CallFailed as error:
            raise NotAnswered(f"{operation}: {error}") from error


def answered(operation: str, answer: Answer) -> ET.Element:
    """The document of an answer. A refusal's text never holds what was sent: it may quote a token. Pure."""
    try:
        root = ET.fromstring(answer.body)  # noqa: S314 - of AWS itself, at most 1 MiB, and expat bounds entities
    except ET.ParseError as error:
        raise NotAnswered(f"{operation}: {answer.status_line}, the answer is not XML") from error
    if answer.is_success:
        return root
    code, said = _found(root, "Code"), _found(root, "Message")
    told = "" if code in SAYS_WHAT_WAS_SIGNED else f": {said}"
    raise NotAnswered(f"{operation}: {answer.status_line}, {code or 'no reason given'}{told}")


SAYS_WHAT_WAS_SIGNED: Final = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"})


def _found(root: ET.Element, name: str) -> str:
    """Whatever the namespace: front ends of AWS answer a throttled request in another one."""
    return next((each.text or "" for each in root.iter() if each.tag.rpartition("}")[2] == name), "")


def _forward(action: ET.Element) -> Forward:
    """A lone target group may stand beside the configuration, or instead of it; then all of the traffic is its."""
    groups = {_text(each, "TargetGroupArn"): _weight(each) for each in _tuples(action)}
    lone = _text(action, "TargetGroupArn")
    return groups or ({lone: None} if lone else {})


def _tuples(action: ET.Element) -> Iterable[ET.Element]:
    return action.iterfind(f"{NS}ForwardConfig/{NS}TargetGroups/{NS}member")


def _weight(group: ET.Element) -> int | None:
    text = _text(group, "Weight")
    return int(text) if text.isascii() and text.isdigit() else None


def _text(element: ET.Element, name: str) -> str:
    return element.findtext(f"{NS}{name}") or ""
