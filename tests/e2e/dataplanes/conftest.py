"""Beside what every end-to-end test has: a network in which pods are processes, and what the data planes between them need.

Programs that no wheel has are tools of the Go modules in this folder; tests that need them are marked `dataplanes`, and are run by
`make test-dataplanes`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from tidegate.kube.kinds import Object
from tidegate.testing.dataplane import Network, NetworkUnavailable, pods_in
from tidegate.testing.dataplane.observed import Observed, rewrite
from tidegate.testing.dataplane.traefik import UNUSED, loose_crd, traefik
from tidegate_embedded import ControlPlane, build
from tidegate_embedded.testing import wait_until

HERE = Path(__file__).parent
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DATA = HERE.parents[1] / "data" / "crds"
GATEWAY_API = ("gatewayclasses", "gateways", "httproutes", "grpcroutes")

FOLDERS = pytest.StashKey[list[Path]]()
TAIL = 3000

Install = Callable[[Iterable[Object]], None]


@pytest.fixture(scope="session")
def network(control_plane: ControlPlane) -> Iterator[Network]:
    """In CI there must be one. Elsewhere a kernel that gives none leaves these tests out, and says what it would take."""
    try:
        with Network() as ours:
            port = urlsplit(control_plane.server).port
            assert port is not None
            ours.reach(port)
            yield ours
    except NetworkUnavailable as why:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(why))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails shows the last words of the programs that carry its requests."""
    report = yield
    if report.failed:
        for log in sorted(log for folder in item.config.stash.get(FOLDERS, []) for log in folder.glob("*.log")):
            report.sections.append((log.name, log.read_text(errors="replace")[-TAIL:]))
    return report


@pytest.fixture(scope="session")
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """For what a program writes down, its log among it."""

    def made(name: str) -> Path:
        path = tmp_path_factory.mktemp(name)
        request.config.stash.setdefault(FOLDERS, []).append(path)
        return path

    return made


@pytest.fixture(scope="session")
def pods(control_plane: ControlPlane, network: Network, folder: Callable[[str], Path]) -> Iterator[None]:
    with pods_in(network, control_plane.kubeconfig, log=folder("pods") / "pods.log"):
        yield


@pytest.fixture(scope="session")
def install(control_plane: ControlPlane) -> Install:
    """CRDs that are not there yet, until they are served."""

    def established(name: str) -> bool:
        conditions = (control_plane.client.get(f"{CRDS}/{name}").get("status") or {}).get("conditions") or []
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    def installed(definitions: Iterable[Object]) -> None:
        known = {each["metadata"]["name"] for each in control_plane.client.get(CRDS)["items"]}
        wanted = {each["metadata"]["name"]: each for each in definitions}
        for name, each in wanted.items():
            if name not in known:
                control_plane.client.post(CRDS, each)
        for name in wanted:
            wait_until(lambda name=name: established(name), what=f"{name} to be established")

    return installed


@pytest.fixture(scope="session")
def gateway_api(install: Install) -> None:
    install(yaml.safe_load((DATA / f"gateway.networking.k8s.io_{each}.yaml").read_text()) for each in GATEWAY_API)
    install(loose_crd(*each) for each in UNUSED if each[0] == "gateway.networking.k8s.io")


@pytest.fixture(scope="session")
def running_traefik(
    control_plane: ControlPlane,
    network: Network,
    pods: None,
    gateway_api: None,
    install: Install,
    folder: Callable[[str], Path],
) -> Iterator[None]:
    install([yaml.safe_load((DATA / "traefik.io_traefikservices.yaml").read_text())])
    install(loose_crd(*each) for each in UNUSED)
    with traefik(network, control_plane.kubeconfig, folder=folder("traefik")):
        yield


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """The program of a module in this folder, built if it was not yet."""
    return lambda name: build.built(build.tool(HERE / name), report=lambda text: print(text, file=sys.__stderr__, flush=True))


@pytest.fixture(scope="session")
def vendors() -> Callable[[str, str, str], list[Object]]:
    """Manifests out of a Go module that a tool here is built from: `(tool, module, file)`. Read where Go keeps them, not copied."""

    def manifests(module: str, of: str, file: str) -> list[Object]:
        go = build.go_command(os.environ)
        done = subprocess.run([go, "mod", "download", "-json", of], cwd=HERE / module, check=True, capture_output=True, text=True)
        return list(yaml.safe_load_all((Path(json.loads(done.stdout)["Dir"]) / file).read_text()))

    return manifests


@pytest.fixture(scope="session")
def measured() -> Iterator[list[Observed]]:
    """What the tests of shares saw; TIDEGATE_TRAFFIC_PAGE names the page whose table is to be written anew from it."""
    rows: list[Observed] = []
    yield rows
    if rows and (page := os.environ.get("TIDEGATE_TRAFFIC_PAGE")):
        rewrite(Path(page), rows)
