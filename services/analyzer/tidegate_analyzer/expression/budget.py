"""What one evaluation may cost. Conditions come from users of the cluster; none of them may stop the analyzer.

A step is one node evaluated, one value compared or printed, 256 characters given to an operator or a function, or one character
of what is read as a time; a cell is one element of a list or map, or eight characters of text. The numbers let an ordinary
condition look at a few thousand series, and stop `map(1..1000, map(1..1000, ...))` within a fraction of a second.
"""

from dataclasses import dataclass

from tidegate_analyzer.expression.errors import OverBudget

CHARACTERS_PER_CELL = 8
CHARACTERS_PER_STEP = 256
STEPS_TO_COMPILE = 20
INSTRUCTIONS_COMPILED_PER_STEP = 4
INSTRUCTIONS_RUN_PER_STEP = 8192


@dataclass(frozen=True, slots=True)
class Budget:
    steps: int = 250_000
    cells: int = 1_000_000


class Meter:
    """Counts down one evaluation's budget. Costs are paid before the work is done, never after."""

    __slots__ = ("_budget", "_cells", "_patterns", "_steps")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._steps = budget.steps
        self._cells = budget.cells
        self._patterns: set[str] = set()

    def step(self, count: int = 1) -> None:
        self._steps -= count
        if self._steps < 0:
            raise OverBudget(f"step budget exceeded ({self._budget.steps} steps)")

    def cells(self, count: int) -> None:
        self._cells -= count
        if self._cells < 0:
            raise OverBudget(f"memory budget exceeded ({self._budget.cells} cells)")

    def read(self, *values: object) -> None:
        for value in values:
            if isinstance(value, str):
                self.step(len(value) // CHARACTERS_PER_STEP)

    def pattern(self, regular: str, size: int, subject: int) -> None:
        """One pattern on one text: compiled when it is first met, and at worst each character meets each instruction."""
        if regular not in self._patterns:
            self._patterns.add(regular)
            self.step(STEPS_TO_COMPILE + size // INSTRUCTIONS_COMPILED_PER_STEP)
        self.step(subject * size // INSTRUCTIONS_RUN_PER_STEP)

    def text(self, length: int) -> None:
        self.cells(length // CHARACTERS_PER_CELL)
