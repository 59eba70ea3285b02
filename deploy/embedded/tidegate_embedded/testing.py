"""For test suites: one control plane per test session, and a namespace of its own for each test.

No pytest in here: a conftest wraps `shared_control_plane` in a session fixture, and however many do so share one instance.
"""

import contextlib
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tidegate_embedded.api import NOT_FOUND, CallError
from tidegate_embedded.controlplane import ControlPlane, Options

TOO_EARLY = 429

# Generous, since it only costs time when something is broken.
PATIENCE_SECONDS = 300.0


@dataclass(slots=True)
class _Shared:
    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0
    instance: ControlPlane | None = None


_shared = _Shared()


@contextlib.contextmanager
def shared_control_plane() -> Iterator[ControlPlane]:
    """The process's control plane with default options: started by the first user, ended after the last."""
    with _shared.lock:
        if _shared.instance is None:
            _shared.instance = ControlPlane(Options(), report=_report).up()
        _shared.users += 1
        instance = _shared.instance
    try:
        yield instance
    finally:
        with _shared.lock:
            _shared.users -= 1
            if _shared.users == 0:
                _shared.instance = None
                instance.down()


def create_namespace(control_plane: ControlPlane, prefix: str = "test") -> str:
    """A new namespace, in which pods can be created already: its default ServiceAccount is there."""
    name = f"{prefix}-{uuid.uuid4().hex[:8]}"
    control_plane.client.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    wait_until(lambda: exists(control_plane, f"/api/v1/namespaces/{name}/serviceaccounts/default"), what=f"{name}'s ServiceAccount")
    return name


def wait_until(condition: Callable[[], bool], *, what: str, patience: float = PATIENCE_SECONDS, poll: float = 0.05) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:.0f} s in vain for {what}")
        time.sleep(poll)


def exists(control_plane: ControlPlane, path: str) -> bool:
    """To be waited for. A kind whose CRD was just established is not found yet, and then its storage "is (re)initializing"."""
    try:
        control_plane.client.get(path)
    except CallError as error:
        if error.status in {NOT_FOUND, TOO_EARLY}:
            return False
        raise
    return True


def whole_lines(log: Path) -> bytes:
    """Of a file that is being written, without the line that the writer is at."""
    content = log.read_bytes()
    return content[: content.rfind(b"\n") + 1]


def _report(text: str) -> None:
    # pytest captures sys.stdout, and a first build is minutes of silence without this.
    print(text, file=sys.__stderr__, flush=True)
