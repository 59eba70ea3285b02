"""The wrapper: start, faults, identities, the audit log, and an end that leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate_embedded import ControlPlane, ControlPlaneError, Options
from tidegate_embedded.api import CallError, Client
from tidegate_embedded.controlplane import cut_torn_line
from tidegate_embedded.testing import create_namespace, wait_until

pytestmark = pytest.mark.integration

PARTS = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}


def is_alive(pid: int) -> bool:
    """A process that nobody has reaped yet is as good as gone."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def client_of(kubeconfig: Path) -> Client:
    content = yaml.safe_load(kubeconfig.read_text())
    cluster = content["clusters"][0]["cluster"]
    return Client(server=cluster["server"], ca=Path(cluster["certificate-authority"]), token=content["users"][0]["user"]["token"])


def test_it_runs_all_parts_and_reports_the_kubernetes_version(control_plane: ControlPlane) -> None:
    assert set(control_plane.pids) == PARTS
    version = client_of(control_plane.kubeconfig).get("/version")
    assert (version["major"], version["minor"], version["gitVersion"]) == ("1", "36", "v1.36.3")


def test_nobody_gets_in_without_a_token(control_plane: ControlPlane) -> None:
    stranger = Client(server=control_plane.server, ca=control_plane.ca, token="guessed")
    with pytest.raises(CallError) as refused:
        stranger.get("/api/v1/namespaces")
    assert refused.value.status == 401


def test_a_service_account_may_do_what_its_role_says_and_no_more(control_plane: ControlPlane) -> None:
    namespace = create_namespace(control_plane)
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    admin, metadata = control_plane.client, {"name": "shifter"}
    admin.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": metadata})
    rules = [{"apiGroups": [""], "resources": ["services"], "verbs": ["list"]}]
    admin.post(f"{rbac}/roles", {"metadata": metadata, "rules": rules})
    admin.post(
        f"{rbac}/rolebindings",
        {
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "shifter"},
            "subjects": [{"kind": "ServiceAccount", "name": "shifter", "namespace": namespace}],
        },
    )

    shifter = client_of(control_plane.service_account_kubeconfig(namespace, "shifter"))
    wait_until(lambda: _may(shifter, f"/api/v1/namespaces/{namespace}/services"), what="the role binding to take effect")
    with pytest.raises(CallError) as refused:
        shifter.get(f"/api/v1/namespaces/{namespace}/secrets")
    assert refused.value.status == 403


def _may(client: Client, path: str) -> bool:
    try:
        client.get(path)
    except CallError as error:
        if error.status == 403:
            return False
        raise
    return True


def audit_lines(control_plane: ControlPlane) -> list[dict[str, Any]]:
    """The last one may be half written: the API server is at it."""
    whole, _, _ = control_plane.audit_log.read_text().rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def test_the_audit_log_says_who_wrote_what_with_which_user_agent(control_plane: ControlPlane) -> None:
    namespace = create_namespace(control_plane, "audited")
    (line,) = (
        line
        for line in audit_lines(control_plane)
        if line["stage"] == "ResponseComplete" and line["verb"] == "create" and line.get("objectRef", {}).get("name") == namespace
    )
    assert (line["userAgent"], line["user"]["username"], line["responseStatus"]["code"]) == ("tidegate-embedded", "admin", 201)


def test_the_audit_log_names_the_parts_of_the_control_plane(control_plane: ControlPlane) -> None:
    def are_named() -> bool:
        agents = {line["userAgent"].partition("/")[0] for line in audit_lines(control_plane)}
        return {"kube-controller-manager", "kube-scheduler"} <= agents

    wait_until(are_named, what="the controllers and the scheduler to have asked for something")


def test_the_audit_log_stays_one_file_however_long_it_grows(control_plane: ControlPlane) -> None:
    command = Path(f"/proc/{control_plane.pids['kube-apiserver']}/cmdline").read_text().split("\0")
    assert "--audit-log-maxsize=0" in command


@pytest.mark.parametrize(("left", "kept"), [(b'{"a":1}\n{"b', b'{"a":1}\n'), (b'{"a":1}\n', b'{"a":1}\n'), (b'{"a', b"")])
def test_a_line_left_half_written_by_a_killed_api_server_does_not_spoil_the_next(left: bytes, kept: bytes, tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(left)
    cut_torn_line(log)
    assert log.read_bytes() == kept


def test_a_second_one_side_by_side_survives_the_death_of_its_api_server(control_plane: ControlPlane) -> None:
    with ControlPlane(Options(pod_ready_delay=1.0, nodes=1, audit=False)) as second:
        assert not set(second.pids.values()) & set(control_plane.pids.values())
        create_namespace(second, "only-in-the-second")
        names = {item["metadata"]["name"] for item in control_plane.client.get("/api/v1/namespaces")["items"]}
        assert not any(name.startswith("only-in-the-second") for name in names)
        assert not second.audit_log.exists()

        server = second.server
        second.kill_apiserver()
        assert "kube-apiserver" not in second.pids
        with pytest.raises(CallError):
            second.client.get("/readyz")
        second.restart_apiserver()
        assert (second.server, set(second.pids)) == (server, PARTS)

        # The controllers, the scheduler and kwok have to find their way back on their own.
        pod = {"metadata": {"name": "after"}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
        second.client.post("/api/v1/namespaces/default/pods", pod)

        def ready() -> bool:
            conditions = second.client.get("/api/v1/namespaces/default/pods/after")["status"].get("conditions", [])
            return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

        wait_until(ready, what="a pod created after the restart")
        pids, data = list(second.pids.values()), second.data_dir
    assert not any(is_alive(pid) for pid in pids)
    assert not data.exists()


def test_nothing_is_left_when_the_parent_is_killed() -> None:
    script = (
        "import json, time; from tidegate_embedded import up; cp = up(report=lambda text: None);"
        "print(json.dumps([list(cp.pids.values()), str(cp.data_dir)]), flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pids, data = json.loads(parent.stdout.readline())
        assert len(pids) == len(PARTS)
        os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: not any(is_alive(pid) for pid in pids), what="every part to end")
    wait_until(lambda: not Path(data).exists(), what="the data to be removed")


def test_up_in_a_terminal_is_ended_by_down(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    command = [sys.executable, "-m", "tidegate_embedded"]
    with subprocess.Popen([*command, "up", "--nodes", "1", "--state", str(state)], stdout=subprocess.PIPE, text=True) as running:
        wait_until(lambda: state.exists() or running.poll() is not None, what="the state file")
        reach = json.loads(state.read_text())
        assert len(client_of(Path(reach["kubeconfig"])).get("/api/v1/nodes")["items"]) == 1
        subprocess.run([*command, "down", "--state", str(state)], check=True)
        output, _ = running.communicate(timeout=300)
    assert running.returncode == 0
    assert f"export KUBECONFIG={reach['kubeconfig']}" in output
    assert not any(is_alive(pid) for pid in reach["pids"].values())
    assert not Path(reach["data_dir"]).exists()


@pytest.mark.parametrize("options", [{"nodes": 0}, {"pod_ready_delay": -1.0}])
def test_options_that_cannot_work_are_refused_by_name(options: dict[str, float]) -> None:
    (name,) = options
    with pytest.raises(ControlPlaneError, match=name):
        Options(**options)  # type: ignore[arg-type]


def test_a_folder_to_keep_must_be_empty(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(ControlPlaneError, match="must be a new or an empty folder"):
        ControlPlane(Options(keep=tmp_path)).up()
    assert (tmp_path / "precious").exists()
