"""Where the API server is and how we prove who we are: `load(kubeconfig) -> Cluster`.

Tokens, token files, client certificates and the service account's folder are read here. Everything else a kubeconfig may hold (exec
plugins, auth providers, several files joined by the path separator) goes to the official client, which is imported only then: it
costs 15-20 MB per process.
"""

import base64
import binascii
import importlib
import os
import ssl
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tidegate.kube.errors import KubeconfigError
from tidegate.yaml_errors import place_in, reason_of

SERVICE_ACCOUNT_FOLDER: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")

Headers = Mapping[str, str]
HeadersProvider = Callable[[bool], Headers]
"""Called for every request, so it must be cheap. True asks to read the credentials anew: the server has just answered 401."""


def no_headers(_again: bool) -> Headers:
    """For client certificates, and for a server that asks nobody."""
    return {}


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that a connection needs. `headers` may block for seconds when asked to read anew (an exec plugin): use a thread."""

    server: str
    ssl_context: ssl.SSLContext | None = None
    headers: HeadersProvider = no_headers
    namespace: str = "default"
    server_hostname: str | None = None
    proxy: str | None = None


def load(
    kubeconfig: Path | None,
    *,
    context: str | None = None,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT_FOLDER,
) -> Cluster:
    """The cluster of a kubeconfig file's current (or named) context, or the one this pod runs in."""
    if kubeconfig is None:
        return _in_cluster(environ, service_account)
    if os.pathsep in str(kubeconfig):
        return _official(kubeconfig, context)
    return _from_kubeconfig(kubeconfig, context)


@dataclass(slots=True)
class BearerToken:
    """A token in a file. The kubelet swaps the file about hourly, so its identity is compared for every request (a stat, 2 us)."""

    file: Path
    _seen: tuple[int, int] | None = None
    _headers: Headers = field(default_factory=dict, repr=False)  # it must not get into a log

    def __call__(self, again: bool) -> Headers:
        try:
            stat = self.file.stat()
            seen = (stat.st_mtime_ns, stat.st_ino)
            if again or seen != self._seen:
                self._headers = {"Authorization": f"Bearer {self.file.read_text().strip()}"}
                self._seen = seen
        except OSError as error:
            # The swap is not atomic on every file system; the token in memory is good for some minutes yet.
            if self._seen is None:
                raise KubeconfigError(f"token file {self.file} cannot be read: {error.strerror}") from error
        return self._headers


def _in_cluster(environ: Mapping[str, str], folder: Path) -> Cluster:
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise KubeconfigError("no kubeconfig is given, and KUBERNETES_SERVICE_HOST is not set as in a pod; set KUBECONFIG")
    namespace = folder / "namespace"
    token = BearerToken(folder / "token")
    token(True)  # a missing token should stop the start, not the first request
    return Cluster(
        server=f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}",
        ssl_context=_ssl_context(ca_file=folder / "ca.crt"),
        headers=token,
        namespace=namespace.read_text().strip() if namespace.exists() else "default",
    )


def _from_kubeconfig(path: Path, context_name: str | None) -> Cluster:
    try:
        text = path.read_text()
    except OSError as error:
        raise KubeconfigError(f"kubeconfig {path} cannot be read: {error.strerror}") from error
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise KubeconfigError(f"kubeconfig {path}{place_in(text, error)} is not YAML: {reason_of(error)}") from error
    if not isinstance(config, dict):
        raise KubeconfigError(f"kubeconfig {path} is empty; it must hold clusters, contexts and users")
    context = _named(config, "context", context_name or config.get("current-context"), path)
    cluster = _named(config, "cluster", context.get("cluster"), path)
    user = _named(config, "user", context["user"], path) if context.get("user") else {}
    if user.keys() & {"exec", "auth-provider", "username"}:
        return _official(path, context_name)
    if refused := sorted(key for key in user if key.startswith("as")):
        raise KubeconfigError(f"kubeconfig {path}: user field {refused[0]!r} (impersonation) is not supported; use a token")
    if not cluster.get("server"):
        raise KubeconfigError(f"kubeconfig {path}: cluster {context.get('cluster')!r} has no server, like https://host:6443")
    return Cluster(
        server=str(cluster["server"]).rstrip("/"),
        ssl_context=_kubeconfig_ssl(cluster, user, path) if str(cluster["server"]).startswith("https:") else None,
        headers=_token_headers(user, path),
        namespace=context.get("namespace") or "default",
        server_hostname=cluster.get("tls-server-name"),
        proxy=cluster.get("proxy-url"),
    )


