"""Which types an operator takes, and which it yields: one row per operator, first fitting row wins."""

from collections.abc import Callable

from tidegate_analyzer.expression.natures import (
    BOOL,
    DURATION,
    FLOAT,
    INT,
    IS_BOOL,
    IS_DURATION,
    IS_INTEGER,
    IS_NUMBER,
    IS_STRING,
    IS_TIME,
    NIL,
    STRING,
    TIME,
    UNKNOWN,
    Nature,
    Test,
    list_of,
    may_fit,
)

Row = tuple[Test, Test, Callable[[Nature, Nature], Nature]]


def _always(nature: Nature) -> Callable[[Nature, Nature], Nature]:
    return lambda _left, _right: nature


def _wider(left: Nature, right: Nature) -> Nature:
    return FLOAT if "float" in {left.kind, right.kind} else INT


def _is_bytes(nature: Nature) -> bool:
    return nature.kind == "bytes"


_ORDERED: list[Row] = [(test, test, _always(BOOL)) for test in (IS_NUMBER, IS_STRING, IS_TIME, IS_DURATION)]
_LOGICAL: list[Row] = [(IS_BOOL, IS_BOOL, _always(BOOL))]
_TEXTUAL: list[Row] = [(IS_STRING, IS_STRING, _always(BOOL))]
_FRACTIONAL: list[Row] = [(IS_NUMBER, IS_NUMBER, _always(FLOAT))]

# operator -> (rows, tests for the known side when the other is unknown, what comes back then)
_TABLE: dict[str, tuple[list[Row], tuple[Test, ...], Nature]] = {
    **dict.fromkeys(("or", "||", "and", "&&"), (_LOGICAL, (IS_BOOL,), BOOL)),
    **dict.fromkeys(("<", ">", ">=", "<="), (_ORDERED, (IS_NUMBER, IS_STRING, IS_TIME, IS_DURATION), BOOL)),
    **dict.fromkeys(("contains", "startsWith", "endsWith"), (_TEXTUAL, (IS_STRING,), BOOL)),
    "matches": ([*_TEXTUAL, (_is_bytes, IS_STRING, _always(BOOL))], (IS_STRING,), BOOL),
    **dict.fromkeys(("/", "**", "^"), (_FRACTIONAL, (IS_NUMBER,), FLOAT)),
    "%": ([(IS_INTEGER, IS_INTEGER, _always(INT))], (IS_INTEGER,), INT),
    "..": ([(IS_INTEGER, IS_INTEGER, _always(list_of(INT)))], (IS_INTEGER,), list_of(INT)),
    "+": (
        [
            (IS_NUMBER, IS_NUMBER, _wider),
            (IS_STRING, IS_STRING, _always(STRING)),
            (IS_TIME, IS_DURATION, _always(TIME)),
            (IS_DURATION, IS_TIME, _always(TIME)),
            (IS_DURATION, IS_DURATION, _always(DURATION)),
        ],
        (IS_NUMBER, IS_STRING, IS_TIME, IS_DURATION),
        UNKNOWN,
    ),
    "-": (
        [
            (IS_NUMBER, IS_NUMBER, _wider),
            (IS_TIME, IS_TIME, _always(DURATION)),
            (IS_TIME, IS_DURATION, _always(TIME)),
            (IS_DURATION, IS_DURATION, _always(DURATION)),
        ],
        (IS_NUMBER, IS_TIME, IS_DURATION),
        UNKNOWN,
    ),
    "*": (
        [
            (IS_NUMBER, IS_NUMBER, _wider),
            (IS_NUMBER, IS_DURATION, _always(DURATION)),
            (IS_DURATION, IS_NUMBER, _always(DURATION)),
            (IS_DURATION, IS_DURATION, _always(DURATION)),
        ],
        (IS_NUMBER, IS_DURATION),
        UNKNOWN,
    ),
}


def joined(operator: str, left: Nature, right: Nature) -> Nature | str:
    """The nature of `left operator right`, or why there is none."""
    match operator:
        case "==" | "!=":
            return BOOL if left.is_comparable_to(right) else _mismatch(operator, left, right)
        case "??":
            return _coalesced(left, right)
        case "in":
            return _membership(left, right)
    rows, tests, otherwise = _TABLE[operator]
    for takes_left, takes_right, yields in rows:
        if takes_left(left) and takes_right(right):
            return yields(left, right)
    return otherwise if may_fit(left, right, *tests) else _mismatch(operator, left, right)


def _mismatch(operator: str, left: Nature, right: Nature) -> str:
    return f"invalid operation: {operator} (mismatched types {left.name} and {right.name})"


def _coalesced(left: Nature, right: Nature) -> Nature:
    if left.kind == "nil":
        return NIL if right.kind == "nil" else right
    return left if right.kind == "nil" or right.fits(left) else UNKNOWN


def _membership(needle: Nature, haystack: Nature) -> Nature | str:
    if haystack.kind == "map":
        fits = needle.is_unknown or needle.kind == "string" or haystack.name != "map[string]interface {}"
        return BOOL if fits else f"cannot use {needle.name} as type string in map key"
    if haystack.kind == "list":
        fits = needle.is_comparable_to(haystack.inner)
        return BOOL if fits else f"cannot use {needle.name} as type {haystack.inner.name} in array"
    if haystack.is_unknown or (needle.is_unknown and haystack.kind == "string"):
        return BOOL
    return _mismatch("in", needle, haystack)
