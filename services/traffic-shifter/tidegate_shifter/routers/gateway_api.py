"""Gateway API: HTTPRoute, GRPCRoute, TCPRoute, TLSRoute, with the configuration of the peer's plugin `argoproj-labs/gatewayAPI`.

What a route must look like is `tidegate_shifter.gateway_routes`. Here: which routes, writing them, and what is seen of them.

Verification reads what controllers say in the status (`tidegate_shifter.gateway_status`). One that never reported cannot be waited
for (None); one that reported for an older generation can (False).
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import ClassVar, Final

from tidegate.kube.errors import Forbidden, NotFound
from tidegate.kube.kinds import GRPC_ROUTE, HTTP_ROUTE, Kind, Object
from tidegate.messages import RouterReport
from tidegate_shifter.changes import experiment_services, odd_one
from tidegate_shifter.easing import least
from tidegate_shifter.gateway_features import GATEWAY_CLASS, MIRROR, asks_for_mirrors, class_of, gateways_of, lacks_mirrors
from tidegate_shifter.gateway_routes import Context, Json, Marks, Route, additional_in, is_weighted, own_rules, patched
from tidegate_shifter.gateway_status import acceptance
from tidegate_shifter.router import Ask, Feature, Refused
from tidegate_shifter.writing import Api, Target, read, write_each

NAME: Final = "argoproj-labs/gatewayAPI"
GROUP: Final = "gateway.networking.k8s.io"
FAMILIES: Final[Mapping[str, tuple[Kind, ...]]] = {
    "http": (HTTP_ROUTE, Kind("policy.linkerd.io", "v1beta3", "httproutes", "HTTPRoute")),  # Linkerd's own, by name only
    "grpc": (GRPC_ROUTE,),
    # v1 since Gateway API 1.6; clusters before it serve v1alpha2 only
    "tcp": tuple(Kind(GROUP, version, "tcproutes", "TCPRoute") for version in ("v1", "v1alpha2")),
    "tls": tuple(Kind(GROUP, version, "tlsroutes", "TLSRoute") for version in ("v1", "v1alpha2")),
}


# --- configuration ---------------------------------------------------------------------------------------------------


def routes_in(config: Json) -> list[Route]:
    """The routes that the configuration names; those found by `...RouteSelector` come on top."""
    found = []
    for family, kinds in FAMILIES.items():
        listed = list(config.get(f"{family}Routes") or ())
        if name := config.get(f"{family}Route"):
            listed.append({"name": name, "ruleName": config.get(f"{family}RouteRuleName"), "useHeaderRoutes": True})
        for entry in listed:
            if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str) or not entry["name"]:
                raise Refused(f"{NAME}: {family}Routes has the entry {entry!r}; it must be an object with a `name`", lasting=True)
            found.append(
                Route(
                    kinds=kinds,
                    name=entry["name"],
                    rule=entry.get("ruleName") or "",
                    headers=bool(entry.get("useHeaderRoutes")) and family in ("http", "grpc"),
                )
            )
    return found


def marks_in(config: Json) -> Marks:
    return Marks(
        label=config.get("inProgressLabelKey") or Marks().label,
        value=config.get("inProgressLabelValue") or Marks().value,
        active=config.get("activeRolloutsAnnotationKey") or Marks().active,
        disabled=bool(config.get("disableInProgressLabel")),
    )


def selector_text(selector: Json) -> str:
    """A LabelSelector of the API as a query value."""
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for each in selector.get("matchExpressions") or ():
        key, operator, values = each.get("key"), each.get("operator"), ",".join(each.get("values") or ())
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": f"{key}", "DoesNotExist": f"!{key}"}
        if operator not in forms:
            raise Refused(f"{NAME}: operator {operator!r} of a route selector is unknown; known: {', '.join(forms)}", lasting=True)
        parts.append(forms[operator])
    return ",".join(parts)


# --- observation -----------------------------------------------------------------------------------------------------


def canary_share(manifest: Object, context: Context) -> int | None:
    """The canary's part of what our Services get, out of `max_weight`; of several rules, one that is not as asked."""
    shares: list[int] = []
    for rule in own_rules(manifest, context):
        if is_weighted(rule, context):
            held = {service: (context.ref_in(rule, service) or {}).get("weight", 0) for service in context.weights}
            if total := sum(held.values()):
                shares.append(round(held.get(context.split.canary.service or "", 0) * context.split.max_weight / total))
    return odd_one(shares, context.split.canary.weight)


def accepted(context: Context, manifest: Object) -> tuple[bool | None, str]:
    return acceptance(manifest, leaves_canary=context.split.canary.weight == 0)


