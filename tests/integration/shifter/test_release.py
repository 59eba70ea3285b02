"""The process finds the Services of Rollouts that went while it was away."""

import pytest

from tidegate.keys import MANAGED_BY, POD_TEMPLATE_HASH
from tidegate.kube.kinds import SERVICE
from tidegate.testing import Suite, eventually

pytestmark = pytest.mark.integration


async def test_a_service_whose_rollout_was_deleted_meanwhile_leads_to_pods_again(nats, control_plane, kube, namespace, tmp_path):
    selector = {"app": "web", POD_TEMPLATE_HASH: "gone"}
    metadata = {"name": "web", "namespace": namespace, "annotations": {MANAGED_BY: "gone"}}
    await kube.create(SERVICE, {"metadata": metadata, "spec": {"selector": selector, "ports": [{"port": 80}]}})

    async def chosen():
        return (await kube.get(SERVICE, namespace, "web"))["spec"]["selector"]

    settings = {"NATS_URL": nats.url, "KUBECONFIG": str(control_plane.kubeconfig)}
    with Suite({"traffic-shifter": "tidegate_shifter.app"}, settings=settings, folder=tmp_path):
        await eventually(chosen, lambda seen: seen == {"app": "web"}, what="the hash to leave the selector")
