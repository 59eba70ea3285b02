"""Tokens into a tree: a Pratt parser with the precedences of expr-lang v1.17.8.

Two of them surprise: `??` binds tighter than anything (500), and unary minus (90) looser than `**` (100), so `-2 ** 2` is -4.
Size and nesting are limited here, so that nothing after this file can run out of stack.
"""

from tidegate_analyzer.expression import syntax
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.lexer import Kind, Token
from tidegate_analyzer.expression.operands import Operands

MAX_CHARACTERS = 100_000
# Two to five Python frames per level; 100 levels stay well under the interpreter's 1,000.
MAX_DEPTH = 100
_TOO_DEEP = f"expression is nested more than {MAX_DEPTH} levels deep"

BINARY = {
    "|": 0,
    "or": 10, "||": 10,
    "and": 15, "&&": 15,
    "==": 20, "!=": 20, "<": 20, ">": 20, ">=": 20, "<=": 20, "in": 20, "matches": 20, "contains": 20,
    "startsWith": 20, "endsWith": 20, "=~": 20, "!~": 20,
    "..": 25,
    "+": 30, "-": 30,
    "*": 60, "/": 60, "%": 60,
    "**": 100, "^": 100,
    "??": 500,
}  # fmt: skip
_RIGHT_ASSOCIATIVE = frozenset({"**", "^"})
_COMPARISONS = frozenset({"<", ">", ">=", "<="})
_NEGATABLE = frozenset({"in", "matches", "contains", "startsWith", "endsWith"})


def tree(source: str) -> syntax.Node:
    if len(source) > MAX_CHARACTERS:
        raise ExpressionError(f"expression is longer than {MAX_CHARACTERS} characters")
    root = _Parser(source).whole()
    if (node := syntax.too_deep(root, MAX_DEPTH)) is not None:
        raise ExpressionError(_TOO_DEEP, position=node.position, source=source)
    return root


class _Parser(Operands):
    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._depth = 0

    def whole(self) -> syntax.Node:
        root = self.sequence()
        if self.read.current.kind is not Kind.EOF:
            raise self.read.unexpected(self.read.current)
        return root

    def sequence(self) -> syntax.Node:
        items = [self.expression()]
        while self.read.take_operator(";"):
            if self.read.current.kind is Kind.EOF:
                break
            items.append(self.expression())
        return items[0] if len(items) == 1 else self.made(syntax.Sequence(items[0].position, tuple(items)))

    def expression(self, precedence: int = 0) -> syntax.Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.read.failure(_TOO_DEEP, self.read.current.position)
        if precedence == 0 and self.read.at_operator("let"):
            node = self._let()
        elif precedence == 0 and self.read.at_operator("if"):
            node = self._if()
        else:
            node = self._operators(precedence)
            if precedence == 0:
                node = self._ternary(node)
        self._depth -= 1
        return node

    # -- operators

    def _operators(self, precedence: int) -> syntax.Node:
        left = self.primary()
        previous = ""
        while (operator := self._operator(precedence)) is not None:
            token, negated = operator
            if previous == "??" and token.value not in {"??", "|"}:
                raise self.read.failure(
                    f"Operator ({token.value}) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses.",
                    token.position,
                )
            left = self._applied(left, token)
            if negated:
                left = self.made(syntax.Unary(token.position, "not", left))
            previous = token.value
        return left

    def _operator(self, precedence: int) -> tuple[Token, bool] | None:
        """The binary operator to take next, if it binds at least as tight as `precedence`; and whether `not` precedes it."""
        token = self.read.current
        if token.kind is not Kind.OPERATOR:
            return None
        negated = token.value == "not"
        if negated:
            token = self.read.following
            if token.value not in _NEGATABLE:
                raise self.read.unexpected(token)
        if BINARY.get(token.value, -1) < precedence:
            return None
        self.read.advance()
        if negated:
            self.read.advance()
        return token, negated or token.value == "!~"

    def _applied(self, left: syntax.Node, token: Token) -> syntax.Node:
        operator = token.value
        if operator == "|":
            return self.call(self.read.expect(Kind.IDENTIFIER), piped=(left,))
        if operator in _COMPARISONS:
            return self._comparison(left, token)
        level = BINARY[operator]
        right = self.expression(level if operator in _RIGHT_ASSOCIATIVE else level + 1)
        if operator in {"=~", "!~"}:
            operator = "matches"
        return self.made(syntax.Binary(token.position, operator, left, right))

    def _comparison(self, left: syntax.Node, token: Token) -> syntax.Node:
        level = BINARY[token.value] + 1
        links = [(token.value, self.expression(level))]
        while self.read.at_operator(*_COMPARISONS):
            operator = self.read.advance().value
            links.append((operator, self.expression(level)))
        if len(links) == 1:
            return self.made(syntax.Binary(token.position, token.value, left, links[0][1]))
        return self.made(syntax.Comparison(token.position, left, tuple(links)))

    def _ternary(self, condition: syntax.Node) -> syntax.Node:
        if not self.read.at_operator("?"):
            return condition
        self.read.advance()
        if self.read.take_operator(":"):
            then = condition
        else:
            then = self.expression()
            self.read.expect(Kind.OPERATOR, ":")
        otherwise = self.expression()
        return self.made(syntax.Conditional(self.read.current.position, condition, then, otherwise))

    def _let(self) -> syntax.Node:
        self.read.advance()
        name = self.read.expect(Kind.IDENTIFIER)
        self.read.expect(Kind.OPERATOR, "=")
        value = self.expression()
        self.read.expect(Kind.OPERATOR, ";")
        return self.made(syntax.Let(name.position, name.value, value, self.sequence()))

    def _if(self) -> syntax.Node:
        position = self.read.advance().position
        condition = self.expression()
        then = self.block()
        self.read.expect(Kind.OPERATOR, "else")
        otherwise = self.expression() if self.read.at_operator("if") else self.block()
        return self.made(syntax.Conditional(position, condition, then, otherwise))

    def block(self) -> syntax.Node:
        self.read.expect(Kind.BRACKET, "{")
        body = self.sequence()
        self.read.expect(Kind.BRACKET, "}")
        return body
