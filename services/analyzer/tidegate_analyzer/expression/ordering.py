"""Sorting with `<`, which refuses to compare a number with text."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from tidegate_analyzer.expression.budget import Meter
from tidegate_analyzer.expression.operators import compared

Item = TypeVar("Item")


def ordered(items: list[Item], *, key: Callable[[Item], Any], descending: bool, meter: Meter) -> list[Item]:
    def order(left: Item, right: Item) -> int:
        meter.step()
        a, b = (key(right), key(left)) if descending else (key(left), key(right))
        meter.read(a, b)
        if compared("<", a, b):
            return -1
        return 1 if compared("<", b, a) else 0

    return sorted(items, key=functools.cmp_to_key(order))
