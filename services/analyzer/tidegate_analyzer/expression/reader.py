"""The parser's eyes: the current token, the next one, and what to say when it is not the one that must come."""

from tidegate_analyzer.expression.errors import ExpressionError
from tidegate_analyzer.expression.lexer import Kind, Token, tokens


class Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self._tokens = tokens(source)
        self.current = next(self._tokens)
        self._following: Token | None = None

    @property
    def following(self) -> Token:
        if self._following is None:
            self._following = next(self._tokens, self.current)
        return self._following

    def advance(self) -> Token:
        token, self.current = self.current, self.following
        self._following = None
        return token

    def at_operator(self, *values: str) -> bool:
        return self.current.kind is Kind.OPERATOR and self.current.value in values

    def at_bracket(self, value: str) -> bool:
        return self.current.kind is Kind.BRACKET and self.current.value == value

    def take_operator(self, value: str) -> bool:
        return self.at_operator(value) and bool(self.advance())

    def take_bracket(self, value: str) -> bool:
        return self.at_bracket(value) and bool(self.advance())

    def expect(self, kind: Kind, value: str | None = None) -> Token:
        if self.current.kind is not kind or (value is not None and self.current.value != value):
            raise self.unexpected(self.current)
        return self.advance()

    def unexpected(self, token: Token) -> ExpressionError:
        return self.failure(f"unexpected token {token}", token.position)

    def failure(self, reason: str, position: int) -> ExpressionError:
        return ExpressionError(reason, position=position, source=self.source)
