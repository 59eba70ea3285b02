"""The path of a web metric: first matches as client-go finds them, and its complaints (`tests/golden/jsonpath`)."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_analyzer.jsonpath import JsonPathError, NoValue, parsed

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "jsonpath" / "answers.json").read_text())


@pytest.mark.parametrize("row", GOLDEN["answers"], ids=lambda row: row["path"])
def test_a_path_finds_what_client_go_finds(row: dict[str, Any]) -> None:
    try:
        found = {"value": parsed(row["path"]).first(GOLDEN["document"])}
    except JsonPathError as error:
        found = {"error": str(error)}
    assert found == {key: row[key] for key in row.keys() & {"value", "error"}}


@pytest.mark.parametrize(
    ("path", "value"),
    [("{.items[?(@.v==5)].name}", "q"), ("{.items[?(@.v>1)].name}", "q"), ("{.items[?(@.v<=1.5)].name}", "p")],
)
def test_a_filter_compares_numbers_by_value(path: str, value: str) -> None:
    """client-go answers `incompatible types for comparison` for every JSON number; nobody writes such a filter to get that."""
    assert parsed(path).first(GOLDEN["document"]) == value


def test_no_path_means_the_whole_document() -> None:
    assert parsed("").first([1]) == [1]


def test_null_is_a_value_and_nothing_is_none() -> None:
    assert parsed("{.a}").first({"a": None}) is None
    with pytest.raises(NoValue, match="result of web metric produced no value"):
        parsed("{.a[*]}").first({"a": []})


def test_range_is_refused_with_the_reason() -> None:
    with pytest.raises(JsonPathError, match="range is not supported here: a metric uses the first match only"):
        parsed("{range .items[*]}{.name}{end}")


def test_a_deep_document_does_not_exhaust_the_stack() -> None:
    document: Any = "leaf"
    for _ in range(5000):
        document = {"a": document}
    assert parsed("{..a}").first(document) == document["a"]


@pytest.mark.parametrize("path", ["{..[*]..[*]..[*]..[*]..[*]}", "{..[?(@..[*]..[*]..[*])]}", "{..[*]..[*]..[0,0]}"])
def test_a_path_that_would_look_at_a_billion_values_ends_with_a_clear_error(path: str) -> None:
    document: Any = 1
    for _ in range(300):
        document = [document]
    with pytest.raises(JsonPathError, match=r"^the path looks at more than 2000000 values$"):
        parsed(path).first(document)


def test_what_is_too_large_to_be_shown_is_complained_about_by_its_kind() -> None:
    with pytest.raises(JsonPathError, match=r"^map\[string\]interface \{\} is not array or slice and cannot be filtered$"):
        parsed("{[?(@.v==1)]}").first({str(number): number for number in range(300_000)})


def test_a_path_may_look_at_all_that_an_answer_can_hold() -> None:
    values = [{"v": 1}] * 75_000
    assert parsed("{..v}").first(values) == 1
    assert parsed("{[?(@.v==1)].v}").first(values) == 1


@given(path=st.text(alphabet="{}[]().*?@$=<>'\"ab01:,- \\", max_size=24))
def test_any_text_is_a_path_or_an_error(path: str) -> None:
    with contextlib.suppress(JsonPathError):
        parsed(path).first({"a": [{"b": 1}, 0], "b": "a"})
