"""What the Gateways of a route say they can do: the `supportedFeatures` of their class. Pure; who asks them is the router.

A controller that meets a filter it does not know must not leave it out but answer 500 (HTTPRoute's `filters`), so a mirror that a
Gateway cannot do takes all users down. Traefik 3.7 does just that, and calls the route accepted: `e2e/dataplanes/test_traefik.py`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tidegate.kube.kinds import Kind, Object
from tidegate_shifter.gateway_routes import Context
from tidegate_shifter.writing import Target

GROUP: Final = "gateway.networking.k8s.io"
GATEWAY: Final = Kind(GROUP, "v1", "gateways", "Gateway")
GATEWAY_CLASS: Final = Kind(GROUP, "v1", "gatewayclasses", "GatewayClass", namespaced=False)
MIRROR: Final = "HTTPRouteRequestMirror"


def gateways_of(route: Object) -> Iterator[Target]:
    """Of its parents those that are Gateways; a mesh has Services there."""
    for parent in route["spec"].get("parentRefs") or ():
        if parent.get("group", GROUP) == GROUP and parent.get("kind", GATEWAY.kind) == GATEWAY.kind:
            yield Target(GATEWAY, parent.get("namespace") or route["metadata"]["namespace"], parent["name"])


def class_of(gateway: Object) -> str:
    name: str = gateway["spec"]["gatewayClassName"]
    return name


def lacks_mirrors(gateway_class: Object) -> bool:
    """Whether it lists what it can do, and this is not among it. A class that lists nothing is taken at no word."""
    listed: list[str | Mapping[str, Any]] = (gateway_class.get("status") or {}).get("supportedFeatures") or []
    names = {each if isinstance(each, str) else each.get("name") for each in listed}  # plain names before Gateway API 1.3
    return bool(names) and MIRROR not in names


def asks_for_mirrors(context: Context) -> bool:
    return bool(context.split.mirror_routes) and context.target.kind.kind == "HTTPRoute"
