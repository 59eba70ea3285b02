"""The canary Mapping as it must be beside a Mapping without a weight."""

import pytest

from tidegate.kube.kinds import MAPPING
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, Split
from tidegate_shifter.router import Ask, Owner, Refused
from tidegate_shifter.routers.ambassador import Ambassador


def ask(canary=20, *, mappings=("main",), told=None, fence=1, uid="u"):
    split = Split(canary=Destination(weight=canary, service="canary"), stable=Destination(weight=100 - canary, service="stable"))
    owner = Owner(namespace="shop", name="app", uid=uid)
    return Ask(
        owner=owner, fence=fence, split=split, config={"mappings": list(mappings)}, tell=(told if told is not None else []).append
    )


async def cluster(**spec):
    kube = MemoryKube()
    metadata = {"name": "main", "namespace": "shop", "labels": {"team": "shop"}}
    await kube.create(MAPPING, {"metadata": metadata, "spec": {"prefix": "/", "service": "stable:80"} | spec})
    return kube


@pytest.mark.parametrize(
    ("service", "canary"),
    [("stable", "canary"), ("http://stable.stable:80", "http://canary.stable:80"), ("my-stable.stable", "my-stable.canary")],
)
async def test_the_first_mention_of_the_stable_service_becomes_the_canary(service, canary):
    kube = await cluster(service=service, timeout_ms=4000)
    report = await Ambassador(kube).apply(ask())
    made = await kube.get(MAPPING, "shop", "main-canary")
    assert made["spec"] == {"prefix": "/", "service": canary, "timeout_ms": 4000, "weight": 20}
    assert "labels" not in made["metadata"]
    assert (report.state, report.weight) == ("applied", 20)
    assert (await kube.get(MAPPING, "shop", "main"))["spec"]["service"] == service


async def test_it_is_made_with_the_first_share_and_stays_at_0():
    kube, told = await cluster(), []
    for fence, canary in enumerate((0, 20, 20, 0, 0)):
        assert (await Ambassador(kube).apply(ask(canary, told=told, fence=fence))).weight == canary
    made = await kube.get(MAPPING, "shop", "main-canary")
    assert (made["spec"]["weight"], made["metadata"]["ownerReferences"][0]["kind"]) == (0, "Rollout")
    assert [each.message for each in told] == ["Set canary mapping weight to 20", "Set canary mapping weight to 0"]


async def test_one_left_by_the_peer_is_taken_over_and_one_of_somebody_else_is_not():
    kube = await cluster()
    left = {"metadata": {"name": "main-canary", "namespace": "shop"}, "spec": {"prefix": "/", "service": "canary:80", "weight": 5}}
    await kube.create(MAPPING, left)
    await Ambassador(kube).apply(ask())
    with pytest.raises(Refused, match="Mapping shop/main-canary belongs to somebody else"):
        await Ambassador(kube).apply(ask(uid="another", fence=2))


async def test_an_abort_does_not_wait_for_a_mapping_that_somebody_deleted():
    """The canary's goes too: Emissary gives a Mapping that is alone everything, whatever its weight."""
    kube = await cluster()
    await Ambassador(kube).apply(ask())
    await kube.delete(MAPPING, "shop", "main")
    for fence in (2, 3):
        assert (await Ambassador(kube).apply(ask(0, fence=fence))).weight == 0
    assert kube.snapshot(MAPPING) == []


@pytest.mark.parametrize(
    ("spec", "told", "reasons"),
    [
        ({"weight": 30}, 'Ambassador mapping "main" can not define weight', ["AmbassadorMappingConfigError"]),
        ({"service": "other"}, "leads to 'other'; it must lead to the stable Service 'stable'", []),
    ],
)
async def test_a_mapping_that_cannot_be_divided_is_refused(spec, told, reasons):
    with pytest.raises(Refused, match=told) as refused:
        await Ambassador(await cluster(**spec)).apply(ask())
    assert [each.reason for each in refused.value.records] == reasons


@pytest.mark.parametrize("mappings", [(), ("",)])
async def test_a_configuration_that_names_no_mapping_is_refused_for_good(mappings):
    with pytest.raises(Refused, match="mapping") as refused:
        await Ambassador(MemoryKube()).apply(ask(mappings=mappings))
    assert refused.value.lasting


async def test_long_names_are_cut_as_the_peer_cuts_them():
    with pytest.raises(Refused):
        await Ambassador(kube := MemoryKube()).apply(ask(mappings=["m" * 250]))
    assert kube.calls[-1].name == "m" * 246 + "-canary"
