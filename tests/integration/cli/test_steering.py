"""The verbs against a real API server, with no controller and no bus: what is written is what is stored."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate.kube.kinds import ROLLOUT
from tidegate.testing import a_deployment, a_referring_rollout
from tidegate_cli.demo.play import seed_manifest
from tidegate_embedded import ControlPlane

pytestmark = pytest.mark.integration

Rollout = dict[str, Any]


@pytest.fixture
def stored(control_plane: ControlPlane, namespace: str) -> Callable[[], Rollout]:
    """The seed's Rollout, created; call it to read it again."""
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts"
    control_plane.client.post(path, yaml.safe_load(seed_manifest().read_text()))
    return lambda: dict(control_plane.client.get(f"{path}/rollout-canary-demo"))


NAME = "rollout-canary-demo"


def test_verbs_write_spec_and_status(cli: Any, stored: Callable[[], Rollout]) -> None:
    for words, told in (
        (("abort", NAME), "aborted"),
        (("pause", NAME), "paused"),
        (("promote", NAME), "promoted"),
        (("retry", "rollout", NAME), "retried"),
        (("restart", NAME, "--in", "10s"), "restarts in 10s"),
        (("set", "image", NAME, "demo-app=argoproj/rollouts-demo:yellow"), "image updated"),
    ):
        done = cli(*words)
        assert (done.returncode, done.stdout) == (0, f"rollout '{NAME}' {told}\n"), done.stderr
    rollout = stored()
    assert rollout["status"] == {"abort": False, "currentStepIndex": 1}
    assert rollout["spec"]["paused"] is False
    assert rollout["spec"]["restartAt"]
    assert rollout["spec"]["template"]["spec"]["containers"][0]["image"] == "argoproj/rollouts-demo:yellow"


def test_verbs_change_the_workload_that_a_rollout_refers_to(cli: Any, control_plane: ControlPlane, namespace: str) -> None:
    """Its ReplicaSets are as a controller would have left them, with what that has put in."""
    apps, argo = f"/apis/apps/v1/namespaces/{namespace}", f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}"
    control_plane.client.post(f"{apps}/deployments", a_deployment(replicas=0))
    rollout = control_plane.client.post(f"{argo}/rollouts", a_referring_rollout())
    owner = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": rollout["metadata"]["uid"]}
    for revision, image in ((1, "demo:red"), (2, "demo:blue")):
        template = a_deployment(image=image)["spec"]["template"]
        labels = {"app": "web", "rollouts-pod-template-hash": f"h{revision}"}
        template["metadata"]["labels"] = {**labels, "role": "stable"}
        annotations = {
            "rollout.argoproj.io/revision": str(revision),
            "rollout.argoproj.io/ephemeral-metadata": '{"labels":{"role":"stable"}}',
        }
        metadata = {"name": f"web-h{revision}", "labels": labels, "annotations": annotations, "ownerReferences": [owner]}
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        control_plane.client.post(f"{apps}/replicasets", {"metadata": metadata, "spec": spec})

    def template_now() -> Rollout:
        return dict(control_plane.client.get(f"{apps}/deployments/web")["spec"]["template"])

    done = cli("undo", "web")
    assert done.stdout == "rollout 'web' undo to revision 1\n", done.stderr
    assert template_now()["spec"]["containers"][0]["image"] == "demo:red"
    assert template_now()["metadata"]["labels"] == {"app": "web"}
    assert cli("undo", "web", "--to-revision", "1").stdout == (
        "skipped rollback (current template already matches revision 1)\n"
    )
    assert cli("set", "image", "web", "app=demo:green").stdout == "deployment 'web' of rollout 'web' image updated\n"
    assert template_now()["spec"]["containers"][0]["image"] == "demo:green"
    assert not control_plane.client.get(f"{argo}/rollouts/web")["spec"].get("template")


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_rollout_whose_workload_is_missing_can_still_be_looked_at(
    cli: Any, control_plane: ControlPlane, namespace: str, kind: str
) -> None:
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": "gone"}
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts"
    control_plane.client.post(path, a_referring_rollout(workloadRef=reference))
    for words in (("get", "rollout", "web"), ("status", "web", "-w=false")):
        done = cli(*words)
        assert done.returncode == 0, done.stderr


def test_a_missing_rollout_is_told_with_those_there_are(cli: Any, stored: Callable[[], Rollout], namespace: str) -> None:
    stored()
    done = cli("promote", "nope")
    assert done.returncode == 1
    assert done.stderr == f'tidegate: rollout "nope" not found in namespace "{namespace}"; there are: {NAME}\n'


