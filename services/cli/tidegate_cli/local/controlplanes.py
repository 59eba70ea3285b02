"""Which Kubernetes API to work against on this machine: the one KUBECONFIG names, k3s in Docker, or the embedded one."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tidegate.errors import TidegateError

Report = Callable[[str], None]
K3S_IMAGE = "rancher/k3s:v1.36.3-k3s1"


class Choice(StrEnum):
    AUTO = "auto"
    CURRENT = "current"
    K3S = "k3s"
    EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    kubeconfig: Path
    description: str


def running(choice: Choice, environment: Mapping[str, str], report: Report) -> AbstractContextManager[ControlPlane]:
    return WAYS[chosen(choice, environment)](environment, report)


def chosen(choice: Choice, environment: Mapping[str, str], *, docker_answers: Callable[[], bool] | None = None) -> Choice:
    """What AUTO means here and now: a cluster that was named is never passed over."""
    if choice is not Choice.AUTO:
        return choice
    if environment.get("KUBECONFIG"):
        return Choice.CURRENT
    return Choice.K3S if (docker_answers or _docker_answers)() else Choice.EMBEDDED


@contextmanager
def _current(environment: Mapping[str, str], _report: Report) -> Iterator[ControlPlane]:
    kubeconfig = environment.get("KUBECONFIG")
    if not kubeconfig:
        raise TidegateError("KUBECONFIG is not set; it must be the path of a kubeconfig file")
    yield ControlPlane(Path(kubeconfig), f"the cluster of KUBECONFIG={kubeconfig}")


@contextmanager
def _embedded(_environment: Mapping[str, str], report: Report) -> Iterator[ControlPlane]:
    from tidegate_embedded import ControlPlane as Embedded

    with Embedded(report=report) as plane:
        yield ControlPlane(plane.kubeconfig, f"embedded control plane at {plane.server}")


@contextmanager
def _k3s(_environment: Mapping[str, str], report: Report) -> Iterator[ControlPlane]:
    """Written from testcontainers' documentation; it has not been run where this was developed, which had no Docker engine."""
    from testcontainers.k3s import K3SContainer

    report(f"starting {K3S_IMAGE} in Docker; set KUBECONFIG, or pass --control-plane embedded, to use another")
    with K3SContainer(image=K3S_IMAGE) as k3s, tempfile.TemporaryDirectory(prefix="tidegate-k3s-") as folder:
        kubeconfig = Path(folder) / "kubeconfig.yaml"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(k3s.config_yaml())
        yield ControlPlane(kubeconfig, f"{K3S_IMAGE} in Docker")


WAYS: Mapping[Choice, Callable[[Mapping[str, str], Report], AbstractContextManager[ControlPlane]]] = {
    Choice.CURRENT: _current,
    Choice.K3S: _k3s,
    Choice.EMBEDDED: _embedded,
}


def _docker_answers() -> bool:
    """The client alone is no use: many machines have it without an engine, or without the right to talk to it."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        asked = subprocess.run([docker, "version", "--format", "{{.Server.Version}}"], capture_output=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0
