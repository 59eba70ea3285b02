"""What expr-lang v1.17.8 rewrites before it runs an expression, as far as that changes an answer.

`count(result, # > 5) > 0` stops at the first hit there, so what comes after it cannot fail; `x && false` is false whatever x is.
An engine that only follows the grammar answers such conditions with an error where the peer has a verdict. Pure: a tree in, a
tree out.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from tidegate_analyzer.expression import syntax
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.syntax import Array, Binary, Builtin, Call, Literal, Member, Name, Node, Predicate, Unary
from tidegate_analyzer.expression.values import wrapped

_AND = frozenset({"&&", "and"})
_OR = frozenset({"||", "or"})
# Two calls over the same list are run as one, element by element.
_COMBINED = {
    ("all", "&&"): "&&", ("all", "and"): "and",
    ("any", "||"): "||", ("any", "or"): "or",
    ("none", "&&"): "||", ("none", "and"): "or",
}  # fmt: skip
_MOST_ADDED = 50  # one level of nesting each
_FLOAT_ONLY = frozenset({"isNaN", "isInf"})


def folded(node: Node) -> Node:
    """The tree to run. Raises ExpressionError for `1 % 0`, wherever it stands."""
    if isinstance(node, Binary):
        first, spine = syntax.left_spine(node)
        left = folded(first)
        for link in spine:
            left = _rewritten(replace(link, left=left, right=folded(link.right)))
        return left
    return _rewritten(replace(node, **dict(_folded_fields(node))))


def _folded_fields(node: Node) -> Iterator[tuple[str, Any]]:
    for each in fields(node):
        value = getattr(node, each.name)
        if isinstance(value, Node | tuple):
            yield each.name, _folded_value(value)


def _folded_value(value: Any) -> Any:
    if isinstance(value, Node):
        return folded(value)
    return tuple(map(_folded_value, value)) if isinstance(value, tuple) else value


def _rewritten(node: Node) -> Node:
    match node:
        case Unary():
            return _unary(node)
        case Binary():
            return _binary(node)
        case Builtin():
            return _builtin(node)
        case Member(base=Builtin(name="filter", arguments=(_, _)) as found, key=Literal(value=0 | -1 as index), optional=False) if (
            type(index) is int
        ):
            return Builtin(node.position, "find" if index == 0 else "findLast", found.arguments, throws=True)
        case Call(callee=Name(name=name)) if name in _FLOAT_ONLY:
            return replace(node, arguments=tuple(map(_as_floats, node.arguments)))
    return node


# -- literals


def _unary(node: Unary) -> Node:
    if not isinstance(node.operand, Literal):
        return node
    value = node.operand.value
    if node.operator in {"!", "not"} and isinstance(value, bool):
        return Literal(node.position, not value)
    if node.operator in {"-", "+"} and type(value) in {int, float}:
        signed = -value if node.operator == "-" else value
        return Literal(node.position, wrapped(signed) if type(signed) is int else signed)
    return node


def _binary(node: Binary) -> Node:
    left, right = _literal(node.left), _literal(node.right)
    if node.operator in _AND | _OR:
        return _logical(node, left, right)
    if node.operator == "==" and left is not None and type(left) is type(right) and isinstance(left, bool | int | str):
        return Literal(node.position, left == right)
    if node.operator == "%" and type(left) is int and type(right) is int and right == 0:
        raise ExpressionError("integer divide by zero", position=node.position)
    if node.operator == "in" and _are_texts(node.right):
        return replace(node, right=Literal(node.right.position, {each.value: True for each in node.right.items}))  # type: ignore[attr-defined]
    if isinstance(node.left, Builtin) and node.left.name == "count" and type(right) is int:
        return _bounded_count(node, node.left, right)
    return node


def _logical(node: Binary, left: Any, right: Any) -> Node:
    """`true && x` is x, `x && false` is false: what x is, and whether it is a bool at all, is not asked."""
    neutral = node.operator in _AND
    if left is neutral:
        return node.right
    if right is neutral:
        return node.left
    if isinstance(left, bool) or isinstance(right, bool):
        return Literal(node.position, not neutral)
    return _combined(node)


def _literal(node: Node) -> Any:
    return node.value if isinstance(node, Literal) else None


def _are_texts(node: Node) -> bool:
    return isinstance(node, Array) and bool(node.items) and all(isinstance(_literal(item), str) for item in node.items)


def _as_floats(node: Node) -> Node:
    """Whole numbers that are written down become floats for functions that take no others; `len(result)` does not."""
    match node:
        case Literal(value=value) if type(value) is int:
            return replace(node, value=float(value))
        case Unary():
            return replace(node, operand=_as_floats(node.operand))
        case Binary(operator="+" | "-" | "*"):
            return replace(node, left=_as_floats(node.left), right=_as_floats(node.right))
    return node


# -- calls over lists


def _builtin(node: Builtin) -> Node:
    match node:
        case Builtin(name="len" | "first" | "last", arguments=(Builtin(name="filter", arguments=(_, _)) as found,)):
            name = {"len": "count", "first": "find", "last": "findLast"}[node.name]
            return Builtin(node.position, name, found.arguments)
        case Builtin(name="sum", arguments=(summed,)):
            return _sum(node, summed)
    return node


def _sum(node: Builtin, summed: Node) -> Node:
    match summed:
        case Array(items=items) if 1 < len(items) <= _MOST_ADDED and not all(map(_is_constant, items)):
            return _sum_of(items)
        case Binary(operator="..", left=Literal(value=int() as low), right=Literal(value=int() as high)) if high >= low:
            return Literal(node.position, wrapped((high - low + 1) * (low + high) // 2))
    return node


def _is_constant(node: Node) -> bool:
    return isinstance(node, Literal) and node.value is not None and not isinstance(node.value, bytes)


def _sum_of(items: tuple[Node, ...]) -> Node:
    """`a + (b + c)`: from the right, which floats can tell, and without a 0 to begin with, which text can."""
    total = items[-1]
    for item in reversed(items[:-1]):
        total = Binary(item.position, "+", item, total)
    return total


def _bounded_count(node: Binary, count: Builtin, number: int) -> Node:
    """How many hits decide the comparison; counting ends there."""
    enough = {">": number + 1, ">=": number, "<": number, "<=": number + 1}.get(node.operator, 0)
    least = 1 if node.operator in {">", ">="} else 2
    if len(count.arguments) != 2 or enough < least:
        return node
    return replace(node, left=replace(count, enough=enough))


def _combined(node: Binary) -> Node:
    match node.left, node.right:
        case (
            Builtin(name=name, arguments=(first, Predicate(body=left))),
            Builtin(name=other, arguments=(second, Predicate(body=right))),
        ) if name == other and (name, node.operator) in _COMBINED and _same(first, second):
            both = Binary(node.position, _COMBINED[name, node.operator], left, right)
            return Builtin(node.position, name, (first, Predicate(node.position, _combined(both))))
    return node


def _same(one: Any, other: Any) -> bool:
    """Written alike, wherever it stands."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Node):
        return all(_same(getattr(one, each.name), getattr(other, each.name)) for each in fields(one) if each.name != "position")
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


