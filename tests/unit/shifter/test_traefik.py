"""The TraefikService as it must be for a split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, Split
from tidegate_shifter.router import Ask, Owner, Refused
from tidegate_shifter.routers.traefik import OLDER, TRAEFIK_SERVICE, Traefik, change


def ask(canary=20, name="web"):
    split = Split(canary=Destination(weight=canary, service="canary"), stable=Destination(weight=100 - canary, service="stable"))
    owner = Owner(namespace="shop", name="app", uid="u")
    return Ask(owner=owner, fence=1, split=split, config={"weightedTraefikServiceName": name} if name else {})


def service(*entries, **weighted):
    return {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"weighted": {"services": list(entries)} | weighted}}


def entry(name, **more):
    return {"name": name, "port": 80} | more


def patched(found, asked):
    return change(asked).wanted(found)


def test_only_our_two_weights_change():
    sticky = {"cookie": {"name": "lvl1"}}
    found = service(entry("stable"), entry("canary", weight=0), entry("discovery", weight=7), sticky=sticky)
    assert patched(found, ask()) == service(
        entry("stable", weight=80), entry("canary", weight=20), entry("discovery", weight=7), sticky=sticky
    )


@pytest.mark.parametrize("other", [{"kind": "TraefikService"}, {"namespace": "elsewhere"}])
def test_a_namesake_is_not_our_service(other):
    found = service(entry("stable"), entry("canary", **other), entry("canary"))
    assert patched(found, ask())["spec"]["weighted"]["services"][1:] == [entry("canary", **other), entry("canary", weight=20)]


def test_a_traefik_service_stands_for_the_service_whose_name_it_has_where_that_is_not_there():
    """Such as one that makes users stick to a pod; the peer looks at names only."""
    nested = [entry(name, kind="TraefikService") for name in ("stable", "canary")]
    assert [each["weight"] for each in patched(service(*nested), ask())["spec"]["weighted"]["services"]] == [80, 20]


@pytest.mark.parametrize("kinds", [(OLDER,), (OLDER, TRAEFIK_SERVICE)], ids=["only the older group", "both"])
async def test_the_group_of_traefik_2_is_written_where_the_newer_one_has_none_of_that_name(kinds):
    kube = MemoryKube()
    for kind in kinds:
        await kube.create(kind, service(entry("stable"), entry("canary")))
    assert (await Traefik(kube).apply(ask())).weight == (await Traefik(kube).observed(ask())).weight == 20
    assert [call.kind for call in kube.calls if call.verb == "merge_patch"] == [kinds[-1]]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (None, "TraefikService shop/web does not exist"),
        (service(), "spec.weighted.services was not found in traefik service manifest"),
        ({"metadata": {}, "spec": {"mirroring": {}}}, "spec.weighted.services was not found in traefik service manifest"),
        (service(entry("stable")), "traefik canary service was not found"),
        (service(entry("canary")), "traefik stable service was not found"),
    ],
)
def test_what_is_missing_is_refused_in_the_peers_words(found, told):
    with pytest.raises(Refused) as refused:
        patched(found, ask())
    assert str(refused.value).startswith(told)
    assert [(each.type, each.reason) for each in refused.value.records] == [("Warning", "TraefikServiceUpdateError")]


async def test_nothing_is_written_when_nothing_differs():
    """The peer updates the object on every pass."""
    kube = MemoryKube()
    await kube.create(TRAEFIK_SERVICE, service(entry("stable"), entry("canary")))
    for _ in range(3):
        await Traefik(kube).apply(ask())
    assert [call.verb for call in kube.calls].count("merge_patch") == 1


async def test_a_configuration_without_a_name_is_refused_for_good():
    with pytest.raises(Refused, match="weightedTraefikServiceName is None") as refused:
        await Traefik(MemoryKube()).apply(ask(name=None))
    assert refused.value.lasting


@given(st.lists(st.one_of(st.integers(0, 100), st.sampled_from(["a", "b"])), max_size=8))
def test_any_sequence_of_weights_and_edits_of_others_leaves_what_is_theirs(sequence):
    found, theirs = service(entry("stable"), entry("canary")), []
    for number, each in enumerate(sequence):
        if isinstance(each, str):
            theirs.append(entry(f"{each}{number}", weight=number))
            found["spec"]["weighted"]["services"] = [theirs[-1], *found["spec"]["weighted"]["services"]]
            continue
        found = patched(found, ask(each))
        assert found["spec"]["weighted"]["services"] == [
            *reversed(theirs),
            entry("stable", weight=100 - each),
            entry("canary", weight=each),
        ]
