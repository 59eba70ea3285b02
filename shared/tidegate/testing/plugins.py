"""The examples' plugins as processes of their own, which a test can kill and start again."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from tidegate.children import die_with_parent

EXAMPLES: Final = Path(__file__).parents[3] / "deploy" / "examples"
STEP, ROUTER, METRIC = "example/http-check", "example/file", "example/load"
FILES: Final[Mapping[str, str]] = {
    STEP: "05-step-plugin/plugin.py",
    ROUTER: "06-router-plugin/plugin.py",
    METRIC: "07-metric-plugin/plugin.sh",
}


class PluginProcess:
    """A context manager. `url` may name a NATS user. It need not be waited for: what it is asked is repeated."""

    def __init__(self, name: str, url: str) -> None:
        self._file = EXAMPLES / FILES[name]
        self._url = url
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        assert not self.is_running, f"{self._file.name} runs already"
        server = urlsplit(self._url)
        user = {"NATS_USER": server.username or "", "NATS_PASSWORD": server.password or ""}
        python, bash = [sys.executable, str(self._file)], ["bash", str(self._file), str(server.hostname), str(server.port)]
        self._process = subprocess.Popen(  # noqa: S603 - the project's own files
            python if self._file.suffix == ".py" else bash,
            env={**os.environ, "NATS_URL": self._url, **user},
            stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl call, no locks
        )
        return self

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
