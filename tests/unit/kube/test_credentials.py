"""Where the API server is and who we are, from a kubeconfig or a pod's service account."""

import base64
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import certifi
import pytest
import yaml

from tidegate.kube.credentials import BearerToken, load
from tidegate.kube.errors import KubeconfigError

AUTHORITY = Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"


def a_kubeconfig(folder: Path, *, user: dict | None = None, cluster: dict | None = None, context: dict | None = None) -> Path:
    path = folder / "kubeconfig"
    config = {
        "current-context": "dev",
        "contexts": [
            {"name": "dev", "context": {"cluster": "c", "user": "u", **(context or {})}},
            {"name": "other", "context": {"cluster": "c", "user": "u", "namespace": "elsewhere"}},
        ],
        "clusters": [{"name": "c", "cluster": {"server": "https://example.com:6443/", **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_token_becomes_a_bearer_header(tmp_path):
    cluster = load(a_kubeconfig(tmp_path, user={"token": "abc"}))
    assert cluster.headers(False) == {"Authorization": "Bearer abc"}
    assert cluster.server == "https://example.com:6443"
    assert cluster.ssl_context.verify_mode is ssl.CERT_REQUIRED


def test_a_token_file_is_relative_to_the_kubeconfig_and_wins_over_a_token(tmp_path):
    (tmp_path / "token").write_text("from-file\n")
    cluster = load(a_kubeconfig(tmp_path, user={"token": "abc", "tokenFile": "token"}))
    assert cluster.headers(False) == {"Authorization": "Bearer from-file"}


def test_the_namespace_is_the_contexts_or_default(tmp_path):
    path = a_kubeconfig(tmp_path)
    assert load(path).namespace == "default"
    assert load(path, context="other").namespace == "elsewhere"
    assert load(a_kubeconfig(tmp_path, context={"namespace": "shop"})).namespace == "shop"


def test_verification_is_skipped_only_when_asked(tmp_path):
    cluster = load(a_kubeconfig(tmp_path, cluster={"insecure-skip-tls-verify": True}))
    assert cluster.ssl_context.verify_mode is ssl.CERT_NONE


def test_plain_http_has_no_tls(tmp_path):
    assert load(a_kubeconfig(tmp_path, cluster={"server": "http://127.0.0.1:8001"})).ssl_context is None


def test_a_tunnel_and_a_server_name_are_passed_on(tmp_path):
    cluster = load(a_kubeconfig(tmp_path, cluster={"tls-server-name": "kube.internal", "proxy-url": "http://proxy:3128"}))
    assert (cluster.server_hostname, cluster.proxy) == ("kube.internal", "http://proxy:3128")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"context": {"cluster": "nope"}}, "no cluster 'nope'; known: c"),
        ({"context": {"user": "nope"}}, "no user 'nope'; known: u"),
        ({"cluster": {"server": ""}}, "has no server, like https://host:6443"),
        ({"cluster": {"certificate-authority-data": "%%%"}}, "certificate-authority-data is not base64"),
        ({"cluster": {"certificate-authority-data": base64.b64encode(b"x").decode()}}, "certificate authority"),
        ({"cluster": {"certificate-authority": "absent.pem"}}, "'absent.pem' cannot be read"),
        ({"user": {"client-certificate-data": "eA==", "client-key-data": "eA=="}}, "do not fit"),
        ({"user": {"as": "admin"}}, "'as' \\(impersonation\\) is not supported"),
    ],
)
def test_an_unusable_kubeconfig_says_which_field_and_why(tmp_path, options, text):
    with pytest.raises(KubeconfigError, match=text):
        load(a_kubeconfig(tmp_path, **options))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "is empty"),
        ("a:\n  b: c: d\n", ":2:7 is not YAML: mapping values are not allowed here"),
        ("current-context: x", "no context 'x'; known: none"),
    ],
)
def test_a_file_that_is_no_kubeconfig_says_so(tmp_path, content, text):
    (tmp_path / "kubeconfig").write_text(content)
    with pytest.raises(KubeconfigError, match=text):
        load(tmp_path / "kubeconfig")


