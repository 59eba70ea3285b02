"""Services as child processes: they end together, and none outlives its parent."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tidegate_cli.local.services import ServiceDied, Services

pytestmark = pytest.mark.integration

# A line is one write: where PYTHONUNBUFFERED is set, `print` writes its end apart, and two that share a pipe mix their lines.
LASTING = """
    import os, signal, sys, time
    def main():
        signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"drained\\n"), sys.exit(0)))
        os.write(1, b"ready\\n")
        time.sleep(600)
"""
DYING = """
    import sys
    def main():
        print("no bus at this address", flush=True)
        sys.exit(3)
"""
DEAF = """
    import signal, time
    def main():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        time.sleep(600)
"""


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    for name, text in (("lasting", LASTING), ("dying", DYING), ("deaf", DEAF)):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline, f"waited 300 s in vain: {what}"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie nobody waits for any more (there is no init in a container) has ended, too.
    stat = Path(f"/proc/{pid}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_all_are_asked_to_end_and_may_finish_their_work(environment: Mapping[str, str], tmp_path: Path) -> None:
    with Services(environment, logs=tmp_path, modules={"one": "lasting", "two": "lasting"}) as services:
        pids = list(services.pids.values())
        wait_until(lambda: all("ready" in (tmp_path / f"{name}.log").read_text() for name in ("one", "two")), "both are ready")
        services.check()
    assert [(tmp_path / f"{name}.log").read_text() for name in ("one", "two")] == ["ready\ndrained\n"] * 2
    assert not any(is_alive(pid) for pid in pids)


def test_one_that_does_not_listen_is_killed_after_the_grace(environment: Mapping[str, str], tmp_path: Path) -> None:
    with Services(environment, logs=tmp_path, modules={"one": "deaf"}) as services:
        pid = services.pids["one"]
        wait_until(lambda: "ready" in (tmp_path / "one.log").read_text(), "it is ready")
        services.stop(grace=0.2)
    assert not is_alive(pid)


def test_a_death_is_told_with_name_code_and_the_end_of_the_log(environment: Mapping[str, str], tmp_path: Path) -> None:
    with Services(environment, logs=tmp_path, modules={"one": "lasting", "two": "dying"}) as services:
        doomed = services.children[1].process
        doomed.wait(timeout=300)
        with pytest.raises(
            ServiceDied, match=rf"two \(pid {doomed.pid}\) ended with exit code 3; its log ends:\n    no bus at this"
        ):
            services.check()


def test_a_killed_one_is_told_by_its_signal(environment: Mapping[str, str], tmp_path: Path) -> None:
    with Services(environment, logs=tmp_path, modules={"one": "lasting"}) as services:
        victim = services.children[0].process
        victim.kill()
        victim.wait(timeout=300)
        with pytest.raises(ServiceDied, match=r"one \(pid \d+\) was killed by signal 9"):
            services.check()


def test_children_end_when_their_parent_is_killed(environment: Mapping[str, str]) -> None:
    program = """
        import os, time
        from tidegate_cli.local.services import Services
        with Services(os.environ, logs=None, modules={"one": "lasting", "two": "lasting"}) as services:
            os.write(1, b"%d %d\\n" % tuple(services.pids.values()))
            time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, env=dict(environment), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        *ready, told = sorted((parent.stdout.readline() for _ in range(3)), key=lambda line: line != "ready\n")
        assert ready == ["ready\n"] * 2
        pids = [int(pid) for pid in told.split()]
        parent.send_signal(signal.SIGKILL)
        wait_until(lambda: not any(is_alive(pid) for pid in pids), "both have ended")
