"""One running part: started apart from the terminal's signals, logged to a file, ended at once."""

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tidegate_embedded.errors import ControlPlaneError

LOG_TAIL_LINES = 15


class Process:
    """A part of the control plane as a child of this process."""

    def __init__(self, binary: Path, part: str, flags: Sequence[str], *, log: Path, home: Path, orphans: Path | None) -> None:
        self.part = part
        self.log = log
        self._command = [str(binary), part, *flags]
        # A clean environment: no KUBECONFIG, proxy or ~/.kwok of the user's may find its way into a control plane.
        self._environment = {
            "PATH": os.defpath,
            "HOME": str(home),
            "TIDEGATE_PARENT_PID": str(os.getpid()),
            **({"TIDEGATE_REMOVE_ON_ORPHAN": str(orphans)} if orphans else {}),
        }
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None and self._child.poll() is None else None

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # A process group of its own: Ctrl-C in a terminal reaches the wrapper only, which then ends the parts in order.
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                process_group=0,
            )

    def kill(self) -> None:
        """End it by SIGKILL and reap it. A graceful stop of the API server takes 20 s, and nothing here is worth saving."""
        if self._child is None:
            return
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGKILL)
        self._child.wait()

    def check(self) -> None:
        """Raise, with the end of its log, if it has ended by itself."""
        if self._child is not None and self._child.poll() is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
            raise ControlPlaneError(
                f"{self.part} ended with code {self._child.returncode}; the end of its log:\n" + "\n".join(lines)
            )
