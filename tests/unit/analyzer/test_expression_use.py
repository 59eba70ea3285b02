"""What users of conditions see: answers that are bool, errors with a place, old spellings, and `tidegate eval`."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tidegate_analyzer.expression import ExpressionError, OverBudget, condition, evaluate, presentable, text_of
from tidegate_analyzer.expression import compile as compile_expression


@pytest.mark.parametrize(
    ("expression", "result", "go_type"),
    [
        ("result", 1, "float64"),
        ("result", "x", "string"),
        ("result", None, "<nil>"),
        ("[1]", None, "[]interface {}"),
        ("1", None, "int"),
    ],
)
def test_a_condition_must_yield_a_bool(expression: str, result: object, go_type: str) -> None:
    with pytest.raises(ExpressionError) as error:
        condition(expression, result)
    assert str(error.value) == f"expected bool, but got {go_type}"


def test_an_error_points_at_line_and_column() -> None:
    with pytest.raises(ExpressionError) as error:
        compile_expression("result > 1 &&\n\tlen(result, 2)")
    assert error.value.place == (2, 2)
    assert str(error.value).splitlines() == [
        "invalid number of arguments (expected 1, got 2) (2:2)",
        " |  len(result, 2)",
        " | .^",
    ]


def test_an_error_while_running_points_at_the_innermost_part() -> None:
    with pytest.raises(ExpressionError, match=r"index out of range: 5 \(array length is 1\) \(1:16\)"):
        condition("true && (result[5] > 1)", [1.0])


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("result[0] < 0.95", [0.5]),
        ("'text' == result", "text"),
        ('"text" == result', "text"),
        ("result[0] >= 0.9 && result[0] <= 1 || false", [0.95]),
        ("!(result[0] > 1)", [0.5]),
        ("result =~ '^te'", "text"),
        ("result !~ '^xx'", "text"),
        ("result[0] % 2 == 0 ? true : true", [1.0]),
    ],
)
def test_conditions_of_the_older_engine_still_mean_the_same(expression: str, result: object) -> None:
    if "%" in expression:
        with pytest.raises(ExpressionError, match="float64 % int"):  # the one thing that changed: % needs integers
            condition(expression, result)
    else:
        assert condition(expression, result)


def test_numbers_of_a_result_are_floats_as_when_go_reads_json() -> None:
    assert compile_expression("type(result)").evaluate(5) == "float"
    assert compile_expression("result / 2").evaluate(5) == 2.5
    assert compile_expression("string(result)").evaluate(1_000_000) == "1e+06"


def test_a_result_that_is_not_json_is_refused() -> None:
    with pytest.raises(ExpressionError, match="only JSON values can be judged"):
        compile_expression("result").evaluate(object())
    with pytest.raises(ExpressionError, match="out of the range of float64"):
        compile_expression("result").evaluate(10**400)


def test_the_result_is_never_changed() -> None:
    result = {"list": [3, 1, 2], "map": {"a": 1}}
    compile_expression("sort(result.list) | concat([9])").evaluate(result)
    assert result == {"list": [3, 1, 2], "map": {"a": 1}}


def test_now_is_an_argument() -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    program = compile_expression("now() - duration('10m')")
    assert program.evaluate(None, now=now) == now - timedelta(minutes=10)
    with pytest.raises(ExpressionError, match=r"now\(\) is not known here"):
        program.evaluate(None)


@pytest.mark.parametrize(
    ("expression", "result", "shown"),
    [
        ("map(result, # * 2)", [1, 2.25], [2, 4.5]),
        ("result", None, None),
        ("[1 / 0, -1 / 0, 0 / 0]", None, ["+Inf", "-Inf", "NaN"]),
        ("9223372036854775807", None, 9223372036854775807),
        ("9007199254740993 + 0.0", None, 9007199254740992),
        ("1e300", None, 1e300),
        ("result", 2**70, float(2**70)),
        ("duration('90s')", None, 90_000_000_000),
        ("date('2024-01-02 03:04:05')", None, "2024-01-02T03:04:05Z"),
        ("{a: date('2024-03-02').Month()}", None, {"a": 3}),
        ("b'ab'", None, "YWI="),
        ("timezone('UTC')", None, "UTC"),
        ("[groupBy(result, #)]", [1], ["map[1:[1]]"]),
        ("fromPairs([['a', 1]])", None, "map[a:1]"),
        ("result", {"b": float("nan"), "a": [True]}, {"a": [True], "b": "NaN"}),
    ],
)
def test_a_value_is_shown_as_json_and_what_json_has_no_word_for_as_go_prints_it(expression: str, result: Any, shown: Any) -> None:
    assert repr(presentable(evaluate(expression, result))) == repr(shown)


def test_a_value_too_large_to_print_is_an_error() -> None:
    with pytest.raises(OverBudget, match="budget exceeded"):
        presentable(evaluate("reduce(1..60, [#acc, #acc], 1)", None))


def test_values_print_as_in_go() -> None:
    assert text_of([1.0, 2.5]) == "[1 2.5]"
    assert text_of({"b": None, "a": [True]}) == "map[a:[true] b:<nil>]"
