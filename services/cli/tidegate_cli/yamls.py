"""Manifests from a file or from standard input, with the file and the line in every complaint."""

import re
import sys
from pathlib import Path
from typing import Any

import yaml
from yaml.reader import ReaderError

from tidegate.errors import TidegateError


def text_of(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text()
    except OSError as error:
        raise TidegateError(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TidegateError(f"{file} cannot be read: it is not UTF-8 text (byte {error.start})") from error


def documents(file: Path) -> list[dict[str, Any]]:
    """All objects in it, Lists taken apart; `-` is standard input."""
    text = text_of(file)
    try:
        loaded = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        raise TidegateError(f"{file}{place_in(text, error)}: not YAML: {reason_of(error)}") from error
    found = [item for each in loaded for item in _items(each)]
    for each in found:
        if not isinstance(each, dict):
            raise TidegateError(f"{file} holds {each!r}; it must hold Kubernetes objects")
    return found


def place_in(text: str, error: yaml.YAMLError) -> str:
    """`:4:2`, line and column from 1, as compilers and editors write it; "" where the parser knows no place."""
    match error:
        case yaml.MarkedYAMLError(problem_mark=yaml.Mark(line=line, column=column)):
            return f":{line + 1}:{column + 1}"
        case ReaderError(position=int(position)):
            before = text[:position]
            return f":{before.count(chr(10)) + 1}:{position - before.rfind(chr(10))}"
        case _:
            return ""


def reason_of(error: yaml.YAMLError) -> str:
    match error:
        case yaml.MarkedYAMLError(problem=str(problem)):
            return f"{problem}{_begun(error)}"
        case ReaderError(character=int(character)):
            return f"character U+{character:04X} is not allowed"
        case _:
            return " ".join(str(error).split())


def _begun(error: yaml.MarkedYAMLError) -> str:
    """Where the part began that does not end as it should, if that is another line."""
    start, end = error.context_mark, error.problem_mark
    if start is None or end is None or start.line == end.line or not error.context:
        return ""
    what = re.sub(r"^while (parsing|scanning) (a |an )?", "", error.context)
    return f" ({what} from line {start.line + 1} on)"


def _items(document: Any) -> list[Any]:
    if isinstance(document, dict) and document.get("kind") == "List":
        return list(document.get("items") or ())
    return [document]
