"""The text of every file a control plane reads at its start. Pure: names and settings in, text out."""

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from tidegate_embedded import parts
from tidegate_embedded.layout import Layout

ADMIN = "admin"

# Who may come in by a static token, and in which groups. The names are those that the built-in RBAC bindings expect.
USERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    ADMIN: ("admin", ("system:masters",)),
    parts.CONTROLLER_MANAGER: ("system:kube-controller-manager", ()),
    parts.SCHEDULER: ("system:kube-scheduler", ()),
    parts.KWOK: ("kwok", ("system:masters",)),
}

READY_DELAY_PLACEHOLDER = "@READY_DELAY@"


def tokens_csv(tokens: Mapping[str, str]) -> str:
    """Rows of the API server's static token file: token, user, uid, "group,group"."""
    rows = []
    for key, (user, groups) in USERS.items():
        rows.append(f'{tokens[key]},{user},{user},"{",".join(groups)}"')
    return "\n".join(rows) + "\n"


def kubeconfig(layout: Layout, *, user: str, token: str, namespace: str = "default") -> str:
    name = "tidegate-embedded"
    return _yaml(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": name, "cluster": {"server": layout.server, "certificate-authority": str(layout.ca)}},
            ],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user, "namespace": namespace}}],
            "current-context": name,
        }
    )


def audit_policy() -> str:
    """One line per request, once it is answered: who, with which user agent, which verb on what, with which result."""
    return _yaml(
        {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived"],
            "omitManagedFields": True,
            "rules": [{"level": "Metadata"}],
        }
    )


def scheduler_config(layout: Layout) -> str:
    return _yaml(
        {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {
                "kubeconfig": str(layout.kubeconfig(parts.SCHEDULER)),
                "qps": parts.CLIENT_QPS,
                "burst": parts.CLIENT_BURST,
            },
            "leaderElection": {"leaderElect": False},
        }
    )


def kwok_config(stages: Iterable[str], *, ready_delay: float) -> str:
    """kwok's own settings and all stages in one stream of documents."""
    settings = _yaml(
        {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokConfiguration",
            "metadata": {"name": "kwok"},
            # kwok fills in no defaults once a document of this kind is given, and refuses a parallelism of zero.
            "options": {
                "podPlayStageParallelism": 16,
                "nodePlayStageParallelism": 4,
                "nodeLeaseParallelism": 4,
                "podsOnNodeSyncParallelism": 4,
            },
        }
    )
    filled = (stage.replace(READY_DELAY_PLACEHOLDER, f"{ready_delay:.3f}") for stage in stages)
    return "---\n".join([settings, *filled])


def node(name: str) -> dict[str, Any]:
    """A Node too big to fill; the API keeps the status that a creation brings."""
    capacity = {"cpu": "1000", "memory": "1Ti", "ephemeral-storage": "1Ti", "pods": "10000"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "node.kubernetes.io/instance-type": "kwok",
                "topology.kubernetes.io/region": "local",
                "topology.kubernetes.io/zone": name,
            },
        },
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "nodeInfo": _NODE_INFO,
        },
    }


_NODE_INFO = {
    "architecture": "amd64",
    "bootID": "",
    "containerRuntimeVersion": "kwok",
    "kernelVersion": "",
    "kubeProxyVersion": "",
    "kubeletVersion": "kwok",
    "machineID": "",
    "operatingSystem": "linux",
    "osImage": "",
    "systemUUID": "",
}


def _yaml(document: Mapping[str, Any]) -> str:
    return str(yaml.safe_dump(dict(document), sort_keys=False))
