"""`tidegate support` and docs/support.md say what the adapters declare, and the adapters declare what they do."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tidegate_analyzer.providers import PROVIDERS
from tidegate_cli.app import build
from tidegate_cli.support import COLUMNS, as_json, as_markdown, supported
from tidegate_notifier.channels import CHANNELS
from tidegate_shifter.router import Feature
from tidegate_shifter.routers import ROUTERS

PAGE = Path(__file__).parents[3] / "docs" / "support.md"


def said(*arguments: str) -> str:
    result = CliRunner().invoke(build(rich=False), ["support", *arguments])
    assert result.exit_code == 0
    return result.stdout


def test_the_page_is_what_the_adapters_declare() -> None:
    """`make docs` writes it."""
    assert PAGE.read_text() == as_markdown(supported())


def test_every_adapter_of_the_registries_is_there() -> None:
    found = supported()
    assert set(found.routers) == set(ROUTERS) - {"tidegate/memory"}
    assert set(found.providers) == set(PROVIDERS)
    assert set(found.channels) == {*CHANNELS, "kubernetes events"}
    assert all(found.providers.values())
    assert all(found.channels.values())


def test_every_feature_has_its_column() -> None:
    assert set(COLUMNS) == set(Feature)


@pytest.mark.parametrize("router", ROUTERS)
def test_only_what_a_router_supports_has_a_remark(router: str) -> None:
    adapter = ROUTERS[router]
    assert set(adapter.remarks) <= set(adapter.supports)  # type: ignore[attr-defined]


def test_a_machine_gets_every_feature_of_every_router() -> None:
    told = json.loads(said("-o", "json"))
    assert told == json.loads(json.dumps(as_json(supported())))
    assert told["routers"]["istio"]["mirror-routes"] is True
    assert told["routers"]["nginx"]["mirror-routes"] is False
    assert told["routers"]["alb"]["header-routes"] == "`exact` only"
    assert "SigV4" in told["providers"]["prometheus"]


def test_a_person_gets_tables() -> None:
    lines = said().splitlines()
    assert lines[0].startswith("ROUTER")
    assert any(line.startswith("alb") and "exact only" in line for line in lines)
    assert any(line.startswith("PROVIDER") for line in lines)
    assert any(line.startswith("webhook") for line in lines)
    assert said("-o", "markdown") == PAGE.read_text()
