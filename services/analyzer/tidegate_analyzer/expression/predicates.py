"""`all`, `map`, `reduce` and their kin: a body run for every element of a list."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

from tidegate_analyzer.expression import operators, ordering, syntax
from tidegate_analyzer.expression.budget import Meter
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.scope import Scope
from tidegate_analyzer.expression.values import AnyMap, boolean, map_key, text, type_name

if TYPE_CHECKING:
    from tidegate_analyzer.expression.evaluator import Evaluation


class _Loop:
    """One call: the list, and the body's value for each element, in the order asked for."""

    def __init__(self, run: "Evaluation", scope: Scope, node: syntax.Builtin, extra: Any) -> None:
        self.run = run
        self.scope = scope
        self.items = scope.items
        self.extra = extra
        self.throws = node.throws
        self.enough = node.enough
        self._body = next((each.body for each in node.arguments[1:] if isinstance(each, syntax.Predicate)), None)

    def values(self, indexes: range | None = None) -> Iterator[tuple[int, Any]]:
        for index in range(len(self.items)) if indexes is None else indexes:
            self.scope.index = index
            if self._body is None:
                self.run.meter.step()
            yield index, self.items[index] if self._body is None else self.run.value(self._body)

    def hits(self, *, backwards: bool = False) -> Iterator[int]:
        indexes = range(len(self.items))
        return (index for index, value in self.values(indexes[::-1] if backwards else indexes) if boolean(value))

    def kept(self, values: list[Any]) -> list[Any]:
        self.run.meter.cells(len(values))
        return values


_NOTHING = object()


def applied(run: "Evaluation", node: syntax.Builtin) -> Any:
    scope = Scope(_items(run.value(node.arguments[0]), node.name, run.meter))
    extra = run.value(node.arguments[2]) if len(node.arguments) > 2 else _NOTHING
    with run.within(scope):
        return _PREDICATES[node.name](_Loop(run, scope, node, extra))


def _items(collection: Any, name: str, meter: Meter) -> list[Any]:
    """Text found inside a result is a list of its bytes, as in Go; a result that is text is refused by the checker."""
    match collection:
        case list():
            return collection
        case str() | bytes():
            single = collection.encode() if isinstance(collection, str) else collection
            meter.cells(len(single))
            return list(single)
    raise ExpressionError(f"builtin {name} takes only array (got {type_name(collection)})")


def _all(loop: _Loop) -> bool:
    return all(boolean(value) for _, value in loop.values())


def _sum(loop: _Loop) -> Any:
    total: Any = 0
    for _, value in loop.values():
        total = operators.added(value, total, loop.run.meter)
    return total


def _group_by(loop: _Loop) -> AnyMap:
    groups = AnyMap()
    for index, value in loop.values():
        groups.setdefault(map_key(value), []).append(loop.items[index])
    loop.run.meter.cells(len(loop.items))
    return groups


def _sort_by(loop: _Loop) -> list[Any]:
    order = "asc" if loop.extra is _NOTHING else text(loop.extra)
    if order not in {"asc", "desc"}:
        raise ExpressionError("unknown order, use asc or desc")
    keyed = [(value, loop.items[index]) for index, value in loop.values()]
    ordered = ordering.ordered(keyed, key=lambda pair: pair[0], descending=order == "desc", meter=loop.run.meter)
    return loop.kept([item for _, item in ordered])


def _reduce(loop: _Loop) -> Any:
    start = 0
    if loop.extra is not _NOTHING:
        loop.scope.accumulated = loop.extra
    elif loop.items:
        loop.scope.accumulated, start = loop.items[0], 1
    else:
        raise ExpressionError("reduce of empty array with no initial value")
    for _, value in loop.values(range(start, len(loop.items))):
        loop.scope.accumulated = value
    return loop.scope.accumulated


def _count(loop: _Loop) -> int:
    return sum(1 for _ in islice(loop.hits(), loop.enough))


def _found(loop: _Loop, index: int | None) -> Any:
    if index is None and loop.throws:
        raise ExpressionError("reflect: slice index out of range")
    return None if index is None else loop.items[index]


_PREDICATES: dict[str, Callable[[_Loop], Any]] = {
    "all": _all,
    "none": lambda loop: next(loop.hits(), None) is None,
    "any": lambda loop: next(loop.hits(), None) is not None,
    "one": lambda loop: sum(1 for _ in loop.hits()) == 1,
    "filter": lambda loop: loop.kept([loop.items[index] for index in loop.hits()]),
    "map": lambda loop: loop.kept([value for _, value in loop.values()]),
    "count": _count,
    "sum": _sum,
    "find": lambda loop: _found(loop, next(loop.hits(), None)),
    "findIndex": lambda loop: next(loop.hits(), None),
    "findLast": lambda loop: _found(loop, next(loop.hits(backwards=True), None)),
    "findLastIndex": lambda loop: next(loop.hits(backwards=True), None),
    "groupBy": _group_by,
    "sortBy": _sort_by,
    "reduce": _reduce,
}
