"""AWS as moto plays it: a server of its own, and boto3 beside it for a test's hands.

It lives in an environment of its own (`environments`), because botocore wants an older python-dateutil than the Kubernetes client.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tidegate.children import die_with_parent, free_port
from tidegate.testing.environments import environment

REGION = "eu-west-1"
START_SECONDS = 300.0


@dataclass(frozen=True)
class Moto:
    url: str
    python: Path

    @property
    def environ(self) -> dict[str, str]:
        """For a process that is to take it for AWS."""
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
        return {**keys, "AWS_ENDPOINT_URL": self.url}

    def does(self, code: str, **given: Any) -> Any:
        """`code` with boto3's clients `ec2`, `elb` and `cloudwatch`, and `given`; what it calls `result`."""
        clients = f"boto3.client(each, endpoint_url={self.url!r}) for each in ('ec2', 'elbv2', 'cloudwatch')"
        script = "\n".join(
            [
                "import boto3, json, sys",
                "given = json.loads(sys.argv[1])",
                f"ec2, elb, cloudwatch = ({clients})",
                code,
                "print(json.dumps(result, default=str))",
            ]
        )
        environ = {**os.environ, **self.environ, "AWS_DEFAULT_REGION": REGION}
        command = [str(self.python), "-c", script, json.dumps(given)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@contextmanager
def moto_server(lock: Path) -> Iterator[Moto]:
    """With the versions that `lock` names."""
    folder, port = environment("moto", lock), free_port()
    server = subprocess.Popen(  # noqa: S603 - our own binary
        [folder / "bin" / "moto_server", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - one prctl call, no locks
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_it_answers(server, f"{url}/moto-api/")
        yield Moto(url=url, python=folder / "bin" / "python")
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


def _wait_until_it_answers(server: "subprocess.Popen[bytes]", url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, f"moto ended with code {server.returncode}"
        try:
            with urlopen(url, timeout=5):  # noqa: S310 - our own URL
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"moto did not answer in {START_SECONDS:.0f} s")
