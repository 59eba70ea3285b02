"""What users are promised of any router, played once against each data plane; the tests say against which, and judge."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidegate.keys import POD_TEMPLATE_HASH
from tidegate.kube.kinds import POD, Object
from tidegate.testing.dataplane.entrances import Entrance
from tidegate.testing.dataplane.network import Network
from tidegate.testing.dataplane.observed import Observed
from tidegate.testing.dataplane.pods import PORT
from tidegate.testing.dataplane.users import Answers, Users
from tidegate.testing.manifests import YELLOW
from tidegate.testing.scene import Scene, degraded, healthy_on, paused_at
from tidegate.testing.waiting import eventually

GREEN: Final = "demo:green"
SHARES: Final = (1, 5, 20, 50)
PAUSE: Final[Object] = {"pause": {}}
TESTERS: Final = {"X-Canary": "yes"}

# Long enough for data planes, which take over changes some seconds later (Traefik: providersThrottleDuration, 2 s), on any machine.
DELAYS: Final = {"scaleDownDelaySeconds": 15, "abortScaleDownDelaySeconds": 15}


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    scene: Scene
    network: Network
    entrance: Entrance

    async def shares(self) -> list[Observed]:
        """What users are given at each of the steps, and then at the end: everything."""
        steps = [step for share in SHARES for step in ({"setWeight": share}, PAUSE)]
        users = await self.entrance.open(self.scene, self.network, steps=steps, replicas=2)
        await self.scene.request_image("web", YELLOW)
        seen = []
        for number, share in enumerate(SHARES):
            rollout = await self.scene.until("web", paused_at(2 * number + 1, image=YELLOW))
            yellow = rollout["status"]["currentPodHash"]
            took = await users.until_shared(yellow, share / 100)
            answers = await users.given(yellow, share / 100)
            seen.append(Observed(self.entrance.router, self.entrance.through, share, answers.total, answers.by[yellow], took))
            await self.scene.command("web", "promote")
        await self.scene.until("web", healthy_on(YELLOW))
        await users.until_shared(yellow, 1.0)
        return seen

    async def headers(self) -> None:
        """With the header always the canary, without it by weight; and nothing is lost when the header route goes again."""
        match = [{"headerName": "X-Canary", "headerValue": {"exact": "yes"}}]
        steps = [{"setWeight": 20}, {"setHeaderRoute": {"name": "testers", "match": match}}, {"pause": {}}]
        managed = {"trafficRouting": {"managedRoutes": [{"name": "testers"}]}}
        users = await self.entrance.open(self.scene, self.network, steps=steps, replicas=2, canary=managed)
        await self.scene.request_image("web", YELLOW)
        yellow = (await self.scene.until("web", paused_at(2, image=YELLOW)))["status"]["currentPodHash"]
        await users.until_shared(yellow, 0.2)
        await eventually(
            lambda: users.sample(20, headers=TESTERS),
            lambda seen: seen.by[yellow] == 20,
            what=f"{self.entrance} to heed the header",
        )
        testers = await users.sample(500, headers=TESTERS)
        assert testers.by == {yellow: 500}, str(testers)
        await users.given(yellow, 0.2, headers={"X-Canary": "no"})

        async with users.under_load(headers=TESTERS) as answers:
            await self.scene.command("web", "promote")
            await self.scene.until("web", healthy_on(YELLOW))
            await users.until_shared(yellow, 1.0)
        assert answers.by.keys() == {yellow}, str(answers)
        assert answers.failed == [], str(answers)

    async def mirror(self) -> None:
        """Users are served by stable, and the canary hears what they ask: it is shown every request, and answers none."""
        shadow = {"name": "shadow", "percentage": 100, "match": [{"path": {"prefix": "/"}}]}
        steps: list[Object] = [{"setCanaryScale": {"replicas": 1}}, {"setMirrorRoute": shadow}, PAUSE]
        managed = {"trafficRouting": {"managedRoutes": [{"name": "shadow"}]}}
        users = await self.entrance.open(self.scene, self.network, steps=steps, replicas=2, canary=managed)
        await self.scene.request_image("web", YELLOW)
        status = (await self.scene.until("web", paused_at(2, image=YELLOW)))["status"]
        heard = await self._heard(status["currentPodHash"])
        asked = 0
        while await self._heard(status["currentPodHash"]) - heard < 100:
            answers = await users.sample(100)
            assert answers.by == {status["stableRS"]: 100}, str(answers)
            asked += 100
            assert asked < 20_000, f"{self.entrance}: of {asked} requests the canary heard none"

    async def _heard(self, revision: str) -> int:
        """By the canary's only pod, beside this question."""
        found, _ = await self.scene.kube.list(POD, self.scene.namespace, labels=f"{POD_TEMPLATE_HASH}={revision}")
        reader, writer = await asyncio.open_connection(sock=self.network.connect(PORT, found[0]["status"]["podIP"]))
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        served: int = json.loads(await reader.readuntil(b"}"))["served"]
        writer.close()
        return served - 1

    async def canary_and_abort(self, *, steps: Sequence[Object]) -> Answers:
        """Users all the time, while one update goes through `steps` to its end, and another is aborted half-way."""
        users = await self.entrance.open(self.scene, self.network, steps=steps, replicas=3, canary=DELAYS)
        async with users.under_load() as answers:
            await self.scene.request_image("web", YELLOW)
            yellow = (await self.scene.until("web", healthy_on(YELLOW)))["status"]["stableRS"]
            await only_pods_of(self.scene, yellow)
            await self._abort(answers)
            await only_pods_of(self.scene, yellow)
        await self._ends_on(yellow, users)
        return answers

    async def _abort(self, answers: Answers) -> None:
        await self.scene.patch("web", {"spec": {"strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}}}})
        await self._met(GREEN, answers)
        await self.scene.command("web", "abort")
        await self.scene.until("web", degraded("RolloutAborted"))

    async def interruption(self) -> Answers:
        """Users all the time, while stable gives pods up as it gives up traffic, a revision interrupts another, and somebody
        promotes it at once."""
        steps = [{"setWeight": 50}, PAUSE]
        dynamic = {"dynamicStableScale": True}
        users = await self.entrance.open(self.scene, self.network, steps=steps, replicas=4, canary=dynamic)
        async with users.under_load() as answers:
            for image in (YELLOW, GREEN):
                revision = await self._met(image, answers)
            await self.scene.command("web", "promote-full")
            await self.scene.until("web", healthy_on(GREEN))
            await only_pods_of(self.scene, revision)
        await self._ends_on(revision, users)
        return answers

    async def experiment(self) -> Answers:
        """Each set of pods of an experiment gets its share beside canary and stable, and all is the new version's in the end. Users
        all the time while pods come and go; the shares are counted between, where no other requests take their turns."""
        templates = [{"name": name, "specRef": of, "weight": 20} for name, of in (("baseline", "stable"), ("candidate", "canary"))]
        steps: list[Object] = [{"setWeight": 10}, {"experiment": {"duration": "1h", "templates": templates}}]
        users = await self.entrance.open(self.scene, self.network, steps=steps, replicas=2, canary=DELAYS)
        async with users.under_load() as coming:
            await self.scene.request_image("web", YELLOW)
            weights = (await self.scene.until("web", lends_traffic))["status"]["canary"]["weights"]
            shares = {weights["stable"]["podTemplateHash"]: 0.5, weights["canary"]["podTemplateHash"]: 0.1}
            shares |= {each["podTemplateHash"]: 0.2 for each in weights["additional"]}
            await coming.until(lambda: all(coming.by[revision] > 20 for revision in shares))
        for revision, share in shares.items():
            await users.until_shared(revision, share)
        given = await users.sample(users.telling)
        assert all(users.shows(given, revision, share) for revision, share in shares.items()), f"{shares} asked for; {given}"
        async with users.under_load() as going:
            await self.scene.command("web", "promote-full")
            yellow = (await self.scene.until("web", healthy_on(YELLOW)))["status"]["stableRS"]
            await only_pods_of(self.scene, yellow)
        await self._ends_on(yellow, users)
        return coming + going

    async def _met(self, image: str, answers: Answers) -> str:
        """The new revision, once users were served by it."""
        before = (await self.scene.rollout("web"))["status"]["currentPodHash"]
        await self.scene.request_image("web", image)

        def at_its_pause(rollout: Object) -> bool:
            return rollout["status"]["currentPodHash"] != before and paused_at(1, image=image)(rollout)

        revision: str = (await self.scene.until("web", at_its_pause))["status"]["currentPodHash"]
        await answers.until(lambda: answers.by[revision] > 20)
        return revision

    async def _ends_on(self, revision: str, users: Users) -> None:
        last = await users.sample(200)
        assert last.by == {revision: 200}, f"{self.entrance} at the end: {last}"


def lends_traffic(rollout: Object) -> bool:
    """To both sets of an experiment."""
    weights = (rollout["status"].get("canary") or {}).get("weights") or {}
    return [each.get("weight") for each in weights.get("additional") or ()] == [20, 20]


async def only_pods_of(scene: Scene, revision: str) -> None:
    """Until the pods of every other revision are gone: what failed because of it has failed by then."""

    async def revisions() -> set[str]:
        found, _ = await scene.kube.list(POD, scene.namespace)
        return {each["metadata"]["labels"][POD_TEMPLATE_HASH] for each in found}

    await eventually(revisions, lambda seen: seen == {revision}, what=f"only pods of {revision} to be left")


def assert_nobody_was_lost(entrance: Entrance, answers: Answers, *, revisions: int) -> None:
    assert_nothing_failed(entrance, answers, revisions=revisions)
    assert answers.late == 0, f"{entrance}: pods were told to go while requests came to them; {answers}"


def assert_nothing_failed(entrance: Entrance, answers: Answers, *, revisions: int) -> None:
    assert answers.failed == [], f"{entrance}: {answers}"
    assert len(answers.by) == revisions, f"{entrance}: users were to meet {revisions} revisions; {answers}"
