"""What lint says about templates: each broken rule, where it stands, and nothing about what only the caller decides."""

from typing import Any

import pytest
import yaml

from tidegate_analyzer.provider_faults import fault_of
from tidegate_analyzer.providers import PROVIDERS
from tidegate_analyzer.template_faults import faults

KNOWN = ", ".join(sorted({*PROVIDERS, "plugin"}))
PROMETHEUS = {"prometheus": {"address": "http://prometheus:9090", "query": "up"}}


def metric(**fields: Any) -> dict[str, Any]:
    return {"name": "m", "provider": PROMETHEUS, **fields}


def template(*metrics: Any, kind: str = "AnalysisTemplate", **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "t"}, "spec": {"metrics": list(metrics), **spec}}


def test_a_good_template_is_clean() -> None:
    good = yaml.safe_load("""
        kind: AnalysisTemplate
        spec:
          args:
            - {name: service}
            - {name: threshold, value: "0.95"}
            - {name: n}
            - {name: token, valueFrom: {secretKeyRef: {name: s, key: k}}}
          dryRun: [{metricName: lat.*}]
          metrics:
            - name: rate
              interval: 1m
              count: "{{args.n}}"
              failureLimit: 2
              successCondition: len(result) == 0 || result[0] >= {{args.threshold}}
              provider:
                prometheus: {address: "http://p", query: 'rate(x{service="{{ args.service }}"}[1m])'}
            - name: latency
              failureCondition: result.p99 > {{args.n}}
              provider:
                web:
                  url: https://{{args.service}}/p99
                  headers: [{key: Authorization, value: "Bearer {{args.token}}"}]
                  jsonPath: "{$.data}"
    """)
    assert faults(good, fault_of) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"count": 3}, "spec.metrics[0]: interval must be specified when count > 1"),
        ({"failureLimit": -2}, "spec.metrics[0]: failureLimit must be >= 0, or -1 to be disabled"),
        ({"interval": "10"}, 'spec.metrics[0]: invalid interval string: time: missing unit in duration "10"'),
        ({"provider": {}}, "spec.metrics[0]: no provider specified"),
        ({"provider": {**PROMETHEUS, "web": {"url": "http://x"}}}, "spec.metrics[0]: multiple providers specified"),
        (
            {"successCondition": "result[0] >="},
            "spec.metrics[0].successCondition: unexpected token EOF (1:12)\n | result[0] >=\n | ...........^",
        ),
        (
            {"failureCondition": "reslt > 1"},
            "spec.metrics[0].failureCondition: unknown name reslt (1:1)\n | reslt > 1\n | ^",
        ),
        ({"successCondition": "result > {{args.x}}"}, "spec.metrics[0]: failed to resolve {{args.x}}; spec.args declares none"),
        ({"successCondition": "result > {{x}}"}, "spec.metrics[0]: failed to resolve {{x}}; arguments are written {{args.NAME}}"),
        (
            {"provider": {"prometheus": {"query": "up", "address": "p"}}},
            "spec.metrics[0].provider.prometheus: prometheus address is not is url format",
        ),
        ({"provider": {"promethues": {}}}, f"spec.metrics[0].provider.promethues: no such provider; known: {KNOWN}"),
        (
            {"successCondition": "result > {{args.y}} &&"},
            "spec.metrics[0].successCondition: unexpected token EOF (1:13)\n | result > 1 &&\n | ............^",
        ),
    ],
)  # fmt: skip
def test_a_broken_metric_is_told_with_its_place(fields: dict[str, Any], said: str) -> None:
    assert said in faults(template(metric(**fields)), fault_of)


def test_every_fault_is_told_not_just_the_first() -> None:
    found = faults(template(metric(count=3, failureLimit=-2, successCondition="("), metric(interval="x")), fault_of)
    assert [each.splitlines()[0] for each in found] == [
        "spec.metrics[0]: failureLimit must be >= 0, or -1 to be disabled",
        "spec.metrics[0]: interval must be specified when count > 1",
        "spec.metrics[0].successCondition: unexpected token EOF (1:1)",
        "spec.metrics[1]: duplicate name 'm'",
        'spec.metrics[1]: invalid interval string: time: invalid duration "x"',
    ]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([{"name": "a"}], "spec.args[0]: argument 'a' is used by no metric"),
        ([{"value": "1"}], "spec.args[0].name: an argument needs a name"),
        ([{"name": "x", "value": "1"}, {"name": "x"}], "spec.args[1]: argument 'x' is declared twice"),
        (
            [{"name": "x", "value": "1", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "spec.args[0]: argument 'x' has both value and valueFrom",
        ),
    ],
)
def test_arguments_that_help_nobody_are_told(args: list[dict[str, Any]], said: str) -> None:
    asked = metric(successCondition="result > {{args.x}}") if args[0].get("name") == "x" else metric()
    assert faults(template(asked, args=args), fault_of) == [said]


