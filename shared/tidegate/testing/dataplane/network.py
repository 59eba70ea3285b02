"""A network of our own, in which every address of a pod is local, so that a pod is a process which listens on its address.

A Linux network namespace with nothing but a loopback device, to which the pods' addresses are routed: nothing leaves the machine,
and EndpointSlices, which admit no loopback addresses, hold addresses that answer. Root makes one straight away, anybody else
inside a user namespace of their own, where the kernel lets them; no iproute2 is needed, it is one netlink message.

What listens on the machine's own loopback is reached from inside through `Network.reach`, and sockets of the inside are handed
out by `listen` and `connect`: a socket stays in the namespace it was made in, whoever holds it.

This file is also the program that runs inside (`hold`), enters (`enter`) and relays (`relay`): only the standard library, so that
it starts quickly.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

POD_ADDRESSES = "10.244.0.0/16"
LOOPBACK = "127.0.0.1"

NEEDED = (
    "it takes Linux, and either root with CAP_SYS_ADMIN and CAP_NET_ADMIN (in a container: `docker run --privileged`) or "
    "unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)"
)

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG = 1
_MESSAGE = 4096


class NetworkUnavailable(Exception):  # noqa: N818 - reads as the fact it states
    """The kernel gives us no namespace; the text says what would help."""


class Network:
    """A context manager. `start` runs a program inside; each ends with the process that started it."""

    def __init__(self, *, addresses: Iterable[str] = (POD_ADDRESSES,)) -> None:
        self._addresses = tuple(addresses)
        self._holder: subprocess.Popen[bytes] | None = None
        self._relays: list[subprocess.Popen[bytes]] = []
        self._control: socket.socket | None = None

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair()
        with theirs:
            self._control = ours
            command = _program("hold", str(theirs.fileno()), *self._addresses)
            self._holder = subprocess.Popen(command, pass_fds=(theirs.fileno(),), start_new_session=True)  # noqa: S603 - ourselves
        answer = ours.recv(_MESSAGE).decode()
        if answer != "ready":
            self._end()
            raise NetworkUnavailable(answer or "the process that was to hold the network namespace ended at once")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def start(self, command: Sequence[str], *, environment: Mapping[str, str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
        assert self._holder is not None, "the network is not up"
        return _started(["enter", str(self._holder.pid), *command], environment, log)

    def listen(self, port: int, host: str = LOOPBACK) -> socket.socket:
        """A listening socket inside; port 0 takes a free one."""
        return self._socket("listen", host, port)

    def connect(self, port: int, host: str = LOOPBACK) -> socket.socket:
        """A connection to what listens inside."""
        return self._socket("connect", host, port)

    def reach(self, port: int) -> None:
        """Let 127.0.0.1:port inside lead to 127.0.0.1:port outside."""
        with self.listen(port) as listener:
            command = _program("relay", str(listener.fileno()), str(port))
            relay = subprocess.Popen(command, pass_fds=(listener.fileno(),), start_new_session=True)  # noqa: S603 - ourselves
        self._relays.append(relay)

    def _socket(self, verb: str, host: str, port: int) -> socket.socket:
        assert self._control is not None, "the network is not up"
        self._control.send(json.dumps([verb, host, port]).encode())
        answer, fds, _, _ = socket.recv_fds(self._control, _MESSAGE, 1)
        if not fds:
            raise OSError(answer.decode() or "the process that holds the network namespace has ended")
        return socket.socket(fileno=fds[0])

    def _end(self) -> None:
        if self._control is not None:
            self._control.close()  # which ends the holder
            self._control = None
        for process in self._relays:
            process.kill()
            process.wait()
        self._relays.clear()
        if self._holder is not None:
            self._holder.wait()
            self._holder = None


def start_outside(command: Sequence[str], *, environment: Mapping[str, str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """As `Network.start`, in the machine's own network."""
    return _started(["enter", str(os.getpid()), *command], environment, log)


