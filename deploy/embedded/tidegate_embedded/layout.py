"""Where one control plane keeps its things: pure names, nothing here touches a disk."""

from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The three TCP ports a control plane listens on, all on loopback."""

    apiserver: int
    etcd: int
    etcd_peer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Files and addresses of one control plane, all below its data folder."""

    data: Path
    ports: Ports

    @property
    def server(self) -> str:
        return f"https://{HOST}:{self.ports.apiserver}"

    @property
    def etcd_client(self) -> str:
        return f"https://{HOST}:{self.ports.etcd}"

    @property
    def etcd_peer(self) -> str:
        return f"https://{HOST}:{self.ports.etcd_peer}"

    @property
    def etcd_data(self) -> Path:
        return self.data / "etcd"

    @property
    def certificates(self) -> Path:
        return self.data / "certificates"

    @property
    def ca(self) -> Path:
        return self.certificates / "ca.crt"

    @property
    def tokens(self) -> Path:
        return self.data / "tokens.csv"

    @property
    def audit_policy(self) -> Path:
        return self.data / "audit-policy.yaml"

    @property
    def audit_log(self) -> Path:
        return self.data / "audit.log"

    @property
    def scheduler_config(self) -> Path:
        return self.data / "scheduler.yaml"

    @property
    def kwok_config(self) -> Path:
        return self.data / "kwok.yaml"

    def kubeconfig(self, user: str) -> Path:
        return self.data / "kubeconfigs" / f"{user}.yaml"

    def log(self, part: str) -> Path:
        return self.data / "logs" / f"{part}.log"