def test_a_server_whose_certificate_is_of_nobody_we_know_is_said_by_its_address(
    cli: Any, control_plane: ControlPlane, tmp_path: Path
) -> None:
    known = yaml.safe_load(control_plane.kubeconfig.read_text())
    cluster = known["clusters"][0]["cluster"]
    trusting_nobody = {"server": cluster["server"]}
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump({**known, "clusters": [{**known["clusters"][0], "cluster": trusting_nobody}]}))
    done = cli("--kubeconfig", str(file), "list")
    address = cluster["server"].removeprefix("https://")
    said = f"tidegate: the API server could not be reached: {address}: its certificate is not accepted: "
    assert (done.returncode, done.stderr.startswith(said), len(done.stderr.splitlines())) == (1, True, 1), done.stderr


def test_undo_without_history_is_refused(cli: Any, stored: Callable[[], Rollout]) -> None:
    stored()
    done = cli("undo", NAME)
    assert (done.returncode, done.stderr) == (1, f'tidegate: no revision found for rollout "{NAME}"\n')


def test_a_missing_run_is_told_with_the_one_probably_meant(cli: Any, control_plane: ControlPlane, namespace: str) -> None:
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/analysisruns"
    run = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "metadata": {"name": "web-errors"}}
    control_plane.client.post(path, {**run, "spec": {"metrics": []}})
    for name, guess in (("web-error", 'did you mean "web-errors"? '), ("other", "")):
        done = cli("terminate", "analysisrun", name)
        said = f'tidegate: analysisrun "{name}" not found in namespace "{namespace}"; {guess}there are: web-errors\n'
        assert (done.returncode, done.stderr) == (1, said)
    done = cli("retry", "experiment", "none")
    said = f'tidegate: experiment "none" not found in namespace "{namespace}"; there are: none\n'
    assert (done.returncode, done.stderr) == (1, said)


def test_status_waits_in_vain_for_a_rollout_nobody_works_on(cli: Any, stored: Callable[[], Rollout]) -> None:
    stored()
    done = cli("status", NAME, "--timeout", "15s")
    assert done.returncode == 1
    assert done.stdout == "Progressing - waiting for rollout spec update to be observed\n"
    assert done.stderr == "tidegate: Rollout status watch exceeded timeout\n"
    assert cli("status", NAME, "-w=false").returncode == 0


async def test_status_tells_a_degraded_rollout_by_its_exit_code(
    cli: Any, stored: Callable[[], Rollout], control_plane: ControlPlane, namespace: str
) -> None:
    generation = stored()["metadata"]["generation"]
    status = {"observedGeneration": str(generation), "phase": "Degraded", "message": "RolloutAborted: by hand"}
    async with Kube(load(control_plane.kubeconfig), user_agent="a-controller") as kube:
        await kube.merge_patch(ROLLOUT, namespace, NAME, {"status": status}, subresource="status")
    done = cli("status", NAME)
    assert (done.returncode, done.stdout) == (1, "Degraded\n")
    assert done.stderr == "tidegate: The rollout is in a degraded state with message: RolloutAborted: by hand\n"


def test_a_tree_and_a_list_come_in_three_forms(cli: Any, stored: Callable[[], Rollout]) -> None:
    uid = stored()["metadata"]["uid"]
    text = cli("get", "rollout", NAME).stdout
    assert text.startswith(f"Name:            {NAME}\n")
    assert text.isascii()
    assert orjson.loads(cli("get", "rollout", NAME, "-o", "json").stdout)["objectMeta"]["uid"] == uid
    assert cli("list", "rollouts").stdout.splitlines()[1].split()[:3] == [NAME, "Canary", "Progressing"]
    assert "argoproj/rollouts-demo:blue" in cli("list", "-o", "wide").stdout
    assert [each["step"] for each in orjson.loads(cli("list", "-o", "json").stdout)] == ["0/8"]


def test_an_experiment_is_listed_shown_ended_and_retried(cli: Any, control_plane: ControlPlane, namespace: str) -> None:
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/experiments"
    spec = {"templates": [], "duration": "5m"}
    manifest = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "metadata": {"name": "trial"}, "spec": spec}
    control_plane.client.post(path, {**manifest, "status": {"phase": "Failed", "message": "no good"}})
    listed = cli("list", "experiments")
    assert listed.stdout.split()[:8] == ["NAME", "STATUS", "DURATION", "REMAINING", "AGE", "trial", "Failed", "5m"], listed.stderr
    shown = cli("get", "experiment", "trial")
    assert "Message:         no good" in shown.stdout, shown.stderr
    assert orjson.loads(cli("get", "exp", "trial", "-o", "json").stdout)["status"] == "Failed"
    assert cli("terminate", "experiment", "trial").stdout == "experiment 'trial' terminated\n"
    assert cli("retry", "experiment", "trial").stdout == "experiment 'trial' retried\n"
    stored = control_plane.client.get(f"{path}/trial")
    assert (stored["spec"]["terminate"], "status" in stored) == (True, False)
    missing = cli("get", "experiment", "none")
    assert (missing.returncode, missing.stderr) == (
        1,
        f'tidegate: experiment "none" not found in namespace "{namespace}"; there are: trial\n',
    )
