"""What `eval` answers. Pure: text in, JSON values out.

A metric's result is JSON; on the command line other text is taken as it is, like the body of a web metric.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from tidegate_analyzer.expression import ExpressionError, evaluate, presentable


def result_of(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def value_of(expression: str, result: Any, *, now: datetime) -> Any:
    """The value as JSON; raises ExpressionError."""
    return presentable(evaluate(expression, result, now=now))


def answers(lines: Iterable[str], *, now: datetime) -> Iterator[dict[str, Any]]:
    """One for each line that is not blank: `{"value"}` or `{"error"}`. A line that cannot be read is answered, too."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _answer(line, number, now)


def _answer(line: str, number: int, now: datetime) -> dict[str, Any]:
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError) as error:
        return {"error": f"line {number} is not JSON: {error}"}
    if not isinstance(asked, dict) or not isinstance(asked.get("expression"), str):
        return {"error": f'line {number} must be an object with "expression", a text, and "result", any JSON value'}
    try:
        return {"value": value_of(asked["expression"], asked.get("result"), now=now)}
    except ExpressionError as error:
        return {"error": error.summary}
    except Exception as error:  # noqa: BLE001 - a defect of ours answers its own line and no other
        return {"error": f"{type(error).__name__}: {error}"}
