"""AnalysisTemplates into one run's spec (`argo-behaviour.md` 7.2, 7.3)."""

from collections.abc import Mapping
from typing import Any

import pytest

from tidegate.arguments import ArgumentError, field_value
from tidegate_planner.templates import CLUSTER, NAMESPACED, argument, merged_run_spec, referenced

ROLLOUT = {
    "metadata": {"name": "web", "labels": {"app": "shop", "app.kubernetes.io/part": "front"}, "annotations": {}},
    "spec": {"replicas": 3, "paused": False, "ports": [80, {"n": 443}]},
    "status": {"canary": {"weights": {"canary": {"weight": 25}}}},
}
HASHES = {"Stable": "aaa", "Latest": "bbb"}


def metric(name: str) -> dict[str, Any]:
    return {"name": name, "provider": {"job": {}}}


def template(*metrics: str, args: Any = (), **spec: Any) -> dict[str, Any]:
    return {"spec": {"metrics": [metric(each) for each in metrics], "args": list(args), **spec}}


def naming(*names: str, **config: Any) -> dict[str, Any]:
    """An analysis; `c:` before a name means the whole cluster's."""
    references = [
        {"templateName": name.removeprefix("c:"), "clusterScope": True} if name.startswith("c:") else {"templateName": name}
        for name in names
    ]
    return {"templates": references, **config}


def held(**templates: Any) -> dict[tuple[str, str], Any]:
    """`c_x` is the cluster's template x."""
    return {(CLUSTER, name[2:]) if name.startswith("c_") else (NAMESPACED, name): each for name, each in templates.items()}


def run_spec(config: Mapping[str, Any], **templates: Any) -> dict[str, Any]:
    return merged_run_spec(config, held(**templates), manifest=ROLLOUT, hashes=HASHES)


def names(spec: Mapping[str, Any]) -> list[str]:
    return [each["name"] for each in spec["metrics"]]


# --- which templates ----------------------------------------------------------------------------------------------------


def test_metrics_of_the_namespace_come_before_those_of_the_cluster() -> None:
    assert names(run_spec(naming("c:x", "a", "b"), a=template("ma"), b=template("mb"), c_x=template("mx"))) == ["ma", "mb", "mx"]


