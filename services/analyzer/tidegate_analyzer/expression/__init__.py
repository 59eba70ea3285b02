"""Analysis conditions: the expression language of expr-lang v1.17.8 over JSON values (`argo-behaviour.md` 7.6).

Pure and bounded: no clock, no I/O, no way to a Python object, and a budget of steps and memory for every evaluation.
`tests/golden/expr` holds what the real Go engine answers; the tests compare every row.

    program = compile("result[0] >= 0.95")
    program.evaluate([0.97])                         # True
    condition("result[0] >= 0.95", [0.97])           # True, or an error if the answer is no bool

The older govaluate spelling keeps working (`'text' == result`, `&&`, `=~` for `matches`, `!~` for `not matches`).
"""

import builtins
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tidegate_analyzer.expression import checker, parser, syntax
from tidegate_analyzer.expression.budget import Budget, Meter
from tidegate_analyzer.expression.errors import ExpressionError, OverBudget
from tidegate_analyzer.expression.evaluator import Evaluation
from tidegate_analyzer.expression.natures import nature_of
from tidegate_analyzer.expression.printing import compact_json_text, json_text, printed
from tidegate_analyzer.expression.values import metric_value, type_name

__all__ = ["Budget", "ExpressionError", "OverBudget", "Program", "answer", "compile", "condition", "json_of", "text_of"]

_DEFAULT_BUDGET = Budget()


@dataclass(frozen=True, slots=True)
class Program:
    """An expression that was read and checked; it may be evaluated any number of times."""

    source: str
    tree: syntax.Node

    def evaluate(self, result: Any, *, now: datetime | None = None, budget: Budget = _DEFAULT_BUDGET) -> Any:
        """The value for one metric result. `now` is what now() answers; without it now() is an error."""
        return _evaluated(self, result, now, Meter(budget))


def compile(text: str) -> Program:  # noqa: A001 - the word of the field, and always used with the package's name before it
    try:
        tree = parser.tree(text)
        checker.check(tree)
    except ExpressionError as error:
        error.source = error.source or text
        raise
    return Program(text, tree)


def _evaluated(program: Program, result: Any, now: datetime | None, meter: Meter) -> Any:
    try:
        value = metric_value(result)
        checker.check(program.tree, nature_of(value))
        return Evaluation(value, now, meter).value(program.tree)
    except ExpressionError as error:
        error.source = error.source or program.source
        raise
    except RecursionError as error:
        raise ExpressionError("values are nested too deeply") from error


def condition(text: str | Program, result: Any, *, now: datetime | None = None) -> bool:
    program = text if isinstance(text, Program) else compile(text)
    value = program.evaluate(result, now=now)
    if not isinstance(value, bool):
        raise ExpressionError(f"expected bool, but got {type_name(value)}")
    return value


def text_of(value: Any, *, budget: Budget = _DEFAULT_BUDGET) -> str:
    """A value as Go prints it with `%v`; some providers store their measurements so."""
    return printed(value, Meter(budget))


def json_of(value: Any, *, budget: Budget = _DEFAULT_BUDGET) -> str:
    """A value as Go's json.Marshal writes it: sorted keys, no white space, `<`, `>` and `&` escaped."""
    return compact_json_text(metric_value(value), Meter(budget))


def answer(expression: str, result: str, *, now: datetime | None = None) -> dict[str, Any]:
    """For people trying a condition: {"value": ...} or {"error": ...}, from the JSON text of a metric result.

    Text that is not JSON is taken as it is, like the body of a web metric.
    """
    try:
        seen = json.loads(result)
    except ValueError:
        seen = result
    meter = Meter(_DEFAULT_BUDGET)
    try:
        return {"value": _presentable(_evaluated(compile(expression), seen, now, meter), meter)}
    except ExpressionError as error:
        return {"error": str(error)}


def _presentable(value: Any, meter: Meter) -> Any:
    """JSON if the value is JSON, else Go's text for it (times, durations, NaN, maps with keys that are not text)."""
    if isinstance(value, builtins.int) or value is None:
        return value
    try:
        return json.loads(json_text(value, meter))
    except OverBudget:
        raise
    except ExpressionError:
        return printed(value, meter)
