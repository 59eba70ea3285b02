"""Text into tokens. The alphabet is expr-lang v1.17.8's, plus `=~` and `!~` of the older engine (govaluate)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.quoting import quoted, without_lone_surrogates


class Kind(StrEnum):
    IDENTIFIER = "Identifier"
    NUMBER = "Number"
    STRING = "String"
    BYTES = "Bytes"
    OPERATOR = "Operator"
    BRACKET = "Bracket"
    EOF = "EOF"


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    value: str
    position: int

    def __str__(self) -> str:
        return f"{self.kind}({quoted(self.value)})" if self.value else str(self.kind)


# Words that are operators wherever they stand; after a dot they are names again, which is the parser's business.
_WORD_OPERATORS = frozenset({"in", "or", "and", "not", "matches", "contains", "startsWith", "endsWith", "let", "if", "else"})


def _number(start: str, digit: str) -> str:
    """Of its own digits alone: what is no number by then, as `0x1.5`, is told by whoever reads it."""
    return rf"{start}{digit}*(?:\.(?!\.){digit}*)?(?:[eE][+-]?{digit}*)?"


_NUMBER = "|".join(
    [_number("0[xX]", "[0-9a-fA-F_]"), _number("0[oO]", "[0-7_]"), _number("0[bB]", "[01_]"), _number(r"\.?\d", r"[\d_]")]
)
_TOKEN = re.compile(
    rf"""
      (?P<space>\s+)
    | (?P<comment>//[^\n]*|/\*.*?\*/)
    | (?P<number>{_NUMBER})
    | (?P<raw>`(?:[^`]|``)*`)
    | (?P<bytes>[bB](?P<bquote>['"])(?:\\.|(?!(?P=bquote))[^\\\n])*(?P=bquote))
    | (?P<string>(?P<quote>['"])(?:\\.|(?!(?P=quote))[^\\\n])*(?P=quote))
    | (?P<word>(?:[^\W\d]|\$)[\w$]*)
    | (?P<operator>\?\?|\?\.|\?|\.\.|\.|\|\||\||::|:|&&|==|=~|!=|!~|<=|>=|\*\*|[,;%+\-^\#!=*<>&]|/(?!\*))
    | (?P<bracket>[()\[\]{{}}])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-7]{3})|x(?P<hex>[0-9a-fA-F]{2})|u\{(?P<braced>[0-9a-fA-F]{1,6})\}|u(?P<short>[0-9a-fA-F]{4})"
    r"|U(?P<long>[0-9a-fA-F]{8})|(?P<simple>[abfnrtv\\'\"]))",
)
_SIMPLE_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LAST_CODE_POINT = 0x10FFFF


def tokens(source: str) -> Iterator[Token]:
    """One at a time, so that of two faults the first is told."""
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise _unreadable(source, position)
        if match.lastgroup not in {"space", "comment"}:
            yield _token_of(match, source)
        position = match.end()
    # The end is pointed at under the last character, where the missing piece would be attached.
    yield Token(Kind.EOF, "", max(len(source) - 1, 0))


def _token_of(match: re.Match[str], source: str) -> Token:
    text, position = match.group(), match.start()
    match match.lastgroup:
        case "number":
            return Token(Kind.NUMBER, _checked_number(match, source), position)
        case "raw":
            return Token(Kind.STRING, text[1:-1].replace("``", "`"), position)
        case "string":
            return Token(Kind.STRING, _unescaped(text[1:-1], source, position), position)
        case "bytes":
            return Token(Kind.BYTES, _unescaped(text[2:-1], source, position), position)
        case "word":
            return Token(Kind.OPERATOR if text in _WORD_OPERATORS else Kind.IDENTIFIER, text, position)
        case "bracket":
            return Token(Kind.BRACKET, text, position)
        case _:
            return Token(Kind.OPERATOR, text, position)


def _checked_number(match: re.Match[str], source: str) -> str:
    """`12abc` is one bad number, not a number and a name."""
    following = source[match.end() : match.end() + 1]
    if following.isalnum() or following in {"_", "$"}:
        bad = quoted(match.group() + following)
        raise ExpressionError(f"bad number syntax: {bad}", position=match.end(), source=source)
    return match.group()


def _unescaped(text: str, source: str, position: int) -> str:
    pieces: list[str] = []
    at = 0
    while (slash := text.find("\\", at)) >= 0:
        escape = _ESCAPE.match(text, slash)
        if escape is None:
            raise ExpressionError("invalid char escape", position=position + slash + 2, source=source)
        pieces += [text[at:slash], _character(escape, source, position + slash)]
        at = escape.end()
    return without_lone_surrogates("".join([*pieces, text[at:]]))


def _character(escape: re.Match[str], source: str, position: int) -> str:
    if simple := escape["simple"]:
        return _SIMPLE_ESCAPES.get(simple, simple)
    if octal := escape["octal"]:
        return chr(int(octal, 8))
    code = int(escape["hex"] or escape["braced"] or escape["short"] or escape["long"], 16)
    if code > _LAST_CODE_POINT:
        raise ExpressionError("unable to unescape string", position=position, source=source)
    return chr(code)


def _unreadable(source: str, position: int) -> ExpressionError:
    character = source[position]
    if source.startswith("/*", position):
        return ExpressionError("unclosed comment", position=len(source), source=source)
    if character in "'\"`" or source[position : position + 2].lower() in {"b'", 'b"'}:
        return ExpressionError("literal not terminated", position=len(source), source=source)
    reason = f"unrecognized character: U+{ord(character):04X} '{character}'"
    return ExpressionError(reason, position=position, source=source)
