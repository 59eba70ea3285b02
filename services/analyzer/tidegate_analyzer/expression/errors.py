"""What can go wrong in an expression, told with the place: message, (line:column), the line, and a caret under the column.

The words are Go's (expr-lang v1.17.8), because users search for them; the place is filled in by whoever knows it last.
"""

from typing import Final

from tidegate.errors import TidegateError

LONGEST_REASON: Final = 300
"""Characters. Reasons quote what they are about, and a literal may have thousands; the first and the last of it tell which one."""
WIDTH: Final = 76
"""Of the line that is shown: with its margin it fits on a terminal, so that the caret stands under its place."""


class ExpressionError(TidegateError):
    """An expression that cannot be read, or that failed while running. `position` counts characters from the start."""

    def __init__(self, reason: str, *, position: int | None = None, source: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position
        self.source = source

    def __str__(self) -> str:
        if self.position is None or not self.source:
            return self._short_reason
        line, column = self.place
        text = self.source.splitlines()[line - 1] if self.source.splitlines() else ""
        text, column = _window(text.expandtabs(1), column)
        pointer = "." * (column - 1) + "^"
        return f"{self.summary}\n | {text}\n | {pointer}"

    @property
    def summary(self) -> str:
        """One line: what a status message has room for."""
        if self.position is None or not self.source:
            return self._short_reason
        return f"{self._short_reason} ({self.place[0]}:{self.place[1]})"

    @property
    def _short_reason(self) -> str:
        if len(self.reason) <= LONGEST_REASON:
            return self.reason
        half = LONGEST_REASON // 2
        return f"{self.reason[:half]} ... {self.reason[-half:]}"

    @property
    def place(self) -> tuple[int, int]:
        before = self.source[: self.position or 0]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _window(text: str, column: int) -> tuple[str, int]:
    """The part of a long line around a column, and where the column is in it."""
    if len(text) <= WIDTH:
        return text, column
    first = max(0, min(column - 1 - WIDTH // 2, len(text) - WIDTH))
    shown = text[first : first + WIDTH]
    shown = f"...{shown[3:]}" if first else shown
    shown = f"{shown[:-3]}..." if first + WIDTH < len(text) else shown
    return shown, column - first


class OverBudget(ExpressionError):  # noqa: N818 - reads as the fact it states
    """The expression would take more steps or memory than a condition may."""
