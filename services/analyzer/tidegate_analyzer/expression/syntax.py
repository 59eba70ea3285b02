"""The syntax tree: what an expression says, with nothing about how it runs.

Nodes are values over text and numbers only; there is no node that could name a Python object.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    position: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    value: Any  # None, bool, int, float, str or bytes; a dict where `folding` has made a set of texts


@dataclass(frozen=True, slots=True)
class Name(Node):
    name: str


@dataclass(frozen=True, slots=True)
class Pointer(Node):
    """`#`, the current element of the innermost predicate, or `#index`, `#acc`."""

    name: str


@dataclass(frozen=True, slots=True)
class Unary(Node):
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """`a < b <= c`: true if every link holds; each operand is looked at once."""

    first: Node
    links: tuple[tuple[str, Node], ...]


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Member(Node):
    """`base.name`, `base[key]`; an optional one (`?.`) ends its whole chain with nil if the base is nil."""

    base: Node
    key: Node
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """How far `?.` skips when it meets nil."""

    body: Node


@dataclass(frozen=True, slots=True)
class Slice(Node):
    base: Node
    start: Node | None
    stop: Node | None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A call of an environment function or of a method."""

    callee: Node
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Builtin(Node):
    """The last two are set by `folding`: find, and fail where nothing is found; count no further than this."""

    name: str
    arguments: tuple[Node, ...]
    throws: bool = False
    enough: int | None = None


@dataclass(frozen=True, slots=True)
class Predicate(Node):
    """The body that `all`, `map` and their kin run for every element."""

    body: Node


@dataclass(frozen=True, slots=True)
class Array(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Map(Node):
    pairs: tuple[tuple[Node, Node], ...]


@dataclass(frozen=True, slots=True)
class Let(Node):
    name: str
    value: Node
    body: Node


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    items: tuple[Node, ...]


def children(node: Node) -> Iterator[Node]:  # noqa: C901 - one line per form
    match node:
        case Unary(operand=body) | Chain(body=body) | Predicate(body=body):
            yield body
        case Binary(left=left, right=right):
            yield from (left, right)
        case Comparison(first=first, links=links):
            yield first
            yield from (operand for _, operand in links)
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            yield from (condition, then, otherwise)
        case Member(base=base, key=key):
            yield from (base, key)
        case Slice(base=base, start=start, stop=stop):
            yield from (part for part in (base, start, stop) if part is not None)
        case Call(callee=callee, arguments=arguments):
            yield from (callee, *arguments)
        case Builtin(arguments=items) | Array(items=items) | Sequence(items=items):
            yield from items
        case Map(pairs=pairs):
            yield from (part for pair in pairs for part in pair)
        case Let(value=value, body=body):
            yield from (value, body)


def left_spine(node: Binary) -> tuple[Node, list[Binary]]:
    """The first operand of `a + b + c + ...`, and the operators from left to right.

    Thousands of operators in a row are one level deep for whoever walks the spine in a loop.
    """
    spine = [node]
    while isinstance(spine[-1].left, Binary):
        spine.append(spine[-1].left)
    return spine[-1].left, spine[::-1]


def too_deep(tree: Node, limit: int) -> Node | None:
    """A node nested deeper than `limit`, if there is one. A spine of binary operators counts as one level."""
    waiting = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > limit:
            return node
        for child in children(node):
            on_spine = isinstance(node, Binary) and isinstance(child, Binary) and child is node.left
            waiting.append((child, depth if on_spine else depth + 1))
    return None
