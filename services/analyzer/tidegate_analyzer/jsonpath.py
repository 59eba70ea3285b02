"""Kubernetes JSONPath, as much of it as picks one value out of a web metric's JSON (`argo-behaviour.md` 8.2).

Understood: `{$.a.b[0].c}`, `['x']`, `[*]`, `.*`, `..name`, `[1:3]`, `[-1]`, `[0,2]`, `[?(@.x==1)]`. Text outside
braces is text, as in kubectl. Not understood: `range`, because only the first match is ever used and
`{.items[*].x}` says the same.

Unlike client-go, which refuses to compare a JSON number with `1`, a filter compares numbers by value; that is what its users write.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from tidegate_analyzer.jsonpath_steps import (
    Constant,
    Field,
    Filter,
    JsonPathError,
    Recursive,
    Slice,
    Step,
    Steps,
    Union,
    Walk,
    Wildcard,
    walked,
)

__all__ = ["DEFAULT_PATH", "NO_VALUE", "JsonPath", "JsonPathError", "NoValue", "parsed"]

DEFAULT_PATH = "{$}"
NO_VALUE = "result of web metric produced no value"


class NoValue(JsonPathError):  # noqa: N818 - reads as the fact it states
    """The path fits and matches nothing."""

    def __init__(self) -> None:
        super().__init__(NO_VALUE)


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path that was read; `blocks` are its `{...}` and the texts between them."""

    text: str
    blocks: tuple[Steps, ...]

    def first(self, document: Any) -> Any:
        """The first match, which may be null. NoValue if there is none."""
        walk = Walk()
        found = [walked([document], block, walk) for block in self.blocks]
        for values in found:
            if values:
                return values[0]
        raise NoValue


def parsed(text: str) -> JsonPath:
    return JsonPath(text, tuple(_blocks(text or DEFAULT_PATH)))


_ACTION = re.compile(
    r"""
      (?P<skip>[ ]|[@$])
    | \[\?\((?P<filter>(?:[^"'\n)]|"(?:[^"\n\\]|\\.)*"|'(?:[^'\n\\]|\\.)*')*)\)\]
    | \.\.(?P<recursive>(?:\w(?:\\.|[^\s.,\[\]$@{}\\])*)?)
    | \[(?P<array>[^\]\n]*)\]
    | (?P<quoted>"(?:[^"\n\\]|\\.)*"|'(?:[^'\n\\]|\\.)*')
    | \.(?P<field>(?:\\.|[^\s.,\[\]$@{}\\])*)
    | (?P<number>[+-]?[\d.]+)
    | (?P<word>\w[^\s.,\[\]$@{}]*)
    """,
    re.VERBOSE,
)
_COMPARISON = re.compile(r"([^!<>=]+)([!<>=]+)(.+)", re.DOTALL)
_SLICE = re.compile(r"(-?\d{0,18})(:-?\d{0,18})?(:-?\d{0,18})?")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def _blocks(text: str) -> Iterator[Steps]:
    at = 0
    while at < len(text):
        if text[at] != "{":
            end = text.find("{", at)
            end = len(text) if end < 0 else end
            yield (Constant(text[at:end]),)
        else:
            steps, end = _action(text, at + 1)
            yield steps
        at = end


def _action(text: str, at: int) -> tuple[Steps, int]:
    """The steps from `at` up to the closing brace, and where the text goes on after it."""
    steps: list[Step] = []
    while text[at : at + 1] != "}":
        match = _ACTION.match(text, at)
        if match is None:
            _complain(text, at)
        steps += _read(match, bool(steps) and isinstance(steps[-1], Recursive))
        at = match.end()
    return tuple(steps), at + 1


def _read(match: re.Match[str], after_recursive: bool) -> list[Step]:
    content = match[match.lastgroup or 0]
    match match.lastgroup:
        case "skip":
            return []
        case "filter":
            return [_filter(content)]
        case "recursive":
            if after_recursive:
                raise JsonPathError("invalid multiple recursive descent")
            return [Recursive(), *([Field(_plain(content))] if content else [])]
        case "array":
            return _array(content)
        case "quoted":
            return [Constant(_unquoted(content))]
        case "field":
            return [Wildcard() if content == "*" else Field(_plain(content))]
        case "number":
            return [Constant(_number(content))]
    return [_word(content)]


def _complain(text: str, at: int) -> NoReturn:
    rest = text[at:]
    if not rest or rest[0] in "\r\n":
        raise JsonPathError("unclosed action")
    if rest.startswith("[?("):
        raise JsonPathError("unterminated filter")
    if rest[0] in "['\"":
        raise JsonPathError("unterminated array" if rest[0] == "[" else "unterminated quoted string")
    raise JsonPathError(f"unrecognized character in action: U+{ord(rest[0]):04X} '{rest[0]}'")


def _word(text: str) -> Step:
    if text in {"true", "false"}:
        return Constant(text == "true")
    if text in {"range", "end"}:
        raise JsonPathError(f"{text} is not supported here: a metric uses the first match only")
    raise JsonPathError(f"unrecognized identifier {text}")


def _number(text: str) -> int | float:
    try:
        return int(text) if "." not in text else float(text)
    except ValueError as error:
        raise JsonPathError(f"cannot parse number {text}") from error


def _filter(text: str) -> Step:
    comparison = _COMPARISON.fullmatch(text)
    if comparison is None:
        return Filter(_inner(text), "", ())
    return Filter(_inner(comparison[1]), comparison[2], _inner(comparison[3]))


def _inner(text: str) -> Steps:
    return _action(text + "}", 0)[0]


def _array(text: str) -> list[Step]:
    if "," in text:
        return [Union(tuple(tuple(_array(part.strip(" "))) for part in text.split(",")))]
    if text == "*":
        return [Slice(0, None, None, is_index=False)]
    if quoted := re.fullmatch(r"'([^']*)'", text):
        return list(_inner("." + quoted[1]))
    bounds = _SLICE.fullmatch(text)
    if bounds is None:
        raise JsonPathError(f"invalid array index {text}")
    start, stop, step = (None if part is None else part.lstrip(":") for part in bounds.groups())
    first = int(start) if start and start != "-" else 0
    if stop is None:
        return [Slice(first, first + 1, None, is_index=True)]
    return [Slice(first, int(stop) if stop else None, int(step) if step else None, is_index=False)]


def _plain(name: str) -> str:
    return name.replace("\\", "")


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), text[1:-1])
