"""`tidegate up` and `tidegate down`: a stack that outlives the command, found again through one small file.

`up` starts `python -m tidegate_cli.local.background`, which holds the stack and writes the file once everything is ready; `down`
sends it SIGTERM and waits until it has cleaned up behind itself. Whether it still lives is told by a lock it holds on a second
file: the kernel lets go of that however the process ends, and a pid that was given to another process deceives nobody.
"""

import argparse
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import orjson

from tidegate.errors import TidegateError
from tidegate_cli.local.controlplanes import Choice
from tidegate_cli.local.signals import ending_on_signals
from tidegate_cli.local.stack import running_stack

START_SECONDS = 300.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What the file says."""

    pid: int
    settings: Mapping[str, str]
    pids: Mapping[str, int]
    folder: str


def state_file(environment: Mapping[str, str] = os.environ) -> Path:
    home = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "tidegate" / "up.json"


def found(file: Path) -> Running | None:
    """What is up now; a file left by a process that is gone counts for nothing."""
    try:
        running = Running(**orjson.loads(file.read_bytes()))
    except FileNotFoundError:
        return None
    except (orjson.JSONDecodeError, TypeError) as error:
        raise TidegateError(f"{file} is damaged: {error}; delete it once nothing of it runs any more") from error
    return running if _is_held(file) else None


def up(*, choice: Choice, with_services: bool, file: Path) -> Running:
    """Start and wait. Its progress goes to our stdout, line by line."""
    if running := found(file):
        raise TidegateError(f"already up (pid {running.pid}); `tidegate down` ends it")
    if choice in (Choice.AUTO, Choice.EMBEDDED):
        _build_in_foreground(choice)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="tidegate-up-"))
    log = folder / "up.log"
    command = [sys.executable, "-m", "tidegate_cli.local.background", "--control-plane", choice, "--file", str(file)]
    command += ["--folder", str(folder), *(["--services"] if with_services else [])]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    try:
        with log.open(errors="replace") as said:  # it stays readable when a stack that failed takes its folder along
            return _wait_until_up(process, file, said)
    except BaseException:
        process.terminate()
        process.wait(STOP_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
        raise


def down(file: Path) -> int:
    """End what is up; its pid."""
    running = found(file)
    if running is None:
        file.unlink(missing_ok=True)
        raise TidegateError("nothing is up; `tidegate up` starts it")
    os.kill(running.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _is_held(file):
        if time.monotonic() > deadline:
            raise TidegateError(f"pid {running.pid} did not end within {STOP_SECONDS:.0f} s; its log: {running.folder}/up.log")
        time.sleep(POLL_SECONDS)
    return running.pid


def _build_in_foreground(choice: Choice) -> None:
    """The first build takes minutes, and its progress belongs on this terminal rather than in a log."""
    from tidegate_cli.local.controlplanes import chosen

    if chosen(choice, os.environ) is Choice.EMBEDDED:
        from tidegate_embedded.build import binary

        binary()


def _wait_until_up(process: subprocess.Popen[bytes], file: Path, said: TextIO) -> Running:
    deadline, told = time.monotonic() + START_SECONDS, 0
    while True:
        ended = process.poll() is not None  # asked first: then what is read next are its last words
        said.seek(0)
        lines = said.read().splitlines()
        for line in lines[told:]:
            print(line, flush=True)
        told = len(lines)
        if running := found(file):
            return running
        if ended:
            raise TidegateError("it ended while starting; what it said is above")
        if time.monotonic() > deadline:
            raise TidegateError(f"it was not ready within {START_SECONDS:.0f} s; what it said is above")
        time.sleep(POLL_SECONDS)


def _is_held(file: Path) -> bool:
    with file.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def _held(file: Path) -> Iterator[None]:
    with file.with_suffix(".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # waits for those who are only looking
        yield


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--control-plane", type=Choice, required=True)
    options.add_argument("--services", action="store_true")
    options.add_argument("--file", type=Path, required=True)
    options.add_argument("--folder", type=Path, required=True)
    given = options.parse_args()
    try:
        with ending_on_signals(), _held(given.file):
            _hold(choice=given.control_plane, with_services=given.services, file=given.file, folder=given.folder)
    except KeyboardInterrupt:
        pass
    except TidegateError as error:
        sys.exit(f"tidegate: {error}")
    finally:
        given.file.unlink(missing_ok=True)
        shutil.rmtree(given.folder, ignore_errors=True)


def _hold(*, choice: Choice, with_services: bool, file: Path, folder: Path) -> None:
    def report(text: str) -> None:
        print(text, flush=True)

    with running_stack(choice=choice, logs=folder, report=report, with_services=with_services) as stack:
        running = Running(
            pid=os.getpid(),
            settings=stack.settings,
            pids=stack.services.pids if stack.services else {},
            folder=str(folder),
        )
        fresh = file.with_suffix(".new")
        fresh.write_bytes(orjson.dumps(asdict(running)))
        fresh.replace(file)
        while True:
            time.sleep(1)
            stack.check()


if __name__ == "__main__":
    main()
