"""Services as operating-system processes that a test can kill, stop and start again.

A process ends with the one that started it (Linux: PR_SET_PDEATHSIG), so an interrupted run leaves nothing behind.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tidegate.children import die_with_parent

START_SECONDS = 300.0
END_SECONDS = 300.0
_STARTED = "service.started"


class ServiceProcess:
    """One process. `log` holds the output of all its lives."""

    def __init__(self, name: str, module: str, environment: Mapping[str, str], *, log: Path) -> None:
        self.name = name
        self.log = log
        self._module = module
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self._process: subprocess.Popen[bytes] | None = None
        self._log_began = 0

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def said(self) -> str:
        """What it logged in its present (or last) life."""
        with self.log.open("rb") as log:
            log.seek(self._log_began)
            return log.read().decode(errors="replace")

    def start(self, *, wait: bool = True) -> Self:
        """Returns once it handles messages, or, without `wait`, at once."""
        assert not self.is_running, f"{self.name} runs already"
        with self.log.open("ab") as log:
            self._log_began = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-c", f"from {self._module} import main; main()"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl call, no locks
            )
        if wait:
            self.wait_until_started()
        return self

    def wait_until_started(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while _STARTED not in self.said:
            assert self.is_running, f"{self.name} ended at its start; it said:\n{self.said[-3000:]}"
            assert time.monotonic() < deadline, f"{self.name} did not start in {START_SECONDS:.0f} s; it said:\n{self.said[-3000:]}"
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, between any two instructions."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def wait(self) -> int:
        """The exit code of one that ends by itself."""
        assert self._process is not None
        return self._process.wait(timeout=END_SECONDS)

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(how)
        try:
            return self._process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"{self.name} did not end on {how.name}; it said:\n{self.said[-3000:]}") from None


class Suite:
    """The processes of one installation, by name; a context manager. `modules` maps a service's name to its module.

    `own` is what each service gets beside the settings of all: who it is.
    """

    def __init__(
        self,
        modules: Mapping[str, str],
        *,
        settings: Mapping[str, str],
        folder: Path,
        own: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._modules = dict(modules)
        self._own = own or {}
        self._folder = folder
        self._processes: dict[str, ServiceProcess] = {}
        self.settings = dict(settings)
        for name in self._modules:
            self.add(name)

    def __enter__(self) -> Self:
        for process in self:
            process.start(wait=False)
        try:
            for process in self:
                process.wait_until_started()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def __iter__(self) -> Iterator[ServiceProcess]:
        return iter(self._processes.values())

    def __getitem__(self, name: str) -> ServiceProcess:
        return self._processes[name]

    def add(self, service: str, *, name: str = "", **settings: str) -> ServiceProcess:
        """One more process of a service (not started); `settings` are variables of its own."""
        name = name or service
        environment = {**os.environ, **self.settings, **self._own.get(service, {}), **settings}
        process = ServiceProcess(name, self._modules[service], environment, log=self._folder / f"{name}.log")
        self._processes[name] = process
        return process

    def ended(self) -> list[str]:
        """Names of those that ended though nobody ended them, with their last words."""
        return [f"{each.name}: {each.said[-2000:]}" for each in self if not each.is_running]

    def _end(self) -> None:
        for process in self:
            if process.is_running:
                process.kill()
