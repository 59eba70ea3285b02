"""The canary Ingress as it must be beside a stable one."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.kube.kinds import INGRESS
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, Split
from tidegate_shifter.router import Ask, Owner, Refused
from tidegate_shifter.routers.nginx import CLASS, Nginx, Pair, patched
from tidegate_shifter.writing import Target

P = "nginx.ingress.kubernetes.io"
APP = Owner(namespace="shop", name="app", uid="u")


def path(service, where="/"):
    return {"path": where, "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}


def ingress(*rules, name="main", annotations=None, **spec):
    metadata = {"name": name, "namespace": "shop", "annotations": annotations or {}}
    return {"metadata": metadata, "spec": {"rules": list(rules)} | spec}


def rule(*paths, host="app.local"):
    return {"host": host, "http": {"paths": list(paths)}}


def split(canary, most=100):
    sides = (Destination(weight=canary, service="canary"), Destination(weight=most - canary, service="stable"))
    return Split(canary=sides[0], stable=sides[1], max_weight=most)


def pair(stable, canary=20, *, most=100, **config):
    target = Target(INGRESS, "shop", stable["metadata"]["name"] if stable else "main")
    return Pair(owner=APP, split=split(canary, most), config=config, stable=target, found=stable)


def annotations(manifest):
    return manifest["metadata"]["annotations"]


def test_only_rules_with_the_stable_service_are_taken_over_and_only_its_paths_renamed():
    resource = {"path": "/r", "pathType": "Prefix", "backend": {"resource": {"kind": "Bucket", "name": "b"}}}
    stable = ingress(rule(path("stable"), path("docs", "/docs"), resource), rule(path("docs"), host="docs.local"), {"host": "bare"})
    made = patched(None, pair(stable))
    assert made["spec"]["rules"] == [rule(path("canary"), path("docs", "/docs"), resource)]


def test_tls_and_class_are_those_of_the_stable_ingress():
    tls = [{"hosts": ["app.local"], "secretName": "tls"}]
    stable = ingress(rule(path("stable")), annotations={CLASS: "nginx"}, tls=tls, ingressClassName="nginx")
    made = patched(None, pair(stable))
    assert (made["spec"]["tls"], made["spec"]["ingressClassName"], annotations(made)[CLASS]) == (tls, "nginx", "nginx")
    del stable["spec"]["tls"]
    assert "tls" not in patched(made, pair(stable))["spec"]


def test_configured_annotations_come_with_our_prefix_or_as_they_are():
    stable = ingress(rule(path("stable")))
    made = patched(
        None,
        pair(
            stable,
            annotationPrefix="my.io",
            additionalIngressAnnotations={"canary-by-header": "X", "my.io/other": "Y", "canary-weight": "99"},
            canaryIngressAnnotations={"team.io/a": "b"},
        ),
    )
    assert annotations(made) == {
        "my.io/canary-by-header": "X",
        "my.io/other": "Y",
        "team.io/a": "b",
        "my.io/canary": "true",
        "my.io/canary-weight": "20",
    }


def test_a_total_is_written_where_not_100_is_all_and_taken_back_with_it():
    stable = ingress(rule(path("stable")))
    made = patched(None, pair(stable, 200, most=1000))
    assert (annotations(made)[f"{P}/canary-weight"], annotations(made)[f"{P}/canary-weight-total"]) == ("200", "1000")
    assert annotations(patched(made, pair(stable, 20)))[f"{P}/canary-weight-total"] == "100"
    assert f"{P}/canary-weight-total" not in annotations(patched(None, pair(stable, 20)))


def test_long_names_are_cut_to_what_kubernetes_takes():
    long = pair(ingress(rule(path("stable")), name="i" * 250))
    assert len(long.canary.name) == 253
    assert long.canary.name.startswith("app-iii")
    assert long.canary.name.endswith("i-canary")


def test_the_canary_ingress_belongs_to_the_rollout():
    made = patched(None, pair(ingress(rule(path("stable")))))
    (reference,) = made["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["name"], reference["uid"], reference["controller"]) == ("Rollout", "app", "u", True)
    made["metadata"]["ownerReferences"] = [reference | {"uid": "another"}]
    with pytest.raises(Refused, match="canary ingress `app-main-canary` controlled by different object"):
        patched(made, pair(ingress(rule(path("stable")))))


@pytest.mark.parametrize(
    ("stable", "told"),
    [
        (None, "Ingress shop/main does not exist"),
        (ingress(rule(path("docs"))), "ingress `main` has no rules using service stable backend"),
        (ingress({"host": "bare"}), "ingress `main` has no rules using service stable backend"),
    ],
)
def test_a_stable_ingress_that_does_not_lead_to_the_stable_service_is_refused(stable, told):
    with pytest.raises(Refused, match=told):
        patched(None, pair(stable))


async def test_every_named_ingress_gets_a_canary_and_a_lost_one_does_not_stop_the_rest():
    kube = MemoryKube()
    for name in ("a", "b"):
        await kube.create(INGRESS, ingress(rule(path("stable")), name=name))
    asked = Ask(owner=APP, fence=1, split=split(20), config={"stableIngresses": ["a", "lost", "b"]})
    with pytest.raises(Refused, match="Ingress shop/lost does not exist"):
        await Nginx(kube).apply(asked)
    assert {each["metadata"]["name"] for each in kube.snapshot(INGRESS)} == {"a", "b", "app-a-canary", "app-b-canary"}


@pytest.mark.parametrize("config", [{}, {"stableIngress": "a", "stableIngresses": ["b"]}, {"stableIngresses": [""]}])
async def test_a_configuration_that_names_no_ingress_is_refused_for_good(config):
    with pytest.raises(Refused, match="stableIngress") as refused:
        await Nginx(MemoryKube()).apply(Ask(owner=APP, fence=1, split=split(20), config=config))
    assert refused.value.lasting


@given(st.lists(st.one_of(st.integers(0, 100), st.text("abc", min_size=1, max_size=2)), max_size=8))
def test_any_sequence_of_weights_and_annotations_of_others_keeps_theirs(sequence):
    stable = ingress(rule(path("stable")))
    found, theirs = None, {}
    for each in sequence:
        if isinstance(each, str):
            if found is not None:
                found = deepcopy(found)
                theirs[f"team.io/{each}"] = each
                annotations(found).update(theirs)
            continue
        found = patched(found, pair(stable, each))
        assert annotations(found) == theirs | {f"{P}/canary": "true", f"{P}/canary-weight": str(each)}
        assert patched(found, pair(stable, each)) == found
