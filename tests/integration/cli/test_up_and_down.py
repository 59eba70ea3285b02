"""`tidegate up` outlives its command, `tidegate down` leaves nothing of it."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tidegate.children import free_port
from tidegate_cli.local.background import Running, found, state_file

pytestmark = pytest.mark.integration

COMMAND = [sys.executable, "-c", "from tidegate_cli.app import main; main()"]


@pytest.fixture
def tidegate(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Its state and its temporary folders are this test's own."""
    own = {"XDG_STATE_HOME": str(tmp_path / "state"), "TMPDIR": str(tmp_path / "tmp")}
    environment = {**{name: value for name, value in os.environ.items() if name not in ("KUBECONFIG", "NATS_URL")}, **own}
    (tmp_path / "tmp").mkdir()

    def run(*words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        env = {**environment, **more}
        return subprocess.run([*COMMAND, *words], env=env, capture_output=True, text=True, timeout=590, check=False)

    return run


def test_what_is_up_can_be_used_and_ended(tidegate: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path) -> None:
    up = tidegate("up", "--control-plane", "embedded")
    try:
        assert up.returncode == 0, up.stderr
        settings = dict(line.removeprefix("export ").split("=", 1) for line in up.stdout.splitlines() if line.startswith("export "))
        assert set(settings) == {"KUBECONFIG", "NATS_URL"}
        listed = tidegate("list", "--kubeconfig", settings["KUBECONFIG"])
        assert listed.stderr == 'tidegate: no rollouts found in namespace "default"\n', "the CRDs are there"
        again = tidegate("up", "--control-plane", "embedded")
        assert (again.returncode, "already up" in again.stderr) == (1, True)
    finally:
        down = tidegate("down")
    assert down.returncode == 0, down.stderr
    assert list((tmp_path / "tmp").iterdir()) == []
    assert tidegate("down").stderr == "tidegate: nothing is up; `tidegate up` starts it\n"


def test_what_cannot_be_started_says_why_and_leaves_nothing(
    tidegate: Callable[..., "subprocess.CompletedProcess[str]"], tmp_path: Path
) -> None:
    nowhere, port = tmp_path / "kubeconfig", free_port()
    clusters = [{"name": "gone", "cluster": {"server": f"http://127.0.0.1:{port}"}}]
    contexts = [{"name": "gone", "context": {"cluster": "gone"}}]
    nowhere.write_bytes(orjson.dumps({"clusters": clusters, "contexts": contexts, "current-context": "gone"}))
    up = tidegate("up", "--control-plane", "current", KUBECONFIG=str(nowhere))
    last = f"tidegate: the API server could not be reached: 127.0.0.1:{port}: Connection refused"
    assert (up.returncode, up.stdout.splitlines()[-1]) == (1, last), up.stderr
    assert up.stderr == "tidegate: it ended while starting; what it said is above\n"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_file_left_by_a_process_that_is_gone_counts_for_nothing(tmp_path: Path) -> None:
    file = state_file({"XDG_STATE_HOME": str(tmp_path)})
    file.parent.mkdir(parents=True)
    file.write_bytes(orjson.dumps({"pid": os.getpid(), "settings": {}, "pids": {}, "folder": ""}))
    assert found(file) is None


def test_a_file_whose_lock_is_held_counts(tmp_path: Path) -> None:
    file = tmp_path / "up.json"
    file.write_bytes(orjson.dumps({"pid": 7, "settings": {"A": "b"}, "pids": {}, "folder": "/f"}))
    with file.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert found(file) == Running(pid=7, settings={"A": "b"}, pids={}, folder="/f")
