"""`tidegate services` with the real four: it prints their pids, ends with them, and they end with it."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tidegate_embedded import ControlPlane

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-c", "from tidegate_cli.app import main; main()", "services"]
NAMES = ("planner", "traffic-shifter", "analyzer", "notifier")


@contextmanager
def running(control_plane: ControlPlane, namespace: str) -> "Iterator[tuple[subprocess.Popen[str], dict[str, int]]]":
    """The command and the pids it printed. NATS_URL is unset, so it starts a server of its own."""
    environment = {name: value for name, value in os.environ.items() if name != "NATS_URL"}
    command = [*COMMAND, "--namespace", namespace, "--kubeconfig", str(control_plane.kubeconfig)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as services:
        try:
            assert services.stdout is not None
            assert services.stdout.readline().startswith("bus             nats-server at nats://127.0.0.1:")
            lines = [services.stdout.readline().split() for _ in NAMES]
            yield services, {name: int(pid) for name, _, pid in lines}
        finally:
            services.kill()


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_signal_ends_all_of_them_and_is_no_failure(control_plane: ControlPlane, namespace: str) -> None:
    with running(control_plane, namespace) as (services, pids):
        assert tuple(pids) == NAMES
        services.send_signal(signal.SIGTERM)
        _, logs = services.communicate(timeout=300)
        assert services.returncode == 0, logs
        assert all(is_gone(pid) for pid in pids.values())


def test_the_death_of_one_ends_the_others_and_is_told(control_plane: ControlPlane, namespace: str) -> None:
    with running(control_plane, namespace) as (services, pids):
        os.kill(pids["notifier"], signal.SIGKILL)
        _, logs = services.communicate(timeout=300)
        assert services.returncode == 1
        told = f"tidegate: notifier (pid {pids['notifier']}) was killed by signal 9; ended the others"
        assert logs.splitlines()[-1] == told
        assert all(is_gone(pid) for pid in pids.values())
