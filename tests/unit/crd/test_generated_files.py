"""deploy/crds is what the models say, and installs with plain kubectl."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate.crd.generate import KINDS, crd_files, crds, crds_yaml

FOLDER = Path(__file__).parents[3] / "deploy" / "crds"
LAST_APPLIED_LIMIT = 262_144  # bytes of all annotations of an object; kubectl apply keeps the whole manifest in one


def test_the_committed_files_are_what_the_models_generate() -> None:
    committed = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yaml")}
    assert crd_files() == committed, "run: python -m tidegate.crd deploy/crds"


def test_the_kustomization_names_every_file() -> None:
    kustomization = yaml.safe_load((FOLDER / "Kustomization").read_text(encoding="utf-8"))
    assert sorted(crd_files()) == kustomization["resources"]


def test_one_text_holds_all_five_in_a_stable_order() -> None:
    assert crds() == list(yaml.safe_load_all(crds_yaml()))
    assert crds_yaml() == crds_yaml()


def test_the_text_says_that_it_is_generated_and_how() -> None:
    assert crds_yaml().startswith("# Generated from ")
    assert "python -m tidegate.crd deploy/crds" in crds_yaml().partition("---")[0]


@pytest.mark.parametrize("crd", crds(), ids=lambda crd: crd["spec"]["names"]["kind"])
def test_a_crd_fits_into_the_annotation_of_kubectl_apply(crd: dict[str, Any]) -> None:
    assert len(json.dumps(crd)) < LAST_APPLIED_LIMIT / 2


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("Rollout", ("rollouts", "ro", "Namespaced")),
        ("AnalysisTemplate", ("analysistemplates", "at", "Namespaced")),
        ("ClusterAnalysisTemplate", ("clusteranalysistemplates", "cat", "Cluster")),
        ("AnalysisRun", ("analysisruns", "ar", "Namespaced")),
        ("Experiment", ("experiments", "exp", "Namespaced")),
    ],
)
def test_names_and_scope_are_the_peers(kind: str, names: tuple[str, str, str]) -> None:
    spec = next(crd["spec"] for crd in crds() if crd["spec"]["names"]["kind"] == kind)
    assert names == (spec["names"]["plural"], *spec["names"]["shortNames"], spec["scope"])


def test_only_a_rollout_has_subresources_because_peers_patch_the_other_statuses_on_the_object_itself() -> None:
    assert [kind.name for kind in KINDS if kind.subresources is not None] == ["Rollout"]


def test_columns_of_a_rollout_are_the_peers() -> None:
    columns = crds()[0]["spec"]["versions"][0]["additionalPrinterColumns"]
    assert [column["name"] for column in columns] == ["Desired", "Current", "Up-to-date", "Available", "Age"]
