"""Three routers as users meet them: requests through a real Traefik to real processes, while the four services do the rollout."""

import asyncio
from collections.abc import Callable

import pytest

from tidegate.testing import Scene, a_rollout, a_service, degraded, eventually, healthy_on
from tidegate.testing.dataplane import Network, Users, with_a_process
from tidegate.testing.dataplane.entrances import put
from tidegate.testing.dataplane.observed import Observed
from tidegate.testing.dataplane.promises import Play, assert_nobody_was_lost, assert_nothing_failed, only_pods_of
from tidegate.testing.dataplane.traefik import ENTRANCE, ENTRANCES, GATEWAY_API, ingress

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("running_traefik")]

BLUE, YELLOW = "demo:blue", "demo:yellow"
STEPS = ({"setWeight": 20}, {"pause": {"duration": "1s"}}, {"setWeight": 60}, {"pause": {"duration": "1s"}})


@pytest.fixture
def plays(new_scene: Callable[[], Scene], network: Network) -> list[Play]:
    """One for each of the three, to be played side by side: most of the time is waiting."""
    return [Play(scene=new_scene(), network=network, entrance=each) for each in ENTRANCES]


async def test_users_get_the_canary_at_the_share_of_each_step(plays: list[Play], measured: list[Observed]) -> None:
    for seen in await asyncio.gather(*(play.shares() for play in plays)):
        measured += seen


async def test_a_header_leads_to_the_canary_always_and_without_it_the_weight_decides(scene: Scene, network: Network) -> None:
    await Play(scene=scene, network=network, entrance=GATEWAY_API).headers()


async def test_no_request_fails_through_a_whole_canary_and_an_abort(plays: list[Play]) -> None:
    found = await asyncio.gather(*(play.canary_and_abort(steps=STEPS) for play in plays))
    for play, answers in zip(plays, found, strict=True):
        assert_nobody_was_lost(play.entrance, answers, revisions=3)


async def test_a_mirror_that_traefik_cannot_do_is_refused_and_its_users_never_notice(scene: Scene, network: Network) -> None:
    """It would answer every one of them with a 500."""
    shadow = {"name": "shadow", "match": [{"path": {"prefix": "/"}}]}
    steps = [{"setCanaryScale": {"replicas": 1}}, {"setMirrorRoute": shadow}, {"pause": {}}]
    managed = {"trafficRouting": {"managedRoutes": [{"name": "shadow"}]}}
    users = await GATEWAY_API.open(scene, network, steps=steps, replicas=2, canary=managed)
    async with users.under_load() as answers:
        await scene.request_image("web", YELLOW)
        told = await eventually(lambda: scene.events("web"), refused, what="the mirror to be refused")
        await scene.command("web", "abort")
        await scene.until("web", degraded("RolloutAborted"))
    assert "HTTPRouteRequestMirror" in dict(told)["TrafficRoutingError"]
    assert answers.failed == []


def refused(events: list[tuple[str, str]]) -> bool:
    return "TrafficRoutingError" in dict(events)


@pytest.mark.dataplanes
async def test_each_set_of_an_experiment_gets_its_share_and_no_request_fails(scene: Scene, network: Network) -> None:
    answers = await Play(scene=scene, network=network, entrance=GATEWAY_API).experiment()
    assert_nobody_was_lost(GATEWAY_API, answers, revisions=4)


@pytest.mark.dataplanes
async def test_no_request_fails_when_a_revision_interrupts_another_and_is_promoted_at_once(plays: list[Play]) -> None:
    found = await asyncio.gather(*(play.interruption() for play in plays))
    for play, answers in zip(plays, found, strict=True):
        assert_nothing_failed(play.entrance, answers, revisions=3)


async def test_no_request_fails_when_blue_green_cuts_over(scene: Scene, network: Network) -> None:
    users = Users(network=network, port=ENTRANCE, host=f"bluegreen.{scene.namespace}.test")
    await scene.apply(a_service("web-active", app="web"), a_service("web-preview", app="web"))
    await put(scene, ingress(users.host, service="web-active"))
    strategy = {"activeService": "web-active", "previewService": "web-preview", "scaleDownDelaySeconds": 15}
    await scene.apply(with_a_process(a_rollout(replicas=3, strategy={"blueGreen": strategy})))
    blue = (await scene.until("web", healthy_on(BLUE)))["status"]["stableRS"]
    await users.until_shared(blue, 1.0)
    async with users.under_load() as answers:
        await scene.request_image("web", YELLOW)
        yellow = (await scene.until("web", healthy_on(YELLOW)))["status"]["stableRS"]
        await only_pods_of(scene, yellow)
    assert answers.failed == [], str(answers)
    assert answers.late == 0, f"pods were told to go while requests came to them; {answers}"
    assert (await users.sample(200)).by == {yellow: 200}
