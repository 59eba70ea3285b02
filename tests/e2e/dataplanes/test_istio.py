"""Istio: requests through Envoy, which istiod tells what to do; and istiod's own webhook, which judges every object we write."""

import asyncio
import base64
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tidegate.kube.errors import Invalid
from tidegate.kube.kinds import Object
from tidegate.testing import Scene, eventually
from tidegate.testing.dataplane import Network
from tidegate.testing.dataplane.istio import BY_HOST, BY_SUBSET, DEFINITIONS, GROUP, PING_PONG, VIRTUAL_SERVICE, Trust, mesh
from tidegate.testing.dataplane.observed import Observed
from tidegate.testing.dataplane.promises import Play, assert_nobody_was_lost, assert_nothing_failed
from tidegate_embedded import ControlPlane

pytestmark = [pytest.mark.dataplanes, pytest.mark.usefixtures("running_istio")]

STEPS = ({"setWeight": 20}, {"pause": {"duration": "1s"}}, {"setWeight": 60}, {"pause": {"duration": "1s"}})
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


@pytest.fixture(scope="module")
def kinds_of_istio(install: Callable[[Iterable[Object]], None], vendors: Callable[[str, str, str], list[Object]]) -> None:
    every = vendors("istiod", "istio.io/api", "kubernetes/customresourcedefinitions.gen.yaml")
    install(each for each in every if each["metadata"]["name"] in DEFINITIONS)


@pytest.fixture(scope="module")
def running_istio(
    control_plane: ControlPlane,
    network: Network,
    pods: None,
    kinds_of_istio: None,
    tool: Callable[[str], Path],
    folder: Callable[[str], Path],
) -> Iterator[None]:
    """With the webhook in force: what it refuses, no test here could have written."""
    certificates = control_plane.layout.certificates
    trust = Trust(certificates / "apiserver.crt", certificates / "apiserver.key", control_plane.ca)
    with mesh(network, tool("istiod"), control_plane.kubeconfig, trust, folder=folder("istio")) as webhook:
        control_plane.client.post(WEBHOOKS, validation(webhook, control_plane.ca))
        yield
        control_plane.client.call("DELETE", f"{WEBHOOKS}/istiod")


def validation(port: int, authority: Path) -> Object:
    rule = {"apiGroups": [GROUP], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": ["*"]}
    client = {"url": f"https://127.0.0.1:{port}/validate", "caBundle": base64.b64encode(authority.read_bytes()).decode()}
    webhook = {"name": "validation.istio.io", "rules": [rule], "clientConfig": client}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "istiod"},
        "webhooks": [{**webhook, "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"]}],
    }


@pytest.fixture
def plays(new_scene: Callable[[], Scene], network: Network) -> list[Play]:
    return [Play(scene=new_scene(), network=network, entrance=each) for each in (BY_HOST, BY_SUBSET)]


async def test_users_get_the_canary_at_the_share_of_each_step(plays: list[Play], measured: list[Observed]) -> None:
    for seen in await asyncio.gather(*(play.shares() for play in plays)):
        measured += seen


async def test_a_header_leads_to_the_canary_always_and_without_it_the_weight_decides(plays: list[Play]) -> None:
    await asyncio.gather(*(play.headers() for play in plays))


async def test_a_mirror_shows_the_canary_every_request_and_lets_it_answer_none(plays: list[Play]) -> None:
    await asyncio.gather(*(play.mirror() for play in plays))


async def test_no_request_fails_through_a_whole_canary_and_an_abort(
    plays: list[Play], new_scene: Callable[[], Scene], network: Network
) -> None:
    plays = [*plays, Play(scene=new_scene(), network=network, entrance=PING_PONG)]
    found = await asyncio.gather(*(play.canary_and_abort(steps=STEPS) for play in plays))
    for play, answers in zip(plays, found, strict=True):
        assert_nobody_was_lost(play.entrance, answers, revisions=3)


async def test_each_set_of_an_experiment_gets_its_share_and_no_request_fails(plays: list[Play]) -> None:
    found = await asyncio.gather(*(play.experiment() for play in plays))
    for play, answers in zip(plays, found, strict=True):
        assert_nobody_was_lost(play.entrance, answers, revisions=4)


async def test_no_request_fails_when_a_revision_interrupts_another_and_is_promoted_at_once(plays: list[Play]) -> None:
    found = await asyncio.gather(*(play.interruption() for play in plays))
    for play, answers in zip(plays, found, strict=True):
        assert_nothing_failed(play.entrance, answers, revisions=3)


async def test_the_webhook_is_in_force_and_refuses_what_the_schema_lets_through(scene: Scene) -> None:
    """Envoy would refuse the whole route table for it, and every other route would stop to move."""

    async def refusal() -> str:
        route = [{"destination": {"host": "web-stable"}, "weight": -1}]
        there = {
            "metadata": {"name": "nonsense", "namespace": scene.namespace},
            "spec": {"hosts": ["web"], "http": [{"route": route}]},
        }
        try:
            await scene.kube.create(VIRTUAL_SERVICE, there)
        except Invalid as error:
            return str(error)
        await scene.kube.delete(VIRTUAL_SERVICE, scene.namespace, "nonsense")
        return ""

    await eventually(refusal, lambda said: "weight -1 < 0" in said, what="istiod's webhook to refuse a negative weight")
