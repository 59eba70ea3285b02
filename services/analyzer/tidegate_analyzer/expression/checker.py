"""Refuses before running what Go's compiler refuses: unknown names, wrong arguments, operators on types that never fit.

The order of the tests and the words are expr-lang v1.17.8's checker's. It is run once with an unknown result, when a condition is
read, and once with the type of each result, because `result > 'a'` is an error even where `&&` would never reach it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tidegate_analyzer.expression import syntax
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.form_types import (
    Unfit,
    array_answer,
    body_answer,
    conditional_answer,
    fail,
    fitted,
    get_answer,
    member_answer,
    predicate_answer,
    unary_answer,
)
from tidegate_analyzer.expression.moments import has_method, method_answers
from tidegate_analyzer.expression.names import PREDICATES, RESULT, WHOLE_ENVIRONMENT
from tidegate_analyzer.expression.natures import (
    ANYTHING,
    BOOL,
    BYTES,
    FLOAT,
    INT,
    MAP,
    NIL,
    STRING,
    UNKNOWN,
    Nature,
)
from tidegate_analyzer.expression.operator_types import joined
from tidegate_analyzer.expression.operators import pattern
from tidegate_analyzer.expression.signatures import ENVIRONMENT_FUNCTIONS, FUNCTIONS, RULES, SIGNATURES, Signature

_INDEXED = frozenset({"map", "reduce"})


def check(tree: syntax.Node, result: Nature = UNKNOWN) -> Nature:
    return _Check(result).nature(tree)


@dataclass(slots=True)
class _Scope:
    predicate: str
    element: Nature


@dataclass(slots=True)
class _Check:
    result: Nature
    variables: dict[str, Nature] = field(default_factory=dict)
    scopes: list[_Scope] = field(default_factory=list)

    def nature(self, node: syntax.Node) -> Nature:
        return _FORMS[type(node)](self, node)

    # -- names

    def name(self, node: syntax.Name) -> Nature:
        if node.name in self.variables:
            return self.variables[node.name]
        if node.name == RESULT:
            return self.result
        if node.name == WHOLE_ENVIRONMENT:
            return UNKNOWN
        if node.name in ENVIRONMENT_FUNCTIONS:
            return Nature("func", f"func {node.name}")
        raise fail(node, f"unknown name {node.name}")

    def pointer(self, node: syntax.Pointer) -> Nature:
        scope = self.scopes[-1]
        match node.name:
            case "":
                return scope.element
            case "index" if scope.predicate in _INDEXED:
                return INT
            case "acc" if scope.predicate == "reduce":
                return UNKNOWN
        raise fail(node, f"unknown pointer #{node.name}")

    def let(self, node: syntax.Let) -> Nature:
        kinds = (
            ("", node.name == RESULT or node.name in ENVIRONMENT_FUNCTIONS),
            ("builtin ", node.name in FUNCTIONS or node.name in PREDICATES),
            ("variable ", node.name in self.variables),
        )
        for kind, taken in kinds:
            if taken:
                raise fail(node, f"cannot redeclare {kind}{node.name}")
        self.variables[node.name] = self.nature(node.value)
        try:
            return self.nature(node.body)
        finally:
            del self.variables[node.name]

    # -- operators

    def unary(self, node: syntax.Unary) -> Nature:
        return unary_answer(node, self.nature(node.operand))

    def binary(self, node: syntax.Binary) -> Nature:
        first, spine = syntax.left_spine(node)
        left = self.nature(first)
        for link in spine:
            right = self.nature(link.right)
            left = self.linked(link, link.operator, left, right)
            if link.operator == "matches" and isinstance(link.right, syntax.Literal) and isinstance(link.right.value, str):
                self.regular_expression(link, link.right.value)
        return left

    def linked(self, node: syntax.Node, operator: str, left: Nature, right: Nature) -> Nature:
        answer = joined(operator, left, right)
        if isinstance(answer, str):
            raise fail(node, answer)
        return answer

    def regular_expression(self, node: syntax.Node, text: str) -> None:
        try:
            pattern(text)
        except ExpressionError as error:
            raise fail(node, error.reason) from error

    def comparison(self, node: syntax.Comparison) -> Nature:
        left = self.nature(node.first)
        for operator, operand in node.links:
            right = self.nature(operand)
            self.linked(node, operator, left, right)
            left = right
        return BOOL

    def conditional(self, node: syntax.Conditional) -> Nature:
        condition = self.nature(node.condition)
        if condition.kind not in {"bool", "unknown"}:
            raise fail(node.condition, f"non-bool expression (type {condition.name}) used as condition")
        then, otherwise = self.nature(node.then), self.nature(node.otherwise)
        return conditional_answer(then, otherwise)

    # -- members

    def chain(self, node: syntax.Chain) -> Nature:
        return self.nature(node.body)

    def member(self, node: syntax.Member) -> Nature:
        name = node.key.value if isinstance(node.key, syntax.Literal) and isinstance(node.key.value, str) else None
        if isinstance(node.base, syntax.Name) and node.base.name == WHOLE_ENVIRONMENT:
            return self.environment_member(node, name)
        base, key = self.nature(node.base), self.nature(node.key)
        return member_answer(node, name, base, key)

    def environment_member(self, node: syntax.Member, name: str | None) -> Nature:
        if name is None:
            return UNKNOWN
        if name != RESULT and name not in ENVIRONMENT_FUNCTIONS and not node.optional:
            raise fail(node, f"unknown name {name}")
        return self.result if name == RESULT else UNKNOWN

    def slice(self, node: syntax.Slice) -> Nature:
        base = self.nature(node.base)
        if base.kind not in {"unknown", "string", "list", "bytes"}:
            raise fail(node, f"cannot slice {base.name}")
        for end in (node.start, node.stop):
            if end is not None and (nature := self.nature(end)).kind not in {"int", "unknown"} and not base.is_unknown:
                raise fail(end, f"non-integer slice index {nature.name}")
        return base

    # -- calls

    def call(self, node: syntax.Call) -> Nature:
        if isinstance(node.callee, syntax.Name) and node.callee.name in ENVIRONMENT_FUNCTIONS:
            name = node.callee.name
            return self.fitted(node, name, ENVIRONMENT_FUNCTIONS[name], node.arguments)
        if isinstance(node.callee, syntax.Member):
            self.method(node.callee)
        callee = self.nature(node.callee)
        for argument in node.arguments:
            self.nature(argument)
        if isinstance(node.callee, syntax.Member) and (answers := self.method_nature(node.callee)) is not None:
            return answers
        if callee.is_unknown:
            return UNKNOWN
        if callee.kind == "nil" and isinstance(node.callee, syntax.Name):
            raise fail(node, f"{node.callee.name} is nil; cannot call nil as function")
        raise fail(node, f"{callee.name} is not callable")

    def method(self, callee: syntax.Member) -> None:
        """Only times and durations have methods; whether a list or map holds something callable shows when it runs."""
        base = self.nature(callee.base)
        name = callee.key.value if isinstance(callee.key, syntax.Literal) else None
        if base.kind in {"unknown", "nil", "list", "map"} or has_method(base.kind, name):
            return
        raise fail(callee, f"type {base.name} has no method {name}")

    def method_nature(self, callee: syntax.Member) -> Nature | None:
        """What a method of a time or a duration answers, where it is known to be one."""
        kind = self.nature(callee.base).kind
        name = callee.key.value if isinstance(callee.key, syntax.Literal) else None
        return method_answers(str(name)) if kind in {"time", "duration", "enum"} and has_method(kind, name) else None

    def builtin(self, node: syntax.Builtin) -> Nature:
        if node.name in PREDICATES:
            return self.predicate_call(node)
        if node.name in RULES:
            answer = RULES[node.name](node.name, [self.nature(argument).plain for argument in node.arguments])
            if isinstance(answer, str):
                raise fail(node, answer)
            return answer
        if node.name == "get":
            return self.get(node)
        failures: list[ExpressionError] = []
        for signature in SIGNATURES[node.name]:
            try:
                return self.fitted(node, node.name, signature, node.arguments)
            except Unfit as unfit:
                failures.append(unfit)
        raise failures[-1]

    def get(self, node: syntax.Builtin) -> Nature:
        if len(node.arguments) != 2:
            raise fail(node, f"invalid number of arguments (expected 2, got {len(node.arguments)})")
        base, key = map(self.nature, node.arguments)
        return get_answer(node, base, key)

    def fitted(self, node: syntax.Node, name: str, way: Signature, arguments: tuple[syntax.Node, ...]) -> Nature:
        given = [self.nature(argument) for argument in arguments]
        return fitted(node, name, way, arguments, given)

    # -- predicates

    def predicate_call(self, node: syntax.Builtin) -> Nature:
        collection = self.nature(node.arguments[0])
        if collection.kind not in {"list", "unknown"}:
            raise fail(node.arguments[0], f"builtin {node.name} takes only array (got {collection.name})")
        body = ANYTHING
        for argument in node.arguments[1:]:
            if isinstance(argument, syntax.Predicate):
                body = self.body(node, argument, collection.inner)
            else:
                self.third(node, argument)
        return predicate_answer(node, collection, body)

    def body(self, node: syntax.Builtin, predicate: syntax.Predicate, element: Nature) -> Nature:
        self.scopes.append(_Scope(node.name, element))
        nature = self.nature(predicate.body)
        self.scopes.pop()
        return body_answer(node, predicate, nature)

    def third(self, node: syntax.Builtin, argument: syntax.Node) -> None:
        nature = self.nature(argument)
        if node.name == "sortBy" and nature.kind not in {"string", "unknown"}:
            raise fail(argument, f"sortBy order argument must be a string (got {nature.name})")

    # -- literals and the rest

    def array(self, node: syntax.Array) -> Nature:
        return array_answer([self.nature(item) for item in node.items])

    def map(self, node: syntax.Map) -> Nature:
        for key, value in node.pairs:
            self.nature(key)
            self.nature(value)
        return MAP

    def sequence(self, node: syntax.Sequence) -> Nature:
        return [self.nature(item) for item in node.items][-1]

    def literal(self, node: syntax.Literal) -> Nature:
        return _LITERALS[type(node.value)]


_LITERALS: dict[type, Nature] = {
    type(None): NIL,
    bool: BOOL,
    int: INT,
    float: FLOAT,
    str: STRING,
    bytes: BYTES,
}


_FORMS: dict[type[syntax.Node], Callable[[_Check, Any], Nature]] = {
    syntax.Literal: _Check.literal,
    syntax.Name: _Check.name,
    syntax.Pointer: _Check.pointer,
    syntax.Unary: _Check.unary,
    syntax.Binary: _Check.binary,
    syntax.Comparison: _Check.comparison,
    syntax.Conditional: _Check.conditional,
    syntax.Chain: _Check.chain,
    syntax.Member: _Check.member,
    syntax.Slice: _Check.slice,
    syntax.Call: _Check.call,
    syntax.Builtin: _Check.builtin,
    syntax.Array: _Check.array,
    syntax.Map: _Check.map,
    syntax.Let: _Check.let,
    syntax.Sequence: _Check.sequence,
}
