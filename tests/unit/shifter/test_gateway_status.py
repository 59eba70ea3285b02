"""What "verified" means for each implementation of the Gateway API, by the shapes in which they report."""

from pathlib import Path

import pytest
import yaml

from tidegate_shifter.gateway_status import acceptance

GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge", "namespace": "shop"}
SERVICE = {"group": "core", "kind": "Service", "name": "web", "namespace": "shop", "port": 80}
GENERATION = 4


def condition(kind, status="True", seen=GENERATION, reason="", message=""):
    held = {"type": kind, "status": status, "reason": reason or kind, "message": message}
    return held if seen is None else held | {"observedGeneration": seen}


def parent(controller, *conditions, ref=GATEWAY):
    return {"controllerName": controller, "parentRef": ref, "conditions": list(conditions)}


def verdict(*parents, refs=({"name": "edge"},), **given):
    route = {"metadata": {"name": "web", "namespace": "shop", "generation": GENERATION}, "spec": {}, "status": {"parents": parents}}
    if refs is not None:
        route["spec"]["parentRefs"] = list(refs)
    return acceptance(route, **given)


def usual(controller, seen=GENERATION):
    return parent(controller, condition("Accepted", seen=seen), condition("ResolvedRefs", seen=seen))


IMPLEMENTATIONS = {
    "contour": lambda seen: usual("projectcontour.io/gateway-controller", seen),
    "envoy-gateway": lambda seen: usual("gateway.envoyproxy.io/gatewayclass-controller", seen),
    "traefik": lambda seen: usual("traefik.io/gateway-controller", seen),
    "istio": lambda seen: usual("istio.io/gateway-controller", seen),
    "cilium": lambda seen: usual("io.cilium/gateway-controller", seen),
    "haproxy-unified-gateway": lambda seen: usual("gate.haproxy.org/hug", seen),
    "nginx-gateway-fabric": lambda seen: usual("gateway.nginx.org/nginx-gateway-controller", seen),
    "kong": lambda seen: parent(
        "konghq.com/kic-gateway-controller",
        condition("Accepted", seen=seen),
        condition("ResolvedRefs", seen=seen),
        condition("Programmed", seen=seen, reason="ConfiguredInGateway"),
    ),
}


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
def test_an_implementation_verifies_by_the_generation_that_it_reports(implementation):
    assert verdict(implementation(GENERATION)) == (True, "")
    verified, message = verdict(implementation(GENERATION - 1))
    assert verified is False
    assert message.endswith("has seen generation 3 of 4")


VENDORS = yaml.safe_load((Path(__file__).parents[2] / "data" / "vendors" / "gateway-statuses.yaml").read_text())
WRITTEN = {f"{vendor}: {case}": found for vendor, cases in VENDORS.items() for case, found in cases.items()}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
def test_what_vendors_were_seen_to_write_is_read_for_what_it_says(written):
    """Where none says which generation it speaks of, or nothing at all, as HAProxy Ingress: nothing is waited for."""
    ref, status = written["parentRef"], {key: written[key] for key in ("conditions", "controllerName", "parentRef")}
    metadata = {"name": "web", "namespace": "shop", "generation": 1}
    route = {"metadata": metadata, "spec": {"parentRefs": [ref]}, "status": {"parents": [status]}}
    assert acceptance(route) == tuple(written["told"])
    changed = {**route, "metadata": {**metadata, "generation": 2}}
    assert acceptance(changed)[0] is (None if written["told"][0] is None else False)
    assert acceptance({**route, "status": {}}) == (None, "")


def test_linkerd_reports_no_generation_so_it_can_refuse_but_not_confirm():
    """Its policy controller writes conditions without observedGeneration, and the core group as `core`."""
    refs = ({"group": "", "kind": "Service", "name": "web", "port": 80},)
    name = "linkerd.io/policy-controller"
    fine = parent(name, condition("Accepted", seen=None), condition("ResolvedRefs", seen=None), ref=SERVICE)
    assert verdict(fine, refs=refs) == (None, "")
    broken = parent(
        name, condition("Accepted", seen=None), condition("ResolvedRefs", "False", None, "BackendNotFound"), ref=SERVICE
    )
    assert verdict(broken, refs=refs) == (False, "linkerd.io/policy-controller: ResolvedRefs is False: BackendNotFound")


