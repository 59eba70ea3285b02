"""Kubernetes resource quantities ("500m", "1Gi", 0.5) as exact numbers.

Rule of this file: pure; the grammar and the canonical form are those of `k8s.io/apimachinery/pkg/api/resource`.
"""

import re
from fractions import Fraction

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_FORM = re.compile(r"([+-]?)([0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:([numkMGTPE]|[KMGTPE]i)?|[eE]([+-]?[0-9]{1,2}))")


def quantity(value: float | str) -> Fraction:
    """The number a quantity stands for, rounded up to a billionth away from zero as the API server does."""
    match = _FORM.fullmatch(str(value).strip())
    if match is None or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a quantity; write a number with or without a unit, such as 500m, 2 or 1Gi")
    sign, digits, suffix, exponent = match.groups()
    if suffix in _BINARY:
        factor = Fraction(2) ** _BINARY[suffix]
    else:
        factor = Fraction(10) ** (int(exponent) if exponent else _DECIMAL[suffix or ""])
    billionths = -(-Fraction(digits if digits[-1] != "." else digits[:-1]) * factor * 10**9 // 1)
    return Fraction(billionths, 10**9) * (-1 if sign == "-" else 1)


def canonical(value: float | str) -> str:
    """The text the API server prints: "1000m" is "1", "0.5" is "500m", "1024Mi" is "1Gi"."""
    number, binary = quantity(value), str(value).strip().endswith("i")
    sign, size = ("-" if number < 0 else ""), abs(number)
    if binary and size >= 1024:
        units = [(suffix, Fraction(2) ** power) for suffix, power in reversed(_BINARY.items())]
    else:
        units = [(suffix, Fraction(10) ** power) for suffix, power in reversed(_DECIMAL.items())]
    fitting = ((suffix, size / factor) for suffix, factor in [*units, ("", Fraction(1))] if (size / factor).denominator == 1)
    suffix, count = next(fitting) if size else ("", Fraction(0))
    return f"{sign}{count}{suffix}"
