"""What a user or a peer writes is accepted, and comes back as it was written."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tidegate.crd.generate import KINDS, schemas
from tidegate.crd.strict import unknown_fields

HERE = Path(__file__).parent
PRESERVE = "x-kubernetes-preserve-unknown-fields"
RECORDED: dict[str, dict[str, Any]] = json.loads((HERE / "recorded.json").read_text(encoding="utf-8"))
"""End states of 44 scenarios played against the peer on a real API server."""
MAXIMAL = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((HERE / "maximal").glob("*.yaml"))}
"""Every field once, written from the description of the API and not from the models."""
ALL = RECORDED | MAXIMAL
VALIDATORS = {kind: jsonschema_rs.validator_for(schema) for kind, schema in schemas().items()}
MODELS = {kind.name: kind.model for kind in KINDS}


def errors(manifest: dict[str, Any]) -> list[str]:
    return [f"{error.instance_path}: {error.message}" for error in VALIDATORS[manifest["kind"]].iter_errors(manifest)]


def pruned(value: Any, schema: dict[str, Any]) -> Any:
    """`value` as the API server stores it; its rules, on purpose not those of the code under test."""
    if isinstance(value, list):
        return [pruned(item, schema.get("items", {PRESERVE: True})) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, child in value.items():
        if name in schema.get("properties", {}):
            kept[name] = pruned(child, schema["properties"][name])
        elif "additionalProperties" in schema:
            kept[name] = pruned(child, schema["additionalProperties"])
        elif schema.get(PRESERVE):
            kept[name] = child
    return kept


def stored(manifest: dict[str, Any]) -> Any:
    return pruned(manifest, schemas()[manifest["kind"]]) | {"metadata": manifest["metadata"]}


def unused(value: Any, schema: dict[str, Any], path: str) -> set[str]:
    """Paths of the schema that `value` does not show."""
    if "items" in schema:
        each = [unused(item, schema["items"], f"{path}[]") for item in value or [None]]
        return set.intersection(*each)
    missing = set()
    for name, child in schema.get("properties", {}).items():
        present = isinstance(value, dict) and name in value
        missing |= unused(value[name] if present else None, child, f"{path}.{name}") | (set() if present else {f"{path}.{name}"})
    return missing


@pytest.mark.parametrize("name", ALL)
def test_is_accepted(name: str) -> None:
    assert errors(ALL[name]) == []


@pytest.mark.parametrize("name", ALL)
def test_is_stored_with_nothing_pruned(name: str) -> None:
    assert stored(ALL[name]) == ALL[name]


@pytest.mark.parametrize("name", ALL)
def test_survives_the_models_too(name: str) -> None:
    manifest = ALL[name]
    model = MODELS[manifest["kind"]].model_validate(manifest)
    assert model.model_dump(by_alias=True, exclude_unset=True) == manifest


@pytest.mark.parametrize("name", ALL)
def test_has_no_field_that_lint_would_call_unknown(name: str) -> None:
    assert unknown_fields(ALL[name]) == []


@pytest.mark.parametrize("name", MAXIMAL)
def test_a_maximal_manifest_shows_every_field_of_its_kind(name: str) -> None:
    schema = schemas()[MAXIMAL[name]["kind"]]
    assert unused(MAXIMAL[name], schema, "") == set()


def test_there_is_a_maximal_manifest_of_every_kind() -> None:
    assert {manifest["kind"] for manifest in MAXIMAL.values()} == set(schemas())


def test_a_field_that_nobody_knows_is_pruned_from_a_spec() -> None:
    rollout = {"kind": "Rollout", "metadata": {}, "spec": {"replicas": 1, "nobodyKnows": 1}}
    assert stored(rollout)["spec"] == {"replicas": 1}
