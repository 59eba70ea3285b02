"""Three routers as users meet them: requests through a real Traefik to real processes, while the four services do the rollout."""

import asyncio
from collections.abc import Callable

import pytest

from tidegate.kube.kinds import POD
from tidegate.testing import Scene, a_rollout, a_service, degraded, eventually, healthy_on, paused_at
from tidegate.testing.dataplane import Answers, Network, Users, with_a_process
from tidegate.testing.dataplane.entrances import Entrance, put
from tidegate.testing.dataplane.observed import Observed, observed
from tidegate.testing.dataplane.traefik import ENTRANCE, ENTRANCES, GATEWAY_API, ingress

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("running_traefik")]

BLUE, YELLOW, GREEN = "demo:blue", "demo:yellow", "demo:green"
SHARES = (1, 5, 20, 50)

# Long enough for Traefik, which takes over changes up to 2 s later (providersThrottleDuration), also on a slow machine.
DELAYS = {"scaleDownDelaySeconds": 8, "abortScaleDownDelaySeconds": 8}


async def test_users_get_the_canary_at_the_share_of_each_step(
    new_scene: Callable[[], Scene], network: Network, measured: list[Observed]
) -> None:
    async with asyncio.TaskGroup() as group:
        for entrance in ENTRANCES:
            group.create_task(shares_are_given(new_scene(), network, entrance, measured))


async def shares_are_given(scene: Scene, network: Network, entrance: Entrance, measured: list[Observed]) -> None:
    steps = [step for share in SHARES for step in ({"setWeight": share}, {"pause": {}})]
    users = await entrance.open(scene, network, steps=steps, replicas=2)
    await scene.request_image("web", YELLOW)
    for number, share in enumerate(SHARES):
        rollout = await scene.until("web", paused_at(2 * number + 1, image=YELLOW))
        yellow = rollout["status"]["currentPodHash"]
        took = await users.until_shared(yellow, share / 100)
        answers = await users.sample(1000)
        measured.append(observed(entrance.router, entrance.through, share, answers, yellow, took))
        assert users.shows(answers, yellow, share / 100), f"{entrance.router} was asked for {share} %: {answers}"
        await scene.command("web", "promote")
    await scene.until("web", healthy_on(YELLOW))
    await users.until_shared(yellow, 1.0)


async def test_a_header_leads_to_the_canary_always_and_without_it_the_weight_decides(scene: Scene, network: Network) -> None:
    match = [{"headerName": "X-Canary", "headerValue": {"exact": "yes"}}]
    steps = [{"setWeight": 20}, {"setHeaderRoute": {"name": "testers", "match": match}}, {"pause": {}}]
    users = await GATEWAY_API.open(
        scene, network, steps=steps, replicas=2, canary={"trafficRouting": {"managedRoutes": [{"name": "testers"}]}}
    )
    await scene.request_image("web", YELLOW)
    yellow = (await scene.until("web", paused_at(2, image=YELLOW)))["status"]["currentPodHash"]
    await users.until_shared(yellow, 0.2)
    testers = {"X-Canary": "yes"}
    await eventually(
        lambda: users.sample(20, headers=testers), lambda seen: seen.by[yellow] == 20, what="Traefik to take over the header route"
    )
    assert (await users.sample(500, headers=testers)).by == {yellow: 500}
    others = await users.sample(1000, headers={"X-Canary": "no"})
    assert users.shows(others, yellow, 0.2), str(others)

    async with users.under_load() as answers:
        await scene.command("web", "promote")
        await scene.until("web", healthy_on(YELLOW))
        assert (await users.sample(100, headers=testers)).by == {yellow: 100}
    assert answers.failed == []


async def test_no_request_fails_through_a_whole_canary_and_an_abort(new_scene: Callable[[], Scene], network: Network) -> None:
    async def through(entrance: Entrance) -> Answers:
        scene = new_scene()
        steps = [{"setWeight": 20}, {"pause": {"duration": "1s"}}, {"setWeight": 60}, {"pause": {"duration": "1s"}}]
        users = await entrance.open(scene, network, steps=steps, replicas=3, canary=DELAYS)
        async with users.under_load() as answers:
            await scene.request_image("web", YELLOW)
            yellow = (await scene.until("web", healthy_on(YELLOW)))["status"]["stableRS"]
            await only_pods_of(scene, yellow)
            await set_steps(scene, [{"setWeight": 50}, {"pause": {}}])
            await scene.request_image("web", GREEN)
            green = (await scene.until("web", paused_at(1, image=GREEN)))["status"]["currentPodHash"]
            await answers.until(lambda: answers.by[green] > 50)
            await scene.command("web", "abort")
            await scene.until("web", degraded("RolloutAborted"))
            await only_pods_of(scene, yellow)
        assert (await users.sample(200)).by == {yellow: 200}
        return answers

    found = await asyncio.gather(*(through(each) for each in ENTRANCES))
    for entrance, answers in zip(ENTRANCES, found, strict=True):
        assert answers.failed == [], f"{entrance.router}: {answers}"
        assert answers.late == 0, f"{entrance.router}: pods were told to go while requests came to them; {answers}"
        assert len(answers.by) == 3, f"{entrance.router}: users met blue, yellow and green; {answers}"


async def test_no_request_fails_when_blue_green_cuts_over(scene: Scene, network: Network) -> None:
    users = Users(network=network, port=ENTRANCE, host=f"bluegreen.{scene.namespace}.test")
    await scene.apply(a_service("web-active", app="web"), a_service("web-preview", app="web"))
    await put(scene, ingress(users.host, service="web-active"))
    strategy = {"activeService": "web-active", "previewService": "web-preview", "scaleDownDelaySeconds": 8}
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


async def set_steps(scene: Scene, steps: list[dict]) -> None:
    await scene.patch("web", {"spec": {"strategy": {"canary": {"steps": steps}}}})


async def only_pods_of(scene: Scene, revision: str) -> None:
    """Until the pods of every other revision are gone: what failed because of it has failed by then."""

    async def revisions() -> set[str]:
        found, _ = await scene.kube.list(POD, scene.namespace)
        return {each["metadata"]["labels"]["rollouts-pod-template-hash"] for each in found}

    await eventually(revisions, lambda seen: seen == {revision}, what=f"only pods of {revision} to be left")
