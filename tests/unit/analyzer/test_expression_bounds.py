"""No condition may stop the analyzer, whatever it says; and none may reach Python."""

import contextlib
import string
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate_analyzer.expression import Budget, ExpressionError, OverBudget, condition
from tidegate_analyzer.expression import compile as compile_expression

BOMBS = [
    ("sum(0 + 1..100000000, #)", "memory budget exceeded"),
    ("repeat('a', 1000000000)", "memory budget exceeded"),
    ("len(map(1..1000, map(1..1000, map(1..1000, # + 1))))", "step budget exceeded"),
    ("(" * 3000 + "1" + ")" * 3000, "nested more than 100 levels deep"),
    ("1" + "+1" * 20_000, "exceeds maximum allowed nodes"),
    ("[" * 3000, "nested more than 100 levels deep"),
    ("not " * 3000 + "true", "nested more than 100 levels deep"),
    ("result" + ".a" * 3000, "nested more than 100 levels deep"),
    ("result" + "[0]" * 3000, "nested more than 100 levels deep"),
    ("1" + "?1:1" * 3000, "nested more than 100 levels deep"),
    ("result " + "| map(#) " * 500, "nested more than 100 levels deep"),
    ("a" * 200_000, "longer than 100000 characters"),
    ("reduce(1..60, #acc + #acc, 'aaaaaaaaaa')", "memory budget exceeded"),
    ("string(reduce(1..60, [#acc, #acc], 1))", "step budget exceeded"),
    ("toJSON(reduce(1..60, [#acc, #acc], 1))", "budget exceeded"),
    ("flatten(reduce(1..60, [#acc, #acc], 1))", "budget exceeded"),
    ("max(reduce(1..60, [#acc, #acc], 1))", "budget exceeded"),
    ("reduce(1..60, [#acc, #acc], 1) == reduce(1..60, [#acc, #acc], 1)", "step budget exceeded"),
    ("string(reduce(1..10000, [#acc], 1))", "nested too deeply"),
    ("replace(repeat('a', 100000), 'a', repeat('b', 100000))", "memory budget exceeded"),
    ("join(map(1..100000, 'x'), repeat('b', 100000))", "memory budget exceeded"),
    ("uniq(1..10000)", "step budget exceeded"),
    ("reduce(1..100, toBase64(#acc), 'aaaa')", "memory budget exceeded"),
    ("reduce(1..100, toJSON(#acc), '\"')", "memory budget exceeded"),
    ("fromJSON('" + "[" * 50_000 + "')", "nested too deeply"),
    ("reduce(1..60, date('2024-11-22T11:44:55Z').Format(#acc), '1')", "budget exceeded"),  # twice as long each time
    ("let x = 1..100000; count(x, {sum(x) > 0})", "step budget exceeded"),
    ("let x = map(1..100000, false); count(1..100000, {count(x) > 0})", "step budget exceeded"),
    ("let x = map(1..100000, ''); count(1..100000, {join(x) != ''})", "step budget exceeded"),
    ("let x = repeat('1h', 50000); count(1..100000, {duration(x) > duration('1h')})", "step budget exceeded"),
    ("let x = repeat('2', 50000); count(1..100000, {date(x, x) > now()})", "step budget exceeded"),
    ("count(1..50000, {'a' matches string(#) + '(?i)(abcdefghijkl){80}'})", "step budget exceeded"),
    ("repeat('é', 500000) matches `[\\pL]{1,100}.{1,900}q`", "step budget exceeded"),
]


@pytest.mark.parametrize(("bomb", "complaint"), BOMBS, ids=[bomb[:40] for bomb, _ in BOMBS])
def test_a_bomb_ends_with_a_clear_error(bomb: str, complaint: str) -> None:
    with pytest.raises(ExpressionError, match=complaint):
        compile_expression(bomb).evaluate([1.0], now=datetime(2026, 1, 1, tzinfo=UTC))


LONG = "a" * 1_000_000
LARGE = {
    "text": "é" * 100_000,
    "texts": ["é" * 100_000] * 100,
    "map": {str(number): number for number in range(20_000)},
    "other": {str(number): -number for number in range(20_000)},
}


