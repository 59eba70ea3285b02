"""The Gateway API by a second implementation: requests through Envoy, which Contour tells what to do."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from tidegate.kube.kinds import Object
from tidegate.testing import Scene
from tidegate.testing.dataplane import Network
from tidegate.testing.dataplane.contour import CONTOUR, contour, gateway
from tidegate.testing.dataplane.observed import Observed
from tidegate.testing.dataplane.promises import Play, assert_nobody_was_lost
from tidegate_embedded import ControlPlane

pytestmark = [pytest.mark.dataplanes, pytest.mark.usefixtures("running_contour")]

STEPS = ({"setWeight": 20}, {"pause": {"duration": "1s"}}, {"setWeight": 60}, {"pause": {"duration": "1s"}})


@pytest.fixture(scope="module")
def edge(
    control_plane: ControlPlane,
    gateway_api: None,
    install: Callable[[Iterable[Object]], None],
    vendors: Callable[[str, str, str], list[Object]],
) -> None:
    install(vendors("contour", "github.com/projectcontour/contour", "examples/contour/01-crds.yaml"))
    for path, each in gateway():
        control_plane.client.post(path, each)


@pytest.fixture(scope="module")
def running_contour(
    control_plane: ControlPlane,
    network: Network,
    pods: None,
    edge: None,
    tool: Callable[[str], Path],
    folder: Callable[[str], Path],
) -> Iterator[None]:
    with contour(network, tool("contour"), control_plane.kubeconfig, folder=folder("contour")):
        yield


@pytest.fixture
def play(scene: Scene, network: Network) -> Play:
    return Play(scene=scene, network=network, entrance=CONTOUR)


async def test_users_get_the_canary_at_the_share_of_each_step(play: Play, measured: list[Observed]) -> None:
    measured += await play.shares()


async def test_a_header_leads_to_the_canary_always_and_without_it_the_weight_decides(play: Play) -> None:
    await play.headers()


async def test_a_mirror_shows_the_canary_every_request_and_lets_it_answer_none(play: Play) -> None:
    await play.mirror()


async def test_each_set_of_an_experiment_gets_its_share_and_no_request_fails(play: Play) -> None:
    assert_nobody_was_lost(play.entrance, await play.experiment(), revisions=4)


async def test_no_request_fails_through_a_whole_canary_and_an_abort(play: Play) -> None:
    assert_nobody_was_lost(play.entrance, await play.canary_and_abort(steps=STEPS), revisions=3)
