"""A request is checked before it is sent, with the field, the value and what would be right."""

from pathlib import Path
from typing import Any

import pytest

from tidegate.errors import TidegateError
from tidegate.messages import RolloutRequested
from tidegate_cli.connection import Connection
from tidegate_cli.sending import requested_change

HERE = Connection(namespace="shop")


def change(name: str | None = "web", *, connection: Connection = HERE, **given: Any) -> RolloutRequested:
    return requested_change(connection, name, **{"images": {}, "file": None, "patch": None, **given})


def test_images_are_carried_by_container() -> None:
    assert change(images={"app": "demo:yellow"}).images == {"app": "demo:yellow"}


def test_a_manifest_brings_its_own_name_and_namespace(tmp_path: Path) -> None:
    file = tmp_path / "rollout.yaml"
    file.write_text("kind: ConfigMap\n---\nkind: Rollout\nmetadata: {name: web, namespace: shop}\nspec: {}\n")
    message = change(None, connection=Connection(), file=file)
    assert (message.namespace, message.name) == ("shop", "web")


def test_a_patch_may_be_json_or_yaml() -> None:
    assert change(patch='{"spec": {"replicas": 3}}').patch == change(patch="spec: {replicas: 3}").patch


@pytest.mark.parametrize(
    ("given", "text"),
    [
        pytest.param({}, "exactly one of manifest, images, patch must be given, got none", id="nothing to change"),
        pytest.param({"images": {"a": "b"}, "patch": "{a: 1}"}, "got images, patch", id="two changes"),
        pytest.param({"patch": "[1]"}, "it must be an object such as", id="a patch that is a list"),
        pytest.param({"patch": "{"}, "neither JSON nor YAML", id="a patch that is nothing"),
        pytest.param({"name": "Web_1", "images": {"a": "b"}}, "name is 'Web_1'", id="a name Kubernetes would refuse"),
    ],
)
def test_a_bad_request_is_told_before_it_is_sent(given: dict[str, Any], text: str) -> None:
    with pytest.raises(TidegateError, match=text):
        change(**{"name": "web", **given})


@pytest.mark.parametrize(
    ("content", "text"),
    [("kind: ConfigMap", "holds 0 Rollouts"), ("{a", r"it.yaml:1:3: not YAML: "), ("just text", "must hold Kubernetes objects")],
)
def test_a_file_without_exactly_one_rollout_is_refused(tmp_path: Path, content: str, text: str) -> None:
    file = tmp_path / "it.yaml"
    file.write_text(content)
    with pytest.raises(TidegateError, match=text):
        change(None, file=file)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(TidegateError, match=r"nowhere\.yaml cannot be read"):
        change(None, file=Path("nowhere.yaml"))
