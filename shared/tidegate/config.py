"""Settings of a service, parsed once from an environment that the caller passes in. Nothing else reads the environment.

A bad value stops the service at start with the variable's name, its value and what would be right.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Final, TypeVar

from tidegate.errors import SettingError
from tidegate.plugins import Plugins, declared

T = TypeVar("T")
LOG_LEVELS = ("debug", "info", "warning", "error")
NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""Where Kubernetes writes a pod's namespace."""
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"


@dataclass(frozen=True, kw_only=True)
class DatadogLogin:
    address: str
    api_key: str = field(repr=False)
    app_key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Times are in seconds. `namespace` None means all namespaces; `instance_id` "" means objects without the label.

    `own_namespace` is where the service and providers' credentials are. `outbound_allow` () lets providers call any host.
    `datadog` is set if all three of its variables are. `aws` holds the variables of Amazon's SDKs under their own names;
    `aws_verify_target_group` has the traffic-shifter ask AWS what load balancers do; `alb_resource_tag` is on their target groups.
    `..._plugins` are those that may be used. Secrets are left out of `repr`, which ends up in logs.
    """

    nats_url: str = "nats://127.0.0.1:4222"
    nats_user: str | None = None
    nats_password: str | None = field(default=None, repr=False)
    nats_credentials: Path | None = None
    stream_replicas: int = 1
    kubeconfig: Path | None = None
    namespace: str | None = None
    instance_id: str = ""
    log_level: str = "info"
    log_json: bool = False
    health_port: int = 0
    resync: float = 30.0
    webhook_url: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    own_namespace: str = "tidegate-system"
    prometheus_address: str = ""
    outbound_allow: tuple[str, ...] = ()
    datadog: DatadogLogin | None = None
    aws: Mapping[str, str] = field(default_factory=dict, repr=False)
    step_plugins: Plugins = field(default_factory=dict)
    router_plugins: Plugins = field(default_factory=dict)
    metric_plugins: Plugins = field(default_factory=dict)
    aws_verify_target_group: bool = False
    alb_resource_tag: str = "ingress.k8s.aws/resource"


def settings_from(environ: Mapping[str, str], *, namespace_file: Path = NAMESPACE_FILE) -> Settings:
    read = _Reader(environ)
    webhook_url = read("TIDEGATE_WEBHOOK_URL", _url("http://", "https://"), None)
    webhook_secret = read("TIDEGATE_WEBHOOK_SECRET", str, None)
    if webhook_url and not webhook_secret:
        raise SettingError("TIDEGATE_WEBHOOK_SECRET", None, "a secret to sign with, since TIDEGATE_WEBHOOK_URL is set")
    return Settings(
        nats_url=read("NATS_URL", _url("nats://", "tls://", "ws://", "wss://"), Settings.nats_url),
        nats_user=read("NATS_USER", str, None),
        nats_password=read("NATS_PASSWORD", str, None),
        nats_credentials=read("NATS_CREDENTIALS", _existing_file, None),
        stream_replicas=read("TIDEGATE_STREAM_REPLICAS", _integer(1, 5), Settings.stream_replicas),
        kubeconfig=read("KUBECONFIG", _existing_file, None),
        namespace=read("TIDEGATE_NAMESPACE", str, None),
        instance_id=read("TIDEGATE_INSTANCE_ID", str, ""),
        log_level=read("TIDEGATE_LOG_LEVEL", _one_of(*LOG_LEVELS), Settings.log_level),
        log_json=read("TIDEGATE_LOG_FORMAT", _one_of("text", "json"), "text") == "json",
        health_port=read("TIDEGATE_HEALTH_PORT", _integer(0, 65535), Settings.health_port),
        resync=read("TIDEGATE_RESYNC_SECONDS", _seconds(minimum=1.0), Settings.resync),
        webhook_url=webhook_url,
        webhook_secret=webhook_secret,
        own_namespace=read("POD_NAMESPACE", _namespace, _written_namespace(namespace_file)),
        prometheus_address=_prometheus_address(read),
        outbound_allow=read("TIDEGATE_OUTBOUND_ALLOW", _hosts, ()),
        datadog=_datadog(read),
        step_plugins=read("TIDEGATE_STEP_PLUGINS", declared, {}),
        router_plugins=read("TIDEGATE_ROUTER_PLUGINS", declared, {}),
        metric_plugins=read("TIDEGATE_METRIC_PLUGINS", declared, {}),
        aws={name: value for name, value in environ.items() if name.startswith("AWS_") and value},
        aws_verify_target_group=read("TIDEGATE_AWS_VERIFY_TARGET_GROUP", _one_of("true", "false"), "false") == "true",
        alb_resource_tag=read("TIDEGATE_ALB_TAG_KEY_RESOURCE_ID", str, Settings.alb_resource_tag),
    )


def _written_namespace(file: Path) -> str:
    try:
        return file.read_text().strip() or Settings.own_namespace
    except OSError:  # not in a cluster
        return Settings.own_namespace


def _prometheus_address(read: "_Reader") -> str:
    """Ours, else the peer's, so that a Deployment's environment can be taken over as it is."""
    one = _url("http://", "https://")
    return read("TIDEGATE_PROMETHEUS_ADDRESS", one, None) or read("ARGO_ROLLOUTS_PROMETHEUS_ADDRESS", one, "")


def _datadog(read: "_Reader") -> DatadogLogin | None:
    """All three or nothing, as for the peer."""
    address = read("DD_ADDRESS", _url("http://", "https://"), None)
    api_key, app_key = read("DD_API_KEY", str, None), read("DD_APP_KEY", str, None)
    return DatadogLogin(address=address, api_key=api_key, app_key=app_key) if address and api_key and app_key else None


class _Reader:
    """Reads variables; an empty value counts as unset, as in compose files and manifests that pass everything on."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __call__(self, variable: str, parse: Callable[[str], T], default: T | None) -> T:
        text = self._environ.get(variable, "")
        if not text:
            return default  # type: ignore[return-value]  # a None default is typed by the field it fills
        try:
            return parse(text)
        except ValueError as error:
            raise SettingError(variable, text, str(error)) from None


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        for each in text.split(","):  # NATS takes a list of servers
            if not each.strip().startswith(schemes) or "://" not in each or not each.split("://", 1)[1].strip("/"):
                raise ValueError(f"a URL that starts with {' or '.join(schemes)} and names a host")
        return text

    return parse


def _namespace(text: str) -> str:
    if not re.fullmatch(_LABEL, text) or len(text) > 63:
        raise ValueError("the name of a namespace: lower-case letters, digits and '-'")
    return text


def _hosts(text: str) -> tuple[str, ...]:
    """`prometheus.monitoring.svc,*.datadoghq.com,10.0.0.0/8`: names, names below a name, addresses, networks."""
    hosts = tuple(each.strip().lower() for each in text.split(",") if each.strip())
    for host in hosts:
        if not re.fullmatch(rf"(\*\.)?{_LABEL}(\.{_LABEL})*", host) and not _is_network(host):
            raise ValueError(f"host names, *.domains, addresses or networks with commas between; {host!r} is none")
    return hosts


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _existing_file(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise ValueError("the path of a file that exists")
    return path


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    return parse


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _seconds(*, minimum: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not minimum <= value < float("inf"):
            raise ValueError(f"a number of seconds of at least {minimum:g}")
        return value

    return parse
