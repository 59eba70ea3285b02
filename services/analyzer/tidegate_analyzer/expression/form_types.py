"""What nature a form has, once those of its parts are known; the words of a refusal are expr-lang v1.17.8's. `checker` walks."""

from collections.abc import Sequence

from tidegate_analyzer.expression import syntax
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.natures import ANYTHING, BOOL, INT, LIST, MAP, UNKNOWN, Nature, list_of
from tidegate_analyzer.expression.signatures import Signature

_WANT_BOOL = frozenset({"all", "none", "any", "one", "filter", "count", "find", "findIndex", "findLast", "findLastIndex"})


class Unfit(ExpressionError):  # noqa: N818 - reads as the fact it states
    """One way to call a function does not fit; another may."""


def fail(node: syntax.Node, reason: str) -> ExpressionError:
    return ExpressionError(reason, position=node.position)


def unary_answer(node: syntax.Unary, operand: Nature) -> Nature:
    wants_bool = node.operator in {"!", "not"}
    if operand.is_unknown:
        return BOOL if wants_bool else UNKNOWN
    if operand.kind == "bool" if wants_bool else operand.is_number:
        return operand
    raise fail(node, f"invalid operation: {node.operator} (mismatched type {operand.name})")


def conditional_answer(then: Nature, otherwise: Nature) -> Nature:
    if then.kind == "nil":
        return otherwise
    if otherwise.kind == "nil":
        return then
    if not then.fits(otherwise):
        return UNKNOWN
    return LIST if then.kind == "list" and then != otherwise else then


def member_answer(node: syntax.Member, name: str | None, base: Nature, key: Nature) -> Nature:
    """`name`: of the field, where it is written out."""
    if base.is_unknown:
        return UNKNOWN
    if name is not None and base.kind == "nil":
        raise fail(node, f"type nil has no field {name}")
    match base.kind:
        case "map" if base.name == MAP.name and key.kind not in {"string", "unknown"}:
            raise fail(node.key, f"cannot use {key.name} to get an element from {base.name}")
        case "list" if key.kind not in {"int", "unknown"}:
            raise fail(node.key, f"array elements can only be selected using an integer (got {key.name})")
        case "map" | "list":
            return base.inner
        case "time" | "duration" | "enum":
            return UNKNOWN
    raise fail(
        node,
        f"type {base.name}[{key.name}] is undefined" if name is None else f"type {base.name} has no field {name}",
    )


def get_answer(node: syntax.Builtin, base: Nature, key: Nature) -> Nature:
    match base.kind:
        case "list" if key.kind not in {"unknown", "int"}:
            raise fail(node.arguments[1], f"non-integer slice index {key.name}")
        case "map" if base.name == MAP.name and key.kind not in {"unknown", "string"}:
            raise fail(node.arguments[1], f"cannot use {key.name} to get an element from {base.name}")
        case "list" | "map":
            return base.inner
        case "unknown":
            return ANYTHING
    raise fail(node.arguments[0], f"type {base.name} does not support indexing")


def fitted(node: syntax.Node, name: str, way: Signature, arguments: Sequence[syntax.Node], given: Sequence[Nature]) -> Nature:
    if len(given) != len(way.parameters):
        amount = "too many" if len(given) > len(way.parameters) else "not enough"
        raise Unfit(f"{amount} arguments to call {name}", position=node.position)
    for argument, nature, wanted in zip(arguments, given, way.parameters, strict=True):
        if nature.kind == "nil" and not wanted.is_unknown:
            raise Unfit(f"cannot use nil as argument (type {wanted.name}) to call {name}", position=argument.position)
        if not (nature.is_unknown or nature.fits(wanted) or (nature.kind == "int" and wanted.is_number)):
            reason = f"cannot use {nature.name} as argument (type {wanted.name}) to call {name} "
            raise Unfit(reason, position=argument.position)
    return way.returns


def body_answer(node: syntax.Builtin, predicate: syntax.Predicate, body: Nature) -> Nature:
    if body.kind == "nil":
        inputs = "two" if node.name == "reduce" else "one"
        raise fail(predicate, f"predicate should has {inputs} input and one output param")
    if node.name in _WANT_BOOL and body.kind not in {"bool", "unknown"}:
        raise fail(predicate, f"predicate should return boolean (got {body.name})")
    return body


def predicate_answer(node: syntax.Builtin, collection: Nature, body: Nature) -> Nature:
    match node.name:
        case "all" | "none" | "any" | "one":
            return BOOL
        case "count" | "findIndex" | "findLastIndex":
            return INT
        case "map":
            return list_of(body)
        case "filter":
            return list_of(collection.inner)
        case "find" | "findLast":
            return collection.inner
        case "groupBy":
            return Nature("map", "map[interface {}][]interface {}", list_of(collection.inner))
        case "sortBy":
            return collection
        case "sum" if len(node.arguments) == 1:
            return collection.inner
    return body


def array_answer(items: Sequence[Nature]) -> Nature:
    if not items or any(item.kind != items[0].kind for item in items):
        return LIST
    return list_of(items[-1])
