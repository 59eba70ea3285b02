"""How many arguments every function takes and of what type; several rows are several ways to call it (expr-lang v1.17.8)."""

from collections.abc import Callable
from dataclasses import dataclass

from tidegate_analyzer.expression.natures import (
    ANY_MAP,
    ANYTHING,
    BOOL,
    DURATION,
    FLOAT,
    INT,
    INT64,
    INTS,
    LIST,
    LOCATION,
    STRING,
    STRINGS,
    TIME,
    Nature,
)


@dataclass(frozen=True, slots=True)
class Signature:
    parameters: tuple[Nature, ...]
    returns: Nature


def _ways(*rows: tuple[Nature, ...]) -> tuple[Signature, ...]:
    """Each row: the parameters, then what comes back."""
    return tuple(Signature(row[:-1], row[-1]) for row in rows)


_FLOATS = Nature("list", "[]float64", FLOAT)
_TEXT_TO_TEXT = _ways((STRING, STRING))
_SUFFIX = _ways((STRING, STRING, STRING), (STRING, STRING))
_SEARCH = _ways((STRING, STRING, INT))
_TEST = _ways((STRING, STRING, BOOL))
_SPLIT = _ways((STRING, STRING, STRINGS), (STRING, STRING, INT, STRINGS))
_BITS = _ways((INT, INT, INT))

SIGNATURES: dict[str, tuple[Signature, ...]] = {
    **dict.fromkeys(("type", "string", "toJSON"), _ways((ANYTHING, STRING))),
    **dict.fromkeys(("upper", "lower", "toBase64", "fromBase64"), _TEXT_TO_TEXT),
    **dict.fromkeys(("trimPrefix", "trimSuffix"), _SUFFIX),
    **dict.fromkeys(("indexOf", "lastIndexOf"), _SEARCH),
    **dict.fromkeys(("hasPrefix", "hasSuffix"), _TEST),
    **dict.fromkeys(("split", "splitAfter"), _SPLIT),
    **dict.fromkeys(("bitand", "bitor", "bitxor", "bitnand", "bitshl", "bitshr", "bitushr"), _BITS),
    "bitnot": _ways((INT, INT)),
    "trim": _ways((STRING, STRING), (STRING, STRING, STRING)),
    "replace": _ways((STRING, STRING, STRING, INT, STRING), (STRING, STRING, STRING, STRING)),
    "repeat": _ways((STRING, INT, STRING)),
    "join": _ways((LIST, STRING, STRING), (LIST, STRING), (STRINGS, STRING, STRING), (STRINGS, STRING)),
    "fromJSON": _ways((STRING, ANYTHING)),
    "duration": _ways((STRING, DURATION)),
    "timezone": _ways((STRING, LOCATION)),
    "sort": _ways(
        *((kind, STRING, LIST) for kind in (LIST, INTS, _FLOATS, STRINGS)),
        *((kind, LIST) for kind in (LIST, _FLOATS, STRINGS, INTS)),
    ),
}

# The environment of a condition (argo-behaviour.md 7.6).
ENVIRONMENT_FUNCTIONS: dict[str, Signature] = {
    "asInt": Signature((ANYTHING,), INT64),
    "asFloat": Signature((ANYTHING,), FLOAT),
    "isNaN": Signature((FLOAT,), BOOL),
    "isInf": Signature((FLOAT,), BOOL),
    "isNil": Signature((ANYTHING,), BOOL),
    "default": Signature((ANYTHING, ANYTHING), ANYTHING),
}


# -- functions with a rule of their own: natures of the arguments -> nature of the answer, or what is wrong

Rule = Callable[[str, list[Nature]], "Nature | str"]
_NUMBERS = frozenset({"int", "float"})


