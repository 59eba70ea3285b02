"""Graphite's web application on Whisper files that a test has filled: the real render API, its functions and its errors."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tidegate.children import die_with_parent
from tidegate.testing.environments import environment


@contextmanager
def graphite(folder: Path, series: Mapping[str, Sequence[float | None]]) -> Iterator[str]:
    """The URL. `folder` holds the lock file, settings and the program; values are a minute apart, the last one of this minute."""
    python = environment("graphite", folder / "graphite.lock") / "bin" / "python"
    with tempfile.TemporaryDirectory(prefix="tidegate-graphite-") as data, Path(data, "log").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603 - our own program
            [python, "-W", "ignore", folder / "serve.py", json.dumps(series)],
            env={"DJANGO_SETTINGS_MODULE": "settings", "WHISPER_DIR": data, "GRAPHITE_ROOT": data},
            stdout=subprocess.PIPE,
            stderr=log,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl call, no locks
        )
        assert server.stdout is not None
        try:
            port = server.stdout.readline().strip().decode()
            assert port, f"Graphite did not start: {Path(data, 'log').read_text()[-2000:]}"
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
