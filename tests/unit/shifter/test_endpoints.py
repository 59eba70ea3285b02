"""No weight for pods that no data plane knows yet (`tidegate_shifter.endpoints`, N14)."""

import pytest

from tidegate.errors import KubeError
from tidegate.kube.errors import Forbidden
from tidegate.kube.kinds import ENDPOINT_SLICE
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, HeaderRoute, Split
from tidegate_shifter.endpoints import LONGEST_BASE, OF_SERVICE, PAUSES, Endpoints, missing
from tidegate_shifter.router import Owner

OWNER = Owner(namespace="shop", name="web", uid="u")
OLD, NEW = "web-old-aaaaa", "web-new-bbbbb"


def a_slice(service, *pods, ready=True):
    conditions = {"ready": ready}
    endpoints = [{"addresses": ["10.0.0.1"], "conditions": conditions, "targetRef": {"kind": "Pod", "name": pod}} for pod in pods]
    metadata = {"name": f"{service}-1", "namespace": "shop", "labels": {OF_SERVICE: service}}
    return {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints}


def a_split(weight=20, *, services=("stable", "canary"), additional=(), headers=()):
    rest = 100 - weight - sum(each.weight for each in additional)
    return Split(
        stable=Destination(weight=rest, service=services[0], hash="old"),
        canary=Destination(weight=weight, service=services[1], hash="new"),
        additional=additional,
        header_routes=headers,
    )


BY_SUBSET = a_split(services=(None, None))
AN_EXPERIMENTS = a_split(0, additional=(Destination(weight=10, service="trial", hash="x"),))
BY_HEADER = a_split(0, headers=(HeaderRoute(name="testers", match=()),))
NOT_YET = "no pod of new is a ready endpoint of Service canary yet"


@pytest.mark.parametrize(
    ("split", "slices", "told"),
    [
        pytest.param(a_split(), [a_slice("stable", OLD), a_slice("canary", NEW)], "", id="both are there"),
        pytest.param(a_split(), [a_slice("stable", OLD), a_slice("canary")], NOT_YET, id="the canary's is still empty"),
        pytest.param(a_split(), [a_slice("stable", OLD), a_slice("canary", OLD)], NOT_YET, id="it still holds the pods of before"),
        pytest.param(a_split(), [a_slice("stable", OLD), a_slice("canary", NEW, ready=False)], NOT_YET, id="they are not ready"),
        pytest.param(a_split(), [a_slice("stable", OLD), a_slice("other", NEW)], NOT_YET, id="they are another Service's"),
        pytest.param(a_split(), [], "", id="nobody writes EndpointSlices here"),
        pytest.param(a_split(), [a_slice("stable"), a_slice("canary")], "", id="pods without addresses are in none"),
        pytest.param(a_split(0), [a_slice("stable", OLD), a_slice("canary")], "", id="it is given nothing"),
        pytest.param(BY_HEADER, [a_slice("stable", OLD), a_slice("canary")], NOT_YET, id="a header leads to it"),
        pytest.param(BY_SUBSET, [a_slice("web", OLD, NEW)], "", id="subsets of one Service"),
        pytest.param(
            BY_SUBSET, [a_slice("web", OLD)], "no pod of new is a ready endpoint of any Service yet", id="a subset without pods"
        ),
        pytest.param(AN_EXPERIMENTS, [a_slice("stable", OLD), a_slice("trial", "trial-x-ccccc")], "", id="an experiment's"),
        pytest.param(
            AN_EXPERIMENTS,
            [a_slice("stable", OLD), a_slice("trial")],
            "Service trial has no ready endpoint yet",
            id="an experiment's is still empty",
        ),
    ],
)
def test_only_what_is_known_to_be_behind_is_waited_for(split, slices, told):
    assert missing(split, OWNER, slices) == told


def test_a_name_so_long_that_the_api_server_cut_it_is_recognised():
    owner = Owner(namespace="shop", name="w" * 60, uid="u")
    pod = f"{'w' * LONGEST_BASE}bbbbb"
    assert missing(a_split(), owner, [a_slice("stable", pod), a_slice("canary", pod)]) == ""


class Clock:
    """Stands for `asyncio.sleep`: `after` is what happens in the world while somebody sleeps."""

    def __init__(self, after=None):
        self.slept = []
        self._after = after

    async def __call__(self, seconds):
        self.slept.append(seconds)
        if self._after:
            await self._after(len(self.slept))


async def test_endpoints_that_come_within_a_second_are_no_news():
    kube = MemoryKube()
    await kube.create(ENDPOINT_SLICE, a_slice("stable", OLD))

    async def in_time(looks):
        if looks == 3:
            await kube.create(ENDPOINT_SLICE, a_slice("canary", NEW))

    clock = Clock(in_time)
    assert await Endpoints(kube, sleep=clock).awaited([a_split()], OWNER) == ""
    assert clock.slept == list(PAUSES[:3])


async def test_those_that_do_not_come_are_named_once_for_all_routers():
    kube = MemoryKube()
    await kube.create(ENDPOINT_SLICE, a_slice("stable", OLD))
    clock = Clock()
    assert await Endpoints(kube, sleep=clock).awaited([a_split(), a_split(30)], OWNER) == NOT_YET
    assert sum(clock.slept) == pytest.approx(1.0)


@pytest.mark.parametrize("error", [Forbidden("not yours", status=403), KubeError("no such path", status=404)])
async def test_who_may_not_look_waits_for_nothing(error):
    kube = MemoryKube()

    def refuse(_call):
        raise error

    kube.before = refuse
    assert await Endpoints(kube, sleep=Clock()).awaited([a_split()], OWNER) == ""
