"""Manifests from a file or from standard input, with the file and the line in every complaint."""

import sys
from pathlib import Path
from typing import Any

import yaml

from tidegate.errors import TidegateError
from tidegate.yaml_errors import place_in, reason_of


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


def _items(document: Any) -> list[Any]:
    if isinstance(document, dict) and document.get("kind") == "List":
        return list(document.get("items") or ())
    return [document]