def test_an_absent_kubeconfig_says_so(tmp_path):
    with pytest.raises(KubeconfigError, match="cannot be read"):
        load(tmp_path / "absent")


def a_service_account(folder: Path, *, authority: str = "") -> Path:
    (folder / "token").write_text("pod-token")
    (folder / "namespace").write_text("shop")
    if authority:
        (folder / "ca.crt").write_text(authority)
    return folder


@pytest.mark.parametrize(("host", "server"), [("10.0.0.1", "https://10.0.0.1:443"), ("fd00::1", "https://[fd00::1]:443")])
def test_in_a_pod_the_service_account_is_used(tmp_path, host, server):
    account = a_service_account(tmp_path, authority=AUTHORITY)
    cluster = load(None, environ={"KUBERNETES_SERVICE_HOST": host}, service_account=account)
    assert (cluster.server, cluster.namespace) == (server, "shop")
    assert cluster.headers(False) == {"Authorization": "Bearer pod-token"}
    assert len(cluster.ssl_context.get_ca_certs()) == 1


def test_outside_of_a_pod_the_error_says_what_to_set(tmp_path):
    with pytest.raises(KubeconfigError, match="set KUBECONFIG"):
        load(None, environ={}, service_account=tmp_path)


def test_a_pod_without_a_service_account_token_does_not_start(tmp_path):
    with pytest.raises(KubeconfigError, match=r"token cannot be read"):
        load(None, environ={"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, service_account=tmp_path)


def test_a_token_file_in_the_middle_of_a_swap_keeps_the_token_in_memory(tmp_path):
    file = tmp_path / "token"
    file.write_text("good")
    token = BearerToken(file)
    assert token(False) == {"Authorization": "Bearer good"}
    file.unlink()
    assert token(True) == {"Authorization": "Bearer good"}


def test_an_unchanged_token_file_keeps_the_very_same_headers(tmp_path):
    file = tmp_path / "token"
    file.write_text("good")
    token = BearerToken(file)
    assert token(False) is token(False)


def test_a_token_is_not_shown_in_logs(tmp_path):
    (tmp_path / "token").write_text("secret-token")
    token = BearerToken(tmp_path / "token")
    token(False)
    assert "secret-token" not in repr(token)
    assert "secret-token" not in repr(load(a_kubeconfig(tmp_path, user={"token": "secret-token"})))


def test_an_exec_plugin_gives_the_token_and_a_new_one_when_asked_again(tmp_path):
    # Given a plugin that counts how often it was run
    plugin = tmp_path / "plugin"
    plugin.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib, sys\n"
        "count = pathlib.Path(__file__).with_suffix('.count')\n"
        "runs = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(runs))\n"
        "print(json.dumps({'apiVersion': 'client.authentication.k8s.io/v1', 'kind': 'ExecCredential',"
        " 'status': {'token': f'token-{runs}'}}))\n"
    )
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    run = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
    path = a_kubeconfig(tmp_path, user={"exec": run}, cluster={"server": "http://127.0.0.1:1"}, context={"namespace": "shop"})

    # When
    cluster = load(path)

    # Then it is run at the start and when the server refuses the token, and not for every request
    assert cluster.headers(False) == {"Authorization": "Bearer token-1"}
    assert cluster.headers(False) == {"Authorization": "Bearer token-1"}
    assert cluster.headers(True) == {"Authorization": "Bearer token-2"}
    assert cluster.headers(False) == {"Authorization": "Bearer token-2"}
    assert (cluster.server, cluster.namespace) == ("http://127.0.0.1:1", "shop")


def test_the_official_client_is_not_imported_for_an_ordinary_kubeconfig(tmp_path):
    path = a_kubeconfig(tmp_path, user={"token": "abc"})
    script = (
        "import sys, pathlib, tidegate.kube.cache, tidegate.kube.memory\n"
        "from tidegate.kube.credentials import load\n"
        f"load(pathlib.Path({str(path)!r}))\n"
        "sys.exit('kubernetes' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