def _named(config: Mapping[str, Any], what: str, name: str | None, path: Path) -> Mapping[str, Any]:
    entries = {entry["name"]: entry.get(what) or {} for entry in config.get(f"{what}s") or ()}
    if name not in entries:
        raise KubeconfigError(f"kubeconfig {path}: no {what} {name!r}; known: {', '.join(sorted(entries)) or 'none'}")
    found: Mapping[str, Any] = entries[name]
    return found


def _token_headers(user: Mapping[str, Any], path: Path) -> HeadersProvider:
    # kubectl prefers the file when both are given: it is the one that something keeps fresh.
    if file := user.get("tokenFile"):
        return BearerToken(path.parent / file)
    if token := user.get("token"):
        headers = {"Authorization": f"Bearer {token}"}
        return lambda _again: headers
    return no_headers


def _kubeconfig_ssl(cluster: Mapping[str, Any], user: Mapping[str, Any], path: Path) -> ssl.SSLContext:
    ca = _bytes_of(cluster, "certificate-authority", path)
    if cluster.get("insecure-skip-tls-verify"):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = _ssl_context(ca=ca)
    certificate, key = _bytes_of(user, "client-certificate", path), _bytes_of(user, "client-key", path)
    if certificate and key:
        _load_client_certificate(context, certificate, key)
    return context


def _ssl_context(*, ca: bytes | None = None, ca_file: Path | None = None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file, cadata=ca.decode() if ca else None)
    except (OSError, ValueError) as error:
        raise KubeconfigError(f"the certificate authority {ca_file or 'of the kubeconfig'} cannot be used: {error}") from error


def _bytes_of(fields: Mapping[str, Any], name: str, path: Path) -> bytes | None:
    """`name-data` (base64) wins over the file `name`, as in kubectl; a relative file is relative to the kubeconfig."""
    if data := fields.get(f"{name}-data"):
        try:
            return base64.b64decode(data, validate=True)
        except binascii.Error as error:
            raise KubeconfigError(f"kubeconfig {path}: {name}-data is not base64") from error
    if not fields.get(name):
        return None
    try:
        return (path.parent / str(fields[name])).read_bytes()
    except OSError as error:
        raise KubeconfigError(f"kubeconfig {path}: {name} {fields[name]!r} cannot be read: {error.strerror}") from error


def _load_client_certificate(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # OpenSSL's Python face loads a key from a file only; this one (mode 0600) is gone before the first request.
    with tempfile.NamedTemporaryFile() as pem:
        pem.write(certificate + b"\n" + key)
        pem.flush()
        try:
            context.load_cert_chain(pem.name)
        except ssl.SSLError as error:
            raise KubeconfigError(f"the client certificate and key do not fit: {error}") from error


def _official(kubeconfig: Path, context: str | None) -> Cluster:
    kubernetes: Any = importlib.import_module("kubernetes")  # 15-20 MB, only for those who need it

    def read() -> Any:
        configuration = kubernetes.client.Configuration()
        kubernetes.config.load_kube_config(str(kubeconfig), context=context, client_configuration=configuration)
        return configuration

    def authorization(configuration: Any) -> Headers:
        token = configuration.api_key.get("BearerToken") or configuration.api_key.get("authorization")
        return {"Authorization": token} if token else {}

    try:
        first = read()
        contexts, active = kubernetes.config.list_kube_config_contexts(str(kubeconfig))
    except kubernetes.config.ConfigException as error:
        raise KubeconfigError(f"kubeconfig {kubeconfig}: {error}") from error
    held = authorization(first)

    def headers(again: bool) -> Headers:
        nonlocal held
        if again:
            held = authorization(read())
        return held

    return Cluster(
        server=first.host,
        ssl_context=_official_ssl(first) if first.host.startswith("https:") else None,
        headers=headers,
        namespace=_context_namespace(contexts, context or active["name"]),
        server_hostname=first.tls_server_name,
        proxy=first.proxy,
    )


def _official_ssl(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def _context_namespace(contexts: Iterable[Mapping[str, Any]], name: str) -> str:
    return next((str(c["context"].get("namespace") or "default") for c in contexts if c["name"] == name), "default")
