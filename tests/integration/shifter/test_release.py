"""The process finds what Rollouts left that went while it was away."""

import contextlib
from pathlib import Path

import pytest
import yaml

from tidegate.keys import MANAGED_BY, POD_TEMPLATE_HASH
from tidegate.kube.errors import AlreadyExists
from tidegate.kube.kinds import CRD, DESTINATION_RULE, SERVICE
from tidegate.testing import Suite, eventually

pytestmark = pytest.mark.integration

RULES = Path(__file__).parents[2] / "data" / "crds" / "networking.istio.io_destinationrules.yaml"


async def test_services_and_subsets_of_a_rollout_that_was_deleted_meanwhile_lead_to_pods_again(
    nats, control_plane, kube, namespace, tmp_path
):
    with contextlib.suppress(AlreadyExists):
        await kube.create(CRD, yaml.safe_load(RULES.read_text()))

    async def served():
        return await kube.serves(DESTINATION_RULE)

    await eventually(served, lambda seen: seen, what="DestinationRules to be served")
    selector = {"app": "web", POD_TEMPLATE_HASH: "gone"}
    metadata = {"name": "web", "namespace": namespace, "annotations": {MANAGED_BY: "gone"}}
    await kube.create(SERVICE, {"metadata": metadata, "spec": {"selector": selector, "ports": [{"port": 80}]}})
    spec = {"host": "web", "subsets": [{"name": "stable", "labels": selector}]}
    await kube.create(DESTINATION_RULE, {"metadata": metadata, "spec": spec})

    async def chosen():
        rule = await kube.get(DESTINATION_RULE, namespace, "web")
        return (await kube.get(SERVICE, namespace, "web"))["spec"]["selector"], rule["spec"]["subsets"][0]["labels"]

    settings = {"NATS_URL": nats.url, "KUBECONFIG": str(control_plane.kubeconfig)}
    with Suite({"traffic-shifter": "tidegate_shifter.app"}, settings=settings, folder=tmp_path):
        await eventually(chosen, lambda seen: seen == ({"app": "web"}, {"app": "web"}), what="the hash to leave both selectors")
