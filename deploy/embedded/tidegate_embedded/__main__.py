"""`python -m tidegate_embedded up|down|build`: a control plane for a terminal or a script."""

# ruff: noqa: T201 - a command line prints

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from tidegate_embedded import build
from tidegate_embedded.controlplane import ControlPlane, Options
from tidegate_embedded.errors import ControlPlaneError

_CHECK_EVERY_SECONDS = 1.0
_DOWN_TIMEOUT_SECONDS = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.command == "up":
            return _up(chosen)
        if chosen.command == "down":
            return _down(chosen.state)
        for path in [build.built(build.tool(module)) for module in chosen.tools] or [build.binary()]:
            print(path)
    except ControlPlaneError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tidegate_embedded", description="A real Kubernetes control plane on loopback.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="run one in the foreground until Ctrl-C")
    up.add_argument("--state", type=Path, metavar="FILE", help="write here, as JSON, how to reach it; `down` reads it")
    up.add_argument("--nodes", type=int, default=2, help="nodes to pretend (default: %(default)s)")
    up.add_argument("--pod-ready-delay", type=float, default=0.0, metavar="SECONDS", help="from start to Ready (default: 0)")
    up.add_argument("--no-audit", action="store_true", help="keep no audit log")
    up.add_argument("--keep", type=Path, metavar="FOLDER", help="put the data into this new or empty folder and leave it there")
    down = commands.add_parser("down", help="end the one that `up --state FILE` started")
    down.add_argument("--state", type=Path, metavar="FILE", required=True)
    making = commands.add_parser("build", help="build the binary if it is not in the cache, and print its path")
    making.add_argument("tools", nargs="*", type=Path, metavar="MODULE", help="instead: the tool of the Go module in this folder")
    return parser


def _up(chosen: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    options = Options(nodes=chosen.nodes, pod_ready_delay=chosen.pod_ready_delay, audit=not chosen.no_audit, keep=chosen.keep)
    with _removed_at_end(chosen.state), ControlPlane(options) as control_plane:
        print(f"export KUBECONFIG={control_plane.kubeconfig}", flush=True)
        if chosen.state is not None:
            _write_state(chosen.state, control_plane)
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(_CHECK_EVERY_SECONDS)
                control_plane.check()
    return 0


def _down(state: Path) -> int:
    try:
        pid = int(json.loads(state.read_text())["pid"])
    except FileNotFoundError:
        print(f"nothing to end: {state} does not exist")
        return 0
    if not _is_ours(pid):
        state.unlink()
        print(f"nothing to end: process {pid} has gone")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_TIMEOUT_SECONDS
    while state.exists():
        if time.monotonic() > deadline:
            raise ControlPlaneError(f"process {pid} did not end within {_DOWN_TIMEOUT_SECONDS:.0f} s")
        time.sleep(0.05)
    return 0


def _write_state(path: Path, control_plane: ControlPlane) -> None:
    state = {
        "pid": os.getpid(),
        "server": control_plane.server,
        "kubeconfig": str(control_plane.kubeconfig),
        "audit_log": str(control_plane.audit_log),
        "data_dir": str(control_plane.data_dir),
        "pids": control_plane.pids,
    }
    # In one step, so that whoever waits for the file never reads half of it.
    draft = path.with_name(path.name + ".draft")
    draft.write_text(json.dumps(state, indent=2) + "\n")
    draft.replace(path)


@contextlib.contextmanager
def _removed_at_end(path: Path | None) -> Iterator[None]:
    try:
        yield
    finally:
        if path is not None:
            path.unlink(missing_ok=True)


def _is_ours(pid: int) -> bool:
    """Whether the process is (still) an `up` of this package; the id may have gone to someone else."""
    try:
        return b"tidegate_embedded" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