def free_ports(count: int) -> list[int]:
    """Ports of the machine's own loopback that nobody listens on."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(count)]
        return [int(probe.getsockname()[1]) for probe in probes]


def _started(arguments: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(  # noqa: S603 - what a test starts
        _program(*arguments), env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )


def _program(*arguments: str) -> list[str]:
    return [sys.executable, "-I", "-S", __file__, *arguments]


# --- inside ----------------------------------------------------------------------------------------------------------------


def hold(control: socket.socket, addresses: Sequence[str]) -> None:
    """Make the namespace, say so, and hand out sockets until the other side is gone."""
    try:
        _unshare()
        _bring_up()
        for address in addresses:
            _route_here(address)
    except OSError as error:
        control.send(f"no network namespace on this machine ({error}): {NEEDED}".encode())
        return
    control.send(b"ready")
    while message := control.recv(_MESSAGE):
        verb, host, port = json.loads(message)
        try:
            with _made(verb, (host, port)) as made:
                made.setblocking(True)  # the flag goes along with the descriptor
                socket.send_fds(control, [b"ok"], [made.fileno()])
        except OSError as error:
            control.send(f"{verb} {host}:{port} inside the network namespace: {error}".encode())


def _made(verb: str, address: tuple[str, int]) -> socket.socket:
    if verb == "listen":
        return socket.create_server(address, backlog=512)
    return socket.create_connection(address, timeout=10)


def _unshare() -> None:
    if sys.platform != "linux":
        raise OSError(f"{sys.platform} has none")
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.geteuid(), os.getegid()
    if user == 0 and libc.unshare(_CLONE_NEWNET) == 0:
        return
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _bring_up() -> None:
    """`ip link set lo up`: SIOCSIFFLAGS with IFF_UP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))


def _route_here(network: str) -> None:
    """`ip route add local NETWORK dev lo`: an rtmsg and its two attributes, destination and device (rtnetlink(7))."""
    address, _, length = network.partition("/")
    attributes = struct.pack("HH4s", 8, 1, socket.inet_aton(address)) + struct.pack("HHi", 8, 4, socket.if_nametoindex("lo"))
    table, static, host, local = 255, 4, 254, 2
    route = struct.pack("BBBBBBBBI", socket.AF_INET, int(length), 0, 0, table, static, host, local, 0) + attributes
    new_route, flags = 24, 0x1 | 0x4 | 0x400  # request, acknowledge, create
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as netlink:
        netlink.send(struct.pack("IHHII", 16 + len(route), new_route, flags, 1, 0) + route)
        (code,) = struct.unpack_from("i", netlink.recv(_MESSAGE), 16)
    if code != 0:
        raise OSError(-code, f"routing {network} to lo: {os.strerror(-code)}")


def enter(holder: int, command: Sequence[str]) -> None:
    """Become `command` inside. A user namespace is entered first: the network namespace belongs to it."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getppid()
    for kind in ("user", "net"):
        path = Path(f"/proc/{holder}/ns/{kind}")
        if path.readlink() == Path(f"/proc/self/ns/{kind}").readlink():
            continue
        with path.open("rb") as namespace:
            if libc.setns(namespace.fileno(), 0) != 0:
                raise OSError(ctypes.get_errno(), f"entering {path}: {os.strerror(ctypes.get_errno())}")
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:
        os.execvp(command[0], list(command))  # noqa: S606 - what a test starts


# --- between inside and outside --------------------------------------------------------------------------------------------


def relay(listener: socket.socket, port: int) -> None:
    """Bytes both ways, until this process is ended."""
    pairs: dict[socket.socket, socket.socket] = {}
    with selectors.DefaultSelector() as ready:
        ready.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                source = key.fileobj
                assert isinstance(source, socket.socket)
                if source is listener:
                    for each, other in _pair(listener, port).items():
                        pairs[each] = other
                        ready.register(each, selectors.EVENT_READ)
                elif source in pairs and not _moved(source, pairs[source]):
                    for each in (source, pairs[source]):
                        del pairs[each]
                        ready.unregister(each)
                        each.close()


def _pair(listener: socket.socket, port: int) -> dict[socket.socket, socket.socket]:
    """Both ends of a new connection; none if nobody listens outside, which the inside is told by a closed connection."""
    near, _ = listener.accept()
    try:
        far = socket.create_connection((LOOPBACK, port))
    except OSError:
        near.close()
        return {}
    return {near: far, far: near}


def _moved(source: socket.socket, target: socket.socket) -> bool:
    """Whether the connection goes on. A slow reader holds up the others, of which there are few, and all of them read."""
    with contextlib.suppress(OSError):
        if data := source.recv(65536):
            target.sendall(data)
            return True
    return False


def main(arguments: Sequence[Any]) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    match arguments:
        case ["hold", fd, *addresses]:
            hold(socket.socket(fileno=int(fd)), addresses)
        case ["enter", holder, *command]:
            enter(int(holder), command)
        case ["relay", fd, port]:
            relay(socket.socket(fileno=int(fd)), int(port))


if __name__ == "__main__":
    main(sys.argv[1:])
