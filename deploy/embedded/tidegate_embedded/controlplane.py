"""Starts, watches over and ends one control plane. The effects are here; names, flags and file texts are pure and next door."""

import asyncio
import contextlib
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tidegate_embedded import build, files, parts
from tidegate_embedded.api import NOT_FOUND, CallError, Client
from tidegate_embedded.errors import ControlPlaneError
from tidegate_embedded.layout import HOST, Layout, Ports
from tidegate_embedded.process import Process

STAGES = Path(__file__).parent.parent / "stages"

# Ready in 5 s on two idle cores; a machine that compiles at the same time has needed ten times that.
START_TIMEOUT_SECONDS = 300.0
POLL_SECONDS = 0.05

# Below the ephemeral range (32768 and up on Linux), so that no outgoing connection can take the port of an API server that was
# killed and is to come back.
START_ATTEMPTS = 3  # a port that was free when it was chosen may be another's a moment later
PORTS = range(20000, 32000)

TOKEN_LIFETIME_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`keep` names a new or empty folder for the data, which then stays after `down`: the logs and the audit log, above all."""

    pod_ready_delay: float = 0.0
    nodes: int = 2
    audit: bool = True
    keep: Path | None = None

    def __post_init__(self) -> None:
        if self.pod_ready_delay < 0:
            raise ControlPlaneError(f"pod_ready_delay={self.pod_ready_delay}: must be a number of seconds, 0 or more")
        if self.nodes < 1:
            raise ControlPlaneError(f"nodes={self.nodes}: pods need at least 1 to run on")


class ControlPlane:
    """A control plane, running between `up` and `down`; also a context manager, plain or async."""

    def __init__(self, options: Options | None = None, *, report: Callable[[str], None] = print) -> None:
        self.options = options or Options()
        self._report = report
        self._processes: dict[str, Process] = {}
        self._layout: Layout | None = None
        self._token = ""

    # -- what a user of a running one needs

    @property
    def layout(self) -> Layout:
        if self._layout is None:
            raise ControlPlaneError("the control plane is not up")
        return self._layout

    @property
    def kubeconfig(self) -> Path:
        return self.layout.kubeconfig(files.ADMIN)

    @property
    def server(self) -> str:
        return self.layout.server

    @property
    def ca(self) -> Path:
        return self.layout.ca

    @property
    def token(self) -> str:
        return self._token

    @property
    def audit_log(self) -> Path:
        return self.layout.audit_log

    @property
    def data_dir(self) -> Path:
        return self.layout.data

    @property
    def pids(self) -> dict[str, int]:
        return {part: process.pid for part, process in self._processes.items() if process.pid is not None}

    @property
    def client(self) -> Client:
        return Client(server=self.server, ca=self.ca, token=self.token)

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """A kubeconfig that acts as this ServiceAccount, by a token of its own as a pod would get."""
        answer = self.client.post(
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token",
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "spec": {"expirationSeconds": TOKEN_LIFETIME_SECONDS},
            },
        )
        user = f"{namespace}.{name}"
        path = self.layout.kubeconfig(user)
        _write_private(path, files.kubeconfig(self.layout, user=user, token=answer["status"]["token"], namespace=namespace))
        return path

    def check(self) -> None:
        """Raise, with the end of its log, if a part has ended by itself."""
        for process in self._processes.values():
            process.check()

    # -- life

    def up(self) -> Self:
        """Return once a Deployment applied now would get its pods."""
        if self._layout is not None:
            raise ControlPlaneError("the control plane is up already")
        binary = build.binary(report=self._report)
        for attempts_left in reversed(range(START_ATTEMPTS)):
            try:
                self._prepare(binary)
                self._start(binary)
            except ControlPlaneError as error:
                self.down()
                if "address already in use" not in str(error) or not attempts_left:
                    raise
            except BaseException:
                self.down()
                raise
            else:
                break
        return self

    def down(self) -> None:
        """End every part and remove the data. Safe to call twice, and after a start that failed half-way."""
        # Clients first: they would only log the absence of the server.
        for process in reversed(self._processes.values()):
            process.kill()
        self._processes.clear()
        if self._layout is not None and self.options.keep is None:
            shutil.rmtree(self._layout.data, ignore_errors=True)
        self._layout = None

    def kill_apiserver(self) -> None:
        """kill -9, as a fault. etcd and the API server's clients go on."""
        self._processes[parts.APISERVER].kill()

    def restart_apiserver(self) -> None:
        """Bring the API server (back) on the same port and data, and wait for it. Kills it first if it still runs."""
        self.kill_apiserver()
        cut_torn_line(self.layout.audit_log)
        self._processes[parts.APISERVER].start()
        self._wait("the API server to be ready", self._is_ready)

    def __enter__(self) -> Self:
        return self.up()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.down()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.up)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await asyncio.to_thread(self.down)

    # -- steps of the start

    def _prepare(self, binary: Path) -> None:
        layout = self._layout = Layout(data=_data_folder(self.options.keep), ports=_free_ports())
        layout.certificates.mkdir(mode=0o700)
        subprocess.run([binary, "certificates", layout.certificates], check=True)
        tokens = {user: secrets.token_hex(16) for user in files.USERS}
        self._token = tokens[files.ADMIN]
        _write_private(layout.tokens, files.tokens_csv(tokens))
        for user, token in tokens.items():
            _write_private(layout.kubeconfig(user), files.kubeconfig(layout, user=user, token=token))
        layout.audit_policy.write_text(files.audit_policy())
        layout.scheduler_config.write_text(files.scheduler_config(layout))
        stages = [path.read_text() for path in sorted(STAGES.glob("*.yaml"))]
        layout.kwok_config.write_text(files.kwok_config(stages, ready_delay=self.options.pod_ready_delay))

    def _start(self, binary: Path) -> None:
        layout = self.layout
        self._launch(binary, parts.ETCD, parts.etcd(layout))
        self._wait("etcd to listen", lambda: _listens(layout.ports.etcd))
        self._launch(binary, parts.APISERVER, parts.apiserver(layout, audit=self.options.audit))
        self._wait("the API server to be ready", self._is_ready)
        for part, flags in parts.CLIENTS.items():
            self._launch(binary, part, flags(layout))
        self._create_nodes()
        self._wait("ServiceAccounts", self._has_service_account)
        self._wait("the nodes to be Ready", self._nodes_are_ready)

    def _launch(self, binary: Path, part: str, flags: list[str]) -> None:
        # etcd alone removes the data if this process dies: one of them must, and it is the one that writes most.
        orphans = self.layout.data if part == parts.ETCD and self.options.keep is None else None
        process = Process(binary, part, flags, log=self.layout.log(part), home=self.layout.data, orphans=orphans)
        self._processes[part] = process
        process.start()

    def _create_nodes(self) -> None:
        for number in range(self.options.nodes):
            self.client.post("/api/v1/nodes", files.node(f"node-{number}"))

    def _is_ready(self) -> bool:
        return bool(self.client.get("/readyz") == "ok")

    def _has_service_account(self) -> bool:
        path = "/api/v1/namespaces/default/serviceaccounts/default"
        try:
            self.client.get(path)
            self.client.get("/api/v1/namespaces/default/configmaps/kube-root-ca.crt")
        except CallError as error:
            if error.status == NOT_FOUND:
                return False
            raise
        return True

    def _nodes_are_ready(self) -> bool:
        nodes = self.client.get("/api/v1/nodes")["items"]
        # The node-lifecycle controller lifts its not-ready taint a moment after the condition; until then nothing schedules.
        ready = [node for node in nodes if _is_true(node, "Ready") and not node["spec"].get("taints")]
        return len(ready) >= self.options.nodes

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        last = ""
        for _ in _until(time.monotonic() + START_TIMEOUT_SECONDS):
            self.check()
            try:
                if condition():
                    return
            except CallError as error:
                last = f"; the last answer: {error}"
        raise ControlPlaneError(f"waited {START_TIMEOUT_SECONDS:.0f} s for {what}{last}; logs: {self.layout.data / 'logs'}")


