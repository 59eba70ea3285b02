"""The TrafficSplit as it must be for a split, in the version that the cluster serves."""

import pytest

from tidegate.kube.errors import NotFound
from tidegate.kube.kinds import Kind
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, Split
from tidegate_shifter.router import Ask, Owner, Refused
from tidegate_shifter.routers.smi import GROUP, Smi

V1, V2, V4 = (Kind(GROUP, version, "trafficsplits", "TrafficSplit") for version in ("v1alpha1", "v1alpha2", "v1alpha4"))


def ask(canary=20, *, uid="u", additional=(), told=None, **config):
    rest = 100 - canary - sum(each.weight for each in additional)
    split = Split(
        canary=Destination(weight=canary, service="canary"),
        stable=Destination(weight=rest, service="stable"),
        additional=additional,
    )
    owner = Owner(namespace="shop", name="app", uid=uid)
    return Ask(owner=owner, fence=1, split=split, config=config, tell=(told if told is not None else []).append)


class Serving:
    """An API that serves these versions only."""

    def __init__(self, kube, *kinds):
        self._kube = kube
        self._versions = {each.version for each in kinds}

    def __getattr__(self, verb):
        async def call(kind, *arguments, **options):
            if kind.version not in self._versions:
                raise NotFound("the server could not find the requested resource", status=404)
            return await getattr(self._kube, verb)(kind, *arguments, **options)

        return call


@pytest.mark.parametrize(
    ("served", "weights"),
    [((V1, V2), ["20", "80"]), ((V2, V4), [20, 80]), ((V4,), [20, 80])],
    ids=["quantities", "numbers", "newest"],
)
async def test_weights_are_written_as_the_served_version_has_them(served, weights):
    kube = MemoryKube()
    report = await Smi(Serving(kube, *served)).apply(ask())
    (made,) = kube.snapshot(V1)
    assert made["apiVersion"] == served[0].api_version
    assert [each["weight"] for each in made["spec"]["backends"]] == weights
    assert (report.weight, report.state) == (20, "applied")


async def test_a_cluster_without_traffic_splits_is_told_so():
    with pytest.raises(Refused, match=r"split\.smi-spec\.io is not served by this cluster in any of v1alpha1, ") as refused:
        await Smi(Serving(MemoryKube())).apply(ask())
    assert not refused.value.lasting


async def test_the_split_belongs_to_the_rollout_and_is_told_once():
    kube, told = MemoryKube(), []
    for canary in (0, 20):
        await Smi(kube).apply(ask(canary, told=told, trafficSplitName="ts", rootService="root"))
    (made,) = kube.snapshot(V1)
    assert (made["metadata"]["name"], made["spec"]["service"]) == ("ts", "root")
    assert [(each["kind"], each["uid"], each["controller"]) for each in made["metadata"]["ownerReferences"]] == [
        ("Rollout", "u", True)
    ]
    assert [(each.type, each.reason, each.message) for each in told] == [
        ("Normal", "TrafficSplitCreated", "TrafficSplit `ts` created")
    ]


async def test_a_split_of_somebody_else_is_refused():
    kube = MemoryKube()
    await Smi(kube).apply(ask(uid="another"))
    with pytest.raises(Refused, match="Rollout does not own TrafficSplit `app`"):
        await Smi(kube).apply(ask())


async def test_experiments_come_and_go_and_what_others_added_stays():
    kube = MemoryKube()
    await Smi(kube).apply(ask(10, additional=(Destination(weight=5, service="candidate"),)))
    matches = [{"kind": "HTTPRouteGroup", "name": "beta"}]
    await kube.merge_patch(V1, "shop", "app", {"spec": {"matches": matches}, "metadata": {"labels": {"team": "shop"}}})
    backends = [(each["service"], each["weight"]) for each in kube.snapshot(V1)[0]["spec"]["backends"]]
    assert backends == [("canary", "10"), ("candidate", "5"), ("stable", "85")]
    await Smi(kube).apply(ask(0))
    (made,) = kube.snapshot(V1)
    assert [each["service"] for each in made["spec"]["backends"]] == ["canary", "stable"]
    assert (made["spec"]["matches"], made["metadata"]["labels"]) == (matches, {"team": "shop"})
