"""A real API server with the CRDs, and the command line as people call it: a process with arguments, exit code and output."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tidegate_cli.local.stack import install_crds
from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, shared_control_plane

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
COMMAND = [sys.executable, "-c", "from tidegate_cli.app import main; main()"]


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with shared_control_plane() as shared:
        asyncio.run(install_crds(shared.kubeconfig))
        yield shared


@pytest.fixture
def namespace(control_plane: ControlPlane) -> str:
    return create_namespace(control_plane)


@pytest.fixture
def cli(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Cli:
    environment = {**os.environ, "KUBECONFIG": str(control_plane.kubeconfig), "XDG_STATE_HOME": str(tmp_path)}

    def run(*words: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        command = [*COMMAND, "--namespace", namespace, *words]
        return subprocess.run(command, env=environment, input=stdin, capture_output=True, text=True, timeout=300, check=False)

    return run
