"""Resource quantities are read exactly and printed as the API server prints them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.quantities import canonical, quantity


@pytest.mark.parametrize(
    ("written", "number", "printed"),
    [
        ("1", Fraction(1), "1"),
        (2, Fraction(2), "2"),
        (0.5, Fraction(1, 2), "500m"),
        ("1000m", Fraction(1), "1"),
        ("1500m", Fraction(3, 2), "1500m"),
        ("1e3", Fraction(1000), "1k"),
        ("1Ki", Fraction(1024), "1Ki"),
        ("1024Mi", Fraction(2**30), "1Gi"),
        ("1536Mi", Fraction(1536 * 2**20), "1536Mi"),
        ("0.5Gi", Fraction(2**29), "512Mi"),
        ("0.5Ki", Fraction(512), "512"),
        ("-1500M", Fraction(-1_500_000_000), "-1500M"),
        ("+1.k", Fraction(1000), "1k"),
        (".5", Fraction(1, 2), "500m"),
        ("1E", Fraction(10**18), "1E"),
        ("0Gi", Fraction(0), "0"),
        ("0.1n", Fraction(1, 10**9), "1n"),
    ],
)
def test_a_quantity_is_a_number_with_a_unit(written, number, printed):
    assert quantity(written) == number
    assert canonical(written) == printed


@pytest.mark.parametrize(
    "written", ["", "m", "1 Gi", "1K", "1gi", "one", "1e", "--1", "1.2.3", True, "nan", float("nan"), float("inf")]
)
def test_anything_else_is_refused_with_the_right_forms(written):
    with pytest.raises(ValueError, match="is not a quantity; write a number"):
        quantity(written)


@given(st.integers(-(10**12), 10**12), st.sampled_from(["n", "u", "m", "", "k", "M", "Ki", "Mi", "Gi"]))
def test_printing_keeps_the_number(number, unit):
    written = f"{number}{unit}"
    assert quantity(canonical(written)) == quantity(written)