KONG = "konghq.com/kic-gateway-controller"
CASES = {
    "nobody reports": ((), None, ""),
    "a report about nothing": ((parent("x"),), None, ""),
    "two parents, one lags": ((usual("a"), usual("b", 3)), False, "b has seen generation 3 of 4"),
    "a backend is missing": (
        (parent("a", condition("Accepted"), condition("ResolvedRefs", "False", reason="BackendNotFound", message="no canary")),),
        False,
        "a: ResolvedRefs is False: BackendNotFound no canary",
    ),
    "a value is not supported": (
        (parent("a", condition("Accepted", "False", reason="UnsupportedValue")), usual("b")),
        False,
        "a: Accepted is False: UnsupportedValue",
    ),
    "kong has not told its data plane": (
        (parent(KONG, condition("Accepted"), condition("ResolvedRefs"), condition("Programmed", "Unknown", reason="Unknown")),),
        False,
        f"{KONG}: Programmed is Unknown: Unknown",
    ),
    "kong's data plane is a generation behind": (
        (parent(KONG, condition("Accepted"), condition("ResolvedRefs"), condition("Programmed", seen=3)),),
        False,
        f"{KONG} has seen generation 3 of 4",
    ),
    "google cloud could not reconcile": (
        (parent("gke", condition("Accepted"), condition("Reconciled", "False", reason="ReconciliationFailed")),),
        False,
        "gke: Reconciled is False: ReconciliationFailed",
    ),
    "rules were left out": (
        (parent("a", condition("Accepted"), condition("ResolvedRefs"), condition("PartiallyInvalid", reason="Dropped")),),
        False,
        "a: PartiallyInvalid is True: Dropped",
    ),
    "no rule was left out": ((parent("a", condition("Accepted"), condition("PartiallyInvalid", "False")),), True, ""),
    "conditions of the implementation's own": ((parent("a", condition("Accepted"), condition("Shiny", "False", 1)),), True, ""),
    "another gateway does not admit it": (
        (usual("a"), parent("b", condition("Accepted", "False", 1, "NotAllowedByListeners"))),
        True,
        "",
    ),
    "no gateway admits it": (
        (parent("b", condition("Accepted", "False", reason="NotAllowedByListeners")),),
        False,
        "b: Accepted is False: NotAllowedByListeners",
    ),
    "a former gateway's report was left behind": (
        (usual("a"), parent("old", condition("Accepted", seen=1), ref={"name": "old"})),
        True,
        "",
    ),
}


@pytest.mark.parametrize(("parents", "verified", "message"), CASES.values(), ids=CASES)
def test_each_report_is_read_for_what_it_says(parents, verified, message):
    assert verdict(*parents) == (verified, message)


def test_what_leaves_the_canary_does_not_wait_for_references_that_cannot_be_resolved():
    """An abort must not be held up by somebody's broken backend; another generation it does wait for."""
    broken = parent("a", condition("Accepted"), condition("ResolvedRefs", "False"))
    assert verdict(broken, leaves_canary=True) == (True, "")
    assert verdict(broken)[0] is False
    assert verdict(usual("a", 3), leaves_canary=True)[0] is False


@pytest.mark.parametrize(
    ("ref", "told", "same"),
    [
        ({"name": "edge"}, {"name": "edge", "namespace": "shop"}, True),
        ({"name": "edge", "sectionName": "https"}, {**GATEWAY, "sectionName": "https"}, True),
        ({"name": "edge", "sectionName": "https"}, GATEWAY, True),
        ({"name": "edge", "sectionName": "https"}, {**GATEWAY, "sectionName": "http"}, False),
        ({"name": "edge", "namespace": "infra"}, GATEWAY, False),
        ({"name": "web", "kind": "Service", "group": ""}, SERVICE, True),
        ({"name": "web"}, SERVICE, False),
    ],
)
def test_a_report_belongs_to_the_parent_that_it_names(ref, told, same):
    lagging = parent("a", condition("Accepted", seen=1), ref=told)
    assert (verdict(lagging, refs=(ref,))[0] is False) is same


def test_without_named_parents_every_report_counts():
    assert verdict(usual("a", 3), refs=None)[0] is False


ROOT, SHOP, API = ({"path": {"type": "PathPrefix", "value": path}} for path in ("/", "/shop", "/api"))


@pytest.mark.parametrize(
    ("rules", "harmless"),
    [
        pytest.param([[ROOT], [ROOT]], True, id="a mirror of everything stands before the rule it mirrors"),
        pytest.param([[ROOT], [SHOP], [ROOT, SHOP]], True, id="every match is an earlier rule's"),
        pytest.param([[SHOP], [SHOP, API]], False, id="who asks for /api would be lost"),
        pytest.param([[ROOT], [ROOT], [SHOP], [SHOP, API]], False, id="one such rule among others is enough"),
        pytest.param([[SHOP], [API]], False, id="nothing repeats, so another route is in the way"),
    ],
)
def test_rules_left_out_matter_unless_earlier_ones_serve_all_that_they_would(rules, harmless):
    says = condition("PartiallyInvalid", reason="RuleMatchPartiallyConflict", message="Dropped Rule")
    told = parent("projectcontour.io/gateway-controller", condition("Accepted"), condition("ResolvedRefs"), says)
    route = {
        "metadata": {"name": "web", "namespace": "shop", "generation": GENERATION},
        "spec": {"parentRefs": [{"name": "edge"}], "rules": [{"matches": matches} for matches in rules]},
        "status": {"parents": [told]},
    }
    verified, message = acceptance(route)
    if harmless:
        assert (verified, message) == (True, "")
    else:
        assert verified is False
        assert message.endswith("PartiallyInvalid is True: RuleMatchPartiallyConflict Dropped Rule")
