"""The files of deploy/ as kustomize puts them together: what an installation gets, checked without a cluster."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.bus.rights import ROLES, password_variable
from tidegate.config import settings_from
from tidegate.health import verdict

ROOT = Path(__file__).parents[3]
OVERLAYS = ("dev", "ha", "namespaced")
SERVICES = ("planner", "traffic-shifter", "analyzer", "notifier")
RBAC_KINDS = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}


@cache
def built(overlay: str) -> tuple[dict[str, Any], ...]:
    kubectl = Path(sys.executable).parent / "kubectl"
    command = [str(kubectl), "kustomize", str(ROOT / "deploy" / "overlays" / overlay)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    return tuple(yaml.safe_load_all(ran.stdout))


def of_kind(overlay: str, *kinds: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for each in built(overlay) if each["kind"] in kinds}


def pods(overlay: str) -> dict[str, dict[str, Any]]:
    return {name: each["spec"]["template"]["spec"] for name, each in of_kind(overlay, "Deployment", "StatefulSet").items()}


def test_no_rule_names_a_wildcard() -> None:
    for file in (ROOT / "deploy" / "rbac").rglob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text()):
            for rule in document.get("rules") or ():
                assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]], file.name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_service_runs_as_itself_on_the_cluster_and_on_the_bus(overlay: str) -> None:
    bound = {
        (subject["name"], subject["namespace"], each["roleRef"]["name"])
        for each in built(overlay)
        if each["kind"] in ("ClusterRoleBinding", "RoleBinding")
        for subject in each["subjects"]
    }
    for service in SERVICES:
        pod = pods(overlay)[f"tidegate-{service}"]
        assert pod["serviceAccountName"] == f"tidegate-{service}"
        assert (f"tidegate-{service}", "tidegate-system", f"tidegate-{service}") in bound
        env = {each["name"]: each for each in pod["containers"][0]["env"]}
        assert env["NATS_USER"]["value"] == service
        assert env["NATS_PASSWORD"]["valueFrom"]["secretKeyRef"]["key"] == service


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_setting_that_is_given_is_one_that_is_read(overlay: str) -> None:
    config = next(each for name, each in of_kind(overlay, "ConfigMap").items() if "NATS_URL" in each["data"])
    settings_from(config["data"])
    for pod in pods(overlay).values():
        given = {each["name"]: each.get("value", "1") for each in pod["containers"][0]["env"]}
        unread = {name for name in given if not _is_read(name)} - {password_variable(user) for user in ROLES} - {"SERVER_NAME"}
        assert unread == set()


def _is_read(name: str) -> bool:
    return f'"{name}"' in (ROOT / "shared" / "tidegate" / "config.py").read_text()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_restricted_spread_and_disrupted_one_at_a_time(overlay: str) -> None:
    budgets = {str(each["spec"]["selector"]["matchLabels"]) for each in of_kind(overlay, "PodDisruptionBudget").values()}
    for name, workload in of_kind(overlay, "Deployment", "StatefulSet").items():
        pod = workload["spec"]["template"]["spec"]
        container = pod["containers"][0]
        assert pod["securityContext"]["runAsNonRoot"], name
        assert container["securityContext"]["readOnlyRootFilesystem"], name
        assert container["resources"]["limits"]["memory"], name
        assert container["securityContext"]["allowPrivilegeEscalation"] is False, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["topologySpreadConstraints"], name
        assert str(workload["spec"]["selector"]["matchLabels"]) in budgets, name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_probe_asks_what_is_served_where_it_is_served(overlay: str) -> None:
    for name, pod in pods(overlay).items():
        container = pod["containers"][0]
        ports = {each["name"]: each["containerPort"] for each in container["ports"]}
        probes = {each: container[f"{each}Probe"]["httpGet"] for each in ("startup", "liveness", "readiness")}
        if name == "tidegate-nats":
            (config,) = [each["data"] for each in of_kind(overlay, "ConfigMap").values() if "nats.conf" in each["data"]]
            assert f"http_port: {ports['monitor']} " in config["nats.conf"]
            assert {(each["path"].partition("?")[0], each["port"]) for each in probes.values()} == {("/healthz", "monitor")}
            continue
        env = {each["name"]: each.get("value") for each in container["env"]}
        assert env["TIDEGATE_HEALTH_PORT"] == str(ports["health"]), name
        assert {each["port"] for each in probes.values()} == {"health"}, name
        assert {kind: verdict(each["path"], {"bus": lambda: False})[0] for kind, each in probes.items()} == {
            "startup": 200, "liveness": 200, "readiness": 503,
        }, "a service that waits for something is alive, and not ready"  # fmt: skip


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_only_servers_of_its_own_reach_what_nats_asks_no_password_for(overlay: str) -> None:
    (policy,) = of_kind(overlay, "NetworkPolicy").values()
    statefulset = of_kind(overlay, "StatefulSet")["tidegate-nats"]
    own = statefulset["spec"]["selector"]
    ports = {each["name"] for each in statefulset["spec"]["template"]["spec"]["containers"][0]["ports"]}
    assert policy["spec"]["podSelector"] == own
    let_in = {port["port"]: rule.get("from") for rule in policy["spec"]["ingress"] for port in rule["ports"]}
    assert let_in == {"client": None, "cluster": [{"podSelector": own}]}
    assert ports - let_in.keys() == {"monitor"}


def test_a_namespaced_installation_has_the_same_rules_and_keeps_only_cluster_wide_templates() -> None:
    everywhere, here = of_kind("dev", "ClusterRole"), of_kind("namespaced", "Role", "ClusterRole")
    assert {name: each["rules"] for name, each in here.items()} == {name: each["rules"] for name, each in everywhere.items()}
    assert list(of_kind("namespaced", "ClusterRole")) == ["tidegate-planner-cluster-templates"]
    for service in SERVICES:
        env = {each["name"]: each for each in pods("namespaced")[f"tidegate-{service}"]["containers"][0]["env"]}
        assert env["TIDEGATE_NAMESPACE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.namespace"
    assert {each["kind"] for each in built("dev")} & RBAC_KINDS == {"ClusterRole", "ClusterRoleBinding"}


def test_high_availability_means_three_servers_and_two_of_each_service() -> None:
    assert of_kind("ha", "StatefulSet")["tidegate-nats"]["spec"]["replicas"] == 3
    assert {each["spec"]["replicas"] for each in of_kind("ha", "Deployment").values()} == {2}
    config = next(each["data"] for each in of_kind("ha", "ConfigMap").values() if "NATS_URL" in each["data"])
    assert config["TIDEGATE_STREAM_REPLICAS"] == "3"


def test_the_server_takes_a_password_for_every_user() -> None:
    env = {each["name"]: each["valueFrom"] for each in pods("dev")["tidegate-nats"]["containers"][0]["env"]}
    for user in ROLES:
        assert env[password_variable(user)]["secretKeyRef"]["key"] == user
    secret = next(each for name, each in of_kind("dev", "Secret").items() if name.startswith("tidegate-nats"))
    assert set(secret["data"]) == set(ROLES)