def report(seen: Iterable[tuple[Context, Object]]) -> RouterReport:
    """One answer for all routes: verified when every route that can be asked is, the share of one that lags behind."""
    found = [(context, canary_share(manifest, context), *accepted(context, manifest)) for context, manifest in seen]
    asked = found[0][0].split.canary.weight
    wrong = [f"{context.target} gives the canary {share}" for context, share, _, _ in found if share != asked]
    late = [f"{context.target}: {message}" for context, _, verified, message in found if verified is False]
    verdicts = [verified for _, _, verified, _ in found if verified is not None]
    return RouterReport(
        router=NAME,
        state="pending" if late or wrong else "applied",
        weight=odd_one((share for _, share, _, _ in found), asked),
        verified=all(verdicts) if verdicts else None,
        message="; ".join(wrong + late),
    )


# --- the router ----------------------------------------------------------------------------------------------------------


class GatewayApi:
    """See the module's docstring."""

    supports: ClassVar[frozenset[Feature]] = frozenset(Feature)
    remarks: ClassVar[Mapping[Feature, str]] = {
        Feature.HEADER_ROUTES: "HTTPRoute, GRPCRoute",
        Feature.MIRROR_ROUTES: "HTTPRoute",
        Feature.VERIFICATION: "where the controller reports the generation",
        Feature.STICKINESS: "`sessionPersistence` of the rule",
    }

    def __init__(self, kube: Api) -> None:
        self._kube = kube

    async def apply(self, ask: Ask) -> RouterReport:
        contexts = await self._contexts(ask)
        for context in filter(asks_for_mirrors, contexts):
            await self._refuse_a_mirror_nobody_does(context)
        wishes = [(context.target, partial(patched, context=context)) for context in contexts]
        written = await write_each(self._kube, wishes, owner=ask.owner, fence=ask.fence)
        return report((context, each.after) for context, each in zip(contexts, written, strict=True) if each.after)

    async def observed(self, ask: Ask) -> RouterReport:
        contexts = await self._contexts(ask)
        seen = [(context, await read(self._kube, context.target)) for context in contexts]
        missing = [str(context.target) for context, manifest in seen if manifest is None]
        if missing:
            raise Refused(f"{', '.join(missing)} does not exist")
        return report((context, manifest) for context, manifest in seen if manifest)

    async def additional(self, ask: Ask) -> Mapping[str, int]:
        found = [(context, await read(self._kube, context.target)) for context in await self._contexts(ask)]
        return least(each for context, route in found if route for each in additional_in(route, context))

    async def _refuse_a_mirror_nobody_does(self, context: Context) -> None:
        route = await read(self._kube, context.target)
        for gateway in gateways_of(route) if route else ():
            with suppress(Forbidden):  # who serves one namespace may not look at classes; then nothing is known
                if (found := await read(self._kube, gateway)) is None:
                    continue
                described = await read(self._kube, Target(GATEWAY_CLASS, "", class_of(found)))
                if described and lacks_mirrors(described):
                    raise Refused(
                        f"{context.target}: setMirrorRoute needs {MIRROR}, which GatewayClass {class_of(found)} of {gateway} does "
                        "not list in status.supportedFeatures; it would answer every user with an error"
                    )

    async def _contexts(self, ask: Ask) -> list[Context]:
        namespace = ask.config.get("namespace") or ask.owner.namespace
        marks = marks_in(ask.config)
        routes = routes_in(ask.config) + await self._selected(ask.config, namespace)
        if not routes:
            known = ", ".join(f"{family}Route, {family}Routes, {family}RouteSelector" for family in FAMILIES)
            raise Refused(f"{NAME} of rollout {ask.owner} names no route that exists; it must have one of {known}")
        services = await experiment_services(self._kube, ask)
        targets = [await self._target(route, namespace) for route in routes]
        return [
            Context(owner=ask.owner, split=ask.split, route=route, target=target, marks=marks, services=services)
            for route, target in zip(routes, targets, strict=True)
        ]

    async def _selected(self, config: Json, namespace: str) -> list[Route]:
        routes = []
        for family, kinds in FAMILIES.items():
            if selector := config.get(f"{family}RouteSelector"):
                items = await self._listed(kinds, namespace, selector_text(selector))
                routes += [Route(kinds=kinds, name=item["metadata"]["name"]) for item in items]
        return routes

    async def _listed(self, kinds: Iterable[Kind], namespace: str, labels: str) -> list[Object]:
        """In the newest version that the cluster serves; a kind that it does not serve at all has no routes."""
        for kind in (each for each in kinds if each.group == GROUP):
            with suppress(NotFound):
                return (await self._kube.list(kind, namespace, labels=labels))[0]
        return []

    async def _target(self, route: Route, namespace: str) -> Target:
        """The version the cluster serves it in; the newest where none does, so that the refusal names that one."""
        targets = [Target(kind, namespace, route.name) for kind in route.kinds]
        for target in targets[1:]:
            if await read(self._kube, targets[0]) is None and await read(self._kube, target) is not None:
                return target
        return targets[0]
