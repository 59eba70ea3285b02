"""What the schemas promise, kept by a real API server and seen through a real kubectl."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.integration

Kubectl = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(__file__).parents[3]
UNIT = ROOT / "tests" / "unit" / "crd"
MAXIMAL = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((UNIT / "maximal").glob("*.yaml"))}
RECORDED: dict[str, dict[str, Any]] = json.loads((UNIT / "recorded.json").read_text(encoding="utf-8"))
EXAMPLES = sorted((ROOT / "deploy" / "examples").rglob("*.yaml"))
KINDS = {"Rollout", "AnalysisTemplate", "ClusterAnalysisTemplate", "AnalysisRun", "Experiment"}


def content(manifest: dict[str, Any]) -> dict[str, Any]:
    return {part: manifest[part] for part in ("spec", "status") if part in manifest}


def patch_status(kubectl: Kubectl, namespace: str, name: str, status: dict[str, Any], *, subresource: bool) -> None:
    through = ["--subresource=status"] if subresource else []
    patch = json.dumps({"status": status})
    kubectl("-n", namespace, "patch", "rollout", name, "--type=merge", *through, "-p", patch)


def read(kubectl: Kubectl, namespace: str, kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("-n", namespace, "get", kind, name, "-o", "json").stdout)
    return found


def a_rollout(**spec: Any) -> dict[str, Any]:
    selector = {"matchLabels": {"app": "a"}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "a"},
        "spec": {"replicas": 3, "selector": selector, "strategy": {"canary": {}}} | spec,
    }


def test_the_api_server_finds_all_five_structural(kubectl: Kubectl) -> None:
    found = json.loads(kubectl("get", "crd", "-o", "json").stdout)["items"]
    ours = {crd["spec"]["names"]["kind"]: crd for crd in found if crd["spec"]["group"] == "argoproj.io"}
    assert ours.keys() >= KINDS
    for crd in ours.values():
        conditions = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
        assert conditions["Established"] == conditions["NamesAccepted"] == "True"
        assert conditions.get("NonStructuralSchema", "False") == "False"


@pytest.mark.parametrize("name", MAXIMAL)
def test_every_field_is_stored_and_read_back(kubectl: Kubectl, namespace: str, name: str) -> None:
    manifest = MAXIMAL[name]
    kubectl("-n", namespace, "create", "--validate=strict", "-f", "-", given=manifest)
    try:
        if manifest["kind"] == "Rollout":
            patch_status(kubectl, namespace, "maximal", manifest["status"], subresource=True)
        assert content(read(kubectl, namespace, manifest["kind"], "maximal")) == content(manifest)
    finally:
        kubectl(
            "-n", namespace, "delete", manifest["kind"], "maximal", "--wait=false"
        )  # a cluster-scoped one outlives the namespace


def test_what_the_peer_stored_is_stored_again(kubectl: Kubectl, namespace: str) -> None:
    named = {f"r{number}": manifest for number, manifest in enumerate(RECORDED.values())}
    items = [manifest | {"metadata": {"name": name, "namespace": namespace}} for name, manifest in named.items()]
    kubectl("create", "--validate=strict", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": items})
    # By their full names: where APISIX is installed too, `ar` is its ApisixRoute.
    kinds = ",".join(f"{plural}.argoproj.io" for plural in ("rollouts", "analysisruns", "experiments"))
    stored = json.loads(kubectl("-n", namespace, "get", kinds, "-o", "json").stdout)["items"]
    for manifest in stored:
        written = named[manifest["metadata"]["name"]]
        parts = ("spec",) if manifest["kind"] == "Rollout" else ("spec", "status")  # create leaves a status subresource out
        assert {part: manifest[part] for part in parts} == {part: written[part] for part in parts}
    assert len(stored) == len(named)


@pytest.mark.parametrize(
    "spec",
    [
        {"minReadySeconds": -1, "revisionHistoryLimit": -1, "progressDeadlineSeconds": -1},
        {"strategy": {}},
        {"strategy": {"canary": {}, "blueGreen": {}}},
        {"strategy": {"canary": {"steps": [{}, {"setWeight": 120}, {"pause": {"duration": "soon"}}, {"pause": {"duration": -1}}]}}},
    ],
    ids=["negative limits", "no strategy", "both strategies", "steps"],
)
def test_a_senseless_rollout_is_stored_for_the_planner_to_judge(kubectl: Kubectl, namespace: str, spec: dict[str, Any]) -> None:
    kubectl("-n", namespace, "create", "-f", "-", given=a_rollout(**spec))
    assert read(kubectl, namespace, "rollout", "a")["spec"].items() >= spec.items()


def test_negative_replicas_are_refused_by_the_scale_subresource_whatever_the_schema_says(kubectl: Kubectl, namespace: str) -> None:
    # The one rule of argo-behaviour.md 1.5 that never reaches a planner: the API server checks specReplicasPath itself.
    refused = kubectl("-n", namespace, "create", "-f", "-", given=a_rollout(replicas=-1), check=False)
    assert ".spec.replicas: Invalid value: -1: should be a non-negative integer" in refused.stderr


@pytest.mark.parametrize("empty", [{"restartAt": None}, {"template": {"metadata": {"creationTimestamp": None}}}])
def test_the_nulls_that_tools_write_are_accepted(kubectl: Kubectl, namespace: str, empty: dict[str, Any]) -> None:
    kubectl("-n", namespace, "create", "--validate=strict", "-f", "-", given=a_rollout(**empty))


def test_datadog_alone_gets_defaults(kubectl: Kubectl, namespace: str) -> None:
    providers = [{"datadog": {"query": "q"}}, {"prometheus": {}}, {"web": {}}]
    metrics = [{"name": str(number), "provider": provider} for number, provider in enumerate(providers)]
    template = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": "a"},
        "spec": {"metrics": metrics},
    }
    kubectl("-n", namespace, "create", "-f", "-", given=template)
    stored = read(kubectl, namespace, "at", "a")["spec"]["metrics"]
    assert [metric["provider"] for metric in stored] == [
        {"datadog": {"query": "q", "apiVersion": "v1", "interval": "5m", "requestTimeout": "10s"}},
        {"prometheus": {}},
        {"web": {}},
    ]


def test_the_selector_of_a_rollout_cannot_be_changed(kubectl: Kubectl, namespace: str) -> None:
    kubectl("-n", namespace, "create", "-f", "-", given=a_rollout())
    patch = json.dumps({"spec": {"selector": {"matchLabels": {"app": "b"}}}})
    refused = kubectl("-n", namespace, "patch", "ro", "a", "--type=merge", "-p", patch, check=False)
    assert refused.returncode != 0
    assert ".spec.selector is immutable" in refused.stderr


def test_a_misspelt_field_is_refused_by_plain_kubectl_apply(kubectl: Kubectl, namespace: str) -> None:
    misspelt = a_rollout(strategy={"canary": {"steps": [{"setWieght": 20}]}})
    refused = kubectl("-n", namespace, "apply", "-f", "-", given=misspelt, check=False)
    assert refused.returncode != 0
    assert 'unknown field "spec.strategy.canary.steps[0].setWieght"' in refused.stderr


def test_a_patch_of_the_object_leaves_the_status_alone(kubectl: Kubectl, namespace: str) -> None:
    kubectl("-n", namespace, "create", "-f", "-", given=a_rollout())
    patch_status(kubectl, namespace, "a", {"phase": "Healthy"}, subresource=True)
    patch_status(kubectl, namespace, "a", {"phase": "Degraded"}, subresource=False)
    assert read(kubectl, namespace, "ro", "a")["status"] == {"phase": "Healthy"}


@pytest.mark.parametrize(("kind", "spec"), [("AnalysisRun", {"metrics": []}), ("Experiment", {"templates": []})])
def test_the_status_of_runs_and_experiments_is_patched_on_the_object(
    kubectl: Kubectl, namespace: str, kind: str, spec: dict[str, Any]
) -> None:
    manifest = {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": "a"}, "spec": spec}
    kubectl("-n", namespace, "create", "-f", "-", given=manifest)
    kubectl("-n", namespace, "patch", kind, "a", "--type=merge", "-p", '{"status": {"phase": "Running"}}')
    assert read(kubectl, namespace, kind, "a")["status"] == {"phase": "Running"}
    row = kubectl("-n", namespace, "get", kind, "a").stdout.splitlines()
    assert [row[0].split(), row[1].split()[:2]] == [["NAME", "STATUS", "AGE"], ["a", "Running"]]


def test_a_rollout_is_scaled_through_the_scale_subresource(kubectl: Kubectl, namespace: str) -> None:
    kubectl("-n", namespace, "create", "-f", "-", given=a_rollout())
    patch_status(kubectl, namespace, "a", {"HPAReplicas": 2, "selector": "app=a"}, subresource=True)
    kubectl("-n", namespace, "scale", "rollout/a", "--replicas=7")
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/a/scale"
    scale = json.loads(kubectl("get", "--raw", path).stdout)
    assert scale["spec"] == {"replicas": 7}
    assert scale["status"] == {"replicas": 2, "selector": "app=a"}
    assert read(kubectl, namespace, "ro", "a")["spec"]["replicas"] == 7


def test_kubectl_shows_the_columns_that_users_know(kubectl: Kubectl, namespace: str) -> None:
    kubectl("-n", namespace, "create", "-f", "-", given=a_rollout())
    status = {"replicas": 4, "updatedReplicas": 1, "availableReplicas": 3}
    patch_status(kubectl, namespace, "a", status, subresource=True)
    header, row = kubectl("-n", namespace, "get", "ro").stdout.splitlines()
    assert header.split() == ["NAME", "DESIRED", "CURRENT", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert row.split()[:5] == ["a", "3", "4", "1", "3"]


def test_all_kinds_are_listed_under_one_word(kubectl: Kubectl, namespace: str) -> None:
    kubectl("-n", namespace, "create", "-f", "-", given=a_rollout())
    assert kubectl("-n", namespace, "get", "tidegate", "-o", "name").stdout.split() == ["rollout.argoproj.io/a"]


def test_kubectl_explains_a_field_with_its_unit(kubectl: Kubectl) -> None:
    text = kubectl("explain", "rollout.spec.strategy.canary.steps.pause.duration").stdout
    assert "Seconds as a number" in text


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: str(file.relative_to(ROOT / "deploy" / "examples")))
def test_the_examples_are_accepted(kubectl: Kubectl, namespace: str, file: Path) -> None:
    # HTTPRoute is the Gateway API's kind; its CRDs are not part of this control plane, and the unit tests check the reference.
    known = [manifest for manifest in yaml.safe_load_all(file.read_text(encoding="utf-8")) if manifest["kind"] != "HTTPRoute"]
    for manifest in known:
        kubectl("-n", namespace, "apply", "--validate=strict", "-f", "-", given=manifest)
