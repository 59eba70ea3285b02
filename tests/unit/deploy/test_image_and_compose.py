"""What can be said of the image and of compose without an engine: names, versions, users and files agree with the rest."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.bus.rights import ROLES, password_variable
from tidegate_cli.local.controlplanes import K3S_IMAGE

ROOT = Path(__file__).parents[3]
SERVICES = ("planner", "traffic-shifter", "analyzer", "notifier")


@pytest.fixture
def services() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


@pytest.fixture
def dockerfile() -> str:
    return (ROOT / "deploy" / "Dockerfile").read_text()


def scripts() -> set[str]:
    return set(re.findall(r'^(tidegate[\w-]*) = "', (ROOT / "pyproject.toml").read_text(), re.MULTILINE))


def test_every_command_is_a_script_of_the_wheel(services: dict[str, Any]) -> None:
    assert {f"tidegate-{each}" for each in SERVICES} <= scripts()
    for each in SERVICES:
        assert services[each]["command"] == [f"tidegate-{each}"]
        deployment = next(yaml.safe_load_all((ROOT / "deploy" / "base" / f"{each}.yaml").read_text()))
        assert deployment["spec"]["template"]["spec"]["containers"][0]["command"] == [f"tidegate-{each}"]


def test_in_compose_each_service_is_itself_on_the_cluster_and_on_the_bus(services: dict[str, Any]) -> None:
    passwords = services["nats"]["environment"]
    assert {password_variable(user) for user in ROLES} <= passwords.keys()
    for each in SERVICES:
        environment = services[each]["environment"]
        assert environment["KUBECONFIG"] == f"/credentials/{each}.yaml"
        assert environment["NATS_USER"] == each
        assert environment["NATS_PASSWORD"] == passwords[password_variable(each)]


def test_compose_opens_ports_on_loopback_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_compose_and_the_cluster_run_the_same_servers(services: dict[str, Any]) -> None:
    statefulset = list(yaml.safe_load_all((ROOT / "deploy" / "nats" / "statefulset.yaml").read_text()))[-1]
    assert services["nats"]["image"] == statefulset["spec"]["template"]["spec"]["containers"][0]["image"]
    assert services["k3s"]["image"] == services["install"]["image"] == K3S_IMAGE


def test_every_image_is_of_one_version(services: dict[str, Any], dockerfile: str) -> None:
    stages = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert set(stages) == {"${PYTHON}"}, "both stages have the same Python: what is built in one runs in the other"
    images = re.findall(r"^ARG PYTHON=(\S+)$", dockerfile, re.MULTILINE) + [each["image"] for each in services.values()]
    for image in images:
        assert re.search(r":v?\d+\.\d+\.\d+", image), image


def test_compose_names_no_volume_dependency_or_file_that_does_not_exist(services: dict[str, Any]) -> None:
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for service in services.values():
        assert set(service.get("depends_on", ())) <= services.keys()
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith("./") else source in document["volumes"]


def test_the_image_copies_what_exists_and_the_ignore_file_lets_it_through(dockerfile: str) -> None:
    let_through = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE) for word in line.split()[:-1]]
    assert copied
    assert set(copied) == let_through
    assert all((ROOT / each).exists() for each in copied)


def test_the_image_runs_as_nobody_and_is_of_this_version(dockerfile: str) -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert "USER 65532:65532" in dockerfile
    assert f'org.opencontainers.image.version="{version[1]}"' in dockerfile
    base = yaml.safe_load((ROOT / "deploy" / "base" / "kustomization.yaml").read_text())
    assert base["images"] == [{"name": "tidegate", "newTag": version[1]}]
