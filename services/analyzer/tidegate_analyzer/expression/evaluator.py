"""Walks a tree over one result. Every node costs a step, and an error learns its place from the innermost node it passes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tidegate_analyzer.expression import environment, moments, operators, predicates, syntax
from tidegate_analyzer.expression.budget import Meter
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.functions import FUNCTIONS
from tidegate_analyzer.expression.names import PREDICATES, RESULT, WHOLE_ENVIRONMENT
from tidegate_analyzer.expression.operators import BINARY
from tidegate_analyzer.expression.scope import Scope
from tidegate_analyzer.expression.signatures import ENVIRONMENT_FUNCTIONS
from tidegate_analyzer.expression.values import boolean, type_name


class _EndOfChain(Exception):  # noqa: N818 - control flow, caught by the chain it ends
    """`?.` met nil."""


@dataclass(slots=True)
class Evaluation:
    """One run of one tree."""

    result: Any
    now: datetime | None
    meter: Meter
    variables: dict[str, Any] = field(default_factory=dict)
    scopes: list[Scope] = field(default_factory=list)

    def value(self, node: syntax.Node) -> Any:
        self.meter.step()
        try:
            return _FORMS[type(node)](self, node)
        except ExpressionError as error:
            if error.position is None:
                error.position = node.position
            raise

    @contextmanager
    def within(self, scope: Scope) -> Iterator[None]:
        self.scopes.append(scope)
        try:
            yield
        finally:
            self.scopes.pop()

    # -- one method per form

    def _name(self, node: syntax.Name) -> Any:
        if node.name in self.variables:
            return self.variables[node.name]
        if node.name == RESULT:
            return self.result
        if node.name == WHOLE_ENVIRONMENT:
            return {RESULT: self.result}
        raise ExpressionError(f"unknown name {node.name}")

    def _pointer(self, node: syntax.Pointer) -> Any:
        return self.scopes[-1].pointer(node.name)

    def _unary(self, node: syntax.Unary) -> Any:
        value = self.value(node.operand)
        match node.operator:
            case "-":
                return operators.negated(value)
            case "+":
                return value
        return not boolean(value)

    def _binary(self, node: syntax.Binary) -> Any:
        first, spine = syntax.left_spine(node)
        value = self.value(first)
        for link in spine:
            self.meter.step()
            try:
                value = self._joined(link, value)
            except ExpressionError as error:
                if error.position is None:
                    error.position = link.position
                raise
        return value

    def _joined(self, node: syntax.Binary, left: Any) -> Any:
        match node.operator:
            case "&&" | "and":
                return self.value(node.right) if boolean(left) else False
            case "||" | "or":
                return True if boolean(left) else self.value(node.right)
            case "??":
                return self.value(node.right) if left is None else left
        right = self.value(node.right)
        self.meter.read(left, right)
        return BINARY[node.operator](left, right, self.meter)

    def _comparison(self, node: syntax.Comparison) -> bool:
        left = self.value(node.first)
        for sign, operand in node.links:
            right = self.value(operand)
            self.meter.read(left, right)
            if not operators.compared(sign, left, right):
                return False
            left = right
        return True

    def _conditional(self, node: syntax.Conditional) -> Any:
        return self.value(node.then if boolean(self.value(node.condition)) else node.otherwise)

    def _chain(self, node: syntax.Chain) -> Any:
        try:
            return self.value(node.body)
        except _EndOfChain:
            return None

    def _member(self, node: syntax.Member) -> Any:
        base = self.value(node.base)
        if node.optional and base is None:
            raise _EndOfChain
        self.meter.read(base)
        return operators.element(base, self.value(node.key))

    def _slice(self, node: syntax.Slice) -> Any:
        base = self.value(node.base)
        start, stop = (None if end is None else self.value(end) for end in (node.start, node.stop))
        self.meter.read(base)
        return operators.sliced(base, start, stop, self.meter)

    def _call(self, node: syntax.Call) -> Any:
        if isinstance(node.callee, syntax.Member):
            return self._method_call(node.callee, node.arguments)
        assert isinstance(node.callee, syntax.Name)
        name = node.callee.name
        if name in ENVIRONMENT_FUNCTIONS:
            return environment.called(name, [self.value(argument) for argument in node.arguments], self.result)
        raise ExpressionError(f"{type_name(self.value(node.callee))} is not callable")

    def _method_call(self, callee: syntax.Member, arguments: tuple[syntax.Node, ...]) -> Any:
        base = self.value(callee.base)
        if callee.optional and base is None:
            raise _EndOfChain
        name = self.value(callee.key)
        found = moments.method(base, name)
        if found is None:
            value = operators.element(base, name)
            raise ExpressionError(
                "invalid operation: cannot call nil"
                if value is None
                else f"invalid operation: cannot call non-function of type {type_name(value)}"
            )
        kinds, run = found
        values = [self.value(argument) for argument in arguments]
        if len(values) != len(kinds) or not all(map(isinstance, values, kinds)):
            raise ExpressionError(f"wrong arguments to call {name}")
        self.meter.step(sum(len(value) for value in values if isinstance(value, str)))
        return self._paid(run(base, *values))

    def _builtin(self, node: syntax.Builtin) -> Any:
        if node.name in PREDICATES:
            return predicates.applied(self, node)
        values = [self.value(argument) for argument in node.arguments]
        if node.name == "now":
            return self._present(values)
        self.meter.read(*values)
        return self._paid(FUNCTIONS[node.name](self.meter, *values))

    def _paid(self, made: Any) -> Any:
        """What makes a text more than twice as long pays before."""
        if isinstance(made, str):
            self.meter.text(len(made))
        return made

    def _present(self, values: list[Any]) -> datetime:
        if self.now is None:
            raise ExpressionError("now() is not known here")
        return self.now.astimezone(values[0]) if values else self.now

    def _array(self, node: syntax.Array) -> list[Any]:
        self.meter.cells(len(node.items))
        return [self.value(item) for item in node.items]

    def _map(self, node: syntax.Map) -> dict[str, Any]:
        self.meter.cells(len(node.pairs))
        made: dict[str, Any] = {}
        for key_node, value_node in node.pairs:
            key = self.value(key_node)
            if not isinstance(key, str):
                raise ExpressionError(f"interface conversion: interface {{}} is {type_name(key)}, not string")
            made.setdefault(key, self.value(value_node))  # of a key that is written twice the first counts, as in Go
        return made

    def _let(self, node: syntax.Let) -> Any:
        self.variables[node.name] = self.value(node.value)
        try:
            return self.value(node.body)
        finally:
            del self.variables[node.name]

    def _sequence(self, node: syntax.Sequence) -> Any:
        return [self.value(item) for item in node.items][-1]


_FORMS: dict[type[syntax.Node], Callable[[Evaluation, Any], Any]] = {
    syntax.Literal: lambda _, node: node.value,
    syntax.Name: Evaluation._name,  # noqa: SLF001 - the table belongs to the class
    syntax.Pointer: Evaluation._pointer,  # noqa: SLF001
    syntax.Unary: Evaluation._unary,  # noqa: SLF001
    syntax.Binary: Evaluation._binary,  # noqa: SLF001
    syntax.Comparison: Evaluation._comparison,  # noqa: SLF001
    syntax.Conditional: Evaluation._conditional,  # noqa: SLF001
    syntax.Chain: Evaluation._chain,  # noqa: SLF001
    syntax.Member: Evaluation._member,  # noqa: SLF001
    syntax.Slice: Evaluation._slice,  # noqa: SLF001
    syntax.Call: Evaluation._call,  # noqa: SLF001
    syntax.Builtin: Evaluation._builtin,  # noqa: SLF001
    syntax.Array: Evaluation._array,  # noqa: SLF001
    syntax.Map: Evaluation._map,  # noqa: SLF001
    syntax.Let: Evaluation._let,  # noqa: SLF001
    syntax.Sequence: Evaluation._sequence,  # noqa: SLF001
}
