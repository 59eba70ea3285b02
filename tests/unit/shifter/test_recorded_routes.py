"""What the peer's routers were recorded to write on a real API server, ours write: three agreeing recordings, weight by weight."""

import json
from pathlib import Path

import pytest

from tidegate.keys import FENCE
from tidegate.kube.kinds import INGRESS, Kind
from tidegate.kube.memory import MemoryKube
from tidegate.messages import Destination, HeaderRoute, Split
from tidegate_shifter.router import Ask, Owner
from tidegate_shifter.routers import ROUTERS

RECORDINGS = json.loads((Path(__file__).parents[2] / "data/recordings/routers.json").read_text())
KINDS = {
    each.kind: each
    for each in (
        INGRESS,
        Kind("networking.istio.io", "v1alpha3", "virtualservices", "VirtualService"),
        Kind("split.smi-spec.io", "v1alpha1", "trafficsplits", "TrafficSplit"),
        Kind("traefik.io", "v1alpha1", "traefikservices", "TraefikService"),
    )
}


def named(text):
    kind, name = text.split("/")
    return KINDS[kind], name


def split(canary, headers):
    routes = [
        HeaderRoute(name=name, match=tuple({"headerName": key, "headerValue": {"exact": value}} for key, value in match.items()))
        for name, match in headers.items()
    ]
    return Split(
        canary=Destination(weight=canary, service="canary", hash="new"),
        stable=Destination(weight=100 - canary, service="stable", hash="old"),
        header_routes=tuple(routes),
        managed_routes=("hdr",),
    )


async def create(kube, text, state):
    kind, name = named(text)
    metadata = {"name": name, "namespace": "shop", "annotations": state.get("annotations") or {}}
    await kube.create(kind, {"metadata": metadata, "spec": state["spec"]})


async def state_of(kube, text, recorded):
    """What was recorded of it: everything's spec, and of Ingresses the annotations."""
    kind, name = named(text)
    found = await kube.get(kind, "shop", name)
    annotations = {key: value for key, value in (found["metadata"].get("annotations") or {}).items() if key != FENCE}
    return {"spec": found["spec"]} | ({"annotations": annotations} if "annotations" in recorded else {})


@pytest.mark.parametrize("scenario", RECORDINGS)
async def test_each_recorded_state_and_event_comes_out_of_its_weight(scenario):
    recorded = RECORDINGS[scenario]
    kube, told = MemoryKube(), []
    for text, state in recorded["before"].items():
        await create(kube, text, state)
    if recorded["router"] not in ("nginx", "smi"):  # those two create their object
        await create(kube, recorded["object"], recorded["states"][0])
    router = ROUTERS[recorded["router"]](kube)
    owner = Owner(namespace="shop", name="app", uid="u")
    for fence, state in enumerate(each for each in recorded["states"] if each["canary"] is not None):
        wanted = split(state["canary"], state.get("headers", {}))
        ask = Ask(owner=owner, fence=fence, split=wanted, config=recorded["config"], tell=told.append)
        report = await router.apply(ask)
        left = {key: value for key, value in state.items() if key in ("spec", "annotations")}
        assert await state_of(kube, recorded["object"], state) == left
        assert (report.weight, report.state) == (state["canary"], "applied")
    # the API server's Event filter let only the first 25 of a rollout through
    texts = [[each.type, each.reason, each.message] for each in told]
    assert texts[: len(recorded["told"])] == recorded["told"]
