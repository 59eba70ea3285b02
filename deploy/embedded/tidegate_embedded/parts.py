"""The command line of each part. Pure; every flag that is not self-evident says why it is there."""

from collections.abc import Callable, Sequence

from tidegate_embedded.layout import HOST, Layout

ETCD = "etcd"
APISERVER = "kube-apiserver"
CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"
KWOK = "kwok"

POD_CIDR = "10.244.0.0/16"
SERVICE_CIDR = "10.96.0.0/16"
NODE_IP = "10.244.255.1"

# client-go's defaults (20 requests a second for the controller-manager) would be the floor under every measurement made here.
CLIENT_QPS = 1000
CLIENT_BURST = 2000
NODE_PATIENCE_SECONDS = 3600

# What a delivery tool relies on. Left out: whatever waits for a cloud, for volumes, for certificates or for a metrics server.
CONTROLLERS: Sequence[str] = (
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "service-cidr-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
)


def etcd(layout: Layout) -> list[str]:
    certificate, key = layout.certificates / "etcd.crt", layout.certificates / "etcd.key"
    return [
        f"--data-dir={layout.etcd_data}",
        f"--listen-client-urls={layout.etcd_client}",
        f"--advertise-client-urls={layout.etcd_client}",
        f"--listen-peer-urls={layout.etcd_peer}",
        f"--initial-advertise-peer-urls={layout.etcd_peer}",
        f"--initial-cluster=default={layout.etcd_peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={layout.ca}",
        f"--cert-file={certificate}",
        f"--key-file={key}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={layout.ca}",
        f"--peer-cert-file={certificate}",
        f"--peer-key-file={key}",
        # The data outlives a crash of etcd but not one of the machine, which is all that a test asks for.
        "--unsafe-no-fsync",
        # A lone member elects itself after one election timeout: 0.1 s rather than the default 1 s.
        "--heartbeat-interval=10",
        "--election-timeout=100",
        "--log-level=warn",
    ]


def apiserver(layout: Layout, *, audit: bool) -> list[str]:
    certificates = layout.certificates
    flags = [
        f"--etcd-servers={layout.etcd_client}",
        f"--etcd-cafile={layout.ca}",
        f"--etcd-certfile={certificates / 'etcd.crt'}",
        f"--etcd-keyfile={certificates / 'etcd.key'}",
        f"--bind-address={HOST}",
        f"--secure-port={layout.ports.apiserver}",
        # Endpoints may not hold loopback addresses, so the `kubernetes` Service gets none; the address itself is never used.
        f"--advertise-address={NODE_IP}",
        "--endpoint-reconciler-type=none",
        f"--tls-cert-file={certificates / 'apiserver.crt'}",
        f"--tls-private-key-file={certificates / 'apiserver.key'}",
        f"--token-auth-file={layout.tokens}",
        "--anonymous-auth=false",
        "--authorization-mode=RBAC",
        # As on OpenShift: who makes a child that blocks its owner's deletion must be allowed to update the owner's finalizers.
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={certificates / 'service-account.key'}",
        f"--service-account-signing-key-file={certificates / 'service-account.key'}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--profiling=false",
    ]
    if audit:
        # Blocking: once a request is answered its line is in the file, so that a test may count right after it acted.
        flags += [
            f"--audit-policy-file={layout.audit_policy}",
            f"--audit-log-path={layout.audit_log}",
            "--audit-log-mode=blocking",
            "--audit-log-maxsize=0",  # one file: the default starts another after 100 MB, and who counts in this one finds nothing
        ]
    return flags


def controller_manager(layout: Layout) -> list[str]:
    return [
        f"--kubeconfig={layout.kubeconfig(CONTROLLER_MANAGER)}",
        f"--controllers={','.join(CONTROLLERS)}",
        # One identity per controller: the built-in roles are cut to it, and the audit log tells them apart.
        "--use-service-account-credentials",
        f"--service-account-private-key-file={layout.certificates / 'service-account.key'}",
        f"--root-ca-file={layout.ca}",
        "--leader-elect=false",
        "--secure-port=0",
        # A machine that stalls, or an API server killed on purpose, is no lost node: after 50 s, the default, its pods would be
        # marked unready, and no kubelet is there to mark them ready again.
        f"--node-monitor-grace-period={NODE_PATIENCE_SECONDS}s",
        f"--kube-api-qps={CLIENT_QPS}",
        f"--kube-api-burst={CLIENT_BURST}",
        "--concurrent-deployment-syncs=20",
        "--concurrent-job-syncs=20",
        "--concurrent-namespace-syncs=20",
        "--concurrent-replicaset-syncs=20",
        "--concurrent-service-endpoint-syncs=20",
    ]


def scheduler(layout: Layout) -> list[str]:
    return [f"--config={layout.scheduler_config}", "--secure-port=0"]


def kwok(layout: Layout) -> list[str]:
    return [
        f"--config={layout.kwok_config}",
        f"--kubeconfig={layout.kubeconfig(KWOK)}",
        "--manage-all-nodes",
        "--node-lease-duration-seconds=40",
        f"--cidr={POD_CIDR}",
        f"--node-ip={NODE_IP}",
        "--v=WARN",
    ]


# The parts that are clients of the API server; they may start in any order once it is ready.
CLIENTS: dict[str, Callable[[Layout], list[str]]] = {
    CONTROLLER_MANAGER: controller_manager,
    SCHEDULER: scheduler,
    KWOK: kwok,
}