@pytest.mark.parametrize(
    ("look", "result"),
    [
        ("result contains '!'", LONG),
        ("result matches '!'", LONG),
        ("result == 'b' + result", LONG),
        ("result in ['b', result]", LONG),
        ("indexOf(result, '!') > 0", LONG),
        ("result | hasSuffix('!')", LONG),
        ("result < 'b'", LONG),
        ("result.text[0] == 1", LARGE),
        ("result.text[0:1] == 'a'", LARGE),
        ("any(result.text, true)", LARGE),
        ("result.map == result.other", LARGE),
        ("len(sort(result.texts)) > 0", LARGE),
        ("now().Format(result.text) == 'a'", LARGE),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 100 else "",
)
def test_a_large_result_is_not_read_again_and_again(look: str, result: Any) -> None:
    with pytest.raises(OverBudget):
        compile_expression(f"count(1..50000, {{ {look} }})").evaluate(result, now=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "text",
    [
        "date(repeat('1', 59) + 'x', repeat('2', 30))",  # a number of one or of two digits, thirty times
        "duration(repeat('1', 200000) + '-')",
        "asFloat(repeat('1', 200000) + 'x')",
        "duration(repeat('1', 5000) + 'h')",  # Python reads no number of more than 4300 digits
        "date('A', 'true')",  # a layout that names nothing
    ],
)
def test_a_number_or_a_time_that_almost_is_one_is_refused_and_not_tried_in_every_way(text: str) -> None:
    with pytest.raises(ExpressionError, match=r"parsing|invalid"):
        compile_expression(text).evaluate(None)


def test_a_pattern_is_paid_for_once_however_often_it_is_used() -> None:
    assert condition("count(1..5000, {string(#) matches `^[\\pL\\pN]+$`}) == 5000", None)


def test_a_long_text_may_be_looked_at_often_enough() -> None:
    looks = " or ".join(["result contains '!'", "result matches 'b$'", "upper(result) == 'A'", "result == 'b'"] * 3)
    assert condition(looks, LONG) is False


def test_thousands_of_terms_in_a_row_are_fine() -> None:
    assert compile_expression("1" + " + 1" * 4900).evaluate(None) == 4901
    assert condition("result > 0" + " && result > 0" * 1500, 1.0)


def test_a_catastrophic_regular_expression_is_linear() -> None:
    assert condition("result matches '^(a+)+$'", "a" * 50_000 + "b") is False


def test_a_smaller_budget_holds_too() -> None:
    program = compile_expression("sum(map(1..100, #))")
    assert program.evaluate(None) == 5050
    with pytest.raises(OverBudget, match=r"step budget exceeded \(50 steps\)"):
        program.evaluate(None, budget=Budget(steps=50))
    with pytest.raises(OverBudget, match=r"memory budget exceeded \(99 cells\)"):
        program.evaluate(None, budget=Budget(cells=99))


@pytest.mark.parametrize(
    "attempt",
    [
        "__import__('os')",
        "result.__class__.__mro__",
        "'a'.__class__",
        "[].append(1)",
        "len.__globals__",
        "result.__init__.__globals__",
        "asInt.__call__(1)",
        "duration('1s').__class__",
        "now().__reduce__()",
        "eval('1')",
        "$env.__builtins__",
    ],
)
@pytest.mark.parametrize("result", [{"a": 1}, "text", [1.0], 1.0, None], ids=repr)
def test_there_is_no_way_to_a_python_object(attempt: str, result: Any) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(attempt).evaluate(result)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)
VOCABULARY = """
    result 1 2.5 'a' nil true [ ] ( ) { } . ?. # #acc , ; : ? ?? + - * / % ** < > == != && || not in matches contains .. | let =
    map( filter( all( len( sum( reduce( sort( max( string( toJSON( split( default( asInt( duration( date( if else
"""
WORDS = st.sampled_from(VOCABULARY.split())


@settings(max_examples=400, deadline=None)
@given(words=st.lists(WORDS, max_size=14), result=JSON)
def test_any_row_of_words_yields_a_value_or_an_expression_error(words: list[str], result: Any) -> None:
    with contextlib.suppress(ExpressionError):
        compile_expression(" ".join(words)).evaluate(result)


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet=string.printable + "éß日\ud800", max_size=40), result=JSON)
def test_any_text_yields_a_value_or_an_expression_error(text: str, result: Any) -> None:
    with contextlib.suppress(ExpressionError):
        compile_expression(text).evaluate(result)


@given(left=st.floats(), right=st.floats())
def test_comparisons_agree_with_ieee(left: float, right: float) -> None:
    for sign, expected in (("<", left < right), (">=", left >= right), ("==", left == right)):
        assert condition(f"result[0] {sign} result[1]", [left, right]) is expected


@given(left=st.integers(-(2**62), 2**62), right=st.integers(1, 2**31))
def test_integers_divide_as_go_does(left: int, right: int) -> None:
    """The sign of the remainder is the dividend's, and quotient times divisor plus remainder is the dividend."""
    remainder = compile_expression(f"({left}) % {right}").evaluate(None)
    assert abs(remainder) < right
    assert (left - remainder) % right == 0
    assert remainder == 0 or (remainder < 0) == (left < 0)