def test_an_argument_of_a_template_that_holds_others_may_be_theirs() -> None:
    assert faults(template(args=[{"name": "a"}], templates=[{"templateName": "other"}])) == []


def test_a_run_must_have_all_its_values() -> None:
    run = template(metric(successCondition="result > {{args.x}}"), kind="AnalysisRun", args=[{"name": "x"}])
    assert faults(run) == ['spec.args[0]: argument "x" was not supplied']


def test_what_the_callers_argument_decides_is_not_judged() -> None:
    asked = metric(interval="{{args.x}}", count="{{args.x}}", successCondition="result {{args.x}} 1")
    asked["provider"] = {"prometheus": {"address": "{{args.x}}", "query": "up"}}
    assert faults(template(asked, args=[{"name": "x"}]), fault_of) == []


def test_a_default_value_is_judged_as_if_it_were_written() -> None:
    asked = metric(successCondition="result {{args.sign}} 1")
    assert faults(template(asked, args=[{"name": "sign", "value": ">="}])) == []
    (found,) = faults(template(asked, args=[{"name": "sign", "value": "=>"}]))
    assert found.startswith("spec.metrics[0].successCondition: unexpected token Operator")


def test_rules_for_metrics_that_are_not_there_are_told() -> None:
    found = faults(template(metric(), dryRun=[{"metricName": "x"}], measurementRetention=[{"metricName": "y", "limit": 1}]))
    assert found == [
        "spec.dryRun[0]: Rule didn't match any metric name(s)",
        "spec.measurementRetention[0]: Rule didn't match any metric name(s)",
    ]


def test_a_template_without_metrics_is_told() -> None:
    assert faults(template()) == ["spec.metrics: no metrics specified"]


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("prometheus", {"query": "up"}, ""),
        ("prometheus", {"address": "http://p"}, "query is missing"),
        ("prometheus", {"query": "up", "timeout": -1}, "prometheus timeout should not be negative"),
        (
            "prometheus",
            {"query": "up", "rangeQuery": {"start": "'1m'", "end": "now()", "step": "1m"}},
            "failed to parse rangeQuery.start as time: it yields 1m",
        ),
        ("web", {"url": "http://x", "body": "x"}, "Body/JSONBody can only be used with POST or PUT WebMetric Method types"),
        ("web", {"url": "http://x", "jsonPath": "{$.a"}, "Could not find JSONPath in body: unclosed action"),
        ("web", {}, "url is missing"),
        ("datadog", {}, "Must have either a query or queries. Please review the Analysis Template."),
        ("graphite", {"address": "g", "query": "target=a"}, "Graphite address g is not a valid URL"),
        (
            "wavefront",
            {"address": "https://w", "query": "ts(a)"},
            "address 'https://w' must be a host without a scheme, such as example.wavefront.com",
        ),
        ("newRelic", {"query": "SELECT 1", "timeout": -1}, "timeout value needs to be a positive value"),
        ("influxdb", {}, "query is missing"),
        ("cloudWatch", {"interval": "5x", "metricDataQueries": [{"id": "a"}]}, 'time: unknown unit "x" in duration "5x"'),
        ("skywalking", {"address": "http://s", "query": "q"}, "interval is missing"),
        ("kayenta", {"address": "http://k", "application": "a"}, "canaryConfigName is missing"),
        ("job", {"spec": {"template": {"spec": {}}}}, "spec.template.spec.containers: a job needs a container"),
        (
            "job",
            {"spec": {"template": {"spec": {"containers": [{}]}}}},
            'spec.template.spec.restartPolicy must be "Never" or "OnFailure"',
        ),
        ("plugin", {"a/b": {}, "c/d": {}}, "names 2 plugins, it must name exactly one"),
    ],
)  # fmt: skip
def test_what_a_provider_could_never_ask_is_told(name: str, config: dict[str, Any], said: str) -> None:
    assert fault_of(name, config) == said


def test_every_provider_has_its_check() -> None:
    assert {name for name in PROVIDERS if fault_of(name, {}).startswith("no such provider")} == set()
