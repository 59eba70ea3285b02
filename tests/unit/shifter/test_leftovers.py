"""What a Rollout that is gone left in objects of others leads to pods again (`argo-behaviour.md` 9.10)."""

import json

import pytest

from tidegate.config import Settings
from tidegate.keys import FENCE, MANAGED_ALB_ANNOTATIONS, MANAGED_BY, POD_TEMPLATE_HASH
from tidegate.kube.errors import Forbidden
from tidegate.kube.kinds import DESTINATION_RULE, ROLLOUT
from tidegate.kube.memory import MemoryKube
from tidegate_shifter.leftovers import LEFTOVERS
from tidegate_shifter.release import Releases

P = "alb.ingress.kubernetes.io"


def rollout(name, routing):
    canary = {"trafficRouting": routing}
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"strategy": {"canary": canary}}}


def by_rule(name, rule="rule", canary="canary", stable="stable"):
    return rollout(name, {"istio": {"destinationRule": {"name": rule, "canarySubsetName": canary, "stableSubsetName": stable}}})


def rule(*fenced, managed_by="app", **hashes):
    subsets = [{"name": name, "labels": {"app": "web", POD_TEMPLATE_HASH: found}} for name, found in hashes.items()]
    annotations = {FENCE: ",".join(f"shop/{each}=u/1" for each in fenced), MANAGED_BY: managed_by, "team": "shop"}
    metadata = {"name": "rule", "namespace": "shop", "annotations": {key: text for key, text in annotations.items() if text}}
    return {"metadata": metadata, "spec": {"host": "web", "subsets": subsets}}


def action(**weights):
    groups = [{"ServiceName": name, "ServicePort": "80", "Weight": weight} for name, weight in weights.items()]
    sticky = {"TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60}}
    return json.dumps({"Type": "forward", "ForwardConfig": {"TargetGroups": groups, **sticky}})


def ingress(managed, **annotations):
    names = ("testers", "root")
    paths = [{"path": "/", "backend": {"service": {"name": name, "port": {"name": "use-annotation"}}}} for name in names]
    held = {f"{P}/{key}": text for key, text in annotations.items()}
    if managed:
        held[MANAGED_ALB_ANNOTATIONS] = managed if isinstance(managed, str) else json.dumps(managed)
    return {"metadata": {"name": "main", "namespace": "shop", "annotations": held}, "spec": {"rules": [{"http": {"paths": paths}}]}}


async def swept(router, found, *rollouts):
    kube = MemoryKube()
    for each in rollouts:
        await kube.create(ROLLOUT, each)
    kind = LEFTOVERS[router].kind
    await kube.create(kind, found)
    await Releases(kube, Settings()).sweep_routes(LEFTOVERS[router])
    return kube, kube.snapshot(kind)[0]


def hashes(found):
    return {each["name"]: each["labels"].get(POD_TEMPLATE_HASH) for each in found["spec"]["subsets"]}


# --- DestinationRules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "left", [(), (by_rule("app", "another"),), (rollout("app", {"nginx": {}}),)], ids=["deleted", "another rule", "another router"]
)
async def test_subsets_of_a_rollout_that_names_the_rule_no_more_choose_any_pods(left):
    _, found = await swept("istio", rule("app", canary="new", stable="old"), *left)
    assert hashes(found) == {"canary": None, "stable": None}
    assert found["spec"]["subsets"][0]["labels"] == {"app": "web"}
    assert found["metadata"]["annotations"] == {"team": "shop"}


async def test_a_rule_that_the_peer_wrote_to_is_given_back_as_well():
    _, found = await swept("istio", rule(canary="new", stable="old"))
    assert hashes(found) == {"canary": None, "stable": None}


@pytest.mark.parametrize("left", [by_rule("app"), {"metadata": {"name": "app", "namespace": "shop"}, "spec": {}}])
async def test_a_rollout_that_names_the_rule_or_is_half_written_keeps_its_pods(left):
    kube, found = await swept("istio", rule("app", canary="new", stable="old"), left)
    assert hashes(found) == {"canary": "new", "stable": "old"}
    assert not [call for call in kube.calls if call.verb == "merge_patch"]


