"""Services whose Rollout is gone, or names them no more, lead to pods again (`argo-behaviour.md` 9.10)."""

import pytest

from tidegate.config import Settings
from tidegate.keys import FENCE, MANAGED_BY, POD_TEMPLATE_HASH
from tidegate.kube.kinds import ROLLOUT, SERVICE
from tidegate.kube.memory import MemoryKube
from tidegate_shifter.release import Releases, named_services

NAMES = {"stableService": "web", "canaryService": "canary"}


def service(name="web", rollout="app", **metadata):
    annotations = {"team": "shop", MANAGED_BY: rollout, FENCE: f"shop/{rollout}=u/7,shop/other=v/9"}
    selector = {"app": "web", POD_TEMPLATE_HASH: "abc"}
    return {"metadata": {"name": name, "namespace": "shop", "annotations": annotations, **metadata}, "spec": {"selector": selector}}


async def swept(*services, rollouts=(), **settings):
    kube = MemoryKube()
    for each in rollouts:
        await kube.create(ROLLOUT, each)
    for each in services:
        await kube.create(SERVICE, each)
    await Releases(kube, Settings(**settings)).sweep()
    return kube


def rollout(strategy, name="app"):
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"strategy": strategy}}


async def selector_of(kube, name="web"):
    return (await kube.get(SERVICE, "shop", name))["spec"]["selector"]


@pytest.mark.parametrize("left", [(), (rollout({"canary": {"stableService": "renamed"}}),)], ids=["deleted", "renamed"])
async def test_a_service_nobody_names_any_more_is_given_back_as_it_was(left):
    kube = await swept(service(), rollouts=left)
    found = await kube.get(SERVICE, "shop", "web")
    assert found["spec"]["selector"] == {"app": "web"}
    assert found["metadata"]["annotations"] == {"team": "shop", FENCE: "shop/other=v/9"}


@pytest.mark.parametrize(
    "strategy",
    [
        {"canary": NAMES},
        {"canary": {"canaryService": "web"}},
        {"blueGreen": {"activeService": "web"}},
        {"blueGreen": {"activeService": "a", "previewService": "web"}},
        {"canary": {"pingPong": {"pingService": "web", "pongService": "b"}}},
    ],
)
async def test_one_that_its_rollout_names_stays(strategy):
    kube = await swept(service(), rollouts=[rollout(strategy)])
    assert POD_TEMPLATE_HASH in await selector_of(kube)
    assert not [call for call in kube.calls if call.verb == "merge_patch"]


async def test_services_of_nobody_and_of_experiments_are_not_looked_at():
    own = {"metadata": {"name": "plain", "namespace": "shop"}, "spec": {"selector": {POD_TEMPLATE_HASH: "x"}}}
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "name": "e", "uid": "e", "controller": True}
    kube = await swept(own, service("baseline", ownerReferences=[owner]))
    assert [call.verb for call in kube.calls if call.verb != "create"] == ["list"]


async def test_only_the_namespace_that_is_served_is_looked_through():
    kube = await swept(service(), namespace="elsewhere")
    assert POD_TEMPLATE_HASH in await selector_of(kube)


class Meddled:
    """Somebody switches the Service between our look and our write."""

    def __init__(self, kube):
        self._kube = kube

    def __getattr__(self, verb):
        return getattr(self._kube, verb)

    async def get(self, kind, namespace, name):
        await self._kube.merge_patch(SERVICE, "shop", "web", {"spec": {"selector": {POD_TEMPLATE_HASH: "new"}}})
        return await self._kube.get(kind, namespace, name)


async def test_a_service_that_changed_meanwhile_is_left_for_the_next_look_and_the_others_are_not():
    kube = MemoryKube()
    for name in ("web", "zoo"):
        await kube.create(SERVICE, service(name))
    await Releases(Meddled(kube), Settings()).sweep()
    assert await selector_of(kube) == {"app": "web", POD_TEMPLATE_HASH: "new"}
    assert await selector_of(kube, "zoo") == {"app": "web"}
    await Releases(kube, Settings()).sweep()
    assert await selector_of(kube) == {"app": "web"}


@pytest.mark.parametrize("strategy", [None, {}, {"canary": None}, {"canary": {"stableService": 3}}, {"canary": {"steps": []}}])
async def test_a_rollout_that_names_none_may_be_half_written_and_loses_none(strategy):
    assert named_services(rollout(strategy)) == set()
    assert POD_TEMPLATE_HASH in await selector_of(await swept(service(), rollouts=[rollout(strategy)]))
