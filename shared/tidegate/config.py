"""Settings of a service, parsed once from an environment that the caller passes in. Nothing else reads the environment.

A bad value stops the service at start with the variable's name, its value and what would be right.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from tidegate.errors import SettingError

T = TypeVar("T")
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Times are in seconds. `namespace` None means all namespaces; `instance_id` "" means objects without the label.

    Secrets are left out of `repr`, which ends up in logs.
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


def settings_from(environ: Mapping[str, str]) -> Settings:
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
    )


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
