"""Analysis conditions: the expression language of expr-lang v1.17.8 over JSON values (`argo-behaviour.md` 7.6).

Pure and bounded: no clock, no I/O, no way to a Python object, and a budget of steps and memory for every evaluation.
`tests/golden/expr` holds what the real Go engine answers; the tests compare every row.

    program = compile("result[0] >= 0.95")
    program.evaluate([0.97])                         # True
    evaluate("result[0] + 1", [0.97])                # 1.97
    condition("result[0] >= 0.95", [0.97])           # True, or an error if the answer is no bool

The older govaluate spelling keeps working (`'text' == result`, `&&`, `=~` for `matches`, `!~` for `not matches`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from tidegate_analyzer.expression import checker, folding, parser, syntax
from tidegate_analyzer.expression.budget import Budget, Meter
from tidegate_analyzer.expression.errors import ExpressionError, OverBudget
from tidegate_analyzer.expression.evaluator import Evaluation
from tidegate_analyzer.expression.natures import nature_of
from tidegate_analyzer.expression.printing import compact_json_text, json_value, printed
from tidegate_analyzer.expression.values import metric_value, type_name

__all__ = [
    "Budget", "ExpressionError", "OverBudget", "Program", "compile", "condition", "evaluate", "json_of", "presentable", "text_of",
]  # fmt: skip

_DEFAULT_BUDGET = Budget()
_REMEMBERED = 256
"""Conditions, which are few and come again with every measurement."""


@dataclass(frozen=True, slots=True)
class Program:
    """An expression that was read and checked; it may be evaluated any number of times."""

    source: str
    tree: syntax.Node

    def evaluate(self, result: Any, *, now: datetime | None = None, budget: Budget = _DEFAULT_BUDGET) -> Any:
        """The value for one metric result. `now` is what now() answers; without it now() is an error."""
        return _evaluated(self, result, now, Meter(budget))


def compile(text: str) -> Program:  # noqa: A001 - the word of the field, and always used with the package's name before it
    """Checked for any result at all; what a certain result forbids shows when it is evaluated."""
    program = _read(text)
    with _told_where(text):
        checker.check(program.tree)
    return program


def evaluate(text: str, result: Any, *, now: datetime | None = None) -> Any:
    """The value for one result. Checked against this result only, so that errors name its type, as the peer's do."""
    return _evaluated(_read(text), result, now, Meter(_DEFAULT_BUDGET))


def condition(text: str | Program, result: Any, *, now: datetime | None = None) -> bool:
    value = text.evaluate(result, now=now) if isinstance(text, Program) else evaluate(text, result, now=now)
    if not isinstance(value, bool):
        raise ExpressionError(f"expected bool, but got {type_name(value)}")
    return value


def text_of(value: Any, *, budget: Budget = _DEFAULT_BUDGET) -> str:
    """A value as Go prints it with `%v`; some providers store their measurements so."""
    with _not_too_deep():
        return printed(value, Meter(budget))


def json_of(value: Any, *, budget: Budget = _DEFAULT_BUDGET) -> str:
    """A value as Go's json.Marshal writes it: sorted keys, no white space, `<`, `>` and `&` escaped."""
    with _not_too_deep():
        return compact_json_text(metric_value(value), Meter(budget))


def presentable(value: Any, *, budget: Budget = _DEFAULT_BUDGET) -> Any:
    """For people and tools: JSON as Go would write it, and Go's text for what JSON has no word for (`printing`)."""
    return json_value(value, Meter(budget))


def _read(text: str) -> Program:
    with _told_where(text):
        return Program(text, _tree(text))


def _evaluated(program: Program, result: Any, now: datetime | None, meter: Meter) -> Any:
    with _not_too_deep(), _told_where(program.source):
        value = metric_value(result)
        checker.check(program.tree, nature_of(value))
        return Evaluation(value, now, meter).value(_plan(program.source))


@lru_cache(maxsize=_REMEMBERED)
def _tree(text: str) -> syntax.Node:
    return parser.tree(text)


@lru_cache(maxsize=_REMEMBERED)
def _plan(text: str) -> syntax.Node:
    return folding.folded(_tree(text))


@contextmanager
def _not_too_deep() -> Iterator[None]:
    try:
        yield
    except RecursionError as error:
        raise ExpressionError("values are nested too deeply") from error


@contextmanager
def _told_where(text: str) -> Iterator[None]:
    try:
        yield
    except ExpressionError as error:
        error.source = error.source or text
        raise
