"""What can go wrong in an expression, told with the place: message, (line:column), the line, and a caret under the column.

The words are Go's (expr-lang v1.17.8), because users search for them; the place is filled in by whoever knows it last.
"""

from tidegate.errors import TidegateError


class ExpressionError(TidegateError):
    """An expression that cannot be read, or that failed while running. `position` counts characters from the start."""

    def __init__(self, reason: str, *, position: int | None = None, source: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position
        self.source = source

    def __str__(self) -> str:
        if self.position is None or not self.source:
            return self.reason
        line, column = self.place
        text = self.source.splitlines()[line - 1] if self.source.splitlines() else ""
        pointer = "." * (column - 1) + "^"
        return f"{self.summary}\n | {text.expandtabs(1)}\n | {pointer}"

    @property
    def summary(self) -> str:
        """One line: what a status message has room for."""
        if self.position is None or not self.source:
            return self.reason
        return f"{self.reason} ({self.place[0]}:{self.place[1]})"

    @property
    def place(self) -> tuple[int, int]:
        before = self.source[: self.position or 0]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


class OverBudget(ExpressionError):  # noqa: N818 - reads as the fact it states
    """The expression would take more steps or memory than a condition may."""
