"""Services on a developer's machine: themselves while they run, and nothing left in the cluster afterwards."""

from pathlib import Path

import pytest
import yaml

from tidegate_cli.local.identities import BusUsers, environments, own_copy, rbac_manifests, service_accounts
from tidegate_cli.local.services import MODULES
from tidegate_embedded import ControlPlane
from tidegate_embedded.api import CallError, Client

pytestmark = pytest.mark.integration

ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


def names(control_plane: ControlPlane, path: str) -> set[str]:
    return {each["metadata"]["name"] for each in control_plane.client.get(path)["items"]}


def local_namespaces(control_plane: ControlPlane) -> set[str]:
    """Those that are not on their way out already."""
    found = control_plane.client.get("/api/v1/namespaces")["items"]
    alive = {each["metadata"]["name"] for each in found if each["status"]["phase"] == "Active"}
    return {name for name in alive if name.startswith("tidegate-local-")}


def test_each_acts_as_itself_and_an_installation_beside_it_is_not_touched(control_plane: ControlPlane, tmp_path: Path) -> None:
    before = names(control_plane, ROLES), names(control_plane, BINDINGS), local_namespaces(control_plane)
    with service_accounts(control_plane.kubeconfig, tmp_path) as accounts:
        assert accounts.keys() == MODULES.keys()
        assert names(control_plane, ROLES) > before[0]
        for service, file in accounts.items():
            assert file.stat().st_mode & 0o077 == 0
            token = yaml.safe_load(file.read_text())["users"][0]["user"]["token"]
            client = Client(server=control_plane.server, ca=control_plane.ca, token=token)
            review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
            who = client.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)["status"]["userInfo"]["username"]
            assert who.endswith(f":tidegate-{service}")
            with pytest.raises(CallError, match="403"):
                client.get("/api/v1/secrets")
    after = names(control_plane, ROLES), names(control_plane, BINDINGS), local_namespaces(control_plane)
    assert after == before


def test_the_rights_are_those_of_an_installation_under_other_names() -> None:
    installed = rbac_manifests()
    local = own_copy(installed, "tidegate-local-x", "x")
    assert [each.get("rules") for each in local] == [each.get("rules") for each in installed]
    roles = {each["metadata"]["name"] for each in local if each["kind"] == "ClusterRole"}
    bindings = [each for each in local if each["kind"] == "ClusterRoleBinding"]
    assert roles == {each["roleRef"]["name"] for each in bindings}
    assert all(name.endswith("-x") for name in roles)
    assert {subject["namespace"] for each in bindings for subject in each["subjects"]} == {"tidegate-local-x"}


def test_on_a_bus_of_our_own_each_service_has_a_user_and_people_are_senders() -> None:
    users = BusUsers.fresh()
    given = environments({}, users)
    assert {service: each["NATS_USER"] for service, each in given.items()} == {service: service for service in MODULES}
    assert len({each["NATS_PASSWORD"] for each in given.values()}) == len(MODULES)
    assert users.url("nats://127.0.0.1:4222", "sender") == f"nats://sender:{users.passwords['sender']}@127.0.0.1:4222"
    assert users.passwords["planner"] not in repr(users)
