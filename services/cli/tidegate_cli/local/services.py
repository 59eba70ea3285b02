"""The four services as child processes: started together, ended together, never restarted.

A service that dies is a fault to be seen, not to be papered over; on a cluster, restarting is the Deployment's job.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tidegate.errors import TidegateError

MODULES = {
    "planner": "tidegate_planner.app",
    "traffic-shifter": "tidegate_shifter.app",
    "analyzer": "tidegate_analyzer.app",
    "notifier": "tidegate_notifier.app",
}
GRACE_SECONDS = 15.0
TAIL_LINES = 15


class ServiceDied(TidegateError):  # noqa: N818 - reads as the fact it states
    """A service ended that nobody asked to end."""


@dataclass(frozen=True, slots=True)
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path | None


class Services:
    """A context manager. `logs` None lets the services write to our own stderr; else each writes a file there.

    `own` is what single services get beside the environment of all: who they are.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        logs: Path | None,
        modules: Mapping[str, str] = MODULES,
        own: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        # One port cannot be served four times; probes are for clusters.
        self._environment = {name: value for name, value in environment.items() if name != "TIDEGATE_HEALTH_PORT"}
        self._own = own or {}
        self._logs = logs
        self._modules = modules
        self._tether: tuple[int, int] | None = None
        self.children: list[Child] = []

    @property
    def pids(self) -> dict[str, int]:
        return {child.name: child.process.pid for child in self.children}

    def __enter__(self) -> Self:
        self._tether = os.pipe()
        try:
            for name, module in self._modules.items():
                self.children.append(self._started(name, module, self._tether[0]))
        except BaseException:
            self.stop(grace=0)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def check(self) -> None:
        """Raise if one has died, with its name, its exit code and the end of its log."""
        for child in self.children:
            code = child.process.poll()
            if code is not None:
                how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                raise ServiceDied(f"{child.name} (pid {child.process.pid}) {how}{tail(child)}")

    def stop(self, *, grace: float = GRACE_SECONDS) -> None:
        """SIGTERM to all at once, so that they drain together; SIGKILL to those still there after `grace`. Safe to call twice."""
        for child in self.children:
            child.process.terminate()
        deadline = time.monotonic() + grace
        for child in self.children:
            try:
                child.process.wait(timeout=max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        for fd in self._tether or ():
            os.close(fd)
        self._tether = None
        self.children.clear()

    def _started(self, name: str, module: str, fd: int) -> Child:
        command = [sys.executable, "-m", "tidegate_cli.local.tethered", module, str(fd)]
        if self._logs is None:
            return Child(name, self._spawned(name, command, fd, output=None), None)
        log = self._logs / f"{name}.log"
        with log.open("ab") as output:
            return Child(name, self._spawned(name, command, fd, output=output.fileno()), log)

    def _spawned(self, name: str, command: list[str], fd: int, *, output: int | None) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in the terminal reaches us only, and we end the children in order.
        return subprocess.Popen(
            command,
            env={**self._environment, **self._own.get(name, {})},
            pass_fds=(fd,),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def tail(child: Child) -> str:
    if child.log is None:
        return ""
    lines = child.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
    return "; its log ends:\n" + "\n".join(f"    {line}" for line in lines) if lines else "; its log is empty"
