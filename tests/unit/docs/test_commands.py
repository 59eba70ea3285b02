"""The commands that the documents show are commands that there are, with options that they have."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from tidegate_cli.app import build

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted(
    file
    for file in (ROOT / "README.md", *(each for folder in ("docs", "deploy", "services") for each in (ROOT / folder).rglob("*.md")))
    if "tidegate " in file.read_text()
)
SPAN = re.compile(r"`(?:kubectl )?tidegate ([a-z][^`]*)`")
CELL = re.compile(r"^\| (`[^|]*(?:\\\|[^|]*)*)\| ", re.MULTILINE)
LINE = re.compile(r"^ {4}(?:\$ )?(?:kubectl )?tidegate ([a-z].*)$", re.MULTILINE)
NEXT_COLUMN = re.compile(r" {2,}|[#|>&;]")
OPTION = re.compile(r"--[a-z-]+|-[a-zA-Z]")


def shown(file: Path) -> Iterator[str]:
    """README.md has several in a line; the tables of docs/cli.md leave `tidegate` out."""
    text = file.read_text()
    yield from SPAN.findall(text)
    if file.name == "cli.md":
        for cell in CELL.findall(text):
            yield from re.findall(r"`([a-z][^`]*)`", cell)
    for line in LINE.findall(text):
        yield from re.split(r" {2,}tidegate ", line)


def mistake(command: str) -> str:
    here: Any = typer.main.get_command(build(rich=False))
    for word in NEXT_COLUMN.split(command)[0].replace("[", "").replace("]", "").split():
        if hasattr(here, "commands"):
            if word not in here.commands:
                return f"there is no {word!r}"
            here = here.commands[word]
        elif OPTION.fullmatch(word) and not any(word in (*each.opts, *each.secondary_opts) for each in here.params):
            return f"{here.name} has no {word}"
    return ""


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda each: str(each.relative_to(ROOT)))
def test_every_command_in_a_document_can_be_typed(file: Path) -> None:
    wrong = {command: said for command in shown(file) if (said := mistake(command))}
    assert wrong == {}


def test_what_cannot_be_typed_is_found() -> None:
    assert mistake("get web --watch") == "there is no 'web'"
    assert mistake("status web --quick") == "status has no --quick"
    assert mistake("promote NAME [--full]   tidegate nonsense") == ""
