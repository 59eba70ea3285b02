"""A real Prometheus for tests, on loopback: built from its own sources, without the discovery of targets that nobody here needs.

The first build takes a minute or two on two cores; later runs find it in the cache. It ends with the process that started it.
"""

import ctypes
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import urlopen

import yaml

from tidegate_embedded.build import MODULE, Program, Report, built
from tidegate_embedded.errors import ControlPlaneError

VERSION = "3.13.2"  # v0.313.2 of the Go module
PROGRAM = Program(
    name="prometheus",
    title="Prometheus",
    module=MODULE / "prometheus",
    package="github.com/prometheus/prometheus/cmd/prometheus",
    flags=(
        "-trimpath", "-buildvcs=false", "-tags=remove_all_sd",
        "-ldflags", f"-s -w -X github.com/prometheus/common/version.Version={VERSION}",
    ),
)  # fmt: skip
START_SECONDS = 300.0
_PR_SET_PDEATHSIG = 1


class LocalPrometheus:
    """`with LocalPrometheus(scrape=["127.0.0.1:8000"]) as server: server.url`. `web` is its web configuration: users, TLS."""

    def __init__(self, *, scrape: Sequence[str] = (), web: Mapping[str, Any] | None = None, report: Report = print) -> None:
        self._scrape = list(scrape)
        self._web = dict(web or {})
        self._report = report
        self._folder = tempfile.TemporaryDirectory(prefix="tidegate-prometheus-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        binary = built(PROGRAM, report=self._report)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(binary), *self._flags()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl call, no locks
            )
        self._wait_until_ready()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()

    @property
    def _log(self) -> Path:
        return Path(self._folder.name) / "log"

    def _flags(self) -> list[str]:
        folder = Path(self._folder.name)
        config = {
            "global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"},
            "scrape_configs": [{"job_name": "test", "static_configs": [{"targets": self._scrape}]}],
        }
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        (folder / "web.yml").write_text(yaml.safe_dump(self._web))
        return [
            f"--config.file={folder / 'prometheus.yml'}",
            f"--web.config.file={folder / 'web.yml'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--query.lookback-delta=1d",  # what was scraped once is there for as long as a test takes
        ]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                with urlopen(f"{self.url}/-/ready", timeout=2):  # noqa: S310 - our own URL
                    return
            except OSError as error:  # refused, or too slow to answer
                if getattr(error, "code", None) == 401:  # it is up, and asks who we are
                    return
                time.sleep(0.05)
        raise ControlPlaneError(f"Prometheus did not get ready; the end of its log:\n{self._log.read_text()[-2000:]}")


def _free_port() -> int:
    """On Linux it stays bound, and so nobody else's, until this process ends; the server says SO_REUSEADDR and may listen on it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        if sys.platform == "linux":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.detach()
        return port


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
