"""Each overlay on a real API server: every object is accepted as it is, and every pod is admitted to the restricted namespace."""

import json
import subprocess
from pathlib import Path

import pytest

from tidegate_embedded import ControlPlane

pytestmark = pytest.mark.integration

OVERLAYS = Path(__file__).parents[3] / "deploy" / "overlays"


@pytest.mark.parametrize("overlay", ["dev", "ha", "namespaced"])
def test_an_overlay_is_accepted_by_the_api_server(control_plane: ControlPlane, overlay: str) -> None:
    flags = ["--server-side", "--force-conflicts", "--dry-run=server", "--output=json"]
    command = ["kubectl", "--kubeconfig", str(control_plane.kubeconfig), "apply", *flags, "-k", str(OVERLAYS / overlay)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "would violate PodSecurity" not in ran.stderr
    accepted = json.loads(ran.stdout)["items"]
    assert {"Deployment", "StatefulSet", "ServiceAccount", "PodDisruptionBudget"} <= {each["kind"] for each in accepted}
    for workload in (each for each in accepted if each["kind"] in ("Deployment", "StatefulSet")):
        pod = {"metadata": {"name": "probe"}, "spec": workload["spec"]["template"]["spec"]}
        for volume in workload["spec"].get("volumeClaimTemplates", ()):  # which the StatefulSet's controller would add
            claim = {"name": volume["metadata"]["name"], "persistentVolumeClaim": {"claimName": "probe"}}
            pod["spec"]["volumes"].append(claim)
        control_plane.client.post("/api/v1/namespaces/tidegate-system/pods?dryRun=All", pod)
