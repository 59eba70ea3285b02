"""deploy/examples are copied by newcomers: every manifest in them is valid, spelt right, and its references hold."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tidegate.crd.generate import schemas
from tidegate.crd.strict import unknown_fields
from tidegate.keys import API_VERSION

EXAMPLES = Path(__file__).parents[3] / "deploy" / "examples"
FOLDERS = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())
FILES = sorted(EXAMPLES.rglob("*.yaml"))


def manifests(*files: Path) -> list[dict[str, Any]]:
    return [manifest for file in files for manifest in yaml.safe_load_all(file.read_text(encoding="utf-8"))]


def in_folder(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in manifests(*folder.glob("*.yaml"))}


def rollout(folder: Path) -> dict[str, Any]:
    (found,) = [manifest for (kind, _), manifest in in_folder(folder).items() if kind == "Rollout"]
    spec: dict[str, Any] = found["spec"]
    return spec


def services_named(canary: dict[str, Any]) -> Iterator[str]:
    yield from (canary[field] for field in ("stableService", "canaryService") if field in canary)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_every_manifest_is_valid_and_spelt_right(file: Path) -> None:
    ours = [manifest for manifest in manifests(file) if manifest["apiVersion"] == API_VERSION]
    for manifest in ours:
        jsonschema_rs.validator_for(schemas()[manifest["kind"]]).validate(manifest)
        assert unknown_fields(manifest) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
class TestFolder:
    def test_is_explained_in_five_lines(self, folder: Path) -> None:
        assert len((folder / "README.md").read_text(encoding="utf-8").splitlines()) == 5

    def test_has_a_number_of_its_own(self, folder: Path) -> None:
        number = folder.name.partition("-")[0]
        assert [other.name for other in FOLDERS if other.name.startswith(number)] == [folder.name]

    def test_the_rollout_selects_its_own_pods(self, folder: Path) -> None:
        spec = rollout(folder)
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()

    def test_the_services_it_names_are_there_and_select_its_pods(self, folder: Path) -> None:
        spec = rollout(folder)
        for name in services_named(spec["strategy"]["canary"]):
            selector = in_folder(folder)["Service", name]["spec"]["selector"]
            assert selector.items() <= spec["template"]["metadata"]["labels"].items()

    def test_the_templates_it_names_are_there_and_get_their_arguments(self, folder: Path) -> None:
        analyses = [step["analysis"] for step in rollout(folder)["strategy"]["canary"]["steps"] if "analysis" in step]
        for analysis in analyses:
            given = {argument["name"] for argument in analysis["args"]}
            for reference in analysis["templates"]:
                template = in_folder(folder)["AnalysisTemplate", reference["templateName"]]
                assert given == {argument["name"] for argument in template["spec"]["args"]}


def test_the_http_route_splits_between_the_services_of_the_rollout() -> None:
    folder = EXAMPLES / "03-gateway-api"
    canary = rollout(folder)["strategy"]["canary"]
    config = canary["trafficRouting"]["plugins"]["argoproj-labs/gatewayAPI"]
    (rule,) = in_folder(folder)["HTTPRoute", config["httpRoute"]]["spec"]["rules"]
    weights = {backend["name"]: backend["weight"] for backend in rule["backendRefs"]}
    assert weights == {canary["stableService"]: 100, canary["canaryService"]: 0}
