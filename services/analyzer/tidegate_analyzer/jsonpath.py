"""Kubernetes JSONPath, as much of it as picks one value out of a web metric's JSON (`argo-behaviour.md` 8.2).

Understood: `{$.a.b[0].c}`, `['x']`, `[*]`, `.*`, `..name`, `[1:3]`, `[-1]`, `[0,2]`, `[?(@.x==1)]`. Text outside
braces is text, as in kubectl. Not understood: `range`, because only the first match is ever used and
`{.items[*].x}` says the same.

Unlike client-go, which refuses to compare a JSON number with `1`, a filter compares numbers by value; that is what its users write.
"""

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from tidegate.errors import TidegateError
from tidegate_analyzer.expression import text_of

DEFAULT_PATH = "{$}"
NO_VALUE = "result of web metric produced no value"


class JsonPathError(TidegateError):
    """A path that cannot be read, or a document it does not fit."""


class NoValue(JsonPathError):  # noqa: N818 - reads as the fact it states
    """The path fits and matches nothing."""

    def __init__(self) -> None:
        super().__init__(NO_VALUE)


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path that was read; `blocks` are its `{...}` and the texts between them."""

    text: str
    blocks: tuple["Steps", ...]

    def first(self, document: Any) -> Any:
        """The first match, which may be null. NoValue if there is none."""
        found = [_walked([document], block) for block in self.blocks]
        for values in found:
            if values:
                return values[0]
        raise NoValue


def parsed(text: str) -> JsonPath:
    return JsonPath(text, tuple(_blocks(text or DEFAULT_PATH)))


# -- steps: each takes the values matched so far to the next ones


class Step:
    __slots__ = ()

    def taken(self, values: list[Any]) -> list[Any]:
        raise NotImplementedError


Steps = tuple[Step, ...]


def _walked(values: list[Any], steps: Steps) -> list[Any]:
    for step in steps:
        values = step.taken(values)
    return values


@dataclass(frozen=True, slots=True)
class _Constant(Step):
    value: Any

    def taken(self, values: list[Any]) -> list[Any]:
        return [self.value] * max(len(values), 1)


@dataclass(frozen=True, slots=True)
class _Field(Step):
    name: str

    def taken(self, values: list[Any]) -> list[Any]:
        if not values:
            return []
        found = [value[self.name] for value in values if isinstance(value, dict) and self.name in value]
        if not found:
            raise JsonPathError(f"{self.name} is not found")
        return found


@dataclass(frozen=True, slots=True)
class _Wildcard(Step):
    def taken(self, values: list[Any]) -> list[Any]:
        return [child for value in values for child in _children(value)]


@dataclass(frozen=True, slots=True)
class _Recursive(Step):
    """Every value that holds others, outer ones first."""

    def taken(self, values: list[Any]) -> list[Any]:
        found: list[Any] = []
        waiting = list(reversed(values))
        while waiting:
            value = waiting.pop()
            children = _children(value)
            if children:
                found.append(value)
                waiting.extend(reversed(children))
        return found


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class _Slice(Step):
    """`[start:stop:step]`; a single index is the slice from it to the next, and out of range is an error."""

    start: int
    stop: int | None
    step: int | None
    is_index: bool

    def taken(self, values: list[Any]) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if value is None:
                continue
            if not isinstance(value, list):
                raise JsonPathError(f"{_type_name(value)} is not array or slice")
            found += self._cut(value)
        return found

    def _cut(self, items: list[Any]) -> list[Any]:
        length = len(items)
        start = self.start + length if self.start < 0 else self.start
        stop = length if self.stop is None else self.stop
        if stop < 0 or (stop == 0 and self.is_index):
            stop += length
        if start == stop:
            return []
        for index, inside in ((start, 0 <= start < length), (stop - 1, 0 <= stop <= length)):
            if not inside:
                raise JsonPathError(f"array index out of bounds: index {index}, length {length}")
        if start > stop:
            raise JsonPathError(f"starting index {start} is greater than ending index {stop}")
        if self.step is not None and self.step <= 0:
            raise JsonPathError("step must be > 0")
        return items[start : stop : self.step or 1]


@dataclass(frozen=True, slots=True)
class _Union(Step):
    paths: tuple[Steps, ...]

    def taken(self, values: list[Any]) -> list[Any]:
        return [value for path in self.paths for value in _walked(values, path)]


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class _Filter(Step):
    left: Steps
    sign: str
    right: Steps

    def taken(self, values: list[Any]) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if not isinstance(value, list):
                raise JsonPathError(f"{text_of(value)} is not array or slice and cannot be filtered")
            found += [item for item in value if self._passes(item)]
        return found

    def _passes(self, item: Any) -> bool:
        if not self.sign:
            try:
                return bool(_walked([item], self.left))
            except JsonPathError:
                return False
        sides = [_walked([item], self.left), _walked([item], self.right)]
        if not all(sides):
            return False
        if any(len(side) > 1 for side in sides):
            raise JsonPathError("can only compare one element at a time")
        return _compared(self.sign, sides[0][0], sides[1][0])


def _compared(sign: str, left: Any, right: Any) -> bool:
    if sign not in _COMPARE:
        raise JsonPathError(f"unrecognized filter operator {sign}")
    kinds = [_comparison_kind(side) for side in (left, right)]
    if kinds[0] != kinds[1]:
        raise JsonPathError("incompatible types for comparison")
    if kinds[0] == "bool" and sign not in {"==", "!="}:
        raise JsonPathError("invalid type for comparison")
    return _COMPARE[sign](left, right)


def _comparison_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    raise JsonPathError("invalid type for comparison")


def _type_name(value: Any) -> str:
    names = {dict: "map[string]interface {}", list: "[]interface {}", str: "string", bool: "bool", type(None): "<nil>"}
    return names.get(type(value), "float64")


# -- reading

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
            yield (_Constant(text[at:end]),)
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
        steps += _read(match, bool(steps) and isinstance(steps[-1], _Recursive))
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
            return [_Recursive(), *([_Field(_plain(content))] if content else [])]
        case "array":
            return _array(content)
        case "quoted":
            return [_Constant(_unquoted(content))]
        case "field":
            return [_Wildcard() if content == "*" else _Field(_plain(content))]
        case "number":
            return [_Constant(_number(content))]
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
        return _Constant(text == "true")
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
        return _Filter(_inner(text), "", ())
    return _Filter(_inner(comparison[1]), comparison[2], _inner(comparison[3]))


def _inner(text: str) -> Steps:
    return _action(text + "}", 0)[0]


def _array(text: str) -> list[Step]:
    if "," in text:
        return [_Union(tuple(tuple(_array(part.strip(" "))) for part in text.split(",")))]
    if text == "*":
        return [_Slice(0, None, None, is_index=False)]
    if quoted := re.fullmatch(r"'([^']*)'", text):
        return list(_inner("." + quoted[1]))
    bounds = _SLICE.fullmatch(text)
    if bounds is None:
        raise JsonPathError(f"invalid array index {text}")
    start, stop, step = (None if part is None else part.lstrip(":") for part in bounds.groups())
    first = int(start) if start and start != "-" else 0
    if stop is None:
        return [_Slice(first, first + 1, None, is_index=True)]
    return [_Slice(first, int(stop) if stop else None, int(step) if step else None, is_index=False)]


def _plain(name: str) -> str:
    return name.replace("\\", "")


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), text[1:-1])
