"""An installation that serves one namespace, with the Roles of its overlay and nothing cluster-wide but the right to read
ClusterAnalysisTemplates: a canary, a takeover and a restart go through, and nothing is asked for that is refused."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tidegate.bus.server import LocalNats
from tidegate.config import Settings
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.kinds import DEPLOYMENT
from tidegate.testing import (
    Outcomes,
    Scene,
    Suite,
    a_deployment,
    a_referring_rollout,
    a_rollout,
    a_service,
    eventually,
    healthy_on,
    patient_bus,
)
from tidegate_cli.local.services import MODULES
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, wait_until, whole_lines

pytestmark = pytest.mark.integration

OVERLAY = Path(__file__).parents[3] / "deploy" / "overlays" / "namespaced"
BLUE, YELLOW = "demo:blue", "demo:yellow"


def rights_in(namespace: str) -> list[dict[str, Any]]:
    """The overlay's own ServiceAccounts and rights, moved there; what is cluster-wide under a name of its own."""
    built = subprocess.run(["kubectl", "kustomize", str(OVERLAY)], capture_output=True, text=True, timeout=300, check=True)
    moved = []
    for each in yaml.safe_load_all(built.stdout):
        cluster_wide = each["kind"].startswith("Cluster")
        if each["kind"] not in {"ServiceAccount", "Role", "RoleBinding"} and not cluster_wide:
            continue
        name = f"{each['metadata']['name']}-{namespace}" if cluster_wide else each["metadata"]["name"]
        each["metadata"] = {"name": name, **({} if cluster_wide else {"namespace": namespace})}
        for subject in each.get("subjects", ()):
            subject["namespace"] = namespace
        if cluster_wide and "roleRef" in each:
            each["roleRef"]["name"] += f"-{namespace}"
        moved.append(each)
    return moved


@pytest.fixture
def scoped(control_plane: ControlPlane) -> str:
    namespace = create_namespace(control_plane, "scoped")
    manifests = rights_in(namespace)
    assert {each["kind"] for each in manifests} == {
        "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding",
    }  # fmt: skip
    command = ["kubectl", "--kubeconfig", str(control_plane.kubeconfig), "apply", "--server-side", "-f", "-"]
    subprocess.run(command, input=yaml.safe_dump_all(manifests), text=True, timeout=300, check=True, capture_output=True)
    for review in reviews(manifests):
        wait_until(lambda review=review: is_allowed(control_plane, review), what=f"{review} to be in force")  # type: ignore[misc]
    return namespace


def reviews(manifests: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A question for each rule: who answers requests hears of a new one a moment after it is written."""
    rules = {each["metadata"]["name"]: each["rules"] for each in manifests if each["kind"].endswith("Role")}
    for binding in (each for each in manifests if each["kind"].endswith("Binding")):
        (subject,) = binding["subjects"]
        for rule in rules[binding["roleRef"]["name"]]:
            resource, _, subresource = rule["resources"][0].partition("/")
            about = {"group": rule["apiGroups"][0], "resource": resource, "subresource": subresource, "verb": rule["verbs"][0]}
            attributes = {**about, "namespace": binding["metadata"].get("namespace", "")}
            yield {"user": f"system:serviceaccount:{subject['namespace']}:{subject['name']}", "resourceAttributes": attributes}


def is_allowed(control_plane: ControlPlane, review: dict[str, Any]) -> bool:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": review}
    answer = control_plane.client.post("/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
    return bool(answer["status"]["allowed"])


async def play(scene: Scene) -> None:
    services = {"canary": {"stableService": "web", "canaryService": "next", "steps": [{"setWeight": 50}]}}
    await scene.apply(a_deployment("web"), a_service("web", app="web"), a_service("next", app="web"))
    await scene.apply(a_referring_rollout("web", replicas=3, scale_down="progressively", strategy=services))
    await scene.apply(a_rollout("worn", replicas=2, canary={"stableMetadata": {"labels": {"role": "stable"}}}))
    await scene.until("worn", healthy_on(BLUE))
    assert (await scene.request_image("worn", YELLOW)).accepted
    await scene.until("worn", healthy_on(YELLOW))
    assert (await scene.command("worn", "restart")).accepted
    asked = (await scene.rollout("worn"))["spec"]["restartAt"]
    await scene.until("worn", lambda each: each["status"].get("restartedAt") == asked, what="restarted")

    async def pods_left() -> int:
        return int((await scene.kube.get(DEPLOYMENT, scene.namespace, "web"))["spec"]["replicas"])

    await eventually(pods_left, lambda count: count == 0, what="the Deployment to be taken over")
    await scene.until("web", lambda each: each["status"].get("phase") == "Healthy", what="Healthy")


async def test_one_namespace_is_served_with_rights_in_that_one_only(
    control_plane: ControlPlane, scoped: str, tmp_path: Path
) -> None:
    elsewhere = create_namespace(control_plane, "elsewhere")
    began = len(whole_lines(control_plane.audit_log))
    accounts = {each: control_plane.service_account_kubeconfig(scoped, f"tidegate-{each}") for each in MODULES}
    own = {service: {"KUBECONFIG": str(kubeconfig)} for service, kubeconfig in accounts.items()}
    with LocalNats() as nats:
        settings = {"NATS_URL": nats.url, "TIDEGATE_NAMESPACE": scoped}
        suite = Suite(MODULES, settings=settings, own=own, folder=tmp_path)
        async with (
            Kube(load(control_plane.kubeconfig), user_agent="kubectl") as kube,
            patient_bus(Settings(nats_url=nats.url), service="test") as bus,
        ):
            outside = Scene(kube=kube, bus=bus, namespace=elsewhere, outcomes=Outcomes())
            await outside.apply(a_rollout("web"))
            with suite:
                await play(Scene(kube=kube, bus=bus, namespace=scoped, outcomes=Outcomes()))
                assert suite.ended() == []
            assert "status" not in await outside.rollout("web")
    lines = (orjson.loads(line) for line in whole_lines(control_plane.audit_log)[began:].splitlines())
    ours = [each for each in lines if each["user"]["username"].startswith(f"system:serviceaccount:{scoped}:tidegate-")]
    refused = {
        (each["user"]["username"], each["verb"], each["requestURI"]) for each in ours if each["responseStatus"].get("code") == 403
    }
    assert ours
    assert refused == set()
