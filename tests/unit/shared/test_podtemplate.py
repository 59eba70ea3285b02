"""A template is recognised after the API server has filled in its defaults, and told from every other one."""

from copy import deepcopy
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from tidegate.podtemplate import as_written, has_injected_affinity, same_template

CASES = yaml.safe_load((Path(__file__).parent / "golden/podtemplate-defaulted.yaml").read_text())
STORED = {case["case"]: case["stored"] for case in CASES}
# These spell out defaults in different ways and are one and the same template.
PLAIN = {"one container", "nulls and empties", "off the host's network"}
ACCOUNT = {"the deprecated account", "an account"}


def by_name(values):
    return pytest.mark.parametrize("case", values, ids=[case["case"] for case in values])


@by_name(CASES)
def test_what_kubernetes_stores_is_what_was_written(case):
    assert same_template(case["written"], case["stored"])
    assert same_template(case["stored"], case["written"])


@by_name(CASES)
def test_what_the_controller_added_does_not_count(case):
    stored = deepcopy(case["stored"])
    stored["metadata"]["labels"] |= {"rollouts-pod-template-hash": "7d4b9c", "role": "canary"}
    stored["metadata"].setdefault("annotations", {})["note"] = "preview"
    term = {
        "labelSelector": {"matchExpressions": [{"key": "rollouts-pod-template-hash", "operator": "In", "values": ["6b8f5d"]}]},
        "namespaces": ["default"],
        "topologyKey": "kubernetes.io/hostname",
    }
    anti = stored["spec"].setdefault("affinity", {}).setdefault("podAntiAffinity", {})
    anti.setdefault("requiredDuringSchedulingIgnoredDuringExecution", []).append(term)
    anti["preferredDuringSchedulingIgnoredDuringExecution"] = [{"weight": 1, "podAffinityTerm": term}]
    assert same_template(case["written"], stored, ephemeral={"labels": {"role": "canary"}, "annotations": {"note": "preview"}})
    assert not same_template(case["written"], stored)


@pytest.mark.parametrize(("one", "other"), list(combinations(STORED, 2)))
def test_different_templates_stay_different(one, other):
    assert same_template(STORED[one], STORED[other]) is ({one, other} <= PLAIN or {one, other} <= ACCOUNT)


def changed(value):
    """Copies of a JSON value, each with one leaf changed."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key != "serviceAccount":
                yield from ({**value, key: new} for new in changed(each))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from ([*value[:index], new, *value[index + 1 :]] for new in changed(each))
        yield [*value, *value[-1:]] if value else ["more"]
    elif isinstance(value, bool):
        yield not value
    elif value is not None:
        yield value + 1 if isinstance(value, int) else f"{value}9"


@by_name(CASES)
def test_no_change_of_a_stored_template_is_overlooked(case):
    variants = list(changed(case["stored"]))
    assert len(variants) > 5
    assert [variant for variant in variants if same_template(case["written"], variant)] == []


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        pytest.param("nodeSelector", {"zone": ""}, {}, id="a node label that must be empty"),
        pytest.param("terminationGracePeriodSeconds", 0, None, id="no time to end is not the default time"),
        pytest.param("automountServiceAccountToken", False, None, id="a token that is refused"),
        pytest.param("topologySpreadConstraints", [{"labelSelector": {}}], [{}], id="an empty selector selects all"),
    ],
)
def test_an_empty_value_that_means_something_is_kept(field, one, other):
    spec = {"containers": [{"name": "demo", "image": "demo:v1"}]}
    assert not same_template({"spec": {**spec, field: one}}, {"spec": {**spec, field: other}})


def test_the_order_of_containers_and_the_lack_of_metadata_are_seen():
    one, two = {"name": "a", "image": "a"}, {"name": "b", "image": "b"}
    assert not same_template({"spec": {"containers": [one, two]}}, {"spec": {"containers": [two, one]}})
    assert same_template({"spec": {"containers": [one]}}, {"metadata": {"creationTimestamp": None}, "spec": {"containers": [one]}})


def injected(template, *, labels=(), terms=()):
    """As a ReplicaSet carries it: hash, ephemeral labels, and anti-affinity to another revision."""
    given = deepcopy(template)
    held = given.setdefault("metadata", {}).setdefault("labels", {})
    held |= {"rollouts-pod-template-hash": "7d4b9c", **dict.fromkeys(labels, "x")}
    if terms:
        anti = given["spec"].setdefault("affinity", {}).setdefault("podAntiAffinity", {})
        for kind in terms:
            expression = {"key": "rollouts-pod-template-hash", "operator": "In", "values": ["a"]}
            term = {"labelSelector": {"matchExpressions": [expression]}}
            whole = term if kind.startswith("required") else {"weight": 1, "podAffinityTerm": term}
            anti.setdefault(kind, []).append(whole)
    return given


PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
OWN_TERM = {"labelSelector": {"matchLabels": {"app": "other"}}, "topologyKey": "zone"}


@pytest.mark.parametrize("labels", [(), ("role",)])
@pytest.mark.parametrize("terms", [(), (PREFERRED,), (REQUIRED,), (PREFERRED, REQUIRED)])
@pytest.mark.parametrize(
    "written",
    [
        {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}},
        {"spec": {"containers": [], "affinity": {"nodeAffinity": {"a": "b"}}}},
        {"spec": {"containers": [], "affinity": {"podAntiAffinity": {REQUIRED: [OWN_TERM]}}}},
        {"spec": {"containers": [], "affinity": {"podAntiAffinity": {PREFERRED: [{"weight": 5, "podAffinityTerm": OWN_TERM}]}}}},
    ],
)
def test_what_a_controller_put_in_is_taken_out_and_nothing_else(written, labels, terms):
    whole = {"metadata": {}, **written}
    given = injected(whole, labels=labels, terms=terms)
    assert as_written(given, ephemeral={"labels": dict.fromkeys(labels, "x")}) == whole
    assert has_injected_affinity(given) is bool(terms)
    assert not has_injected_affinity(whole)


@by_name(CASES)
def test_a_template_that_nobody_put_anything_in_stays_as_it_is(case):
    assert as_written(case["stored"]) == {"metadata": {}, **case["stored"]}