def _one(argument_kinds: frozenset[str], returns: Callable[[Nature], Nature], complaint: str) -> Rule:
    def rule(name: str, arguments: list[Nature]) -> Nature | str:
        if len(arguments) != 1:
            return f"invalid number of arguments (expected 1, got {len(arguments)})"
        given = arguments[0]
        if given.kind not in argument_kinds | {"unknown"}:
            return complaint.format(name=name, type=_shown(given))
        return returns(given)

    return rule


def _shown(nature: Nature) -> str:
    return "%!s(<nil>)" if nature.kind == "nil" else nature.name


def _aggregate(name: str, arguments: list[Nature]) -> Nature | str:
    if not arguments:
        return f"not enough arguments to call {name}"
    for given in arguments:
        if given.kind in {"unknown", "list"}:
            return ANYTHING
        if not given.is_number:
            return f"invalid argument for {name} (type {_shown(given)})"
    return arguments[0]


def _now(_name: str, arguments: list[Nature]) -> Nature | str:
    if not arguments or (len(arguments) == 1 and arguments[0].kind == "location"):
        return TIME
    return f"invalid number of arguments (expected 0, got {len(arguments)})"


def _date(_name: str, arguments: list[Nature]) -> Nature | str:
    if not arguments:
        return "invalid number of arguments (expected at least 1, got 0)"
    rest = arguments[1:] if arguments[0].kind == "location" else arguments
    if len(rest) > 3:
        return f"invalid number of arguments (expected at most 3, got {len(rest)})"
    return TIME


def _take(_name: str, arguments: list[Nature]) -> Nature | str:
    if len(arguments) != 2:
        return f"invalid number of arguments (expected 2, got {len(arguments)})"
    items, count = arguments
    if items.kind not in {"unknown", "list"}:
        return f"cannot take from {_shown(items)}"
    return items if count.kind in {"unknown", "int"} else f"cannot take {_shown(count)} elements"


def _concat(_name: str, arguments: list[Nature]) -> Nature | str:
    if not arguments:
        return "invalid number of arguments (expected at least 1, got 0)"
    bad = [given for given in arguments if given.kind not in {"unknown", "list"}]
    return f"cannot concat {_shown(bad[0])}" if bad else LIST


_LISTS = frozenset({"list"})
_MAPS = frozenset({"map"})
_ROUND = _one(_NUMBERS, lambda _: FLOAT, "invalid argument for {name} (type {type})")

RULES: dict[str, Rule] = {
    "len": _one(frozenset({"list", "map", "string", "bytes"}), lambda _: INT, "invalid argument for len (type {type})"),
    "abs": _one(_NUMBERS, lambda given: given, "invalid argument for abs (type {type})"),
    **dict.fromkeys(("ceil", "floor", "round"), _ROUND),
    "int": _one(_NUMBERS | {"string", "duration", "enum"}, lambda _: INT, "invalid argument for int (type {type})"),
    "float": _one(_NUMBERS | {"string", "enum"}, lambda _: FLOAT, "invalid argument for float (type {type})"),
    **dict.fromkeys(("max", "min", "mean", "median"), _aggregate),
    "now": _now,
    "date": _date,
    "first": _one(_LISTS, lambda given: given.inner, "cannot get first element from {type}"),
    "last": _one(_LISTS, lambda given: given.inner, "cannot get last element from {type}"),
    "take": _take,
    "keys": _one(_MAPS, lambda _: LIST, "cannot get keys from {type}"),
    "values": _one(_MAPS, lambda _: LIST, "cannot get values from {type}"),
    "toPairs": _one(_MAPS, lambda _: LIST, "cannot transform {type} to pairs"),
    "fromPairs": _one(_LISTS, lambda _: ANY_MAP, "cannot transform {type} from pairs"),
    "reverse": _one(_LISTS, lambda _: LIST, "cannot reverse {type}"),
    "uniq": _one(_LISTS, lambda _: LIST, "cannot uniq {type}"),
    "concat": _concat,
    "flatten": _one(_LISTS, lambda _: LIST, "cannot flatten {type}"),
}

FUNCTIONS = frozenset({*SIGNATURES, *RULES, "get"})