def test_nested_templates_are_each_taken_once_also_in_a_ring() -> None:
    nested = {"a": template("ma", **naming("b", "c:b")), "b": template("mb", **naming("a")), "c_b": template("mcb")}
    assert names(run_spec(naming("a", "b", "a"), **nested)) == ["ma", "mb", "mcb"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("a", 'analysistemplate.argoproj.io "a" not found'), ("c:a", 'clusteranalysistemplate.argoproj.io "a" not found')],
)
def test_a_template_that_is_not_there_is_named_with_its_kind(name: str, words: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{words}$"):
        referenced(naming(name), held(b=template()))


@pytest.mark.parametrize(
    ("config", "templates", "words"),
    [
        (naming("a", "b"), {"a": template("m"), "b": template("m")}, "two metrics have the same name 'm'"),
        (
            naming("a", dryRun=[{"metricName": "m"}]),
            {"a": template("m", dryRun=[{"metricName": "m"}])},
            "two Dry-Run metric rules have the same name 'm'",
        ),
        (
            naming("a", measurementRetention=[{"metricName": "m", "limit": 2}]),
            {"a": template("m", measurementRetention=[{"metricName": "m", "limit": 9}])},
            "two Measurement Retention metric rules have the same name 'm'",
        ),
    ],
)
def test_what_is_named_twice_is_refused_in_the_peers_words(config: Any, templates: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{words}$"):
        run_spec(config, **templates)


def test_the_steps_own_rules_come_before_the_templates() -> None:
    spec = run_spec(naming("a", dryRun=[{"metricName": "x"}]), a=template("m", dryRun=[{"metricName": "m"}]))
    assert spec["dryRun"] == [{"metricName": "x"}, {"metricName": "m"}]


def test_fields_that_nobody_gave_are_left_out() -> None:
    assert run_spec(naming("a"), a=template("m")) == {"metrics": [metric("m")]}


# --- arguments ----------------------------------------------------------------------------------------------------------


def arg(name: str, value: str | None = None, **value_from: Any) -> dict[str, Any]:
    given = {} if value is None else {"value": value}
    return {"name": name, **given, **({"valueFrom": value_from} if value_from else {})}


SECRET = {"secretKeyRef": {"name": "s", "key": "k"}}


@pytest.mark.parametrize(
    ("own", "given", "expected"),
    [
        ([arg("a", "1")], [], [arg("a", "1")]),
        ([arg("a", "1")], [arg("a", "2")], [arg("a", "2")]),
        ([arg("a")], [arg("a", "2")], [arg("a", "2")]),
        ([arg("a", "")], [], [arg("a", "")]),
        ([arg("a", "1")], [arg("unknown", "2")], [arg("a", "1")]),
        ([arg("a", **SECRET)], [], [arg("a", **SECRET)]),
        ([arg("a", **SECRET)], [arg("a", "2")], [arg("a", "2")]),
        ([arg("a"), arg("a", "1")], [], [arg("a", "1")]),
        ([arg("a", "1"), arg("a", "1")], [], [arg("a", "1")]),
        ([arg("a", "1"), arg("a")], [], [arg("a", "1")]),
        ([arg("a")], [arg("a", podTemplateHashValue="Latest")], [arg("a", "bbb")]),
        ([arg("a")], [arg("a", podTemplateHashValue="Stable")], [arg("a", "aaa")]),
        ([arg("a")], [arg("a", fieldRef={"fieldPath": "spec.replicas"})], [arg("a", "3")]),
    ],
)
def test_arguments_are_the_templates_with_the_given_values_put_in(own: Any, given: Any, expected: Any) -> None:
    assert run_spec(naming("a", args=given), a=template("m", args=own))["args"] == expected


def test_an_argument_that_nobody_gave_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"^args\.a was not resolved$"):
        run_spec(naming("a"), a=template("m", args=[arg("a")]))


def test_two_templates_must_not_disagree_on_an_argument() -> None:
    words = "Argument `a` specified multiple times with different values: '1', '2'"
    with pytest.raises(ArgumentError, match=f"^{words}$"):
        run_spec(naming("a", "b"), a=template("m", args=[arg("a", "1")]), b=template("n", args=[arg("a", "2")]))


def test_two_templates_share_an_argument() -> None:
    spec = run_spec(naming("a", "b"), a=template("m", args=[arg("a")]), b=template("n", args=[arg("a", "2")]))
    assert spec["args"] == [arg("a", "2")]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.labels['app']", "shop"),
        ("metadata.labels['app.kubernetes.io/part']", "front"),
        ("spec.replicas", "3"),
        ("spec.paused", "false"),
        ("spec.ports[0]", "80"),
        ("spec.ports[1].n", "443"),
        ("status.canary.weights.canary.weight", "25"),
    ],
)
def test_a_field_of_the_rollout_is_read_as_text(path: str, value: str) -> None:
    assert field_value(ROLLOUT, path) == value
    assert argument({"name": "a", "valueFrom": {"fieldRef": {"fieldPath": path}}}, manifest=ROLLOUT, hashes={})["value"] == value


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("spec.nothing", "invalid path spec.nothing in rollout"),
        ("metadata.labels['nobody']", r"invalid path metadata.labels\['nobody'\] in rollout"),
        ("spec.replicas.deeper", "invalid path spec.replicas.deeper in rollout"),
        ("spec", "path spec in rollout must terminate in a primitive value"),
        ("spec.ports", "path spec.ports in rollout must terminate in a primitive value"),
        ("spec.ports[x]", "invalid index 'x'"),
        ("spec.ports[7]", "index 7 out of range"),
    ],
)
def test_a_field_that_cannot_be_read_is_refused_in_the_peers_words(path: str, words: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{words}$"):
        field_value(ROLLOUT, path)
