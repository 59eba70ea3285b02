"""What it takes to start another program beside this one."""

import ctypes
import signal
import socket
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """For `preexec_fn`, on Linux: an interrupted run leaves nothing behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    """On loopback, for a program that cannot choose one itself.

    On Linux it is kept from everybody else until this process ends: bound, so that nobody is given it who asks for any port, and
    not listening, so that a connection is refused. Who listens on it says SO_REUSEADDR, as servers do, and may come and go.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
        if sys.platform == "linux":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.detach()
    return port