async def test_another_rollout_on_the_same_rule_keeps_its_own_subsets():
    found = rule("app", "other", canary="new", stable="old", b="x", c="y")
    _, found = await swept("istio", found, by_rule("other", canary="c", stable="b"))
    assert hashes(found) == {"canary": None, "stable": None, "b": "x", "c": "y"}
    assert found["metadata"]["annotations"] == {FENCE: "shop/other=u/1", "team": "shop"}


async def test_rules_that_nobody_of_us_ever_wrote_to_are_left_alone():
    kube, found = await swept("istio", rule(managed_by="", canary="own"))
    assert hashes(found) == {"canary": "own"}
    assert [call.verb for call in kube.calls if call.verb != "create"] == ["list"]


# --- Ingresses of the AWS controller -------------------------------------------------------------------------------------


ROOT = {"app": [f"{P}/actions.root", f"{P}/actions.testers", f"{P}/conditions.testers"]}
WEIGHTS = {"actions.root": action(canary=34, stable=66), "actions.testers": action(canary=100), "conditions.testers": "[]"}


async def test_the_action_leads_to_its_own_service_alone_and_header_routes_go():
    _, found = await swept("alb", ingress(ROOT, **WEIGHTS))
    held = found["metadata"]["annotations"]
    assert held == {f"{P}/actions.root": held[f"{P}/actions.root"]}
    assert json.loads(held[f"{P}/actions.root"]) == json.loads(action(root=100))
    assert [each["backend"]["service"]["name"] for each in found["spec"]["rules"][0]["http"]["paths"]] == ["root"]


async def test_a_rollout_that_names_the_ingress_keeps_its_weights_and_the_one_that_is_gone_does_not():
    managed = ROOT | {"other": [f"{P}/actions.stable"]}
    found = ingress(managed, **WEIGHTS, **{"actions.stable": action(canary=10, stable=90)})
    _, found = await swept("alb", found, rollout("other", {"alb": {"ingresses": ["main"]}}))
    held = found["metadata"]["annotations"]
    assert held[f"{P}/actions.stable"] == action(canary=10, stable=90)
    assert json.loads(held[MANAGED_ALB_ANNOTATIONS]) == {"other": [f"{P}/actions.stable"]}
    assert json.loads(held[f"{P}/actions.root"]) == json.loads(action(root=100))


async def test_an_action_that_somebody_rewrote_stays():
    own = json.dumps({"Type": "fixed-response"})
    _, found = await swept("alb", ingress({"app": [f"{P}/actions.root"]}, **{"actions.root": own}))
    assert found["metadata"]["annotations"] == {f"{P}/actions.root": own}


@pytest.mark.parametrize("managed", ["", "{", "[]", '{"app": 1}'])
async def test_bookkeeping_that_says_nothing_is_nobodys(managed):
    kube, _ = await swept("alb", ingress(managed, **WEIGHTS))
    assert [call.verb for call in kube.calls if call.verb != "create"] == ["list"]


# --- where nobody may or need look ---------------------------------------------------------------------------------------


class Cluster:
    """Serves what it is told, and lets nobody read it."""

    def __init__(self, *, served):
        self.served, self.listed = served, 0

    async def serves(self, kind):
        assert kind in (DESTINATION_RULE, LEFTOVERS["alb"].sign)
        return self.served

    async def list(self, kind, *_where):
        self.listed += 1
        raise Forbidden(f"{kind} may not be listed", status=403)


@pytest.mark.parametrize("router", LEFTOVERS)
@pytest.mark.parametrize("served", [True, False])
async def test_what_the_cluster_does_not_serve_is_not_asked_for_and_what_may_not_be_read_is_somebody_elses(router, served):
    cluster = Cluster(served=served)
    await Releases(cluster, Settings()).sweep_routes(LEFTOVERS[router])
    assert cluster.listed == int(served)
