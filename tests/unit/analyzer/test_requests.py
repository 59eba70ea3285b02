"""What a request for a deletion does, and to which run."""

from typing import Any

import pytest

from tidegate.bus import Envelope
from tidegate.kube.kinds import ANALYSIS_RUN
from tidegate.kube.memory import MemoryKube
from tidegate.messages import AnalysisRequested
from tidegate_analyzer.requests import Requests


@pytest.fixture
def kube() -> MemoryKube:
    return MemoryKube()


def a_run(kube: MemoryKube, phase: str = "Successful") -> str:
    """Its uid."""
    manifest = {"metadata": {"namespace": "shop", "name": "run"}, "spec": {"metrics": []}, "status": {"phase": phase}}
    uid: str = kube.put(ANALYSIS_RUN, manifest)["metadata"]["uid"]
    return uid


async def asked_to_delete(kube: MemoryKube, uid: str) -> list[Any]:
    """The runs that are left. Asked twice, as a redelivery would."""
    request = AnalysisRequested(namespace="shop", name="run", rollout="web", delete=uid)
    for _ in range(2):
        await Requests(kube=kube, namespace=None).handle(request, Envelope(id="1"))
    return kube.snapshot(ANALYSIS_RUN)


async def test_a_finished_run_is_deleted_and_asking_again_does_no_harm(kube: MemoryKube) -> None:
    assert await asked_to_delete(kube, a_run(kube)) == []


@pytest.mark.parametrize("phase", ["", "Pending", "Running"])
async def test_a_run_that_has_more_to_say_stays(kube: MemoryKube, phase: str) -> None:
    assert len(await asked_to_delete(kube, a_run(kube, phase))) == 1


async def test_another_run_of_the_same_name_stays(kube: MemoryKube) -> None:
    a_run(kube)
    assert len(await asked_to_delete(kube, "the-one-before")) == 1
