"""What the documents point at is there: files, tests, commands, registered adapters."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from tidegate_analyzer.providers import PROVIDERS
from tidegate_cli.app import build
from tidegate_notifier.channels import CHANNELS
from tidegate_shifter.routers import ROUTERS

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "services").glob("*/README.md"),
        *(ROOT / "deploy").glob("**/README.md"),
    ]
)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
ANCHOR = re.compile(r"\]\((?!https?:)([^)#]*)#([^)]+)\)")
NAMED_TEST = re.compile(r"`(?:tests/)?([\w/]+/test_\w+\.py)(?:::(\w+))?`")
FOR_TESTS_ONLY = {"tidegate/memory"}


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_leads_to_a_file(document: Path) -> None:
    missing = [target for target in LINK.findall(document.read_text()) if not (document.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_into_a_page_leads_to_a_heading(document: Path) -> None:
    links = [(document.parent / file if file else document, anchor) for file, anchor in ANCHOR.findall(document.read_text())]
    assert [f"{page.name}#{anchor}" for page, anchor in links if page.suffix == ".md" and anchor not in anchors(page)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_test_that_is_named_exists(document: Path) -> None:
    missing = [
        f"{file}::{test}"
        for file, test in NAMED_TEST.findall(document.read_text())
        if not (path := ROOT / "tests" / file).exists() or (test and test not in functions(path))
    ]
    assert missing == []


def test_every_row_of_the_differences_names_the_test_that_shows_it() -> None:
    text = (ROOT / "docs" / "differences.md").read_text().partition("## The same")[0]
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| Argo Rollouts |")]
    assert rows
    assert [row for row in rows if not NAMED_TEST.search(row.rsplit("|", 2)[1])] == []


def test_the_page_of_the_command_line_has_every_command() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert [command for command in commands() if f"`{command}" not in page] == []


@pytest.mark.parametrize("adapter", sorted({*ROUTERS, *PROVIDERS, *CHANNELS} - FOR_TESTS_ONLY))
def test_every_adapter_is_in_the_changelog_by_its_name(adapter: str) -> None:
    words = re.sub(r"[^a-z0-9]", "", (ROOT / "CHANGELOG.md").read_text().lower())
    assert re.sub(r"[^a-z0-9]", "", adapter.rpartition("/")[2].lower()) in words


def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = (line.lstrip("#").strip() for line in page.read_text().splitlines() if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def commands() -> Iterator[str]:
    for name, command in typer.main.get_command(build(rich=False)).commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", {})
        yield from (f"{name} {each}" for each, one in below.items() if not one.hidden) if below else (name,)