def up(options: Options | None = None, *, report: Callable[[str], None] = print) -> ControlPlane:
    """Start a control plane; the caller ends it with `.down()`."""
    return ControlPlane(options, report=report).up()


def _is_true(node: dict[str, object], condition: str) -> bool:
    status = node["status"]
    assert isinstance(status, dict)
    return any(c["type"] == condition and c["status"] == "True" for c in status.get("conditions", []))


def _until(deadline: float) -> Iterator[None]:
    while time.monotonic() < deadline:
        yield
        time.sleep(POLL_SECONDS)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1.0):
        return True
    return False


def _free_ports() -> Ports:
    with contextlib.ExitStack() as held:
        apiserver, etcd, peer = (_free_port(held) for _ in range(3))
    return Ports(apiserver=apiserver, etcd=etcd, etcd_peer=peer)


def _free_port(held: contextlib.ExitStack) -> int:
    """A port nobody listens on, held until `held` closes so that the next call finds another."""
    # Not a secret: random so that control planes starting side by side do not walk the range in step.
    for port in random.sample(PORTS, k=200):
        probe = held.enter_context(socket.socket())
        with contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise ControlPlaneError(f"found no free port on {HOST} between {PORTS.start} and {PORTS.stop}")


def _data_folder(keep: Path | None) -> Path:
    if keep is None:
        return Path(tempfile.mkdtemp(prefix="tidegate-controlplane-"))
    keep.mkdir(parents=True, exist_ok=True)
    # kwok would neither take over the nodes' leases in time nor know which pod addresses are in use.
    if any(keep.iterdir()):
        raise ControlPlaneError(f"keep={keep}: must be a new or an empty folder; going on from old data is not supported")
    return keep.resolve()


def cut_torn_line(log: Path) -> None:
    """What a killed process was writing would run into the first line of the next one, and no reader could take them apart."""
    if not log.exists():
        return
    with log.open("rb+") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)
