"""The schemas are structural, require only what the peer's promise names, and default only Datadog."""

from collections.abc import Iterator
from typing import Any

import pytest

from tidegate.crd.generate import schemas

PRESERVE = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
ALLOWED_WORDS = {
    "additionalProperties", "anyOf", "default", "description", "enum", "format", "items", "properties", "required", "type",
    INT_OR_STRING, PRESERVE, "x-kubernetes-map-type", "x-kubernetes-validations",
}  # fmt: skip


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}.*")


ALL = [node for kind, schema in schemas().items() for node in nodes(schema, kind)]


def test_every_node_has_a_type_unless_it_is_free_or_int_or_string() -> None:
    assert [path for path, node in ALL if not ({"type", PRESERVE, INT_OR_STRING} & node.keys())] == []


def test_no_node_uses_a_word_that_structural_schemas_lack() -> None:
    assert {word for _, node in ALL for word in node} <= ALLOWED_WORDS


def test_no_object_has_both_named_and_arbitrary_properties() -> None:
    assert [path for path, node in ALL if {"properties", "additionalProperties"} <= node.keys()] == []


def test_a_list_says_what_it_holds() -> None:
    assert [path for path, node in ALL if node.get("type") == "array" and "items" not in node] == []


def test_only_what_the_peer_promises_to_require_is_required() -> None:
    required = {path: node["required"] for path, node in ALL if "required" in node}
    assert required == {
        "Rollout": ["spec"],
        "AnalysisTemplate": ["spec"],
        "ClusterAnalysisTemplate": ["spec"],
        "AnalysisRun": ["spec"],
        "AnalysisRun.spec": ["metrics"],
        "Experiment": ["spec"],
        "Experiment.spec": ["templates"],
    }


def test_only_datadog_has_defaults() -> None:
    defaults = {path: node["default"] for path, node in ALL if "default" in node}
    assert {path.rpartition(".provider.")[2]: value for path, value in defaults.items()} == {
        "datadog.apiVersion": "v1",
        "datadog.interval": "5m",
        "datadog.requestTimeout": "10s",
    }
    assert len(defaults) == 3 * 3  # in AnalysisTemplate, ClusterAnalysisTemplate and AnalysisRun


def test_every_object_of_a_status_keeps_unknown_fields() -> None:
    in_status = [(path, node) for path, node in ALL if ".status" in path and node.get("type") == "object"]
    assert in_status
    assert [path for path, node in in_status if PRESERVE not in node and "additionalProperties" not in node] == []


def test_the_selector_of_a_rollout_is_immutable() -> None:
    rules = dict(ALL)["Rollout.spec.selector"]["x-kubernetes-validations"]
    assert rules == [{"rule": "self == oldSelf", "message": ".spec.selector is immutable"}]


@pytest.mark.parametrize(
    "path",
    [
        "Rollout.spec.strategy.canary.maxSurge",
        "Rollout.spec.strategy.canary.maxUnavailable",
        "Rollout.spec.strategy.blueGreen.maxUnavailable",
        "Rollout.spec.strategy.canary.steps[].pause.duration",
        "AnalysisRun.spec.metrics[].count",
        "AnalysisRun.spec.metrics[].failureLimit",
        "AnalysisRun.spec.metrics[].provider.cloudWatch.metricDataQueries[].period",
    ],
)
def test_takes_a_number_or_a_string(path: str) -> None:
    assert dict(ALL)[path][INT_OR_STRING] is True
