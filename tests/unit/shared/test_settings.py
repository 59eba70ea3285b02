"""Settings come from the environment that is passed in; a bad one stops the service in words that help."""

import pytest

from tidegate.config import DatadogLogin, Settings, settings_from
from tidegate.errors import SettingError


def test_an_empty_environment_gives_the_defaults(tmp_path):
    assert settings_from({}, namespace_file=tmp_path / "absent") == Settings()


def test_the_namespace_is_the_pods_own(tmp_path):
    written = tmp_path / "namespace"
    written.write_text("from-kubernetes\n")
    assert settings_from({}, namespace_file=written).own_namespace == "from-kubernetes"
    assert settings_from({"POD_NAMESPACE": "told"}, namespace_file=written).own_namespace == "told"


def test_the_peers_variable_for_prometheus_is_taken_where_ours_is_not_set():
    peers = {"ARGO_ROLLOUTS_PROMETHEUS_ADDRESS": "http://peer:9090"}
    assert settings_from(peers).prometheus_address == "http://peer:9090"
    assert settings_from({**peers, "TIDEGATE_PROMETHEUS_ADDRESS": "http://ours:9090"}).prometheus_address == "http://ours:9090"


def test_datadog_is_set_up_by_three_variables_or_not_at_all():
    three = {"DD_API_KEY": "a", "DD_APP_KEY": "b", "DD_ADDRESS": "https://api.datadoghq.eu"}
    assert settings_from(three).datadog == DatadogLogin(address="https://api.datadoghq.eu", api_key="a", app_key="b")
    for missing in three:
        assert settings_from({name: value for name, value in three.items() if name != missing}).datadog is None


def test_amazons_variables_are_kept_under_their_names_and_nothing_secret_shows():
    environ = {"AWS_REGION": "eu-west-1", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_PROFILE": "", "PATH": "/bin"}
    login = {"DD_API_KEY": "k3y", "DD_APP_KEY": "4pp", "DD_ADDRESS": "https://x.test"}
    settings = settings_from({**environ, **login})
    assert dict(settings.aws) == {"AWS_REGION": "eu-west-1", "AWS_SECRET_ACCESS_KEY": "s3cret"}
    assert not any(secret in repr(settings) for secret in ("s3cret", "k3y", "4pp"))


def test_plugins_are_declared_by_kind():
    environment = {"TIDEGATE_STEP_PLUGINS": "[{name: acme/approval, disabled: true}]", "TIDEGATE_METRIC_PLUGINS": "[a/b]"}
    settings = settings_from(environment)
    assert settings.step_plugins == {"acme/approval": False}
    assert (settings.router_plugins, settings.metric_plugins) == ({}, {"a/b": True})


def test_the_allow_list_takes_names_domains_addresses_and_networks():
    text = "Prometheus.monitoring.svc, *.datadoghq.com,10.0.0.0/8,169.254.170.23,fd00::/8,"
    assert settings_from({"TIDEGATE_OUTBOUND_ALLOW": text}).outbound_allow == (
        "prometheus.monitoring.svc", "*.datadoghq.com", "10.0.0.0/8", "169.254.170.23", "fd00::/8",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "value", "right"),
    [
        ("POD_NAMESPACE", "Not_One", "the name of a namespace: lower-case letters, digits and '-'"),
        ("TIDEGATE_PROMETHEUS_ADDRESS", "prometheus:9090", "a URL that starts with http:// or https:// and names a host"),
        ("ARGO_ROLLOUTS_PROMETHEUS_ADDRESS", "ftp://x", "a URL that starts with http:// or https:// and names a host"),
        ("DD_ADDRESS", "api.datadoghq.eu", "a URL that starts with http:// or https:// and names a host"),
        (
            "TIDEGATE_OUTBOUND_ALLOW",
            "a.test,https://b.test",
            "host names, *.domains, addresses or networks with commas between; 'https://b.test' is none",
        ),
        ("TIDEGATE_OUTBOUND_ALLOW", "*", "host names, *.domains, addresses or networks with commas between; '*' is none"),
    ],
)
def test_a_bad_setting_is_named_with_what_would_be_right(variable, value, right):
    with pytest.raises(SettingError) as told:
        settings_from({variable: value})
    assert str(told.value) == f"{variable} is {value!r}; it must be {right}"


def test_aws_is_asked_about_its_load_balancers_only_where_that_is_switched_on():
    settings = settings_from({"TIDEGATE_AWS_VERIFY_TARGET_GROUP": "true", "TIDEGATE_ALB_TAG_KEY_RESOURCE_ID": "mine"})
    assert (settings.aws_verify_target_group, settings.alb_resource_tag) == (True, "mine")
    assert (Settings().aws_verify_target_group, Settings().alb_resource_tag) == (False, "ingress.k8s.aws/resource")
    with pytest.raises(SettingError, match=r"TIDEGATE_AWS_VERIFY_TARGET_GROUP.*'yes'.*one of true, false"):
        settings_from({"TIDEGATE_AWS_VERIFY_TARGET_GROUP": "yes"})
