"""The demonstration from end to end: six real processes, the seed's Rollout unchanged, nothing left behind."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

COMMAND = [sys.executable, "-c", "from tidegate_cli.app import main; main()", "demo", "--control-plane", "embedded"]
LIMIT_SECONDS = 500  # measured 45; a busy machine may take its time


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The temporary folders of everything that is started are under this one, and must be gone in the end."""
    (tmp_path / "tmp").mkdir()
    without = ("KUBECONFIG", "NATS_URL")
    own = {"TMPDIR": str(tmp_path / "tmp"), "XDG_STATE_HOME": str(tmp_path / "state")}
    yield {**{name: value for name, value in os.environ.items() if name not in without}, **own}
    assert list((tmp_path / "tmp").iterdir()) == []
    assert processes_with(str(tmp_path)) == []


def processes_with(word: str) -> list[str]:
    """Whoever has it in the environment it was started with."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def words_after(text: str, heading: str) -> list[str]:
    return [line.split()[2] for line in text.partition(heading)[2].splitlines() if line.startswith("  revision 2")]


def test_promoted_it_goes_from_blue_to_yellow(environment: dict[str, str]) -> None:
    done = subprocess.run([*COMMAND, "--yes"], env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    seen = [line for line in done.stdout.splitlines() if "Paused" in line]
    for part in ("step 1/8 (pause) ", "step 3/8 (pause: 10s)", "step 5/8 (pause: 10s)", "step 7/8 (pause: 10s)"):
        assert any(part in line for line in seen), f"{part} was not shown in\n{done.stdout}"
    assert re.search(r"revision 2 canary 1/1  revision 1 stable 4/[45]$", seen[0])  # the fifth pod may be on its way out
    told = words_after(done.stdout, "outcomes received from the bus, in order:")
    assert told[0] == "started"
    assert told.count("step-completed") == 8
    assert told.count("paused") == told.count("resumed") == 4
    assert told[-2:] == ["promoted", "completed"]


def test_a_person_at_the_terminal_may_abort_it(environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(COMMAND, env={**environment, "TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs) as demo:
        os.close(theirs)
        text = read_until(ours, "Promote or abort it?")
        os.write(ours, b"perhaps\na\n")
        text += read_until(ours, "cleaning up")
        assert demo.wait(timeout=300) == 0
    os.close(ours)
    assert "tidegate.rollout.command.abort.default.rollout-canary-demo" in text
    assert "Degraded" in text
    told = words_after(text.replace("\r\n", "\n"), "outcomes received from the bus, in order:")
    assert told[0] == "started"
    assert "aborted" in told
    assert "completed" not in told


def read_until(terminal: int, words: str) -> str:
    text, deadline = "", time.monotonic() + LIMIT_SECONDS
    while words not in text:
        assert time.monotonic() < deadline, f"{words!r} did not come in\n{text}"
        text += os.read(terminal, 65536).decode(errors="replace")
    return text


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_it_can_be_ended_at_any_time(environment: dict[str, str], end: signal.Signals) -> None:
    with subprocess.Popen([*COMMAND, "--yes"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "Paused" in line:
                break
        demo.send_signal(end)
        _, complaint = demo.communicate(timeout=300)
    assert demo.returncode == 130
    assert complaint == "tidegate: interrupted; everything that was started has been ended\n"


def test_a_service_that_dies_ends_it_with_the_end_of_its_log(environment: dict[str, str]) -> None:
    with subprocess.Popen([*COMMAND, "--yes"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        planner = 0
        for line in demo.stdout:
            if line.startswith("services "):
                planner = int(line.split()[2])
            if "Healthy" in line:
                break
        os.kill(planner, signal.SIGKILL)
        _, complaint = demo.communicate(timeout=300)
    assert demo.returncode == 1
    assert complaint.startswith(f"tidegate: planner (pid {planner}) was killed by signal 9; its log ends:\n    ")
    assert "service.started" in complaint
