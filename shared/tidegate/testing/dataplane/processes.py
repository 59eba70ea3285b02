"""Programs inside a network, or beside the API server, started and seen to answer, ended with their test."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tidegate.testing.dataplane.network import LOOPBACK, Network, start_outside

START_SECONDS = 300.0
_TAIL = 3000


class Background:
    """`with Background(network, command, log=...)`: returns when `answers` says so; the end of its log if it ends before."""

    def __init__(
        self,
        network: Network | None,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        answers: Callable[[], bool] = lambda: True,
    ) -> None:
        self._network, self._command, self._log = network, command, log
        self._environment = {**os.environ, **(environment or {})}
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            start = start_outside if self._network is None else self._network.start
            self._process = start(self._command, environment=self._environment, log=log)
        try:
            self._wait()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """One that has ended meanwhile is why something else failed, or will be soon."""
        ended = self._process is not None and self._process.poll() is not None
        self._end()
        assert not ended, f"{self._command[0]} ended before its time; it said:\n{self.said}"

    @property
    def said(self) -> str:
        return self._log.read_text(errors="replace")[-_TAIL:]

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert self._process.poll() is None, f"{self._command[0]} ended at its start; it said:\n{self.said}"
            if self._answers():
                return
            assert time.monotonic() < deadline, f"{self._command[0]} did not answer in {START_SECONDS:.0f} s; it said:\n{self.said}"
            time.sleep(0.05)

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def pods_in(network: Network, kubeconfig: Path, *, log: Path) -> Background:
    """The processes of all pods that have one."""
    command = [sys.executable, "-m", "tidegate.testing.dataplane.pods"]
    return Background(network, command, log=log, environment={"KUBECONFIG": str(kubeconfig)})


def beside_python(name: str) -> str:
    """A program of a wheel."""
    return str(Path(sys.executable).parent / name)


def answers_http(network: Network | None, port: int, path: str) -> bool:
    """Whether GET gives 200."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) if network is None else network.connect(port) as connection:
            connection.settimeout(5)
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".encode())
            return b" 200 " in connection.recv(64)
    except OSError:
        return False
