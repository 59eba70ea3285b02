"""Our engine against the real one: expr-lang/expr v1.17.8 in Go (`tests/golden/expr/oracle`) answered every row.

A row fails if we accept what Go refuses, refuse what it accepts, answer another value, or complain in other words.
The few deliberate differences are listed with their reasons; a row that no longer differs fails too.
"""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tidegate_analyzer.expression import ExpressionError, evaluate, text_of
from tidegate_analyzer.expression.moments import duration_text, rfc3339_text
from tidegate_analyzer.expression.values import Duration, plain_key

GOLDEN = Path(__file__).parents[2] / "golden" / "expr"
ROWS = [json.loads(line) for line in (GOLDEN / "answers.jsonl").read_text().splitlines()]
CONDITIONS = json.loads((GOLDEN / "conditions.json").read_text())["cases"]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

# Same verdict, other words or column: Go's JSON and base64 readers and its reflection name their own internals.
OTHER_WORDS = {
    "all(result.ok, # > 1)",
    "filter(result.data, true)",
    "fromJSON('{bad')",
    "fromJSON('NaN')",
    "isNaN(asInt(result))",  # an int64 there
    "fromBase64('!!')",
    "fromBase64('aGVsbG8')",
}


def untagged(value: Any) -> Any:
    if isinstance(value, dict):
        for tag in ("$float", "$f"):
            if tag in value:
                return float(value[tag])
        return {key: untagged(item) for key, item in value.items()}
    return [untagged(item) for item in value] if isinstance(value, list) else value


def tagged(value: Any) -> Any:
    match value:
        case float() if math.isnan(value) or math.isinf(value):
            return {"$float": text_of(value)}
        case Duration():
            return {"$duration": duration_text(value)}
        case datetime():
            return {"$time": rfc3339_text(value)}
        case bytes():
            return {"$bytes": value.decode()}
        case list():
            return [tagged(item) for item in value]
        case dict():
            return {text_of(plain_key(key)): tagged(item) for key, item in value.items()}
    return value


def outcome(expression: str, result: Any) -> dict[str, Any]:
    try:
        return {"value": tagged(evaluate(expression, untagged(result), now=NOW))}
    except ExpressionError as error:
        return {"error": error.summary}


def test_the_table_is_as_large_as_promised() -> None:
    assert len(ROWS) >= 1250
    assert len(CONDITIONS) == 80


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["expression"])
def test_an_expression_answers_as_go_does(row: dict[str, Any]) -> None:
    expression = row["expression"]
    ours = outcome(expression, row["result"])
    if "error" not in row:
        assert ours == {"value": row["value"]}
    elif expression in OTHER_WORDS:
        assert "error" in ours
        assert ours["error"] != row["error"], "this difference is gone: take it off the list"
    else:
        assert ours == {"error": row["error"]}


@pytest.mark.parametrize("case", CONDITIONS, ids=lambda case: case["expression"])
def test_a_condition_of_the_first_trial_answers_as_go_does(case: dict[str, Any]) -> None:
    ours = outcome(case["expression"], case["result"])
    if case["outcome"] != "ok":
        assert ours == {"error": case["error"]}
    elif case["type"].startswith("map[interface"):  # that trial printed such maps as Go text
        assert text_of(evaluate(case["expression"], untagged(case["result"]))) == case["value"]
    else:
        assert ours == {"value": case["value"]}
