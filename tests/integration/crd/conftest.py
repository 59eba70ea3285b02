"""The CRDs of deploy/crds, installed with plain kubectl into a real control plane."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tidegate_embedded.testing import create_namespace, shared_control_plane

ROOT = Path(__file__).parents[3]
Kubectl = Callable[..., subprocess.CompletedProcess[str]]


def _kubectl(kubeconfig: Path) -> Kubectl:
    binary = shutil.which("kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert binary is not None, "no kubectl; install the `embedded` extra"

    def run(*arguments: str, given: Any = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [binary, f"--kubeconfig={kubeconfig}", *arguments]
        text = None if given is None else json.dumps(given)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def kubectl() -> Iterator[Kubectl]:
    with shared_control_plane() as control_plane:
        run = _kubectl(control_plane.kubeconfig)
        run("apply", "-k", str(ROOT / "deploy" / "crds"))
        run("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
        yield run


@pytest.fixture
def namespace(kubectl: Kubectl) -> str:
    with shared_control_plane() as control_plane:  # `kubectl` holds it already
        return create_namespace(control_plane, "crd")
