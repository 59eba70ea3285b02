"""A real API server with the CRDs of Rollouts and of the Gateway API, a real nats-server, and AWS as moto plays it."""

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from tidegate.bus.server import LocalNats
from tidegate.kube.client import Kube
from tidegate.kube.credentials import load
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, shared_control_plane, wait_until

ROOT = Path(__file__).parents[3]
DEFINITIONS = (
    ROOT / "deploy" / "crds" / "argoproj.io_rollouts.yaml",
    ROOT / "tests" / "data" / "crds" / "gateway.networking.k8s.io_httproutes.yaml",
)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with shared_control_plane() as running:
        for path in DEFINITIONS:
            definition = yaml.safe_load(path.read_text())
            install(running, definition)
        yield running


def install(control_plane: ControlPlane, definition: dict) -> None:
    collection = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    name = definition["metadata"]["name"]
    known = {each["metadata"]["name"] for each in control_plane.client.get(collection)["items"]}
    if name not in known:
        control_plane.client.post(collection, definition)

    def established() -> bool:
        conditions = (control_plane.client.get(f"{collection}/{name}").get("status") or {}).get("conditions") or []
        return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)

    wait_until(established, what=f"{name} to be established")


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    return create_namespace(control_plane, "shifter")


@pytest.fixture
async def kube(control_plane: ControlPlane) -> AsyncIterator[Kube]:
    async with Kube(load(control_plane.kubeconfig), user_agent="tidegate-traffic-shifter/test") as kube:
        yield kube


@pytest.fixture(scope="module")
def nats() -> Iterator[LocalNats]:
    with LocalNats() as server:
        yield server


# --- AWS -------------------------------------------------------------------------------------------------------------------

MOTO = ROOT / "tests" / "data" / "moto.lock"
REGION = "eu-west-1"


def environment() -> Path:
    """The folder of the pinned moto, made on first use; another run that is making it is waited for.

    It is an environment of its own, because botocore wants an older python-dateutil than the Kubernetes client.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate"
    key = hashlib.sha256(MOTO.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache / f"moto-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"moto-{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "ready").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
            subprocess.run([*pip, "--requirement", MOTO], check=True)
            (folder / "ready").touch()
    return folder


@dataclass(frozen=True)
class Moto:
    url: str
    python: Path

    @property
    def environ(self) -> dict[str, str]:
        """For a process that is to take it for AWS."""
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
        return {**keys, "AWS_ENDPOINT_URL": self.url}

    def does(self, code: str, **given: Any) -> Any:
        """`code` with boto3's clients `ec2` and `elb`, and `given`; what it calls `result`."""
        script = "\n".join(
            [
                "import boto3, json, sys",
                "given = json.loads(sys.argv[1])",
                f"ec2, elb = (boto3.client(each, endpoint_url={self.url!r}) for each in ('ec2', 'elbv2'))",
                code,
                "print(json.dumps(result, default=str))",
            ]
        )
        environ = {**os.environ, **self.environ, "AWS_DEFAULT_REGION": REGION}
        command = [self.python, "-c", script, json.dumps(given)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="session")
def moto() -> Iterator[Moto]:
    folder, port = environment(), free_port()
    server = subprocess.Popen(
        [folder / "bin" / "moto_server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert server.poll() is None, f"moto ended with code {server.returncode}"
        with contextlib.suppress(OSError), urlopen(f"{url}/moto-api/"):
            return True
        return False

    try:
        wait_until(answers, what="moto to answer")
        yield Moto(url=url, python=folder / "bin" / "python")
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
