"""The operand half of the parser: literals, names, calls, and what may follow an operand (`.field`, `[index]`)."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from tidegate_analyzer.expression import syntax
from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.lexer import Kind, Token
from tidegate_analyzer.expression.names import PREDICATES
from tidegate_analyzer.expression.quoting import quoted
from tidegate_analyzer.expression.reader import Reader
from tidegate_analyzer.expression.signatures import FUNCTIONS

MAX_NODES = 10_000
UNARY = {"not": 50, "!": 50, "-": 90, "+": 90}
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "nil": None}
_MAP_KEYS = frozenset({Kind.NUMBER, Kind.STRING, Kind.IDENTIFIER})
_INT64 = range(-(2**63), 2**63)


class Operands(ABC):
    def __init__(self, source: str) -> None:
        self.read = Reader(source)
        self._nodes = 0
        self._predicates = 0

    def made(self, node: syntax.Node) -> syntax.Node:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self.read.failure("compilation failed: expression exceeds maximum allowed nodes", node.position)
        return node

    @abstractmethod
    def expression(self, precedence: int = 0) -> syntax.Node: ...

    @abstractmethod
    def sequence(self) -> syntax.Node: ...

    @abstractmethod
    def block(self) -> syntax.Node: ...

    def primary(self) -> syntax.Node:
        token = self.read.current
        if token.kind is Kind.OPERATOR and token.value in UNARY:
            self.read.advance()
            operand = self.expression(UNARY[token.value])
            return self._postfix(self.made(syntax.Unary(token.position, token.value, operand)))
        if self.read.take_bracket("("):
            inner = self.sequence()
            self.read.expect(Kind.BRACKET, ")")
            return self._postfix(inner)
        if self._predicates and self.read.at_operator("#", "."):
            return self._postfix(self._pointer())
        if self.read.take_operator("::"):
            return self._postfix(self.call(self.read.expect(Kind.IDENTIFIER)))
        return self._operand()

    def _pointer(self) -> syntax.Node:
        """`#`, `#name`, or nothing at all before `.field`, whose dot is left for the postfix to read."""
        token = self.read.current
        name = ""
        if self.read.take_operator("#") and self.read.current.kind is Kind.IDENTIFIER:
            name = self.read.advance().value
        return self.made(syntax.Pointer(token.position, name))

    def _operand(self) -> syntax.Node:
        token = self.read.current
        match token.kind:
            case Kind.IDENTIFIER if token.value in _CONSTANTS:
                self.read.advance()
                return self.made(syntax.Literal(token.position, _CONSTANTS[token.value]))
            case Kind.NUMBER:
                self.read.advance()
                return self.made(syntax.Literal(token.position, self._number(token)))
            case Kind.IDENTIFIER if self.read.following.value == "(" and self.read.following.kind is Kind.BRACKET:
                return self._postfix(self.call(self.read.advance()))
            case Kind.IDENTIFIER:
                self.read.advance()
                return self._postfix(self.made(syntax.Name(token.position, token.value)))
            case Kind.STRING | Kind.BYTES:
                self.read.advance()
                value = token.value if token.kind is Kind.STRING else token.value.encode()
                return self._postfix(self.made(syntax.Literal(token.position, value)))
            case Kind.BRACKET if token.value == "[":
                return self._postfix(self._array())
            case Kind.BRACKET if token.value == "{":
                return self._postfix(self._map())
        raise self.read.unexpected(token)

    def _number(self, token: Token) -> int | float:
        text = token.value.replace("_", "")
        bases = {"0x": ("hex", 16), "0o": ("octal", 8), "0b": ("binary", 2)}
        kind, base = bases.get(text[:2].lower(), ("float", 0) if set(text) & set(".eE") else ("integer", 10))
        reader = "ParseInt" if base else "ParseFloat"
        try:
            value = int(text, base) if base else float(text)
        except ValueError as error:
            raise self._unreadable(kind, reader, text, "invalid syntax") from error
        if (isinstance(value, int) and value not in _INT64) or value == float("inf"):
            raise self._unreadable(kind, reader, text, "value out of range")
        return value

    def _unreadable(self, kind: str, reader: str, text: str, why: str) -> ExpressionError:
        words = f"invalid {kind} literal: strconv.{reader}: parsing {quoted(text)}: {why}"
        return self.read.failure(words, self.read.current.position)

    def _array(self) -> syntax.Node:
        position = self.read.advance().position
        items = self._listed("]", self.expression)
        return self.made(syntax.Array(position, tuple(items)))

    def _listed(self, end: str, item: Callable[[], syntax.Node]) -> list[syntax.Node]:
        """Items with commas between them, up to and with `end`; a comma after the last one is allowed."""
        items: list[syntax.Node] = []
        while not self.read.at_bracket(end):
            if items:
                self.read.expect(Kind.OPERATOR, ",")
                if self.read.at_bracket(end):
                    break
            items.append(item())
        self.read.expect(Kind.BRACKET, end)
        return items

    def _map(self) -> syntax.Node:
        position = self.read.advance().position
        pairs: list[tuple[syntax.Node, syntax.Node]] = []

        def pair() -> syntax.Node:
            key = self._map_key()
            self.read.expect(Kind.OPERATOR, ":")
            pairs.append((key, self.expression()))
            return key

        self._listed("}", pair)
        return self.made(syntax.Map(position, tuple(pairs)))

    def _map_key(self) -> syntax.Node:
        token = self.read.current
        if token.kind in _MAP_KEYS:
            self.read.advance()
            return self.made(syntax.Literal(token.position, token.value))
        if not self.read.at_bracket("("):
            raise self.read.failure(
                "a map key must be a quoted string, a number, a identifier, or an expression enclosed in parentheses "
                f"(unexpected token {token})",
                token.position,
            )
        return self.expression()

    # -- calls and what follows an operand

    def call(self, name: Token, piped: tuple[syntax.Node, ...] = ()) -> syntax.Node:
        if name.value in PREDICATES:
            return self._predicate_call(name, piped)
        self.read.expect(Kind.BRACKET, "(")
        arguments = (*piped, *self._listed(")", self.expression))
        if name.value in FUNCTIONS:
            return self.made(syntax.Builtin(name.position, name.value, arguments))
        callee = self.made(syntax.Name(name.position, name.value))
        return self.made(syntax.Call(name.position, callee, arguments))

    def _predicate_call(self, name: Token, piped: tuple[syntax.Node, ...]) -> syntax.Node:
        self.read.expect(Kind.BRACKET, "(")
        parts = PREDICATES[name.value][len(piped) :]
        arguments = list(piped)
        for index, part in enumerate(parts):
            if self.read.at_bracket(")"):
                if part.is_optional:
                    break
                raise self.read.failure(f"expected at least {len(parts)} arguments", self.read.current.position)
            if index:
                self.read.expect(Kind.OPERATOR, ",")
            arguments.append(self._predicate() if part.is_body else self.expression())
        self.read.take_operator(",")
        self.read.expect(Kind.BRACKET, ")")
        return self.made(syntax.Builtin(name.position, name.value, tuple(arguments)))

    def _predicate(self) -> syntax.Node:
        position = self.read.current.position
        self._predicates += 1
        if self.read.at_bracket("{"):
            body = self.block()
        else:
            body = self.expression()
            if self.read.at_operator(";"):
                raise self.read.failure("wrap predicate with brackets { and }", self.read.current.position)
        self._predicates -= 1
        return self.made(syntax.Predicate(position, body))

    def _postfix(self, node: syntax.Node) -> syntax.Node:
        while True:
            optional = self.read.at_operator("?.")
            if optional and self.read.following.kind is Kind.BRACKET and self.read.following.value == "[":
                self.read.advance()
                node = self._indexed(node, optional=True)
            elif optional or self.read.at_operator("."):
                self.read.advance()
                node = self._field(node, optional=optional)
            elif self.read.at_bracket("["):
                node = self._indexed(node, optional=False)
            else:
                return node

    def _field(self, base: syntax.Node, *, optional: bool) -> syntax.Node:
        token = self.read.advance()
        if token.kind is not Kind.IDENTIFIER and not (token.kind is Kind.OPERATOR and token.value.isidentifier()):
            raise self.read.failure("expected name", self.read.current.position)
        chained = isinstance(base, syntax.Chain)
        if isinstance(base, syntax.Chain):
            base = base.body
        key = self.made(syntax.Literal(token.position, token.value))
        node = self.made(syntax.Member(token.position, base, key, optional))
        if self.read.take_bracket("("):
            node = self.made(syntax.Call(token.position, node, tuple(self._listed(")", self.expression))))
        return self.made(syntax.Chain(token.position, node)) if chained or optional else node

    def _indexed(self, base: syntax.Node, *, optional: bool) -> syntax.Node:
        position = self.read.advance().position
        start = None if self.read.at_operator(":") else self.expression()
        if self.read.take_operator(":"):
            stop = None if self.read.at_bracket("]") else self.expression()
            node = self.made(syntax.Slice(position, base, start, stop))
        else:
            assert start is not None
            node = self.made(syntax.Member(position, base, start, optional))
            if optional:
                node = self.made(syntax.Chain(position, node))
        self.read.expect(Kind.BRACKET, "]")
        return node
